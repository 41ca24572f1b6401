//! What becomes of SRs, PBDs and VDIs.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::change::{joined, place};
use super::forecast::Forecast;
use crate::actions::Side;
use crate::error::Fault;
use crate::model::{Host, Pbd, Ref, Sr, Uuid, Vdi};

/// How many there are, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Count {
    /// In the pool before the join.
    pub before: usize,
    /// In the pool after the join.
    pub after: usize,
}

/// What becomes of a SR of the joiner's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SrFate {
    /// The SR's uuid on the joiner.
    pub uuid: Uuid,
    /// Its name on the joiner.
    pub name_label: String,
    /// Its type, such as `ext`.
    pub r#type: String,
    /// What becomes of it.
    pub outcome: SrOutcome,
}

/// What becomes of a SR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SrOutcome {
    /// It appears in the pool, not shared, under its own uuid.
    ///
    /// Its size is not known until it is scanned.
    Introduced,
    /// The pool has a SR with this uuid, which stays as it is; the name in the pool.
    Known(String),
    /// A SR of the tools ISO: the pool's own takes its place; the name in the pool.
    Merged(String),
    /// It does not appear.
    Refused(Fault),
}

/// What becomes of the joiner's connection to a SR.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PbdFate {
    /// The PBD's uuid on the joiner; a new PBD gets a new one.
    pub uuid: Uuid,
    /// The name of the SR.
    pub sr: String,
    /// What becomes of it.
    pub outcome: CopyOutcome,
}

/// What becomes of a disk.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VdiFate {
    /// The VDI's uuid, which it keeps.
    pub uuid: Uuid,
    /// Its name.
    pub name_label: String,
    /// The name of its SR.
    pub sr: String,
    /// What becomes of it.
    pub outcome: CopyOutcome,
}

/// What becomes of an object that is copied as it is, or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CopyOutcome {
    /// It appears in the pool.
    Created,
    /// The pool has it already.
    Known,
    /// It does not appear; the error, if it has an XAPI code, is swallowed.
    Refused(Option<Fault>),
}

