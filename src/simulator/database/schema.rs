//! XAPI's datamodel as the simulator needs it: classes, fields, messages, enums, relations.
//!
//! `datamodel.txt` holds it in lines; its first lines say how to read them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::types::Type;
use super::value::Value;
use crate::simulator::release::Release;

/// The datamodel of one release.
#[derive(Debug)]
pub(in crate::simulator) struct Schema {
    classes: Vec<Class>,
    by_name: HashMap<&'static str, usize>,
    enums: HashMap<&'static str, Vec<&'static str>>,
}

/// A class of the datamodel.
#[derive(Debug)]
pub(in crate::simulator) struct Class {
    name: &'static str,
    fields: Vec<Field>,
    by_name: HashMap<&'static str, usize>,
    messages: Vec<Message>,
    message_by_name: HashMap<&'static str, usize>,
}

/// A field of a class.
#[derive(Debug)]
pub(in crate::simulator) struct Field {
    name: &'static str,
    /// The name as a key of records.
    pub(super) key: Arc<str>,
    kind: Type,
    qualifier: Qualifier,
    default: Value,
    has_default: bool,
    reads_empty: bool,
    pub(super) relation: Relation,
}

/// How a field hangs together with a field of another class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Relation {
    /// It follows from a field of other objects and is never stored.
    Many,
    /// It names objects of another class, whose field follows from it.
    ///
    /// Both are indices.
    One { class: usize, field: usize },
    /// Not at all.
    None,
}

/// Who may write a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Qualifier {
    /// An argument of the constructor; afterwards the server's.
    Constructor,
    /// Anybody, with the generated setters.
    ReadWrite,
    /// The server alone.
    ServerOnly,
}

/// A message of a class: something to call.
#[derive(Debug)]
pub(in crate::simulator) struct Message {
    name: &'static str,
    implicit: bool,
    removed: bool,
    session: bool,
    params: Option<Vec<Param>>,
}

/// A parameter of a message.
#[derive(Debug)]
pub(in crate::simulator) struct Param {
    kind: Type,
    required: bool,
}

impl Schema {
    /// The datamodel of a release.
    pub(crate) fn of(release: Release) -> &'static Self {
        static SCHEMAS: [OnceLock<Schema>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];
        SCHEMAS[release as usize].get_or_init(|| Self::parse(DATAMODEL, release))
    }

    /// Every class, in the datamodel's order.
    pub(crate) fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// A class by its exact name.
    pub(crate) fn class(&self, name: &str) -> Option<&Class> {
        self.class_index(name).map(|index| &self.classes[index])
    }

    /// The values of an enum; an unknown one has no values.
    pub(crate) fn enum_values(&self, name: &str) -> &[&'static str] {
        self.enums.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn class_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The empty value of a type, which a field without a default begins with.
    pub(crate) fn empty(&self, kind: &Type) -> Value {
        match kind {
            Type::Bool => Value::Bool(false),
            Type::Date => Value::Date(EPOCH.into()),
            Type::Enum(name) => Value::text(self.enum_values(name).first().copied().unwrap_or("")),
            Type::Float => Value::Float(0.0),
            Type::Int => Value::Int(0),
            Type::Map(..) | Type::Record(_) => Value::Map(Vec::new()),
            Type::Optional(inner) => self.empty(inner),
            Type::Ref(_) => Value::null_ref(),
            Type::Set(_) => Value::Set(Vec::new()),
            Type::Text => Value::void(),
        }
    }

    fn parse(text: &'static str, release: Release) -> Self {
        let mut schema =
            Self { classes: Vec::new(), by_name: HashMap::new(), enums: HashMap::new() };
        let mut relations = Vec::new();
        let mut known = false;
        for line in text.lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(rest) = line.strip_prefix("enum ") {
                let mut words = rest.split(' ');
                let name = words.next().unwrap_or_default();
                schema.enums.insert(name, words.collect());
            } else if let Some(rest) = line.strip_prefix("one ").or(line.strip_prefix("many ")) {
                relations.push(rest);
            } else if let Some(rest) = line.strip_prefix("class\t") {
                let (name, since) = rest.split_once('\t').unwrap_or((rest, "-"));
                known = release.has(since);
                if known {
                    schema.by_name.insert(name, schema.classes.len());
                    schema.classes.push(Class::new(name));
                }
            } else if known {
                if let Some(field) = line.strip_prefix('.') {
                    let field = Field::parse(field, release, &schema);
                    if let (Some(field), Some(class)) = (field, schema.classes.last_mut()) {
                        class.by_name.insert(field.name, class.fields.len());
                        class.fields.push(field);
                    }
                } else if let Some(class) = schema.classes.last_mut() {
                    class.parse_messages(line, release);
                }
            }
        }
        for relation in relations {
            schema.relate(relation);
        }
        schema
    }

    fn relate(&mut self, line: &str) {
        let at = |side: &str| {
            let (class, field) = side.split_once('.')?;
            let class = self.class_index(class)?;
            Some((class, self.classes[class].field_index(field)?))
        };
        let Some((one, many)) = line.split_once(' ') else { return };
        if let (Some((one, one_field)), Some((many, many_field))) = (at(one), at(many)) {
            self.classes[one].fields[one_field].relation =
                Relation::One { class: many, field: many_field };
            self.classes[many].fields[many_field].relation = Relation::Many;
        }
    }
}

