//! How words from outside are shown: so that they can neither move the cursor nor forge a line.
//!
//! Names, addresses and messages in a pool's database are whatever somebody wrote there. What a
//! person reads shows them through [`quoted`] where they stand in a sentence as a name, and through
//! [`plain`] where they stand alone.

use std::fmt::{self, Display, Formatter, Write};

/// A text as it is, but for characters that are not seen, which are written as `\u{…}`.
pub(crate) fn plain<T: Display>(text: T) -> impl Display {
    Plain(text)
}

/// A text that is told as one line, unchanged if it is one already.
pub(crate) fn line(text: String) -> String {
    match text.contains(is_unseen) {
        true => plain(text).to_string(),
        false => text,
    }
}

/// A text between quotation marks; that it is empty is said in words.
pub(crate) fn quoted<T: Display>(text: T) -> impl Display {
    Quoted(text)
}

struct Plain<T>(T);

struct Quoted<T>(T);

impl<T: Display> Display for Plain<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escape { out: f, also: "" }, "{}", self.0)
    }
}

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        if text.is_empty() {
            return f.write_str("(unnamed)");
        }
        f.write_char('"')?;
        Escape { out: f, also: "\"\\" }.write_str(&text)?;
        f.write_char('"')
    }
}

struct Escape<'a, 'b> {
    out: &'a mut Formatter<'b>,
    /// Characters that get a backslash.
    also: &'static str,
}

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|c| self.also.contains(c) || is_unseen(c)) {
            self.out.write_str(&rest[..at])?;
            let mut after = rest[at..].chars();
            match after.next().unwrap_or_default() {
                c if self.also.contains(c) => write!(self.out, "\\{c}")?,
                c => write!(self.out, "{}", c.escape_default())?,
            }
            rest = after.as_str();
        }
        self.out.write_str(rest)
    }
}

/// Whether a character is not seen itself, but changes how or where others are.
///
/// Control characters, the marks, embeddings, overrides and isolates of bidirectional text, line
/// and paragraph separators, characters without width, and tags.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_seen_stays_as_it_is() {
        for text in ["", "Ignite's disk é", "日本語", "a \\ b \"c\"", "🙂"] {
            assert_eq!(plain(text).to_string(), text);
        }
        assert_eq!(quoted("Ignite's disk é").to_string(), "\"Ignite's disk é\"");
    }

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        let text = "a\nb\r\t\u{1b}[31mc\u{202e}d\u{2028}e\u{200b}\u{85}";
        let shown = "a\\nb\\r\\t\\u{1b}[31mc\\u{202e}d\\u{2028}e\\u{200b}\\u{85}";
        assert_eq!(plain(text).to_string(), shown);
        assert_eq!(plain(plain(text)).to_string(), shown);
        assert_eq!(quoted(text).to_string(), format!("\"{shown}\""));
    }

    #[test]
    fn a_name_cannot_end_its_own_quotation() {
        assert_eq!(quoted("").to_string(), "(unnamed)");
        assert_eq!(quoted("a\" or \"b\\").to_string(), r#""a\" or \"b\\""#);
    }
}
