//! The members of a pool with everything that speaks for and against them, looked up once.

use std::collections::{BTreeMap, BTreeSet};

use super::decision::{Candidate, Eligibility, Majority};
use super::evidence::{HostEvidence, HostRole, PoolEvidence};
use super::reason::{Reason, Weight};
use crate::error::Result;
use crate::model::{Host, IpConfigurationMode, Pool, Ref, Snapshot, Sr, Vm};

/// Major and minor number of a host's toolstack: all that members compare.
type Release = (u64, u64);

pub(super) struct Survey<'a> {
    pub snapshot: &'a Snapshot,
    pub pool: &'a Pool,
    /// By uuid, which is the last word in every ranking.
    pub members: Vec<Member<'a>>,
    /// Into `members`; missing if `pool.master` leads nowhere, or nobody is master.
    pub master: Option<usize>,
    /// Whether nobody is master by the word of who should be.
    pub leaderless: bool,
}

pub(super) struct Member<'a> {
    pub reference: &'a Ref<Host>,
    pub host: &'a Host,
    pub evidence: HostEvidence,
    pub live: Option<bool>,
    pub release: Option<Release>,
    /// How many shared storage repositories it is attached to.
    pub attached: usize,
    /// Shared storage repositories that it is not attached to.
    pub detached: Vec<&'a Ref<Sr>>,
    /// Whether its management address is leased.
    pub leased: bool,
}