impl Class {
    /// The class's exact name, such as `host` or `VM_metrics`.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Its fields, in the order in which records have them.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// A field by name.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.field_index(name).map(|index| &self.fields[index])
    }

    /// Its messages, in the order of `system.listMethods`.
    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// A message by name, the class left out.
    pub(crate) fn message(&self, name: &str) -> Option<&Message> {
        self.message_by_name.get(name).map(|&index| &self.messages[index])
    }

    pub(super) fn field_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    fn new(name: &'static str) -> Self {
        Self {
            name,
            fields: Vec::new(),
            by_name: HashMap::new(),
            messages: Vec::new(),
            message_by_name: HashMap::new(),
        }
    }

    fn parse_messages(&mut self, line: &'static str, release: Release) {
        if let Some(names) = line.strip_prefix('+') {
            for name in names.split(' ') {
                let (name, removed) = strip_removed(name);
                let known = match name {
                    "get_all_where" => release.has(GET_ALL_WHERE_SINCE),
                    _ => accessed_field(name).is_none_or(|field| {
                        self.by_name.contains_key(field) || CLASS_GETTERS.contains(&name)
                    }),
                };
                if known {
                    let message =
                        Message { name, implicit: true, removed, session: true, params: None };
                    self.add(message);
                }
            }
        } else if let Some(rest) = line.strip_prefix('*') {
            let mut parts = rest.split('\t');
            let (name, removed) = strip_removed(parts.next().unwrap_or_default());
            if !release.has(parts.next().unwrap_or("-")) {
                return;
            }
            let params = parts.next().unwrap_or_default();
            let session = !params.starts_with('!');
            let params = params.trim_start_matches('!');
            let params = (params != "?").then(|| {
                let words = params.split(' ').filter(|word| !word.is_empty());
                words.filter_map(|word| Param::parse(word, release)).collect()
            });
            self.add(Message { name, implicit: false, removed, session, params });
        }
    }

    fn add(&mut self, message: Message) {
        self.message_by_name.insert(message.name, self.messages.len());
        self.messages.push(message);
    }
}

impl Field {
    /// The field's name as records have it, such as `name_label`.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Its type.
    pub(crate) fn kind(&self) -> &Type {
        &self.kind
    }

    /// Who may write it.
    pub(crate) fn qualifier(&self) -> Qualifier {
        self.qualifier
    }

    /// What it begins with: the datamodel's default, else the empty value of the type.
    pub(crate) fn default(&self) -> &Value {
        &self.default
    }