/// `create_or_get_sr_on_master`, `SR.introduce`.
pub(super) fn srs(f: &mut Forecast<'_>) -> Option<(Vec<SrFate>, Count)> {
    const HIDES: &str = "which SRs appear";
    let known = f.knows::<Sr>(Side::Joiner, &["uuid", "is_tools_sr"], HIDES)
        & f.knows::<Sr>(Side::Pool, &["uuid", "is_tools_sr"], HIDES);
    if !known {
        return None;
    }
    f.srs_known = true;
    f.knows::<Sr>(Side::Joiner, &["name_label", "type", "tags"], "what SRs are and lose");
    f.knows::<Sr>(Side::Pool, &["name_label"], HIDES);
    let (pool, joiner) = (f.pool, f.joiner);
    let tools = pool.sr.iter().rev().find(|(_, sr)| sr.is_tools_sr);
    let mut fates = Vec::new();
    for (reference, sr) in joiner.sr.iter().rev() {
        let outcome = if let Some((there, known)) = pool.sr.by_uuid(&sr.uuid) {
            f.srs.insert(reference, there.clone());
            SrOutcome::Known(known.name_label.clone())
        } else if !sr.is_tools_sr {
            let there = joined(reference);
            f.changes.add(there.clone(), introduced_sr(sr));
            f.srs.insert(reference, there);
            if !sr.tags.is_empty() {
                f.lose_field(sr, &sr.name_label, "tags", &sr.tags);
            }
            SrOutcome::Introduced
        } else if let Some((there, merged)) = tools {
            f.srs.insert(reference, there.clone());
            SrOutcome::Merged(merged.name_label.clone())
        } else {
            let fault = no_tools_sr(sr);
            f.swallowed.push(fault.clone());
            SrOutcome::Refused(fault)
        };
        let (uuid, name_label, r#type) =
            (sr.uuid.clone(), sr.name_label.clone(), sr.r#type.clone());
        fates.push(SrFate { uuid, name_label, r#type, outcome });
    }
    let count = Count { before: pool.sr.len(), after: pool.sr.len() + f.changes.added.sr.len() };
    Some((fates, count))
}

fn no_tools_sr(sr: &Sr) -> Fault {
    Fault::new("INTERNAL_ERROR", [format!("can't find SR {} of tools iso", sr.uuid)])
}

fn introduced_sr(sr: &Sr) -> Sr {
    let mut new = sr.clone();
    new.VDIs.clear();
    new.PBDs.clear();
    new.virtual_allocation = 0;
    new.physical_utilisation = -1;
    new.physical_size = -1;
    new.r#type.make_ascii_lowercase();
    new.shared = false;
    new.tags.clear();
    new.local_cache_enabled = false;
    new.clustered = false;
    new
}

/// `create_or_get_pbd_on_master`, `Xapi_pbd.create`.
pub(super) fn pbds(f: &mut Forecast<'_>) -> Option<Vec<PbdFate>> {
    const HIDES: &str = "which PBDs appear";
    let known = f.knows::<Pbd>(Side::Joiner, &["uuid", "SR", "device_config"], HIDES)
        & f.knows::<Pbd>(Side::Pool, &["uuid", "host", "SR"], HIDES);
    let host = f.host.clone().filter(|_| known && f.srs_known)?;
    f.knows::<Pbd>(Side::Joiner, &["other_config"], "what PBDs lose");
    let (pool, joiner) = (f.pool, f.joiner);
    // The SRs that this host has a PBD for, by the pool's SR.
    let mut taken: HashMap<Ref<Sr>, Ref<Pbd>> = HashMap::new();
    if let Ok(host) = &host {
        let existing = pool.pbd.iter().filter(|(_, pbd)| pbd.host == *host);
        taken.extend(existing.map(|(reference, pbd)| (pbd.SR.clone(), reference.clone())));
    }
    let mut fates = Vec::new();
    for (reference, pbd) in joiner.pbd.iter().rev() {
        let sr = joiner.sr.get(&pbd.SR);
        let name = sr.map_or_else(|| pbd.SR.to_string(), |sr| sr.name_label.clone());
        let outcome = if pool.pbd.by_uuid(&pbd.uuid).is_some() {
            CopyOutcome::Known
        } else {
            match new_pbd(f, &host, pbd, &taken) {
                Ok(new) => {
                    taken.insert(new.SR.clone(), joined(reference));
                    f.changes.add(joined(reference), new);
                    if !pbd.other_config.is_empty() {
                        f.lose_field(pbd, &name, "other_config", &pbd.other_config);
                    }
                    CopyOutcome::Created
                }
                Err(fault) => {
                    f.swallowed.extend(fault.clone());
                    if fault.as_ref().is_none_or(|fault| fault.code != "PBD_EXISTS") {
                        let why = fault.as_ref().map(Fault::to_string).unwrap_or_default();
                        f.lose(pbd, &name, None, why);
                    }
                    CopyOutcome::Refused(fault)
                }
            }
        };
        fates.push(PbdFate { uuid: pbd.uuid.clone(), sr: name, outcome });
    }
    Some(fates)
}

/// The new PBD, or what refuses it; tests in the server's order.
fn new_pbd(
    f: &Forecast<'_>,
    host: &Result<Ref<Host>, Fault>,
    pbd: &Pbd,
    taken: &HashMap<Ref<Sr>, Ref<Pbd>>,
) -> Result<Pbd, Option<Fault>> {
    let host = host.as_ref().map_err(|fault| Some(fault.clone()))?;
    let sr = f.joiner.sr.get(&pbd.SR).ok_or(None)?;
    let there = f.srs.get(&pbd.SR).ok_or_else(|| Some(no_tools_sr(sr)))?;
    if let Some(existing) = taken.get(there) {
        let params = [there.to_string(), host.to_string(), existing.to_string()];
        return Err(Some(Fault::new("PBD_EXISTS", params)));
    }
    if let Some(master) = pbd.device_config.get("SRmaster") {
        let params = ["SRmaster", master, "This key is for internal use only"];
        return Err(Some(Fault::new("VALUE_NOT_SUPPORTED", params)));
    }
    // The master is to copy the secret that the key names, and knows only its own.
    let secret = pbd.device_config.iter().find(|(key, _)| key.ends_with("password_secret"));
    if let Some((_, uuid)) = secret {
        return Err(Some(Fault::new("UUID_INVALID", ["secret", uuid])));
    }
    let mut new = pbd.clone();
    new.absent.insert(place::<Pbd>("uuid"));
    new.uuid = Uuid::default();
    new.host = host.clone();
    new.SR = there.clone();
    new.currently_attached = false;
    new.other_config.clear();
    Ok(new)
}

/// `create_or_get_vdi_on_master`, `VDI.pool_introduce`.
pub(super) fn vdis(f: &mut Forecast<'_>) -> Option<Vec<VdiFate>> {
    const HIDES: &str = "which VDIs appear";
    let known = f.knows::<Vdi>(Side::Joiner, &["uuid", "SR", "location"], HIDES)
        & f.knows::<Vdi>(Side::Pool, &["uuid", "SR", "location"], HIDES);
    if !known || !f.srs_known {
        return None;
    }
    f.knows::<Vdi>(Side::Joiner, &["name_label", "tags"], "what disks are and lose");
    let (pool, joiner) = (f.pool, f.joiner);
    // Locations are unique within a SR; only SRs that both sides have can clash.
    let both: HashSet<_> = f.srs.values().filter(|sr| pool.sr.get(sr).is_some()).cloned().collect();
    let mut locations: HashSet<(Ref<Sr>, &str)> = HashSet::new();
    let kept: BTreeSet<_> = pool
        .sr
        .iter()
        .filter(|(reference, sr)| sr.content_type == "iso" || both.contains(*reference))
        .map(|(reference, _)| reference)
        .collect();
    f.old_vdis = pool.vdi.iter().filter(|(_, vdi)| kept.contains(&vdi.SR)).collect();
    let there = f.old_vdis.iter().filter(|(_, vdi)| both.contains(&vdi.SR));
    locations.extend(there.map(|(_, vdi)| (vdi.SR.clone(), vdi.location.as_str())));
    let mut fates = Vec::new();
    for (reference, vdi) in joiner.vdi.iter().rev() {
        let sr = joiner.sr.get(&vdi.SR);
        let name = sr.map_or_else(|| vdi.SR.to_string(), |sr| sr.name_label.clone());
        let place = f.srs.get(&vdi.SR).cloned();
        let outcome = match (sr, place) {
            (None, _) => CopyOutcome::Refused(None),
            (Some(sr), None) => CopyOutcome::Refused(Some(no_tools_sr(sr))),
            _ if pool.vdi.by_uuid(&vdi.uuid).is_some() => CopyOutcome::Known,
            (_, Some(there)) => {
                if locations.insert((there.clone(), &vdi.location)) {
                    if f.whole {
                        f.changes.add(joined(reference), introduced_vdi(vdi, there.clone()));
                    }
                    f.new_vdis.push((reference, vdi, there));
                    if !vdi.tags.is_empty() {
                        f.lose_field(vdi, &vdi.name_label, "tags", &vdi.tags);
                    }
                    CopyOutcome::Created
                } else {
                    let params = [there.to_string(), vdi.location.clone()];
                    CopyOutcome::Refused(Some(Fault::new("LOCATION_NOT_UNIQUE", params)))
                }
            }
        };
        if let CopyOutcome::Refused(Some(fault)) = &outcome {
            f.swallowed.push(fault.clone());
        }
        let (uuid, name_label) = (vdi.uuid.clone(), vdi.name_label.clone());
        fates.push(VdiFate { uuid, name_label, sr: name, outcome });
    }
    Some(fates)
}

fn introduced_vdi(vdi: &Vdi, sr: Ref<Sr>) -> Vdi {
    let mut new = vdi.clone();
    new.SR = sr;
    new.VBDs.clear();
    new.missing = false;
    new.tags.clear();
    new.is_tools_iso = false;
    // `snapshot_of` is sent as it is: the joiner's ref, which leads nowhere in the pool.
    new
}
