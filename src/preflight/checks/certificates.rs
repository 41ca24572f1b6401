//! Certificates that both sides trust, and must not understand differently.

use std::collections::BTreeMap;

use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::error::Fault;
use crate::model::Object;
use crate::model::{Certificate, CertificateType, Class, Record, Ref};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Since, View, Which};

use super::vms::names;

/// A certificate with its ref.
type Held<'a> = (&'a Ref<Certificate>, &'a Certificate);

/// A side's certificates by a key; of several with one key, the one that the server meets last.
fn by_key<'a>(
    view: View<'a>,
    wanted: impl Fn(&Certificate) -> bool,
    key: fn(&Certificate) -> &str,
) -> BTreeMap<&'a str, Held<'a>> {
    view.each::<Certificate>()
        .rev()
        .filter(|(_, certificate)| wanted(certificate))
        .map(|(reference, certificate)| (key(certificate), (reference, certificate)))
        .collect()
}

fn name(certificate: &Certificate) -> &str {
    certificate.name.as_deref().unwrap_or_default()
}

/// Which of a certificate's fingerprints a check compares: raw, an empty one too, since the server
/// makes no difference.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Print {
    /// `fingerprint`, as `xapi_pool.ml` up to v24.18.0 does.
    Old,
    /// `fingerprint_sha256`, since v24.19.0.
    Sha256,
}

impl Print {
    const fn field(self) -> &'static str {
        match self {
            Self::Old => "fingerprint",
            Self::Sha256 => "fingerprint_sha256",
        }
    }

    fn of(self, certificate: &Certificate) -> &str {
        match self {
            Self::Old => &certificate.fingerprint,
            Self::Sha256 => certificate.fingerprint_sha256.as_deref().unwrap_or_default(),
        }
    }
}

/// What a person knows a certificate's content by.
fn shown(certificate: &Certificate) -> &str {
    match Print::Sha256.of(certificate) {
        "" if certificate.fingerprint.is_empty() => "no fingerprint",
        "" => &certificate.fingerprint,
        print => print,
    }
}

fn named((reference, certificate): Held<'_>) -> Object {
    let name = match name(certificate) {
        "" => shown(certificate),
        name => name,
    };
    Object::of(reference, certificate, name)
}

/// The release from which the check compares SHA-256 fingerprints.
const BY_SHA256: Since = Since::of(24, 19, 0);

/// The release from which certificates without a name are left to a check of their own.
const WITH_NAMES: Since = Since::of(26, 13, 0);

pub(in crate::preflight) const CA_CERTIFICATES_CONFLICT: Check = Rule {
    check: Some("assert_legacy_ca_certificates_compatible"),
    formerly: Some(("assert_ca_certificates_compatible", WITH_NAMES)),
    error: Some("POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT"),
    since: Since::of(1, 302, 0),
    side: Side::Both,
    compares: "no CA certificate has the same name on both sides and a different SHA-256 \
               fingerprint (before 24.19 the older fingerprint; before 26.13 certificates without \
               a name count as having one)",
    remedy: "uninstall the joiner's certificate; it gets the pool's",
    reads: &[
        Reads::joiner(Class::Certificate, Which::Each, &["name", "type"]).since(1, 294, 0),
        Reads::joiner(Class::Certificate, Which::Each, &["fingerprint"]).until(24, 19, 0),
        Reads::joiner(Class::Certificate, Which::Each, &["fingerprint_sha256"]).since(24, 19, 0),
        // Tells a server that leaves certificates without a name to the other check.
        Reads::joiner(Class::Certificate, Which::Each, &["purpose"]).since(26, 13, 0),
        Reads::pool(Class::Certificate, Which::Each, &["name", "type"]).since(1, 294, 0),
        Reads::pool(Class::Certificate, Which::Each, &["fingerprint"]).until(24, 19, 0),
        Reads::pool(Class::Certificate, Which::Each, &["fingerprint_sha256"]).since(24, 19, 0),
    ],
    ..Rule::of("ca-certificates-conflict")
}
.run::<Preflight>(ca_certificates_conflict);

