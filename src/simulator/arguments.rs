//! The arguments of a call, converted as the server converts them.

use serde_json::Value as Json;

use super::database::{Field, Message, Qualifier, Ref, Schema, Type, Value, accessed_field};
use crate::error::Fault;

/// The converted arguments of a call, its session left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Args(Vec<Value>);

impl Args {
    /// Converts arguments to the types of a message's parameters.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` with the text of the server's exception, the first that fails.
    pub(super) fn convert(
        schema: &Schema,
        kinds: &[&Type],
        params: &[Json],
    ) -> Result<Self, Fault> {
        let pairs = kinds.iter().zip(params);
        pairs.map(|(kind, json)| convert(schema, kind, json)).collect::<Result<_, _>>().map(Self)
    }

    /// The arguments of a message whose parameters are not published, as they came.
    pub(super) fn unconverted(params: &[Json]) -> Self {
        Self(params.iter().map(untyped).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// An argument; the empty text if it was left out.
    pub(super) fn value(&self, index: usize) -> Value {
        self.0.get(index).cloned().unwrap_or_else(Value::void)
    }

    pub(super) fn text(&self, index: usize) -> &str {
        self.0.get(index).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn flag(&self, index: usize) -> bool {
        self.0.get(index).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn int(&self, index: usize) -> i64 {
        self.0.get(index).and_then(Value::as_int).unwrap_or(0)
    }

    /// A number given as float, integer or text.
    pub(super) fn float(&self, index: usize) -> f64 {
        if let Some(Value::Float(value)) = self.0.get(index) { *value } else { 0.0 }
    }

    /// The refs or texts of a set.
    pub(super) fn texts(&self, index: usize) -> Vec<Ref> {
        let elements = self.0.get(index).map_or(&[][..], Value::elements);
        elements.iter().filter_map(Value::as_str).map(Ref::from).collect()
    }
}

/// The types of the parameters of a message that is generated for a class or one of its fields.
pub(super) fn implicit_kinds<'a>(
    schema: &'a Schema,
    class: &'static str,
    message: &'a Message,
) -> Vec<Kind<'a>> {
    let own = || Kind::Made(Type::Ref(class));
    let text = || Kind::Made(Type::Text);
    match message.name() {
        "get_all" | "get_all_records" => Vec::new(),
        "get_by_uuid" | "get_by_name_label" | "get_all_where" | "get_all_records_where" => {
            vec![text()]
        }
        "create" => vec![Kind::Made(Type::Record(class))],
        name => {
            let field = accessed_field(name).and_then(|field| schema.class(class)?.field(field));
            match (field.map(Field::kind), name) {
                (Some(kind), _) if name.starts_with("set_") => vec![own(), Kind::Known(kind)],
                (Some(Type::Map(key, value)), _) if name.starts_with("add_to_") => {
                    vec![own(), Kind::Known(key), Kind::Known(value)]
                }
                (Some(Type::Map(key, _)), _) if name.starts_with("remove_from_") => {
                    vec![own(), Kind::Known(key)]
                }
                (Some(Type::Set(element)), _)
                    if name.starts_with("add_") || name.starts_with("remove_") =>
                {
                    vec![own(), Kind::Known(element)]
                }
                _ => vec![own()],
            }
        }
    }
}

/// The type of a parameter: the datamodel's, or one made up for a generated message.
pub(super) enum Kind<'a> {
    Known(&'a Type),
    Made(Type),
}

impl Kind<'_> {
    pub(super) fn get(&self) -> &Type {
        match self {
            Self::Known(kind) => kind,
            Self::Made(kind) => kind,
        }
    }
}

/// A text argument, such as a session.
pub(super) fn text_argument(json: &Json) -> Result<&str, Fault> {
    json.as_str().ok_or_else(|| unexpected("string", json))
}

/// Converts one argument (`rpc/rpc.ml`, `gen_server.ml`).
fn convert(schema: &Schema, kind: &Type, json: &Json) -> Result<Value, Fault> {
    match (kind, json) {
        (Type::Text | Type::Ref(_), _) => Ok(Value::text(text_argument(json)?)),
        (Type::Enum(name), _) => {
            let text = text_argument(json)?;
            if schema.enum_values(name).contains(&text) {
                Ok(Value::text(text))
            } else {
                Err(failure("Unknown tag/contents"))
            }
        }
        (Type::Bool, Json::Bool(value)) => Ok(Value::Bool(*value)),
        (Type::Bool, _) => Err(unexpected("bool", json)),
        (Type::Int, Json::String(text)) => {
            text.parse().map(Value::Int).map_err(|_| failure("Int64.of_string"))
        }
        (Type::Int, _) => json.as_i64().map(Value::Int).ok_or_else(|| unexpected("int64", json)),
        (Type::Float, Json::String(text)) => {
            text.parse().map(Value::Float).map_err(|_| failure("float_of_string"))
        }
        (Type::Float, _) => {
            json.as_f64().map(Value::Float).ok_or_else(|| unexpected("float", json))
        }
        (Type::Date, Json::String(text)) => Ok(Value::Date(text.as_str().into())),
        (Type::Date, _) => Err(unexpected("DateTime", json)),
        (Type::Set(element), Json::Array(elements)) => elements
            .iter()
            .map(|json| convert(schema, element, json))
            .collect::<Result<_, _>>()
            .map(Value::Set),
        (Type::Set(_), _) => Err(unexpected("Array", json)),
        (Type::Map(_, value), Json::Object(pairs)) => pairs
            .iter()
            .map(|(key, json)| Ok((key.as_str().into(), convert(schema, value, json)?)))
            .collect::<Result<_, _>>()
            .map(Value::Map),
        (Type::Record(class), Json::Object(pairs)) => {
            let fields = schema.class(class).map_or(&[][..], |class| class.fields());
            let mut record = Vec::new();
            for field in fields {
                let argument = field.qualifier() != Qualifier::ServerOnly;
                match pairs.get(field.name()) {
                    Some(json) if argument => {
                        record.push((field.name().into(), convert(schema, field.kind(), json)?));
                    }
                    None if argument && !field.has_default() => {
                        let what = format!("Field {} not present in rpc", field.name());
                        return Err(failure(&what));
                    }
                    _ => {}
                }
            }
            Ok(Value::Map(record))
        }
        (Type::Map(..) | Type::Record(_), _) => Err(unexpected("Dict", json)),
        (Type::Optional(inner), _) => convert(schema, inner, json),
    }
}

fn untyped(json: &Json) -> Value {
    match json {
        Json::Null => Value::void(),
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => {
            number.as_i64().map_or(Value::Float(number.as_f64().unwrap_or(0.0)), Value::Int)
        }
        Json::String(text) => Value::text(text.as_str()),
        Json::Array(elements) => Value::Set(elements.iter().map(untyped).collect()),
        Json::Object(pairs) => Value::Map(
            pairs.iter().map(|(key, json)| (key.as_str().into(), untyped(json))).collect(),
        ),
    }
}

fn unexpected(kind: &str, json: &Json) -> Fault {
    failure(&format!("Expected {kind}, got '{}'", rpc_text(json)))
}

/// An OCaml exception `Failure` as it arrives at the caller.
pub(super) fn failure(what: &str) -> Fault {
    Fault::new("INTERNAL_ERROR", [format!("Failure({what:?})")])
}

/// A value as the server's messages print it (`Rpc.to_string`).
fn rpc_text(json: &Json) -> String {
    match json {
        Json::Null => "N".to_owned(),
        Json::Bool(value) => format!("B({value})"),
        Json::Number(number) if number.is_f64() => {
            format!("F({})", number.as_f64().unwrap_or_default())
        }
        Json::Number(number) => format!("I({number})"),
        Json::String(text) => format!("S({text})"),
        Json::Array(elements) => {
            format!("[{}]", elements.iter().map(rpc_text).collect::<Vec<_>>().join(";"))
        }
        Json::Object(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{key}:{}", rpc_text(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(";"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::release::Release;
    use serde_json::json;

    #[test]
    fn conversion_is_as_lenient_as_the_servers() {
        let schema = Schema::of(Release::Newest);
        let convert = |kind: &Type, json: Json| {
            convert(schema, kind, &json).map_err(|fault| fault.params.join(""))
        };
        assert_eq!(convert(&Type::Int, json!("7")), Ok(Value::Int(7)));
        assert_eq!(convert(&Type::Float, json!("1.5")), Ok(Value::Float(1.5)));
        assert_eq!(convert(&Type::Float, json!(2)), Ok(Value::Float(2.0)));
        for (kind, json, says) in [
            (Type::Text, json!(5), "Failure(\"Expected string, got 'I(5)'\")"),
            (Type::Int, json!("x"), "Failure(\"Int64.of_string\")"),
            (Type::Int, json!(5.0), "Failure(\"Expected int64, got 'F(5)'\")"),
            (Type::Bool, json!("true"), "Failure(\"Expected bool, got 'S(true)'\")"),
            (Type::Enum("on_crash_behaviour"), json!("no"), "Failure(\"Unknown tag/contents\")"),
            (
                Type::Text,
                json!({"session_id": "x"}),
                "Failure(\"Expected string, got '{session_id:S(x)}'\")",
            ),
        ] {
            assert_eq!(convert(&kind, json), Err(says.to_owned()));
        }
    }
}
