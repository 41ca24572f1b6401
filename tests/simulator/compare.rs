//! Two databases side by side, object by object and field by field, where one of them was made by
//! the simulator and all refs, uuids and times that were made up on the way differ.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value as Json};

/// A difference that is allowed, and why.
pub(crate) struct Exception {
    /// The class.
    pub class: &'static str,
    /// The field, or `*` for the whole object.
    pub field: &'static str,
    /// Why the two may differ there.
    pub reason: &'static str,
}

/// The databases before, which say what was made up later.
pub(crate) struct Before<'a> {
    pub joiner: &'a Json,
    pub pool: &'a Json,
}

/// Every difference between the recorded database and the simulated one, as a line of text.
///
/// Only the classes of the recording count.
pub(crate) fn differences(
    before: &Before<'_>,
    recorded: &Json,
    simulated: &Json,
    exceptions: &[Exception],
) -> Vec<String> {
    let texts = texts_of(before);
    let recorded_names = Names::new(before, recorded, recorded, &texts);
    let simulated_names = Names::new(before, simulated, recorded, &texts);
    let mut found = Vec::new();
    for (class, _) in objects(recorded) {
        let theirs = recorded_names.normalised(class);
        let ours = simulated_names.normalised(class);
        for name in theirs.keys().chain(ours.keys()).collect::<BTreeSet<_>>() {
            match (theirs.get(name), ours.get(name)) {
                (Some(theirs), Some(ours)) => {
                    let fields: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
                    for field in fields {
                        let (theirs, ours) = (theirs.get(field), ours.get(field));
                        let excepted = exceptions
                            .iter()
                            .any(|exception| exception.class == class && exception.field == field);
                        if theirs != ours && !excepted {
                            let text = |side: Option<&Json>| {
                                side.map_or("(no such field)".to_owned(), Json::to_string)
                            };
                            found.push(format!(
                                "{class} {name}: {field} is {}, recorded {}",
                                text(ours),
                                text(theirs)
                            ));
                        }
                    }
                }
                (Some(_), None) => found.push(format!("{class} {name} is missing")),
                (None, _) => found.push(format!("{class} {name} was not recorded")),
            }
        }
    }
    found
}

fn objects(database: &Json) -> impl Iterator<Item = (&str, &Map<String, Json>)> {
    database
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(class, rows)| Some((class.as_str(), rows.as_object()?)))
}

/// Every text of the databases before.
fn texts_of(before: &Before<'_>) -> HashSet<String> {
    fn collect(json: &Json, texts: &mut HashSet<String>) {
        match json {
            Json::String(text) => drop(texts.insert(text.clone())),
            Json::Array(elements) => elements.iter().for_each(|json| collect(json, texts)),
            Json::Object(pairs) => {
                for (key, json) in pairs {
                    texts.insert(key.clone());
                    collect(json, texts);
                }
            }
            _ => {}
        }
    }
    let mut texts = HashSet::new();
    collect(before.joiner, &mut texts);
    collect(before.pool, &mut texts);
    texts
}

/// Names for the objects of one database that mean the same in the other.
struct Names<'a> {
    database: &'a Json,
    texts: &'a HashSet<String>,
    names: HashMap<String, String>,
}

impl<'a> Names<'a> {
    fn new(
        before: &Before<'_>,
        database: &'a Json,
        recorded: &Json,
        texts: &'a HashSet<String>,
    ) -> Self {
        let mut this = Self { database, texts, names: HashMap::new() };
        for class in NAMED_IN_ORDER.iter().copied() {
            let Some(rows) = database[class].as_object() else { continue };
            if recorded.get(class).is_none() {
                continue;
            }
            for (reference, row) in rows {
                let name = if before.pool[class].get(reference).is_some() {
                    reference.clone()
                } else {
                    this.name(class, reference, row)
                };
                this.names.insert(reference.clone(), format!("{class} {name}"));
            }
        }
        this
    }

