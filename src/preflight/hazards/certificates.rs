//! Certificates by which the hosts of a pool know each other.

use std::collections::BTreeSet;

use super::{about, now};
use crate::actions::Remedy;
use crate::actions::Side;
use crate::model::Object;
use crate::model::{Certificate, CertificateType, Class, Host, Pool};
use crate::model::{object, object_at};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Severity, View, Which};

pub(in crate::preflight) const CERTIFICATES_OUT_OF_DATE: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "no certificate of a host is expired or not yet valid, by evidence of the time, or \
               by the pool's latest measurements",
    remedy: "by hand: refresh the certificate, or set the clocks",
    reads: &[
        Reads::joiner(Class::Certificate, Which::Each, &["host", "not_before", "not_after"]),
        Reads::joiner(Class::Certificate, Which::Each, &["type"]).since(1, 294, 0),
        Reads::pool(Class::Certificate, Which::Each, &["host", "not_before", "not_after"]),
        Reads::pool(Class::Certificate, Which::Each, &["type"]).since(1, 294, 0),
    ],
    ..Rule::of("certificates-out-of-date")
}
.run::<Preflight>(certificates_out_of_date);

fn certificates_out_of_date(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let any = !facts.pool.snapshot.certificate.is_empty()
        || !facts.joiner.snapshot.certificate.is_empty();
    let Some(now) = now(facts) else {
        return match any {
            true => Err(Lost::unknown(
                "no evidence gives the time (evidence: master_time), so it is not known which \
                 certificates are valid",
            )),
            false => Ok(()),
        };
    };
    let (mut objects, mut actual) = (Vec::new(), Vec::new());
    for view in [facts.joiner, facts.pool] {
        for (reference, certificate) in view.each::<Certificate>() {
            let state = match () {
                () if certificate.not_after < now => format!("expired {}", certificate.not_after),
                () if certificate.not_before > now => {
                    format!("not valid before {}", certificate.not_before)
                }
                () => continue,
            };
            objects.push(Object::of(reference, certificate, name(view, certificate)));
            actual.push(state);
        }
    }
    let finding =
        about(facts, objects, |_, names| format!("certificates are not valid at {now}: {names}"));
    found.extend(finding.map(|finding| {
        finding.expected(format!("valid at {now}")).actual(actual.join(", ")).remedy(
            Remedy::by_person(
                "check the clocks; refresh the certificates of hosts (xe \
                 host-refresh-server-certificate, xe host-reset-server-certificate on an \
                 unreachable one), and replace those of authorities (xe pool-certificate-sync \
                 afterwards)",
            ),
        )
    }));
    Ok(())
}

/// What kind of certificate it is, and whose.
fn name(view: View<'_>, certificate: &Certificate) -> String {
    let kind = certificate.r#type.as_ref().map_or("host", CertificateType::as_str);
    match (view.snapshot.get(&certificate.host), certificate.name.as_deref()) {
        (Some(host), _) => format!("{kind} of {}", host.name_label),
        (None, Some(name)) if !name.is_empty() => format!("{kind} {name}"),
        (None, _) => format!("{kind} {}", certificate.fingerprint),
    }
}

pub(in crate::preflight) const HOST_CERTIFICATES_MISSING: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "the joiner and all hosts of the pool have a certificate for calls within the pool; \
               one that the pool's bundle lacks fails the join halfway",
    remedy: "by hand: refresh the host's certificate",
    reads: &[
        Reads::joiner(Class::Certificate, Which::Each, &["host", "type"]).since(1, 294, 0),
        Reads::pool(Class::Certificate, Which::Each, &["host", "type"]).since(1, 294, 0),
        Reads::pool(Class::Host, Which::Each, &[]),
    ],
    ..Rule::of("host-certificates-missing")
}
.run::<Preflight>(host_certificates_missing);

fn host_certificates_missing(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let certified = |view: View<'_>| {
        view.each::<Certificate>()
            .filter(|(_, certificate)| certificate.r#type == Some(CertificateType::HostInternal))
            .map(|(_, certificate)| certificate.host.clone())
            .collect::<BTreeSet<_>>()
    };
    let (me, _) = facts.joiner.local()?;
    let mine =
        (!certified(facts.joiner).contains(me)).then(|| object_at(facts.joiner.snapshot, me));
    let theirs = certified(facts.pool);
    let members = facts.pool.each::<Host>().filter(|(reference, _)| !theirs.contains(*reference));
    let objects =
        mine.into_iter().chain(members.map(|(reference, host)| object(reference, host))).collect();
    let finding = about(facts, objects, |_, names| {
        format!("hosts have no certificate for calls within the pool: {names}")
    });
    found.extend(finding.map(|finding| {
        finding.remedy(Remedy::by_person(
            "make the certificate anew on that host (xe host-refresh-server-certificate), then \
             give it to all (xe pool-certificate-sync)",
        ))
    }));
    Ok(())
}

pub(in crate::preflight) const TLS_VERIFICATION_UNEVEN: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "each host verifies certificates exactly if its pool says so",
    remedy: "by hand: enable verification for all",
    reads: &[
        Reads::joiner(Class::Pool, Which::All, &["tls_verification_enabled"]).since(1, 290, 0),
        Reads::joiner(Class::Host, Which::Local, &["tls_verification_enabled"]).since(1, 313, 0),
        Reads::pool(Class::Pool, Which::All, &["tls_verification_enabled"]).since(1, 290, 0),
        Reads::pool(Class::Host, Which::Each, &["tls_verification_enabled"]).since(1, 313, 0),
    ],
    ..Rule::of("tls-verification-uneven")
}
.run::<Preflight>(|facts, found| {
    let (_, pool) = facts.pool.pool()?;
    let (_, mine) = facts.joiner.pool()?;
    let (me_ref, me) = facts.joiner.local()?;
    let differs =
        |host: &Host, pool: &Pool| host.tls_verification_enabled != pool.tls_verification_enabled;
    let objects = facts
        .pool
        .each::<Host>()
        .filter(|(_, host)| differs(host, pool))
        .map(|(reference, host)| object(reference, host))
        .chain(differs(me, mine).then(|| object(me_ref, me)))
        .collect();
    let finding = about(facts, objects, |_, names| {
        format!("whether they verify certificates differs from what their pool says: {names}")
    });
    found.extend(finding.map(|finding| {
        finding.remedy(Remedy::by_person(
            "enable verification in the whole pool and on the joiner (xe \
             pool-enable-tls-verification); on a host where it was switched off in an emergency: \
             xe host-emergency-reenable-tls-verification",
        ))
    }));
    Ok(())
});