    /// What a stored row that lacks the field reads as.
    ///
    /// The default, but for some refs the empty text.
    pub(crate) fn when_missing(&self) -> Value {
        if self.reads_empty { Value::void() } else { self.default.clone() }
    }

    /// Whether the datamodel names a default, so that a constructor may leave it out.
    pub(crate) fn has_default(&self) -> bool {
        self.has_default
    }

    /// Whether it follows from a field of other objects (`host.PBDs` from `PBD.host`).
    pub(crate) fn is_many_side(&self) -> bool {
        self.relation == Relation::Many
    }

    fn parse(line: &'static str, release: Release, schema: &Schema) -> Option<Self> {
        let mut parts = line.split('\t');
        let (name, kind, qualifier) = (parts.next()?, parts.next()?, parts.next()?);
        if !release.has(parts.next()?) {
            return None;
        }
        let kind = Type::parse(kind)?.0;
        let text = parts.next()?;
        let default = match text {
            "-" => None,
            "!" => Some(Value::null_ref()),
            text => Some(default_value(&kind, text)),
        };
        Some(Self {
            name,
            key: name.into(),
            qualifier: match qualifier {
                "w" => Qualifier::ReadWrite,
                "c" => Qualifier::Constructor,
                _ => Qualifier::ServerOnly,
            },
            has_default: default.is_some(),
            reads_empty: text == "!",
            default: default.unwrap_or_else(|| schema.empty(&kind)),
            kind,
            relation: Relation::None,
        })
    }
}

impl Message {
    /// The message's name without its class.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it is generated for the class or a field, such as `get_record`.
    pub(crate) fn is_implicit(&self) -> bool {
        self.implicit
    }

    /// Whether calling it answers `MESSAGE_REMOVED`.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed
    }

    /// Whether its first argument is a session.
    pub(crate) fn takes_session(&self) -> bool {
        self.session
    }

    /// Its parameters without the session; `None` of implicit and unpublished messages.
    pub(crate) fn params(&self) -> Option<&[Param]> {
        self.params.as_deref()
    }
}

impl Param {
    /// Its type.
    pub(crate) fn kind(&self) -> &Type {
        &self.kind
    }

    /// Whether a call must give it.
    pub(crate) fn is_required(&self) -> bool {
        self.required
    }

    fn parse(word: &'static str, release: Release) -> Option<Self> {
        let (name, kind) = word.split_once(':')?;
        let since = name.split_once('?').map(|(_, since)| since.trim_end_matches('?'));
        if since.is_some_and(|since| !release.has(since)) {
            return None;
        }
        Some(Self { kind: Type::parse(kind)?.0, required: since.is_none() })
    }
}

/// The value of a default: sets `{a}`, maps `{"k" -> "v"}`, `~` the empty string.
fn default_value(kind: &Type, text: &'static str) -> Value {
    let inner = text.trim_start_matches('{').trim_end_matches('}');
    match kind {
        Type::Bool => Value::Bool(text == "true"),
        Type::Date => Value::Date(text.into()),
        Type::Float => Value::Float(text.parse().unwrap_or(0.0)),
        Type::Int => Value::Int(text.parse().unwrap_or(0)),
        Type::Set(element) => Value::Set(
            inner
                .split(", ")
                .filter(|part| !part.is_empty())
                .map(|part| default_value(element, part))
                .collect(),
        ),
        Type::Map(..) => Value::map(
            inner
                .split(", ")
                .filter_map(|pair| pair.split_once(" -> "))
                .map(|(key, value)| (key.trim_matches('"'), value.trim_matches('"'))),
        ),
        _ if text == "~" => Value::void(),
        _ => Value::text(text),
    }
}

/// The date that means "never".
pub(in crate::simulator) const EPOCH: &str = "19700101T00:00:00Z";

const DATAMODEL: &str = include_str!("datamodel.txt");

/// Which release has `get_all_where`; it is not in the published datamodel (c6984ad298).
const GET_ALL_WHERE_SINCE: &str = "24.3.0";