impl<'a> Survey<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, evidence: &PoolEvidence) -> Result<Self> {
        let (_, pool) = snapshot.the_pool()?;
        let shared: BTreeSet<&Ref<Sr>> = snapshot
            .sr
            .iter()
            .filter(|(_, sr)| sr.shared)
            .map(|(reference, _)| reference)
            .collect();
        let mut attached = BTreeMap::<&Ref<Host>, BTreeSet<&Ref<Sr>>>::new();
        for pbd in snapshot.pbd.records() {
            if pbd.currently_attached && shared.contains(&pbd.SR) {
                attached.entry(&pbd.host).or_default().insert(&pbd.SR);
            }
        }
        let leased: BTreeSet<&Ref<Host>> = snapshot
            .pif
            .records()
            .filter(|pif| pif.management && pif.ip_configuration_mode == IpConfigurationMode::Dhcp)
            .map(|pif| &pif.host)
            .collect();
        let mut members: Vec<Member> = snapshot
            .host
            .iter()
            .map(|(reference, host)| {
                let on = attached.get(reference);
                let release = host.xapi_version();
                Member {
                    reference,
                    host,
                    evidence: evidence.of(reference),
                    live: snapshot.is_live(reference),
                    release: release.map(|version| (version.major(), version.minor())),
                    attached: on.map_or(0, BTreeSet::len),
                    detached: shared
                        .iter()
                        .filter(|sr| on.is_none_or(|on| !on.contains(*sr)))
                        .copied()
                        .collect(),
                    leased: leased.contains(reference),
                }
            })
            .collect();
        members.sort_by(|a, b| a.host.uuid.cmp(&b.host.uuid).then(a.reference.cmp(b.reference)));
        let master = members.iter().position(|member| *member.reference == pool.master);
        Ok(Self { snapshot, pool, members, master, leaderless: false })
    }

    /// The survey by what hosts say of themselves, which is newer than the snapshot.
    ///
    /// The master is whom the recorded one follows. Nobody is if that host has lost its role, or
    /// follows one that has: a hand-over failed half-way (`xapi_pool_transition.ml:148-192`), and
    /// whoever agreed to it never takes itself for the master again.
    pub(super) fn by_their_word(mut self) -> Self {
        // Whoever follows each other in a circle is found out after a round.
        for _ in 0..self.members.len() {
            match self.master().and_then(|master| self.followed_by(master)) {
                Some(followed) => self.master = Some(followed),
                None => break,
            }
        }
        if self.master().is_some_and(|master| master.evidence.role == Some(HostRole::Broken)) {
            self.master = None;
            self.leaderless = true;
        }
        self
    }

    /// The member that another one says it follows.
    fn followed_by(&self, member: &Member<'_>) -> Option<usize> {
        let Some(HostRole::Slave(address)) = &member.evidence.role else { return None };
        self.members.iter().position(|other| !address.is_empty() && other.host.address == *address)
    }

    /// The master in the database, if it is one of the hosts.
    pub(super) fn master(&self) -> Option<&Member<'a>> {
        self.master.and_then(|master| self.members.get(master))
    }

    pub(super) fn is_master(&self, member: &Member<'_>) -> bool {
        self.master().is_some_and(|master| master.reference == member.reference)
    }

    pub(super) fn majority(&self) -> Majority {
        let answering = self.members.iter().filter(|m| m.evidence.answers() == Some(true)).count();
        Majority { answering, members: self.members.len() }
    }

    /// The address of another master than the pool's that a member follows.
    pub(super) fn follows_another<'m>(&self, member: &'m Member<'_>) -> Option<&'m str> {
        let Some(HostRole::Slave(address)) = &member.evidence.role else { return None };
        let followed = self.followed_by(member).and_then(|followed| self.members.get(followed));
        match followed.and_then(|followed| followed.evidence.role.as_ref()) {
            // Who says himself that he leads nobody is no master.
            Some(HostRole::Broken) => return None,
            Some(HostRole::Slave(_)) if self.leaderless => return None,
            _ if self.leaderless => return Some(address),
            _ => {}
        }
        let known = self.master().map(|master| master.host.address.as_str())?;
        (!known.is_empty() && known != address).then_some(address)
    }

    /// Hosts, the master aside, that say they are master or follow another one.
    pub(super) fn other_masters(&self) -> Vec<&Member<'a>> {
        self.members
            .iter()
            .filter(|member| !self.is_master(member))
            .filter(|m| m.evidence.claims_mastership() || self.follows_another(m).is_some())
            .collect()
    }

    /// The newest of the members that `counts` selects.
    pub(super) fn newest(&self, counts: impl Fn(&Member<'a>) -> bool) -> Option<&Member<'a>> {
        let counted = self.members.iter().filter(|member| counts(member));
        counted.filter(|member| member.release.is_some()).max_by_key(|member| member.release)
    }

    /// What any tool would hold against a host, whatever the mode.
    pub(super) fn reasons(&self, member: &Member<'a>) -> Vec<Reason> {
        let evidence = &member.evidence;
        let mut reasons = Vec::new();
        let mut add = |condition: bool, reason: Reason| {
            if condition {
                reasons.push(reason);
            }
        };
        add(evidence.powered_off == Some(true), Reason::Off);
        add(evidence.vetoed, Reason::Vetoed);
        add(evidence.ha_armed == Some(true), Reason::HaArmed);
        add(evidence.answers() == Some(false), Reason::Unreachable);
        add(evidence.answers().is_none(), Reason::ReachabilityUnknown);
        add(evidence.claims_mastership() && !self.is_master(member), Reason::ClaimsMastership);
        add(!member.host.enabled, Reason::Disabled);
        let guidance = member.host.pending_guidances.as_ref().is_some_and(|list| !list.is_empty());
        add(guidance, Reason::GuidancePending);
        add(!member.host.current_operations.is_empty(), Reason::Busy);
        add(member.leased, Reason::AddressMayChange);
        if let Some(address) = self.follows_another(member) {
            add(true, Reason::FollowsAnother { address: address.to_owned() });
        }
        let unreached: Vec<Ref<Host>> = evidence
            .reaches
            .iter()
            .filter(|(_, reaches)| !**reaches)
            .map(|(host, _)| host.clone())
            .collect();
        add(!unreached.is_empty(), Reason::PeersOutOfReach { members: unreached });
        let srs: Vec<Ref<Sr>> = member.detached.iter().map(|sr| (*sr).clone()).collect();
        add(srs.is_empty() && member.attached > 0, Reason::AllStorageAttached);
        add(!srs.is_empty(), Reason::StorageDetached { srs });
        reasons
    }

    /// How a host's version stands against that of members who would have to follow it.
    ///
    /// A member refuses to start under a master with an older toolstack (`xapi.ml:445-485`).
    pub(super) fn version_reason(
        &self,
        member: &Member<'a>,
        follows: impl Fn(&Member<'a>) -> bool,
    ) -> Reason {
        let follows = |other: &Member<'a>| other.reference == member.reference || follows(other);
        let newest = self.newest(follows);
        let unknown = self.members.iter().any(|other| follows(other) && other.release.is_none());
        match (newest, member.release) {
            (Some(newest), Some(own)) if newest.release > Some(own) => Reason::OlderThanMember {
                member: newest.reference.clone(),
                newest: version(newest.release),
                own: version(Some(own)),
            },
            _ if unknown => Reason::VersionUnknown,
            _ => Reason::NewestVersion,
        }
    }

    /// VMs that the database shows on a host, control domains aside.
    pub(super) fn vms_on(&self, host: &Ref<Host>) -> Vec<Ref<Vm>> {
        let on = |vm: &Vm| vm.resident_on == *host && !vm.is_control_domain;
        let vms = self.snapshot.vm.iter().filter(|(_, vm)| on(vm));
        vms.map(|(reference, _)| reference.clone()).collect()
    }
}

fn version(release: Option<Release>) -> crate::model::Version {
    let (major, minor) = release.unwrap_or_default();
    crate::model::Version::of(major, minor)
}

/// Whether anything blocks the host, or only waits for a person.
pub(super) fn eligibility(
    host: &Ref<Host>,
    reasons: &[Reason],
    evidence: &PoolEvidence,
) -> Eligibility {
    if reasons.iter().any(|reason| reason.weight() == Weight::Blocks) {
        return Eligibility::No;
    }
    let open = reasons.iter().any(|reason| {
        reason.confirmation(host).is_some_and(|confirmation| !evidence.is_confirmed(&confirmation))
    });
    if open { Eligibility::IfConfirmed } else { Eligibility::Yes }
}

/// The best eligible candidate.
pub(super) fn best(ranked: &[Candidate]) -> Option<&Candidate> {
    ranked.first().filter(|candidate| candidate.eligible == Eligibility::Yes)
}
