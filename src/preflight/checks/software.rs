//! Software and hardware that must be alike.

use std::collections::{BTreeMap, BTreeSet};

use crate::actions::Remedy;
use crate::actions::Side;
use crate::error::Fault;
use crate::model::{Class, Host, PoolUpdate, Ref};
use crate::model::{object, object_at};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Severity, Since, View, Which};

const SOFTWARE_VERSIONS: [Reads; 3] = [
    Reads::joiner(Class::Host, Which::Local, &["software_version"]),
    Reads::pool(Class::Pool, Which::All, &["master"]),
    Reads::pool(Class::Host, Which::Local, &["software_version"]),
];

const SAME_LEVEL: &str = "bring both to the same update level (yum update on the joiner, a rolling \
                          update of the pool), then try again";

fn value<'a>(host: &'a Host, key: &str) -> Option<&'a str> {
    host.software_version.get(key).map(String::as_str)
}

fn product(host: &Host) -> Option<&str> {
    value(host, "product_brand").or_else(|| value(host, "platform_name"))
}

fn told(value: Option<&str>) -> String {
    match value {
        None => "not stated".to_owned(),
        Some("") => "empty".to_owned(),
        Some(value) => value.to_owned(),
    }
}

/// The values that differ, for the eye: the pool's and the joiner's.
fn differing(pairs: &[(&str, Option<&str>, Option<&str>)]) -> (String, String) {
    let differing = pairs.iter().filter(|(_, pool, joiner)| pool != joiner);
    let (pool, joiner): (Vec<_>, Vec<_>) = differing
        .map(|(key, pool, joiner)| {
            (format!("{key} {}", told(*pool)), format!("{key} {}", told(*joiner)))
        })
        .unzip();
    (pool.join(", "), joiner.join(", "))
}

pub(in crate::preflight) const PLATFORM_DIFFERS: Check = Rule {
    check: Some("assert_hosts_compatible"),
    error: Some("HOSTS_NOT_COMPATIBLE"),
    side: Side::Both,
    compares: "`platform_version` and `product_brand` (else `platform_name`) of joiner and master \
               are equal",
    remedy: "by hand: install or upgrade one of them to the other's product version",
    reads: &SOFTWARE_VERSIONS,
    ..Rule::of("platform-differs")
}
.run::<Preflight>(platform_differs);

fn platform_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, me) = facts.joiner.local()?;
    let (master_ref, master) = facts.pool.local()?;
    let compared = [
        ("platform_version", value(master, "platform_version"), value(me, "platform_version")),
        ("brand", product(master), product(me)),
    ];
    if compared.iter().all(|(_, pool, joiner)| pool == joiner) {
        return Ok(());
    }
    let (pool, joiner) = differing(&compared);
    found.push(
        facts
            .finding(format!("the products differ: the pool has {pool}, the joiner {joiner}"))
            .refused()
            .objects([object(reference, me), object(master_ref, master)])
            .expected(pool)
            .actual(joiner)
            .remedy(Remedy::by_person(
                "install or upgrade one side so that both run the same product version",
            )),
    );
    Ok(())
}

pub(in crate::preflight) const SOFTWARE_VERSION_DIFFERS: Check = Rule {
    check: Some("assert_hosts_homogeneous"),
    error: Some("HOSTS_NOT_HOMOGENEOUS"),
    severity: Severity::Forceable,
    side: Side::Both,
    compares: "`xapi` (`platform_version` before 22.13), brand, `git_id` and the presence of the \
               `xs:linux` pack are equal on joiner and master",
    remedy: "by hand: bring both to the same update level; join_force skips the check",
    reads: &SOFTWARE_VERSIONS,
    ..Rule::of("software-version-differs")
}
.run::<Preflight>(software_version_differs);

fn software_version_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, me) = facts.joiner.local()?;
    let (master_ref, master) = facts.pool.local()?;
    let version = match facts.checks_as_of(Since::of(22, 13, 0)) {
        true => "xapi",
        false => "platform_version",
    };
    let linux = |host: &Host| host.software_version.contains_key("xs:linux").then_some("installed");
    let text = |host: &'_ Host, key: &str| value(host, key).unwrap_or_default().to_owned();
    let brand = |host: &'_ Host| product(host).unwrap_or_default().to_owned();
    let sides = [master, me].map(|host| [text(host, version), brand(host), text(host, "git_id")]);
    let compared: Vec<_> = [version, "brand", "git_id"]
        .into_iter()
        .zip(sides[0].iter().zip(&sides[1]))
        .map(|(key, (pool, joiner))| (key, Some(pool.as_str()), Some(joiner.as_str())))
        .chain([("linux pack", linux(master), linux(me))])
        .collect();
    if compared.iter().all(|(_, pool, joiner)| pool == joiner) {
        return Ok(());
    }
    let (pool, joiner) = differing(&compared);
    found.push(
        facts
            .finding(format!("the software differs: the pool has {pool}, the joiner {joiner}"))
            .fault(Fault::new("HOSTS_NOT_HOMOGENEOUS", ["Software version differs"]))
            .objects([object(reference, me), object(master_ref, master)])
            .expected(pool)
            .actual(joiner)
            .remedy(Remedy::by_person(SAME_LEVEL)),
    );
    Ok(())
}

