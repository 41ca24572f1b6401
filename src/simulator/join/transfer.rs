//! What one object of a joiner needs on its way into the pool's database.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::Fault;
use crate::simulator::database::{Database, Ref, Row, Value};
use crate::simulator::state::Random;

/// Where VDIs lie in the pool's SRs, read when the first VDI of an SR is sent.
pub(super) type Locations = HashMap<Ref, HashSet<Ref>>;

/// The two databases of a join, and what a new object needs.
pub(super) struct Transfer<'a> {
    pub joiner: &'a Database,
    pub pool: &'a mut Database,
    pub random: &'a mut Random,
    pub now: &'a Arc<str>,
    pub locations: &'a mut Locations,
}

impl Transfer<'_> {
    /// Makes an object in the pool, with a new uuid unless one is given.
    pub(super) fn create(&mut self, class: &str, values: Vec<(&str, Value)>) -> Result<Ref, Fault> {
        let reference = self.random.reference();
        let uuid = [("uuid", Value::text(self.random.uuid()))];
        self.pool.create(class, &reference, uuid.into_iter().chain(values))?;
        Ok(reference)
    }

    /// Whether the pool's licence has a feature.
    ///
    /// Its restriction must be there and say `false`.
    pub(super) fn licensed(&self, restriction: &str) -> bool {
        let allows = |pool: &Row<'_>| pool.entry("restrictions", restriction) == Some("false");
        self.pool.find("pool", allows).is_some()
    }
}

/// A device config in which every secret is a copy of the secret of that uuid in this database
/// (`xapi_secret.ml`).
///
/// # Errors
/// `UUID_INVALID [secret, uuid]` for a secret that is not there.
pub(in crate::simulator) fn own_secrets(
    database: &mut Database,
    random: &mut Random,
    config: &Value,
) -> Result<Value, Fault> {
    let mut pairs = config.pairs().to_vec();
    for (key, value) in &mut pairs {
        if !key.ends_with("password_secret") {
            continue;
        }
        let uuid = value.as_str().unwrap_or_default();
        let secret = database.by_uuid("secret", uuid);
        let secret = secret.ok_or_else(|| Fault::new("UUID_INVALID", ["secret", uuid]))?;
        let (copy, uuid) = (random.reference(), random.uuid());
        let values = [
            ("uuid", Value::text(uuid.as_str())),
            ("value", database.get("secret", &secret, "value")),
        ];
        database.create("secret", &copy, values)?;
        *value = uuid.into();
    }
    Ok(Value::Map(pairs))
}

/// These fields of an object, to make another one with.
pub(super) fn copied<'f>(object: &Row<'_>, fields: &[&'f str]) -> Vec<(&'f str, Value)> {
    fields.iter().map(|field| (*field, object.get(field))).collect()
}

/// A map with a pair in front, in place of what it has under that key.
pub(super) fn with_pair(map: &Value, key: &str, value: &str) -> Value {
    let kept = map.pairs().iter().filter(|(name, _)| **name != *key).cloned();
    Value::Map(std::iter::once((key.into(), value.into())).chain(kept).collect())
}
