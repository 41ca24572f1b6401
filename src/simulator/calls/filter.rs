//! The expressions of `get_all_where` and `get_all_records_where` (`db_filter_parse.mly`).

use crate::error::Fault;
use crate::simulator::database::{Row, Value};

/// A filter expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Equal(Operand, Operand),
    False,
    Not(Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    True,
}

/// One side of an equation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// A field, by its database name: `name__label`.
    Field(String),
    Literal(String),
}

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    /// `INVALID_VALUE [expression, exception]`.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |what: &str| Fault::new("INVALID_VALUE", [text, what]);
        let tokens = tokens(text).ok_or_else(|| wrong("Failure(\"lexing: empty token\")"))?;
        let mut parser = Parser { tokens: &tokens, depth: 0 };
        parser
            .expression()
            .filter(|_| parser.tokens.is_empty())
            .ok_or_else(|| wrong("Stdlib.Parsing.Parse_error"))
    }

    /// Whether an object passes.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` for a field that the class does not have.
    pub(super) fn passes(&self, object: &Row<'_>) -> Result<bool, Fault> {
        Ok(match self {
            Self::True => true,
            Self::False => false,
            Self::Not(inner) => !inner.passes(object)?,
            Self::And(left, right) => left.passes(object)? && right.passes(object)?,
            Self::Or(left, right) => left.passes(object)? || right.passes(object)?,
            Self::Equal(left, right) => left.value(object)? == right.value(object)?,
        })
    }
}

impl Operand {
    fn value(&self, object: &Row<'_>) -> Result<String, Fault> {
        match self {
            Self::Literal(text) => Ok(text.clone()),
            Self::Field(name) if name == "_ref" => Ok(object.reference().to_string()),
            Self::Field(name) => {
                let field = name.replace("__", "_");
                if !object.has(&field) {
                    let what = format!("missing field: {} {name}", object.class());
                    return Err(Fault::new("INTERNAL_ERROR", [what]));
                }
                Ok(stored_text(&object.get(&field)))
            }
        }
    }
}

/// A value as the database writes it.
fn stored_text(value: &Value) -> String {
    let quoted = |value: &Value| match value {
        Value::Set(_) | Value::Map(_) => stored_text(value),
        other => format!("'{}'", stored_text(other)),
    };
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) | Value::Date(text) => text.to_string(),
        Value::Set(elements) => {
            format!("({})", elements.iter().map(quoted).collect::<Vec<_>>().join(" "))
        }
        Value::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("('{key}' {})", quoted(value)));
            format!("({})", pairs.collect::<Vec<_>>().join(" "))
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Close,
    Equals,
    Open,
    Text(&'a str),
    Word(&'a str),
}

fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '=' => (Token::Equals, 1),
            '"' => {
                let end = rest[1..].find('"')?;
                (Token::Text(&rest[1..=end]), end + 2)
            }
            'a'..='z' => {
                let end = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
                let word = &rest[..end];
                ["field", "not", "and", "or", "true", "false"].contains(&word).then_some(())?;
                (Token::Word(word), end)
            }
            _ => return None,
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    depth: usize,
}

impl<'a> Parser<'a> {
    /// `and` and `or` bind alike, left to right.
    fn expression(&mut self) -> Option<Filter> {
        let mut left = self.term()?;
        while let Some(Token::Word(word @ ("and" | "or"))) = self.tokens.first() {
            self.take();
            let right = self.term()?;
            let sides = (Box::new(left), Box::new(right));
            left = if *word == "and" {
                Filter::And(sides.0, sides.1)
            } else {
                Filter::Or(sides.0, sides.1)
            };
        }
        Some(left)
    }

    fn term(&mut self) -> Option<Filter> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let term = match self.tokens.first()? {
            Token::Open => {
                self.take();
                let inner = self.expression()?;
                (self.take()? == &Token::Close).then_some(inner)
            }
            Token::Word("not") => {
                self.take();
                self.term().map(|inner| Filter::Not(Box::new(inner)))
            }
            Token::Word("true") => self.take().map(|_| Filter::True),
            Token::Word("false") => self.take().map(|_| Filter::False),
            _ => {
                let left = self.operand()?;
                (self.take()? == &Token::Equals).then_some(())?;
                Some(Filter::Equal(left, self.operand()?))
            }
        };
        self.depth -= 1;
        term
    }

    fn operand(&mut self) -> Option<Operand> {
        match self.take()? {
            Token::Text(text) => Some(Operand::Literal((*text).to_owned())),
            Token::Word("field") => match self.take()? {
                Token::Text(name) => Some(Operand::Field((*name).to_owned())),
                _ => None,
            },
            _ => None,
        }
    }

    fn take(&mut self) -> Option<&'a Token<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }
}

/// How deep an expression may nest.
const DEEPEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::database::Database;
    use crate::simulator::release::Release;

    fn passing(expression: &str) -> Result<Vec<String>, Fault> {
        let mut database = Database::new(Release::Newest);
        for (object, label, shared) in [("a", "x", true), ("b", "y", false), ("c", "x", false)] {
            let values = [("name_label", Value::text(label)), ("shared", shared.into())];
            database.create("SR", object, values).unwrap();
        }
        database.set("SR", "a", "tags", Value::texts(["t", "u"])).unwrap();
        let filter = Filter::parse(expression)?;
        let mut passing = Vec::new();
        for object in database.objects("SR").rev() {
            if filter.passes(&object)? {
                passing.push(object.reference().to_string());
            }
        }
        Ok(passing)
    }

    #[test]
    fn expressions_select_as_the_server_does() {
        for (expression, objects) in [
            ("true", vec!["a", "b", "c"]),
            ("not true", vec![]),
            (r#"field "name__label" = "x""#, vec!["a", "c"]),
            (r#""x" = field "name__label" and not field "shared"="true""#, vec!["c"]),
            (r#"true or false and false"#, vec![]),
            (r#"true or (false and false)"#, vec!["a", "b", "c"]),
            (r#"field "tags" = "('t' 'u')""#, vec!["a"]),
            (r#"field "_ref" = "b""#, vec!["b"]),
        ] {
            assert_eq!(passing(expression).unwrap(), objects, "{expression}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for expression in ["field \"name", "", "true true", "(true", "field = \"x\"", "\"x\""] {
            assert_eq!(passing(expression).unwrap_err().code, "INVALID_VALUE", "{expression}");
        }
        assert_eq!(passing("field \"nope\" = \"x\"").unwrap_err().code, "INTERNAL_ERROR");
        let deep = "(".repeat(100_000);
        assert_eq!(passing(&deep).unwrap_err().code, "INVALID_VALUE");
    }
}
