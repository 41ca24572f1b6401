//! A diagnosis in words, for somebody who was woken up by it.

use std::fmt;

use super::answer::{Contact, HostAnswer};
use super::classify::{is_in_order, presumed_master};
use super::emergency::{self, Place};
use super::report::HostReport;
use super::state::PoolState;
use super::whole::{Diagnosis, Records};
use crate::election::HostRole;

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(pool) = &self.pool {
            write!(f, " ({pool})")?;
        }
        writeln!(f, ": {}", self.state)?;
        let width = self.hosts.iter().map(|host| host.label().chars().count()).max().unwrap_or(0);
        for host in &self.hosts {
            writeln!(f, "  {:<width$}  {}: {host}", host.label(), host.said.endpoint)?;
        }
        let ha = match self.ha_enabled {
            Some(true) => "HA is enabled in the pool",
            Some(false) => "HA is disabled in the pool",
            None => "whether HA is enabled is not known",
        };
        let records = match &self.records {
            Records::Master { .. } => String::from("as the master says"),
            Records::None => String::from("no records"),
            Records::Snapshot { age: Some(age), .. } => {
                format!("by records that are {} old", duration(*age))
            }
            Records::Snapshot { age: None, .. } => String::from("by the last records"),
        };
        write!(f, "{ha} ({records})")?;
        for note in &self.notes {
            write!(f, "\nnote: {note}")?;
        }
        for (n, advice) in self.advice.iter().enumerate() {
            write!(f, "\n{}. {advice}", n + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for HostAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.contact {
            Contact::Answers => f.write_str("answers")?,
            Contact::Busy { .. } => f.write_str("takes logins, but does not answer in time")?,
            Contact::Forbidden { .. } => f.write_str("refuses user or password")?,
            Contact::Refuses { .. } => f.write_str("refuses connections")?,
            Contact::Silent { .. } => {
                write!(f, "does not answer within {} s", self.took.as_secs().max(1))?;
            }
            Contact::Starting => f.write_str("is starting")?,
            Contact::Strange { why } => write!(f, "answers oddly: {why}")?,
            Contact::Untrusted { .. } => f.write_str("shows a certificate that is not trusted")?,
        }
        match &self.role {
            Some(HostRole::Master) => f.write_str(", is master")?,
            Some(HostRole::Slave(address)) => write!(f, ", follows {address}")?,
            Some(HostRole::Broken) => {
                f.write_str(", has lost its role or follows a host that has")?;
            }
            None => {}
        }
        match (self.emergency_mode, &self.emergency_error) {
            (Some(true), Some(error)) if self.contact != Contact::Starting => {
                write!(f, ", in emergency mode: {error}")?;
            }
            (Some(true), _) if self.contact != Contact::Starting => {
                f.write_str(", in emergency mode")?;
            }
            _ => {}
        }
        match self.ha_armed {
            Some(true) => f.write_str(", HA armed")?,
            Some(false) => f.write_str(", HA not armed")?,
            None => {}
        }
        Ok(())
    }
}

impl fmt::Display for HostReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.said)?;
        if let Some(version) = &self.version {
            write!(f, ", toolstack {version}")?;
        }
        match self.belongs {
            Some(false) => f.write_str(", of another pool"),
            None if self.name.is_none() => f.write_str(", not known to belong to the pool"),
            _ => Ok(()),
        }
    }
}