fn ca_certificates_conflict(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    fn any(certificate: &Certificate) -> bool {
        certificate.r#type == Some(CertificateType::Ca)
    }
    fn legacy(certificate: &Certificate) -> bool {
        any(certificate) && !name(certificate).is_empty()
    }
    let print = match facts.checks_as_of(BY_SHA256) {
        true => Print::Sha256,
        false => Print::Old,
    };
    let counts = if facts.checks_as_of(WITH_NAMES) { legacy } else { any };
    let counts = |one: &Certificate| counts(one) && one.has(print.field());
    let theirs = by_key(facts.pool, counts, name);
    let mine = by_key(facts.joiner, counts, name);
    let conflicts: Vec<_> = mine
        .iter()
        .filter_map(|(name, mine)| Some((*name, *mine, *theirs.get(name)?)))
        .filter(|(_, mine, theirs)| print.of(mine.1) != print.of(theirs.1))
        .collect();
    if conflicts.is_empty() {
        return Ok(());
    }
    let uninstall = conflicts.iter().fold(
        Choice::new("uninstall", "uninstall the joiner's certificates of these names"),
        |choice, (name, mine, _)| {
            let action = Action::PoolUninstallCaCertificate {
                side: Side::Joiner,
                certificate: mine.0.clone(),
                name: (*name).to_owned(),
            };
            choice.with(&named(*mine), facts.pool.snapshot, facts.joiner.snapshot, [action])
        },
    );
    // What is compared, so that an empty value is seen to be the difference.
    let told = |name: &str, (_, certificate): Held<'_>| match print.of(certificate) {
        "" => format!("{name} without {}", print.field()),
        print => format!("{name} {print}"),
    };
    let (expected, actual): (Vec<_>, Vec<_>) = conflicts
        .iter()
        .map(|(name, mine, theirs)| (told(name, *theirs), told(name, *mine)))
        .unzip();
    let objects = conflicts.iter().map(|(_, mine, _)| named(*mine));
    let unfilled = conflicts.iter().any(|(_, _, theirs)| print.of(theirs.1).is_empty());
    let advice = match unfilled {
        true => {
            "; in the pool's records the fingerprint is empty, as releases before 24.19 leave it: \
             update the pool to 24.35 or later, or install the certificate there anew"
        }
        false => "",
    };
    found.push(
        facts
            .finding(format!(
                "both sides have CA certificates of the same name that are not the same: \
                 {}{advice}",
                names(objects.clone())
            ))
            .fault(Fault::new(
                "POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT",
                conflicts.iter().rev().map(|(name, ..)| *name),
            ))
            .objects(objects)
            .expected(expected.join(", "))
            .actual(actual.join(", "))
            .remedy(Remedy::default().or(uninstall)),
    );
    Ok(())
}

pub(in crate::preflight) const TRUSTED_CERTIFICATES_CONFLICT: Check = Rule {
    check: Some("assert_trusted_certificates_compatible"),
    error: Some("POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT"),
    since: Since::of(26, 13, 0),
    side: Side::Both,
    compares: "a trusted certificate (without a name) that both sides have is for the same \
               purposes on both, or for none in common",
    remedy: "uninstall the joiner's certificate; it gets the pool's",
    reads: &[
        Reads::joiner(Class::Certificate, Which::Each, &["name", "type"]).since(1, 294, 0),
        Reads::joiner(Class::Certificate, Which::Each, &["fingerprint_sha256"]).since(24, 19, 0),
        Reads::joiner(Class::Certificate, Which::Each, &["purpose"]).since(26, 13, 0),
        Reads::pool(Class::Certificate, Which::Each, &["name", "type"]).since(1, 294, 0),
        Reads::pool(Class::Certificate, Which::Each, &["fingerprint_sha256"]).since(24, 19, 0),
        Reads::pool(Class::Certificate, Which::Each, &["purpose"]).since(26, 13, 0),
    ],
    ..Rule::of("trusted-certificates-conflict")
}
.run::<Preflight>(trusted_certificates_conflict);

fn trusted_certificates_conflict(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    fn trusted(certificate: &Certificate) -> bool {
        matches!(certificate.r#type, Some(CertificateType::Ca | CertificateType::Pinned))
            && name(certificate).is_empty()
    }
    fn sha256(certificate: &Certificate) -> &str {
        certificate.fingerprint_sha256.as_deref().unwrap_or_default()
    }
    let theirs = by_key(facts.pool, trusted, sha256);
    let mine = by_key(facts.joiner, trusted, sha256);
    let conflicts: Vec<_> = theirs
        .iter()
        .filter_map(|(print, theirs)| Some((*theirs, *mine.get(print)?)))
        .filter(|(theirs, mine)| {
            let [theirs, mine] =
                [theirs.1, mine.1].map(|one| one.purpose.as_deref().unwrap_or_default());
            let equal = theirs.iter().all(|purpose| mine.contains(purpose))
                && mine.iter().all(|purpose| theirs.contains(purpose));
            !equal && theirs.iter().any(|purpose| mine.contains(purpose))
        })
        .collect();
    let Some((first_theirs, first_mine)) = conflicts.first() else { return Ok(()) };
    let remedy = match facts.joiner.pool() {
        Ok((pool, _)) => Remedy::default().or(conflicts.iter().fold(
            Choice::new("uninstall", "uninstall the joiner's certificates"),
            |choice, (_, mine)| {
                let action = Action::PoolUninstallTrustedCertificate {
                    side: Side::Joiner,
                    pool: pool.clone(),
                    certificate: mine.0.clone(),
                };
                choice.with(&named(*mine), facts.pool.snapshot, facts.joiner.snapshot, [action])
            },
        )),
        Err(_) => Remedy::by_person(
            "uninstall the joiner's certificates (xe pool-uninstall-trusted-certificate); it is \
             not known what its pool record is, by which a call would name it",
        ),
    };
    let purposes = |certificate: &Certificate| {
        let purposes = certificate.purpose.iter().flatten().map(ToString::to_string);
        purposes.collect::<Vec<_>>().join(" and ")
    };
    let (expected, actual): (Vec<_>, Vec<_>) =
        conflicts.iter().map(|(theirs, mine)| (purposes(theirs.1), purposes(mine.1))).unzip();
    let objects = conflicts.iter().map(|(_, mine)| named(*mine));
    found.push(
        facts
            .finding(format!(
                "both sides trust the same certificates for purposes that only overlap: {}",
                names(objects.clone())
            ))
            .fault(Fault::new(
                "POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT",
                [first_theirs.0.to_string(), first_mine.0.to_string()],
            ))
            .objects(objects)
            .expected(expected.join(", "))
            .actual(actual.join(", "))
            .remedy(remedy),
    );
    Ok(())
}