/// Implicit messages that look like a field's getter but belong to the class.
const CLASS_GETTERS: &[&str] = &[
    "get_all",
    "get_all_records",
    "get_all_records_where",
    "get_by_name_label",
    "get_by_uuid",
    "get_record",
];

/// The field that an implicit message reads or writes, by the message's name.
pub(in crate::simulator) fn accessed_field(message: &str) -> Option<&str> {
    ["get_", "set_", "add_to_", "remove_from_", "add_", "remove_"]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
}

fn strip_removed(name: &'static str) -> (&'static str, bool) {
    name.strip_suffix('!').map_or((name, false), |name| (name, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_has_its_own_fields() {
        let [old, eight_three, newest] = Release::ALL.map(Schema::of);
        for (class, field, has) in [
            ("pool", "ha_enabled", [true, true, true]),
            ("pool", "is_psr_pending", [true, true, true]),
            ("pool", "tls_verification_enabled", [false, true, true]),
            ("host", "pending_guidances", [false, true, true]),
            ("Certificate", "purpose", [false, false, true]),
        ] {
            let found = [old, eight_three, newest]
                .map(|schema| schema.class(class).unwrap().field(field).is_some());
            assert_eq!(found, has, "{class}.{field}");
        }
        assert!(old.class("Rate_limit").is_none());
        let evacuate = |schema: &Schema| {
            schema.class("host").unwrap().message("evacuate").unwrap().params().unwrap().len()
        };
        assert_eq!([old, eight_three, newest].map(evacuate), [1, 3, 3]);
        assert!(old.class("host").unwrap().message("get_all_where").is_none());
    }

    #[test]
    fn every_line_of_the_datamodel_is_understood() {
        let schema = Schema::of(Release::Newest);
        let fields = DATAMODEL.lines().filter(|line| line.starts_with('.')).count();
        let read: usize = schema.classes().iter().map(|class| class.fields().len()).sum();
        assert_eq!(read, fields);
        let relations = DATAMODEL
            .lines()
            .filter(|line| line.starts_with("one ") || line.starts_with("many "))
            .count();
        let related = schema
            .classes()
            .iter()
            .flat_map(Class::fields)
            .filter(|field| matches!(field.relation, Relation::One { .. }))
            .count();
        assert_eq!(related, relations);
        let params =
            DATAMODEL.lines().filter_map(|line| line.strip_prefix('*')?.split('\t').nth(2));
        let words = params.flat_map(|params| params.split(' ')).filter(|word| word.contains(':'));
        let (optional, required): (Vec<_>, Vec<_>) = words.partition(|word| word.contains('?'));
        let messages = schema.classes().iter().flat_map(Class::messages);
        let read: Vec<_> = messages.filter_map(Message::params).flatten().collect();
        let needed = read.iter().filter(|param| param.is_required()).count();
        assert_eq!((needed, read.len() - needed), (required.len(), optional.len()));
        assert_eq!(
            Value::null_ref(),
            *schema.class("PIF").unwrap().field("VLAN_master_of").unwrap().default()
        );
    }

    #[test]
    fn defaults_are_the_datamodels() {
        let schema = Schema::of(Release::Newest);
        let default = |class: &str, field: &str| {
            schema.class(class).unwrap().field(field).unwrap().default().to_json()
        };
        assert_eq!(default("host", "virtual_hardware_platform_versions"), serde_json::json!([0]));
        assert_eq!(
            default("host", "license_server"),
            serde_json::json!({"address": "localhost", "port": "27000"})
        );
        assert_eq!(default("VM", "power_state"), "Halted");
        assert_eq!(default("task", "backtrace"), "()");
        assert_eq!(default("VM", "HVM_shadow_multiplier"), 1.0);
        assert_eq!(default("network", "MTU"), 1500);
        assert_eq!(default("VM", "snapshot_time"), EPOCH);
    }
}
