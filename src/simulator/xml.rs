//! Values as XML-RPC text, in which task results come.

use super::value::Value;

/// A value in its `<value>` element (`rpc/xmlrpc.ml`): integers and texts have no type element.
pub(super) fn value_text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    out.push_str("<value>");
    match value {
        Value::Bool(value) => {
            out.push_str(if *value { "<boolean>1</boolean>" } else { "<boolean>0</boolean>" });
        }
        Value::Date(date) => {
            out.push_str("<dateTime.iso8601>");
            out.push_str(date);
            out.push_str("</dateTime.iso8601>");
        }
        Value::Float(value) => {
            out.push_str("<double>");
            out.push_str(&value.to_string());
            out.push_str("</double>");
        }
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Text(text) => escape(text, out),
        Value::Set(elements) => {
            out.push_str("<array><data>");
            elements.iter().for_each(|element| write(element, out));
            out.push_str("</data></array>");
        }
        Value::Map(pairs) => {
            out.push_str("<struct>");
            for (name, value) in pairs {
                out.push_str("<member><name>");
                escape(name, out);
                out.push_str("</name>");
                write(value, out);
                out.push_str("</member>");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>");
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_written_as_recorded() {
        for (value, text) in [
            (Value::void(), "<value></value>"),
            (Value::text("a<b"), "<value>a&lt;b</value>"),
            (Value::Int(5), "<value>5</value>"),
            (Value::Bool(true), "<value><boolean>1</boolean></value>"),
            (Value::texts(["x"]), "<value><array><data><value>x</value></data></array></value>"),
            (
                Value::map([("k", "v")]),
                "<value><struct><member><name>k</name><value>v</value></member></struct></value>",
            ),
        ] {
            assert_eq!(value_text(&value), text);
        }
    }
}
