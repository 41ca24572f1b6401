//! Settings of the joiner that are lost or overwritten.

use super::{Fate, Fates, about, is_merged_by_bridge};
use crate::actions::Remedy;
use crate::actions::Side;
use crate::model::Object;
use crate::model::object;
use crate::model::{Class, Host, Network, Sr, Vdi};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Finding, Reads, Rule, Severity, Which};
use crate::text::quoted;

pub(in crate::preflight) const TAGS_LOST: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the joiner, its SRs, disks and new networks have no tags; the join drops them",
    remedy: "by hand: tag again after the join",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["tags"]),
        Reads::joiner(Class::Sr, Which::Each, &["tags", "is_tools_sr"]),
        Reads::joiner(Class::Vdi, Which::Each, &["tags"]),
        Reads::joiner(Class::Network, Which::Each, &["tags", "bridge", "PIFs", "other_config"]),
        Reads::joiner(Class::Pif, Which::Each, &["physical"]),
        Reads::pool(Class::Network, Which::All, &["bridge"]),
    ],
    ..Rule::of("tags-lost")
}
.run::<Preflight>(|facts, found| {
    let (reference, me) = facts.joiner.local()?;
    let host = (!me.tags.is_empty()).then(|| object(reference, me));
    let srs = facts.joiner.each::<Sr>().filter(|(_, sr)| !sr.tags.is_empty() && !sr.is_tools_sr);
    let vdis = facts.joiner.each::<Vdi>().filter(|(_, vdi)| !vdi.tags.is_empty());
    let fates = Fates::new(facts);
    let networks = facts.joiner.each::<Network>().filter(|(_, network)| {
        !network.tags.is_empty()
            && is_merged_by_bridge(facts, network)
            && matches!(fates.of(facts, network), Fate::New)
    });
    let objects: Vec<Object> = host
        .into_iter()
        .chain(srs.map(|(reference, sr)| object(reference, sr)))
        .chain(vdis.map(|(reference, vdi)| object(reference, vdi)))
        .chain(networks.map(|(reference, network)| object(reference, network)))
        .collect();
    let finding = about(facts, objects, |n, names| {
        format!("the tags of {} will be lost: {names}", super::count(n, "object"))
    });
    found.extend(finding.map(|finding| {
        finding.remedy(Remedy::by_person("note the tags, and set them again after the join"))
    }));
    Ok(())
});

pub(in crate::preflight) const POOL_SETTINGS_LOST: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the joiner's own pool has no name, description, tags or GUI settings, and no \
               default SR but its local storage; its subjects and roles are lost as well",
    remedy: "by hand: set in the pool what is still needed",
    reads: &[
        Reads::joiner(
            Class::Pool,
            Which::All,
            &["name_label", "name_description", "tags", "gui_config", "default_SR", "wlb_enabled"],
        ),
        Reads::joiner(Class::Sr, Which::Each, &["shared"]),
    ],
    ..Rule::of("pool-settings-lost")
}
.run::<Preflight>(|facts, found| {
    let (reference, pool) = facts.joiner.pool()?;
    let default_sr = facts.joiner.snapshot.get(&pool.default_SR).filter(|sr| sr.shared);
    let lost = [
        (!pool.name_label.is_empty()).then(|| format!("its name {}", quoted(&pool.name_label))),
        (!pool.name_description.is_empty()).then(|| "its description".to_owned()),
        (!pool.tags.is_empty()).then(|| format!("its tags {}", pool.tags.join(", "))),
        (!pool.gui_config.is_empty()).then(|| "its GUI settings".to_owned()),
        default_sr.map(|sr| format!("its default SR {}", quoted(&sr.name_label))),
        pool.wlb_enabled.then(|| "its workload balancing".to_owned()),
    ];
    let finding = of_settings(facts, object(reference, pool), lost, |lost| {
        format!("the joiner's own pool goes, and with it {lost}")
    });
    let how = "set in the pool, after the join, what of it is still needed; subjects and their \
               roles too (xe subject-add)";
    found.extend(finding.map(|finding| finding.remedy(Remedy::by_person(how))));
    Ok(())
});