pub(in crate::preflight) const CPU_VENDOR_DIFFERS: Check = Rule {
    check: Some("assert_hosts_homogeneous"),
    error: Some("HOSTS_NOT_HOMOGENEOUS"),
    severity: Severity::Forceable,
    side: Side::Both,
    compares: "the joiner's `host.cpu_info` and the pool's `pool.cpu_info` name the same vendor",
    remedy: "by hand: use a host with CPUs of the pool's vendor; join_force skips the check",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["cpu_info"]),
        Reads::pool(Class::Pool, Which::All, &["cpu_info"]),
    ],
    ..Rule::of("cpu-vendor-differs")
}
.run::<Preflight>(cpu_vendor_differs);

fn cpu_vendor_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, me) = facts.joiner.local()?;
    let (pool_ref, pool) = facts.pool.pool()?;
    let vendor = |info: &BTreeMap<String, String>| info.get("vendor").cloned();
    let (theirs, mine) = (vendor(&pool.cpu_info), vendor(&me.cpu_info));
    let finding = match (&theirs, &mine) {
        (Some(theirs), Some(mine)) if theirs == mine => return Ok(()),
        (Some(theirs), Some(mine)) => facts
            .finding(format!(
                "the CPUs are of different vendors, {theirs} in the pool and {mine} in the joiner: \
                 VMs will never migrate between them while they run"
            ))
            .fault(Fault::new("HOSTS_NOT_HOMOGENEOUS", ["CPUs differ"])),
        _ => facts
            .finding(
                "the CPU vendor is not stated, on which XAPI stumbles; a host states it once it \
                 has started completely",
            )
            .fault(Fault::new("INTERNAL_ERROR", ["Not_found"])),
    };
    found.push(
        finding
            .objects([object(reference, me), object(pool_ref, pool)])
            .expected(format!("vendor {}", told(theirs.as_deref())))
            .actual(format!("vendor {}", told(mine.as_deref())))
            .remedy(Remedy::by_person(
                "use a host with CPUs of the pool's vendor, or put this one into a pool of its own",
            )),
    );
    Ok(())
}

pub(in crate::preflight) const API_VERSION_DIFFERS: Check = Rule {
    check: Some("assert_api_version_matches"),
    error: Some("POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION"),
    side: Side::Both,
    compares: "`API_version_major` and `API_version_minor` of joiner and master are equal",
    remedy: "by hand: bring both to the same update level",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["API_version_major", "API_version_minor"]),
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::Local, &["API_version_major", "API_version_minor"]),
    ],
    ..Rule::of("api-version-differs")
}
.run::<Preflight>(api_version_differs);

fn api_version_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, me) = facts.joiner.local()?;
    let (master_ref, master) = facts.pool.local()?;
    let [theirs, mine] =
        [master, me].map(|host| format!("{}.{}", host.API_version_major, host.API_version_minor));
    if (master.API_version_major, master.API_version_minor)
        == (me.API_version_major, me.API_version_minor)
    {
        return Ok(());
    }
    found.push(
        facts
            .finding(format!("the API versions differ: {theirs} in the pool, {mine} on the joiner"))
            .fault(Fault::new(
                "POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION",
                [mine.as_str(), theirs.as_str()],
            ))
            .objects([object(reference, me), object(master_ref, master)])
            .expected(theirs)
            .actual(mine)
            .remedy(Remedy::by_person(SAME_LEVEL)),
    );
    Ok(())
}

pub(in crate::preflight) const DB_SCHEMA_DIFFERS: Check = Rule {
    check: Some("assert_db_schema_matches"),
    error: Some("POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA"),
    side: Side::Both,
    compares: "`db_schema` of joiner and master is stated, not empty, and equal",
    remedy: "by hand: bring both to the same update level",
    reads: &SOFTWARE_VERSIONS,
    ..Rule::of("db-schema-differs")
}
.run::<Preflight>(db_schema_differs);