    /// What identifies a new object: its uuid if it brought one along, else what it belongs to.
    fn name(&self, class: &str, reference: &str, row: &Json) -> String {
        let uuid = row["uuid"].as_str().unwrap_or_default();
        if self.texts.contains(uuid) {
            return uuid.to_owned();
        }
        let named = |field: &str| self.known(row[field].as_str().unwrap_or_default());
        let owners = |owner: &str, field: &str| {
            let rows = self.database[owner].as_object().into_iter().flatten();
            let owners: BTreeSet<_> = rows
                .filter(|(_, row)| row[field].as_str() == Some(reference))
                .map(|(owner, _)| self.known(owner))
                .collect();
            format!("of {owners:?}")
        };
        match class {
            "PBD" => format!("{}/{}", named("host"), named("SR")),
            "PIF" => format!("{}/{}/{}", named("host"), row["device"], row["VLAN"]),
            "PIF_metrics" => owners("PIF", "metrics"),
            "PVS_server" => format!("{}/{}", named("site"), row["addresses"]),
            "PVS_site" => row["PVS_uuid"].to_string(),
            "VLAN" => named("untagged_PIF"),
            "VM_guest_metrics" => owners("VM", "guest_metrics"),
            "VM_metrics" => match owners("VM", "metrics").as_str() {
                "of {}" => {
                    let mut contents = row.clone();
                    contents["uuid"] = Json::Null;
                    format!("orphan {contents}")
                }
                owner => owner.to_owned(),
            },
            "host_metrics" => owners("host", "metrics"),
            "network" => row["bridge"].to_string(),
            _ => format!("unnamed {row}"),
        }
    }

    fn known(&self, reference: &str) -> String {
        self.names.get(reference).cloned().unwrap_or_else(|| reference.to_owned())
    }

    /// The objects of a class by name, with what was made up replaced by what it stands for.
    fn normalised(&self, class: &str) -> BTreeMap<String, Map<String, Json>> {
        let mut rows = BTreeMap::new();
        for (reference, row) in self.database[class].as_object().into_iter().flatten() {
            let name = self.known(reference);
            let mut unique = name.clone();
            for count in 2.. {
                if !rows.contains_key(&unique) {
                    break;
                }
                unique = format!("{name} #{count}");
            }
            let fields = row.as_object().into_iter().flatten();
            let fields = fields.map(|(field, value)| (field.clone(), self.value(value)));
            rows.insert(unique, fields.collect());
        }
        rows
    }

    fn value(&self, value: &Json) -> Json {
        match value {
            Json::String(text) => self.text(text).into(),
            Json::Array(elements) => {
                let mut elements: Vec<_> =
                    elements.iter().map(|element| self.value(element)).collect();
                elements.sort_by_key(Json::to_string);
                elements.into()
            }
            Json::Object(pairs) => pairs
                .iter()
                .map(|(key, value)| (self.text(key), self.value(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        if let Some(name) = self.names.get(text) {
            return name.clone();
        }
        if self.texts.contains(text) {
            return text.to_owned();
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_uuid =
            |text: &str| text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        let is_date = text.len() == 18 && text.ends_with('Z') && digits(&text[..8]);
        let is_generation = text.split_once(':').is_some_and(|(a, b)| digits(a) && digits(b));
        match text.strip_prefix("OpaqueRef:") {
            Some(reference) if is_uuid(reference) => "(a new ref)".to_owned(),
            None if is_uuid(text) => "(a new uuid)".to_owned(),
            None if is_date => "(a new date)".to_owned(),
            None if is_generation => "(a new generation)".to_owned(),
            _ => text.to_owned(),
        }
    }
}

/// The classes in an order in which every object's name can be told from earlier ones.
const NAMED_IN_ORDER: [&str; 48] = [
    "pool",
    "host",
    "SR",
    "network",
    "VM",
    "PIF",
    "PBD",
    "VDI",
    "VBD",
    "VIF",
    "VLAN",
    "Bond",
    "PVS_site",
    "PVS_server",
    "PVS_cache_storage",
    "PVS_proxy",
    "host_metrics",
    "PIF_metrics",
    "VM_metrics",
    "VM_guest_metrics",
    "SM",
    "secret",
    "Certificate",
    "subject",
    "message",
    "task",
    "tunnel",
    "network_sriov",
    "VM_appliance",
    "VMSS",
    "blob",
    "host_cpu",
    "PCI",
    "PGPU",
    "GPU_group",
    "VTPM",
    "Cluster",
    "Cluster_host",
    "Feature",
    "pool_update",
    "pool_patch",
    "host_patch",
    "DR_task",
    "crashdump",
    "host_crashdump",
    "console",
    "SDN_controller",
    "role",
];
