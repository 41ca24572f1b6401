//! Who may log in, and whether certificates are verified.

use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::model::object;
use crate::model::{Class, Host, Pool};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Sees, Since, Which};
use crate::text::quoted;

/// The release from which the case of a service's name does not count (`xapi_pool.ml`).
const WITHOUT_CASE: Since = Since::of(24, 33, 0);

pub(in crate::preflight) const EXTERNAL_AUTH_DIFFERS: Check = Rule {
    check: Some("assert_external_auth_matches"),
    error: Some("POOL_JOINING_EXTERNAL_AUTH_MISMATCH"),
    side: Side::Both,
    compares: "joiner and master have the same `external_auth_type`, and the same service name but \
               for the case of ASCII letters (before 24.33 with it)",
    remedy: "leave the joiner's domain where the pool has none; else by hand: join the pool's \
             domain",
    reads: &[
        Reads::joiner(
            Class::Host,
            Which::Local,
            &["external_auth_type", "external_auth_service_name"],
        ),
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(
            Class::Host,
            Which::Local,
            &["external_auth_type", "external_auth_service_name"],
        ),
    ],
    ..Rule::of("external-auth-differs")
}
.run::<Preflight>(external_auth_differs);

fn external_auth_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, me) = facts.joiner.local()?;
    let (master_ref, master) = facts.pool.local()?;
    let (my_name, their_name) =
        (&me.external_auth_service_name, &master.external_auth_service_name);
    let same_name = match facts.checks_as_of(WITHOUT_CASE) {
        true => my_name.eq_ignore_ascii_case(their_name),
        false => my_name == their_name,
    };
    if me.external_auth_type == master.external_auth_type && same_name {
        return Ok(());
    }
    let told = |host: &Host| match host.external_auth_type.as_str() {
        "" if host.external_auth_service_name.is_empty() => "none".to_owned(),
        kind if host.external_auth_service_name.is_empty() => quoted(kind).to_string(),
        kind => format!("{} at {}", quoted(kind), quoted(&host.external_auth_service_name)),
    };
    let none = master.external_auth_type.is_empty() && master.external_auth_service_name.is_empty();
    let remedy = match none && !me.external_auth_type.is_empty() {
        true => {
            let leave = Choice::new(
                "leave-domain",
                "disable external authentication on the joiner; domain users cannot log in there",
            );
            Remedy::default().or(leave.with(
                &object(reference, me),
                facts.pool.snapshot,
                facts.joiner.snapshot,
                [Action::HostDisableExternalAuth { host: reference.clone() }],
            ))
        }
        false => Remedy::by_person(format!(
            "give the joiner the pool's external authentication, {} (xe \
             pool-enable-external-auth, with an account of that domain; xe \
             pool-disable-external-auth before, if it has another)",
            told(master)
        )),
    };
    found.push(
        facts
            .finding(format!(
                "external authentication differs: {} in the pool, {} on the joiner",
                told(master),
                told(me)
            ))
            .refused()
            .objects([object(reference, me), object(master_ref, master)])
            .expected(told(master))
            .actual(told(me))
            .remedy(remedy),
    );
    Ok(())
}

pub(in crate::preflight) const TLS_VERIFICATION_DIFFERS: Check = Rule {
    check: Some("assert_tls_verification_matches"),
    error: Some("POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH"),
    since: Since::of(1, 297, 0),
    side: Side::Both,
    compares: "joiner and pool both verify TLS certificates, or neither does",
    remedy: "enable TLS verification on the side that does not verify",
    reads: &[
        Reads::joiner(Class::Pool, Which::All, &["tls_verification_enabled"]).since(1, 290, 0),
        Reads::pool(Class::Pool, Which::All, &["tls_verification_enabled"])
            .since(1, 290, 0)
            .by_call(),
    ],
    ..Rule::of("tls-verification-differs")
}
.run::<Preflight>(tls_verification_differs);

fn tls_verification_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (my_ref, mine) = facts.joiner.pool()?;
    facts.pool.called::<Pool>("tls_verification_enabled")?;
    let (their_ref, theirs) = facts.pool.pool()?;
    if mine.tls_verification_enabled == theirs.tls_verification_enabled {
        return Ok(());
    }
    let (side, reference, pool) = match theirs.tls_verification_enabled {
        Some(true) => (Side::Joiner, my_ref, mine),
        _ => (Side::Pool, their_ref, theirs),
    };
    let whose = facts.view(side).whose();
    let object = object(reference, pool);
    let enable = Choice::new(
        "enable",
        format!("enable TLS verification on {whose}; no call turns it off again"),
    )
    .with(
        &object,
        facts.pool.snapshot,
        facts.joiner.snapshot,
        [Action::PoolEnableTlsVerification { side, pool: reference.clone() }],
    );
    let told = |enabled: Option<bool>| match enabled {
        Some(true) => "verifies certificates",
        Some(false) => "does not verify certificates",
        None => "does not say whether it verifies certificates",
    };
    found.push(
        facts
            .finding(format!(
                "the pool {}, the joiner {}",
                told(theirs.tls_verification_enabled),
                told(mine.tls_verification_enabled)
            ))
            .refused()
            .objects([object])
            .side(side)
            .expected(told(theirs.tls_verification_enabled))
            .actual(told(mine.tls_verification_enabled))
            .remedy(Remedy::default().or(enable)),
    );
    Ok(())
}
