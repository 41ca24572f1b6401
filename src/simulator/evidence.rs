//! What the core's decisions read of a database.

use serde_json::Value as Json;

use super::database::{Database, Row};
use crate::model::{Class, Snapshot, fields};

/// A snapshot of these classes, with the fields that the core knows.
///
/// None only if a record is not what the datamodel says, which no write lets happen.
pub(super) fn snapshot(database: &Database, classes: &[Class]) -> Option<Snapshot> {
    let classes = classes.iter().map(|class| {
        let row = |object: Row<'_>| {
            let known = fields(*class).iter().filter(|field| object.has(field));
            let record = known.map(|field| ((*field).to_owned(), object.get(field).to_json()));
            (object.reference().to_string(), Json::Object(record.collect()))
        };
        let rows = database.objects(class.as_str()).map(row).collect();
        (class.as_str().to_owned(), Json::Object(rows))
    });
    Snapshot::from_json(Json::Object(classes.collect()).to_string().as_bytes()).ok()
}