pub(in crate::preflight) const HOST_SETTINGS_LOST: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the joiner has no description, remote log or power-on settings; the join drops them",
    remedy: "by hand: set them again after the join",
    reads: &[Reads::joiner(
        Class::Host,
        Which::Local,
        &["name_description", "logging", "power_on_mode", "power_on_config"],
    )],
    ..Rule::of("host-settings-lost")
}
.run::<Preflight>(|facts, found| {
    /// What an installation and a join write themselves.
    const USUAL: [&str; 2] = ["", "Default install"];
    let (reference, host) = facts.joiner.local()?;
    let lost = [
        (!USUAL.contains(&host.name_description.as_str())).then_some("its description"),
        (!host.logging.is_empty()).then_some("where it logs to"),
        (!host.power_on_mode.is_empty()).then_some("how it is powered on"),
    ];
    let finding = of_settings(facts, object(reference, host), lost, |lost| {
        format!("the joiner will lose {lost}")
    });
    let how = "note the settings, and set them again after the join (xe host-param-set)";
    found.extend(finding.map(|finding| finding.remedy(Remedy::by_person(how))));
    Ok(())
});

pub(in crate::preflight) const UEFI_CERTIFICATES_OVERWRITTEN: Check = Rule {
    severity: Severity::Notice,
    side: Side::Both,
    compares: "joiner and pool have the same UEFI certificates for secure boot; the pool's win",
    remedy: "by hand: install the joiner's in the pool before",
    reads: &[
        Reads::joiner(Class::Pool, Which::All, &["uefi_certificates"]),
        Reads::pool(Class::Pool, Which::All, &["uefi_certificates"]),
    ],
    ..Rule::of("uefi-certificates-overwritten")
}
.run::<Preflight>(|facts, found| {
    let (reference, mine) = facts.joiner.pool()?;
    let (_, theirs) = facts.pool.pool()?;
    if !mine.uefi_certificates.is_empty() && mine.uefi_certificates != theirs.uefi_certificates {
        let told = |certificates: &str| match certificates.is_empty() {
            true => "none".to_owned(),
            false => format!("{} bytes", certificates.len()),
        };
        found.push(
            facts
                .finding("the joiner's UEFI certificates will be replaced by the pool's")
                .objects([object(reference, mine)])
                .expected(told(&theirs.uefi_certificates))
                .actual(told(&mine.uefi_certificates))
                .remedy(Remedy::by_person(
                    "if VMs need the joiner's certificates, install them in the pool before \
                     (secureboot-certs)",
                )),
        );
    }
    Ok(())
});

pub(in crate::preflight) const SSH_SETTINGS_OVERWRITTEN: Check = Rule {
    severity: Severity::Notice,
    side: Side::Both,
    compares: "joiner and master have the same SSH and console settings; the master's win",
    remedy: "nothing need be done, or set them again after the join",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, SSH).since(25, 21, 0),
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::Local, SSH).since(25, 21, 0),
    ],
    ..Rule::of("ssh-settings-overwritten")
}
.run::<Preflight>(|facts: &Facts<'_>, found| {
    let (reference, mine) = facts.joiner.local()?;
    let (_, theirs) = facts.pool.local()?;
    let settings = |host: &Host| {
        [
            ("ssh_enabled", host.ssh_enabled.map(|value| value.to_string())),
            ("ssh_enabled_timeout", host.ssh_enabled_timeout.map(|value| value.to_string())),
            ("console_idle_timeout", host.console_idle_timeout.map(|value| value.to_string())),
        ]
    };
    let (mut expected, mut actual) = (Vec::new(), Vec::new());
    for ((name, theirs), (_, mine)) in settings(theirs).into_iter().zip(settings(mine)) {
        if let Some((theirs, mine)) = theirs.zip(mine).filter(|(theirs, mine)| theirs != mine) {
            expected.push(format!("{name} {theirs}"));
            actual.push(format!("{name} {mine}"));
        }
    }
    let expected = expected.join(", ");
    let finding = of_settings(facts, object(reference, mine), actual.into_iter().map(Some), |_| {
        format!("the joiner will have the master's settings: {expected}")
    });
    found.extend(finding.map(|finding| finding.expected(expected)));
    Ok(())
});

const SSH: &[&str] = &["ssh_enabled", "ssh_enabled_timeout", "console_idle_timeout"];

/// A finding about the settings of one object, if there are any; the message takes them.
fn of_settings<T: Into<String>>(
    facts: &Facts<'_>,
    object: Object,
    settings: impl IntoIterator<Item = Option<T>>,
    message: impl FnOnce(&str) -> String,
) -> Option<Finding> {
    let told: Vec<String> = settings.into_iter().flatten().map(Into::into).collect();
    let told = told.join(", ");
    (!told.is_empty()).then(|| facts.finding(message(&told)).objects([object]).actual(told))
}
