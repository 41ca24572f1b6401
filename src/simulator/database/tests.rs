use serde_json::json;

use super::*;
use crate::simulator::release::Release;

fn small() -> Database {
    let saved = json!({
        "host": {"OpaqueRef:h1": {"name_label": "phantom"}, "OpaqueRef:h2": {}},
        "SR": {"OpaqueRef:sr": {"uuid": "sr-uuid", "shared": true}},
        "PBD": {
            "OpaqueRef:p1": {"host": "OpaqueRef:h1", "SR": "OpaqueRef:sr"},
            "OpaqueRef:p2": {"host": "OpaqueRef:h2", "SR": "OpaqueRef:sr"},
        },
    });
    Database::load(Release::Newest, &saved).unwrap()
}

fn refs(database: &Database, class: &str, object: &str, field: &str) -> Vec<String> {
    let object = database.object(class, object).unwrap();
    object.refs(field).iter().map(ToString::to_string).collect()
}

#[test]
fn missing_fields_and_the_fields_that_follow_are_completed() {
    let database = small();
    assert_eq!(&*database.text("host", "OpaqueRef:h1", "uuid"), "h1");
    assert_eq!(&*database.text("SR", "OpaqueRef:sr", "uuid"), "sr-uuid");
    assert_eq!(refs(&database, "SR", "OpaqueRef:sr", "PBDs"), ["OpaqueRef:p2", "OpaqueRef:p1"]);
    let saved = database.save();
    assert_eq!(saved["host"]["OpaqueRef:h1"]["PBDs"], json!(["OpaqueRef:p1"]));
    assert_eq!(Database::load(Release::Newest, &saved).unwrap().save(), saved);
}

#[test]
fn many_sides_follow_every_write() {
    let mut database = small();
    database.set("PBD", "OpaqueRef:p2", "host", "OpaqueRef:h1").unwrap();
    assert_eq!(refs(&database, "host", "OpaqueRef:h1", "PBDs"), ["OpaqueRef:p2", "OpaqueRef:p1"]);
    assert!(refs(&database, "host", "OpaqueRef:h2", "PBDs").is_empty());
    database.set("host", "OpaqueRef:h1", "PBDs", Value::Set(Vec::new())).unwrap();
    assert!(database.destroy("PBD", "OpaqueRef:p1"));
    assert!(!database.destroy("PBD", "OpaqueRef:p1"));
    assert_eq!(refs(&database, "host", "OpaqueRef:h1", "PBDs"), ["OpaqueRef:p2"]);
}

#[test]
fn a_second_object_of_the_same_ref_or_uuid_is_refused() {
    let mut database = small();
    let fault = database.create("SR", "OpaqueRef:sr", []).unwrap_err();
    assert_eq!(fault.to_string(), "DB_UNIQUENESS_CONSTRAINT_VIOLATION [SR, _ref, OpaqueRef:sr]");
    let uuid = [("uuid", Value::text("sr-uuid"))];
    let fault = database.create("SR", "OpaqueRef:other", uuid).unwrap_err();
    assert_eq!(fault.to_string(), "DB_UNIQUENESS_CONSTRAINT_VIOLATION [SR, uuid, sr-uuid]");
    database.set("SR", "OpaqueRef:sr", "uuid", "moved").unwrap();
    assert_eq!(database.by_uuid("SR", "moved").as_deref(), Some("OpaqueRef:sr"));
    assert_eq!(database.by_uuid("SR", "sr-uuid"), None);
    let fault = database.set("SR", "OpaqueRef:nope", "shared", false).unwrap_err();
    assert_eq!(fault.to_string(), "HANDLE_INVALID [SR, OpaqueRef:nope]");
}

#[test]
fn an_old_release_has_no_newer_fields() {
    let saved = json!({"pool": {"OpaqueRef:p": {"tls_verification_enabled": true}}});
    let mut database = Database::load(Release::XcpNg82, &saved).unwrap();
    assert!(database.save()["pool"]["OpaqueRef:p"].get("tls_verification_enabled").is_none());
    database.set("pool", "OpaqueRef:p", "tls_verification_enabled", true).unwrap();
    assert!(!database.flag("pool", "OpaqueRef:p", "tls_verification_enabled"));
}

#[test]
fn a_wrong_type_is_named_with_class_ref_and_field() {
    let saved = json!({"SR": {"OpaqueRef:sr": {"shared": "yes"}}});
    let error = Database::load(Release::Newest, &saved).unwrap_err();
    assert_eq!(error.to_string(), "SR OpaqueRef:sr: shared is not of type bool");
    let error = Database::load(Release::Newest, &json!({"SR": []})).unwrap_err();
    assert_eq!(error.to_string(), "class SR is not an object of records");
}

#[test]
fn changes_are_coalesced_per_object() {
    let mut database = small();
    let all = |_: &'static str, _: &str| true;
    let (added, start) = database.changes(0, all);
    assert_eq!(added.len(), 5);
    assert!(added.iter().all(|change| change.operation == Operation::Add));

    database.set("host", "OpaqueRef:h1", "name_label", "a").unwrap();
    database.set("host", "OpaqueRef:h1", "name_label", "b").unwrap();
    database.create("network", "OpaqueRef:brief", []).unwrap();
    database.destroy("network", "OpaqueRef:brief");
    database.create("network", "OpaqueRef:net", []).unwrap();
    database.set("network", "OpaqueRef:net", "MTU", 9000).unwrap();
    database.destroy("PBD", "OpaqueRef:p2");
    let (changes, last) = database.changes(start, all);
    let seen: Vec<_> = changes.iter().map(|change| (change.operation, &*change.object)).collect();
    assert_eq!(
        seen,
        [
            (Operation::Add, "OpaqueRef:net"),
            (Operation::Modify, "OpaqueRef:h1"),
            (Operation::Modify, "OpaqueRef:h2"),
            (Operation::Modify, "OpaqueRef:sr"),
            (Operation::Delete, "OpaqueRef:p2"),
        ]
    );
    assert_eq!(last, database.generation());
    assert_eq!(database.changes(last, all), (Vec::new(), last));
}

#[test]
fn only_the_newest_deletions_are_remembered() {
    let mut database = Database::new(Release::Newest);
    for index in 0..2000 {
        let object = format!("OpaqueRef:{index}");
        database.create("network", &object, []).unwrap();
    }
    let since = database.generation();
    for index in 0..2000 {
        database.destroy("network", &format!("OpaqueRef:{index}"));
    }
    let remembered = database.changes(since, |_, _| true).0.len();
    assert!((256..=512).contains(&remembered), "{remembered}");
}

#[test]
fn a_backup_keeps_its_own_rows() {
    let mut database = small();
    let backup = database.clone();
    database.set("host", "OpaqueRef:h1", "name_label", "changed").unwrap();
    database.destroy("PBD", "OpaqueRef:p1");
    assert_eq!(&*backup.text("host", "OpaqueRef:h1", "name_label"), "phantom");
    assert_eq!(refs(&backup, "host", "OpaqueRef:h1", "PBDs"), ["OpaqueRef:p1"]);
}
