//! Settings of the joiner that are lost or overwritten.

use super::{Fate, Fates, about, is_merged_by_bridge};
use crate::actions::Remedy;
use crate::actions::Side;
use crate::model::Object;
use crate::model::object;
use crate::model::{Class, Host, Network, Sr, Vdi};
use crate::preflight::facts::Facts;
use crate::preflight::finding::{Finding, Severity};
use crate::preflight::rule::{Reads, Rule, RuleCode, Scope};

pub(in crate::preflight) static TAGS_LOST: Rule = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the joiner, its SRs, disks and new networks have no tags; the join drops them",
    remedy: "by hand: tag again after the join",
    reads: &[
        Reads::joiner(Class::Host, Scope::Local, &["tags"]),
        Reads::joiner(Class::Sr, Scope::Each, &["tags", "is_tools_sr"]),
        Reads::joiner(Class::Vdi, Scope::Each, &["tags"]),
        Reads::joiner(Class::Network, Scope::Each, &["tags", "bridge", "PIFs", "other_config"]),
        Reads::joiner(Class::Pif, Scope::Each, &["physical"]),
        Reads::pool(Class::Network, Scope::All, &["bridge"]),
    ],
    run: |facts, found| {
        let (reference, me) = facts.joiner.local()?;
        let host = (!me.tags.is_empty()).then(|| object(reference, me));
        let srs =
            facts.joiner.each::<Sr>().filter(|(_, sr)| !sr.tags.is_empty() && !sr.is_tools_sr);
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
        let finding = about(&TAGS_LOST, objects, |n, names| {
            format!("the tags of {} will be lost: {names}", super::count(n, "object"))
        });
        found.extend(finding.map(|finding| {
            finding.remedy(Remedy::by_person("note the tags, and set them again after the join"))
        }));
        Ok(())
    },
    ..Rule::of(RuleCode::TagsLost)
};

pub(in crate::preflight) static POOL_SETTINGS_LOST: Rule = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the joiner's own pool has no name, description, tags or GUI settings, and no default SR \
               but its local storage; its subjects and roles are lost as well",
    remedy: "by hand: set in the pool what is still needed",
    reads: &[
        Reads::joiner(
            Class::Pool,
            Scope::All,
            &["name_label", "name_description", "tags", "gui_config", "default_SR", "wlb_enabled"],
        ),
        Reads::joiner(Class::Sr, Scope::Each, &["shared"]),
    ],
    run: |facts, found| {
        let (reference, pool) = facts.joiner.pool()?;
        let default_sr = facts.joiner.snapshot.get(&pool.default_SR).filter(|sr| sr.shared);
        let lost: Vec<_> = [
            (!pool.name_label.is_empty()).then(|| format!("its name {:?}", pool.name_label)),
            (!pool.name_description.is_empty()).then(|| "its description".to_owned()),
            (!pool.tags.is_empty()).then(|| format!("its tags {}", pool.tags.join(", "))),
            (!pool.gui_config.is_empty()).then(|| "its GUI settings".to_owned()),
            default_sr.map(|sr| format!("its default SR {:?}", sr.name_label)),
            pool.wlb_enabled.then(|| "its workload balancing".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !lost.is_empty() {
            found.push(
                Finding::new(
                    &POOL_SETTINGS_LOST,
                    format!("the joiner's own pool goes, and with it {}", lost.join(", ")),
                )
                .objects([object(reference, pool)])
                .actual(lost.join(", "))
                .remedy(Remedy::by_person(
                    "set in the pool, after the join, what of it is still needed; subjects and \
                     their roles too (xe subject-add)",
                )),
            );
        }
        Ok(())
    },
    ..Rule::of(RuleCode::PoolSettingsLost)
};

pub(in crate::preflight) static HOST_SETTINGS_LOST: Rule = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the joiner has no description, remote log or power-on settings; the join drops them",
    remedy: "by hand: set them again after the join",
    reads: &[Reads::joiner(
        Class::Host,
        Scope::Local,
        &["name_description", "logging", "power_on_mode", "power_on_config"],
    )],
    run: |facts, found| {
        /// What an installation and a join write themselves.
        const USUAL: [&str; 2] = ["", "Default install"];
        let (reference, host) = facts.joiner.local()?;
        let lost: Vec<_> = [
            (!USUAL.contains(&host.name_description.as_str())).then_some("its description"),
            (!host.logging.is_empty()).then_some("where it logs to"),
            (!host.power_on_mode.is_empty()).then_some("how it is powered on"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !lost.is_empty() {
            found.push(
                Finding::new(
                    &HOST_SETTINGS_LOST,
                    format!("the joiner will lose {}", lost.join(", ")),
                )
                .objects([object(reference, host)])
                .actual(lost.join(", "))
                .remedy(Remedy::by_person(
                    "note the settings, and set them again after the join (xe host-param-set)",
                )),
            );
        }
        Ok(())
    },
    ..Rule::of(RuleCode::HostSettingsLost)
};

pub(in crate::preflight) static UEFI_CERTIFICATES_OVERWRITTEN: Rule = Rule {
    severity: Severity::Notice,
    side: Side::Both,
    compares: "joiner and pool have the same UEFI certificates for secure boot; the pool's win",
    remedy: "by hand: install the joiner's in the pool before",
    reads: &[
        Reads::joiner(Class::Pool, Scope::All, &["uefi_certificates"]),
        Reads::pool(Class::Pool, Scope::All, &["uefi_certificates"]),
    ],
    run: |facts, found| {
        let (reference, mine) = facts.joiner.pool()?;
        let (_, theirs) = facts.pool.pool()?;
        if !mine.uefi_certificates.is_empty() && mine.uefi_certificates != theirs.uefi_certificates
        {
            let told = |certificates: &str| match certificates.is_empty() {
                true => "none".to_owned(),
                false => format!("{} bytes", certificates.len()),
            };
            found.push(
                Finding::new(
                    &UEFI_CERTIFICATES_OVERWRITTEN,
                    "the joiner's UEFI certificates will be replaced by the pool's",
                )
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
    },
    ..Rule::of(RuleCode::UefiCertificatesOverwritten)
};

pub(in crate::preflight) static SSH_SETTINGS_OVERWRITTEN: Rule = Rule {
    severity: Severity::Notice,
    side: Side::Both,
    compares: "joiner and master have the same SSH and console settings; the master's win",
    remedy: "nothing need be done, or set them again after the join",
    reads: &[
        Reads::joiner(Class::Host, Scope::Local, SSH).since(25, 21, 0),
        Reads::pool(Class::Pool, Scope::All, &["master"]),
        Reads::pool(Class::Host, Scope::Local, SSH).since(25, 21, 0),
    ],
    run: |facts: &Facts<'_>, found| {
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
            if let (Some(theirs), Some(mine)) = (theirs, mine)
                && theirs != mine
            {
                expected.push(format!("{name} {theirs}"));
                actual.push(format!("{name} {mine}"));
            }
        }
        if !actual.is_empty() {
            found.push(
                Finding::new(
                    &SSH_SETTINGS_OVERWRITTEN,
                    format!("the joiner will have the master's settings: {}", expected.join(", ")),
                )
                .objects([object(reference, mine)])
                .expected(expected.join(", "))
                .actual(actual.join(", ")),
            );
        }
        Ok(())
    },
    ..Rule::of(RuleCode::SshSettingsOverwritten)
};

const SSH: &[&str] = &["ssh_enabled", "ssh_enabled_timeout", "console_idle_timeout"];
