//! Values as XML-RPC text: the results of tasks, and replies.

use super::database::Value;
use crate::error::Fault;

/// A whole reply (`api_server.ml`): a struct that says how it went.
pub(super) fn response(result: &Result<Value, Fault>) -> String {
    let pairs = match result {
        Ok(value) => [("Status", Value::text("Success")), ("Value", value.clone())],
        Err(fault) => {
            let texts = std::iter::once(&fault.code).chain(&fault.params);
            let description = Value::texts(texts.map(String::as_str));
            [("Status", Value::text("Failure")), ("ErrorDescription", description)]
        }
    };
    bare_response(&Value::map(pairs))
}

/// A reply that is a value and nothing else, as that of `system.listMethods`.
pub(super) fn bare_response(value: &Value) -> String {
    let mut out = String::from("<?xml version=\"1.0\"?><methodResponse><params><param>");
    write(value, &mut out);
    out.push_str("</param></params></methodResponse>");
    out
}

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
            out.push_str(&float_text(*value));
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

/// A float as C prints it with `%.16g`.
fn float_text(value: f64) -> String {
    if !value.is_finite() {
        let text = if value.is_nan() { "nan" } else { "inf" };
        return if value < 0.0 { format!("-{text}") } else { text.to_owned() };
    }
    let text = format!("{value:.15e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let plain = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..16).contains(&exponent) {
        let decimals = usize::try_from(15 - exponent).unwrap_or(0);
        plain(&format!("{value:.decimals$}"))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", plain(digits), exponent.abs())
    }
}

/// An apostrophe stays as it is.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
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
            (Value::text("a<b 'c' \"d\""), "<value>a&lt;b 'c' &quot;d&quot;</value>"),
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

    #[test]
    fn floats_are_written_as_c_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (100.0, "100"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e-5, "1e-05"),
            (123_456_789_012_345_680.0, "1.234567890123457e+17"),
            (1e15, "1000000000000000"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float_text(value), text);
        }
    }

    #[test]
    fn replies_say_how_it_went() {
        assert_eq!(
            response(&Ok(Value::void())),
            "<?xml version=\"1.0\"?><methodResponse><params><param><value><struct><member>\
             <name>Status</name><value>Success</value></member><member><name>Value</name>\
             <value></value></member></struct></value></param></params></methodResponse>"
        );
        let failure = response(&Err(Fault::new("CODE", ["p"])));
        assert!(failure.contains(
            "<value>Failure</value></member><member><name>ErrorDescription</name><value><array>\
             <data><value>CODE</value><value>p</value></data></array></value></member>"
        ));
    }
}