/// What to do, in order.
pub(super) fn advice(diagnosis: &Diagnosis) -> Vec<String> {
    let mut lines: Vec<String> = match &diagnosis.state {
        PoolState::Healthy => Vec::new(),
        PoolState::Astray { .. } => astray(diagnosis),
        PoolState::MasterStarting { master } => vec![
            format!("Wait: a toolstack is back in a minute or two, a host that boots in ten."),
            format!(
                "If it does not come back, look at {master} itself (console, management board): \
                 its VMs may well run. Do not promote another host while its machine is on."
            ),
        ],
        PoolState::MasterAwayUnderHa { master } => vec![
            format!(
                "Wait some minutes: the survivors elect a master by themselves, and fence {master} \
                 if they must."
            ),
            String::from(
                "Do not promote anybody by hand. If nothing happens, look whether the survivors \
                 still reach the HA storage.",
            ),
        ],
        PoolState::MasterAway { master } => vec![
            format!(
                "Look at {master} itself (console, management board, a neighbour's network): is it \
                 off, or only cut off from here?"
            ),
            format!("If it runs, mend the network or restart its toolstack; promote nobody."),
            format!(
                "If it is dead, switch it off and keep it off, then recover: plan::recovery with \
                 that confirmation, and operations::recover."
            ),
        ],
        PoolState::NoMaster { .. } => vec![
            String::from("Wait two minutes and ask again: a change of master may be under way."),
            String::from(
                "If it stays so, promote the host that was meant to be master, or the best of \
                 election::emergency.",
            ),
        ],
        PoolState::HalfHandedOver { broken } => vec![
            String::from("Wait two minutes and ask again: the hosts may still be changing roles."),
            format!(
                "If it stays so, promote {} in an emergency (they have the newest database), best \
                 the one that was to be master, and point the others to it: operations::recover \
                 does both.",
                broken.join(" or ")
            ),
        ],
        PoolState::TwoMasters { masters } => vec![
            format!(
                "Start nothing, stop nothing that writes to shared storage: VMs may run twice. \
                 Keep people from working on {}.",
                masters.join(" and ")
            ),
            String::from(
                "Decide which of them has the newer records, switch the other one off, and only \
                 then point the members to the first (pool.recover_slaves there).",
            ),
        ],
        PoolState::NotAsked => vec![String::from(
            "Mend what keeps the hosts from being asked: password, certificate, address.",
        )],
        PoolState::NobodyAnswers => vec![String::from(
            "Look at the network between here and the hosts first, then at their power.",
        )],
    };
    let state = &diagnosis.state;
    if matches!(
        state,
        PoolState::MasterAwayUnderHa { .. }
            | PoolState::MasterAway { .. }
            | PoolState::NoMaster { .. }
    ) {
        let (of_master, of_members) = out_of_emergency(diagnosis);
        match (of_master, state) {
            // Whoever would wait for HA waits in vain: HA waits for this.
            (Some(advice), PoolState::MasterAwayUnderHa { .. }) => lines = vec![advice],
            (Some(advice), _) => lines.insert(0, advice),
            (None, _) => {}
        }
        lines.extend(of_members);
    }
    lines
}

/// What leads hosts out of emergency mode where no master leads: who should be it comes first.
fn out_of_emergency(diagnosis: &Diagnosis) -> (Option<String>, Vec<String>) {
    let master = presumed_master(diagnosis);
    // What else members say follows from there being no master.
    let others = diagnosis.hosts.iter().filter(|host| {
        host.belongs != Some(false)
            && host.said.tells_of_ha()
            && !master.is_some_and(|master| std::ptr::eq(master, *host))
    });
    let of_master = master.and_then(|master| emergency::advice(master, Place::Master));
    (of_master, others.filter_map(|host| emergency::advice(host, Place::Member(None))).collect())
}

fn astray(diagnosis: &Diagnosis) -> Vec<String> {
    let mut lines = Vec::new();
    let astray = diagnosis.hosts.iter().filter(|host| {
        host.belongs != Some(false)
            && host.said.role != Some(HostRole::Master)
            && !is_in_order(host, diagnosis)
    });
    for host in astray {
        let label = host.label();
        let has_record = diagnosis.records.is_of_master().then(|| host.uuid.is_some());
        if let Some(advice) = emergency::advice(host, Place::Member(has_record)) {
            lines.push(advice);
            continue;
        }
        match (&host.said.contact, &host.said.role) {
            (Contact::Starting, _) => {
                lines.push(format!("Wait for {label}, which is starting."));
            }
            (_, Some(HostRole::Broken)) => lines.push(format!(
                "Point {label} to the master: pool.recover_slaves on the master, or \
                 operations::recover."
            )),
            (Contact::Answers, Some(HostRole::Slave(_))) if host.belongs == Some(true) => {
                lines.push(format!("Wait for {label}: it is looking for the master."));
            }
            (Contact::Answers, _) => lines.push(format!(
                "Point {label} to the master: pool.recover_slaves on the master, or \
                 operations::recover."
            )),
            (Contact::Silent { .. } | Contact::Refuses { .. }, _) => lines.push(format!(
                "Look at {label}: the master counts it dead ten minutes after it last heard of it."
            )),
            _ => {}
        }
    }
    lines
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}