fn db_schema_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, me) = facts.joiner.local()?;
    let (master_ref, master) = facts.pool.local()?;
    let [theirs, mine] =
        [master, me].map(|host| value(host, "db_schema").unwrap_or_default().to_owned());
    if theirs == mine && !mine.is_empty() {
        return Ok(());
    }
    let message = match theirs.is_empty() || mine.is_empty() {
        true => {
            "a database schema version is not stated, which XAPI takes for a mismatch".to_owned()
        }
        false => format!(
            "the database schemas differ: {theirs} in the pool, {mine} on the joiner; the update \
             levels are not the same"
        ),
    };
    found.push(
        facts
            .finding(message)
            .fault(Fault::new(
                "POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA",
                [mine.as_str(), theirs.as_str()],
            ))
            .objects([object(reference, me), object(master_ref, master)])
            .expected(told(value(master, "db_schema")))
            .actual(told(value(me, "db_schema")))
            .remedy(Remedy::by_person(SAME_LEVEL)),
    );
    Ok(())
}

pub(in crate::preflight) const UPDATES_DIFFER: Check = Rule {
    check: Some("assert_homogeneous_updates"),
    error: Some("HOSTS_NOT_HOMOGENEOUS"),
    side: Side::Both,
    compares: "joiner and master have the same updates among those that enforce homogeneity, by \
               uuid",
    remedy: "by hand: apply the missing updates",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["updates"]),
        Reads::joiner(Class::PoolUpdate, Which::Each, &["uuid", "enforce_homogeneity"]),
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::Local, &["updates"]),
        Reads::pool(Class::PoolUpdate, Which::Each, &["uuid", "enforce_homogeneity"]),
    ],
    ..Rule::of("updates-differ")
}
.run::<Preflight>(updates_differ);

fn updates_differ(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    type Enforced<'a> = Vec<(&'a Ref<PoolUpdate>, &'a PoolUpdate)>;
    fn enforced<'a>(view: View<'a>, host: &'a Host) -> Result<Enforced<'a>, Lost> {
        let mut enforced = Vec::new();
        for update in &host.updates {
            let record = view.read(update)?;
            if record.enforce_homogeneity {
                enforced.push((update, record));
            }
        }
        Ok(enforced)
    }
    let (_, me) = facts.joiner.local()?;
    let mine = enforced(facts.joiner, me)?;
    let uuids = |updates: &Enforced<'_>| {
        updates.iter().map(|(_, update)| update.uuid.clone()).collect::<BTreeSet<_>>()
    };
    let my_uuids = uuids(&mine);
    // Servers that do not insist on one pool record go through all that there are, up to the first
    // whose master differs.
    let mut differing = None;
    match facts.checks_as_of(super::identity::ONE_POOL) {
        true => differing = Some(facts.pool.local()?.1),
        false => {
            for pool in facts.pool.snapshot.pool.records().rev() {
                let master = facts.pool.read(&pool.master)?;
                if uuids(&enforced(facts.pool, master)?) != my_uuids {
                    differing = Some(master);
                    break;
                }
            }
        }
    }
    let Some(master) = differing else { return Ok(()) };
    let theirs = enforced(facts.pool, master)?;
    let their_uuids = uuids(&theirs);
    if my_uuids == their_uuids {
        return Ok(());
    }
    let lacking = theirs.iter().filter(|(_, update)| !my_uuids.contains(&update.uuid));
    let extra = mine.iter().filter(|(_, update)| !their_uuids.contains(&update.uuid));
    let names = |updates: &Enforced<'_>| match updates.is_empty() {
        true => "none".to_owned(),
        false => {
            let mut names: Vec<_> =
                updates.iter().map(|(_, update)| update.name_label.as_str()).collect();
            names.sort_unstable();
            names.join(", ")
        }
    };
    let objects = lacking
        .map(|(update, _)| object_at(facts.pool.snapshot, update))
        .chain(extra.map(|(update, _)| object_at(facts.joiner.snapshot, update)));
    found.push(
        facts.finding("joiner and master differ in updates that all hosts of a pool must have",
        )
        .fault(Fault::new(
            "HOSTS_NOT_HOMOGENEOUS",
            [format!(
                "Updates on local host {} and pool host {} differ",
                me.name_label, master.name_label
            )],
        ))
        .objects(objects)
        .expected(names(&theirs))
        .actual(names(&mine))
        .remedy(Remedy::by_person(
            "apply the updates that one side lacks (xe update-apply), on the joiner or in the pool",
        )),
    );
    Ok(())
}
