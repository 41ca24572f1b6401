//! What a plan is for, and what it is about.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Impact;
use super::carried::{self, LeftBehind};
use crate::election::Confirmation;
use crate::model::{Host, Object, Pool, Record, Ref, Uuid};
use crate::preflight::Options;
use crate::text::plain;

/// What a plan is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Purpose {
    /// The host leaves the pool.
    Eject {
        /// What goes with it.
        impact: Impact,
    },
    /// The host becomes the pool's master.
    HandOver {
        /// The hosts that have to be with it afterwards.
        members: Vec<Member>,
        /// What speaks against it, but does not rule it out.
        warnings: Vec<String>,
        /// What a person takes responsibility for although it is not known.
        confirmed: BTreeSet<Confirmation>,
    },
    /// The host becomes a member of the pool.
    Join {
        /// What the preflight was asked, and is asked again before the join.
        options: Options,
        /// The joiner's objects that the pool will have.
        #[serde(default)]
        brings: Vec<Object>,
        /// What of the joiner's the pool will not have, and nobody is asked about.
        #[serde(default)]
        left_behind: Vec<LeftBehind>,
    },
    /// The host is emptied, rebooted and put back to work.
    Maintenance {
        /// The VMs that move.
        moves: Vec<Move>,
    },
    /// The host becomes master in place of one that died, or that lost its role.
    Recovery {
        /// The master that died, if there was one.
        ///
        /// Nobody is master after a hand-over that failed half-way.
        old_master: Option<Subject>,
        /// Whether that host is proven to be off, or a person says so.
        old_master_is_off: bool,
        /// What a person takes responsibility for.
        confirmed: BTreeSet<Confirmation>,
    },
}

/// A pool or host that a plan is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Subject {
    /// Its uuid, which outlives its refs.
    pub uuid: Uuid,
    /// Its name, or what comes nearest.
    pub name: String,
}

/// A host that has to follow a new master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Member {
    /// Its ref.
    pub host: Ref<Host>,
    /// Its uuid.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Whether it accepts VMs, and should again afterwards.
    pub enabled: bool,
}

/// A VM that moves, and where it is likely to go: the server chooses by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Move {
    /// The VM.
    pub vm: Object,
    /// The host, by name.
    pub to: String,
}

impl Purpose {
    /// What is printed of it beside its name and the steps.
    pub(super) fn details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eject { impact } => write!(f, "{impact}"),
            Self::HandOver { members, warnings, confirmed } => {
                hand_over_details(members, warnings, confirmed, f)
            }
            Self::Maintenance { moves } => {
                moves.iter().try_for_each(|vm| writeln!(f, "      {vm}"))
            }
            Self::Join { brings, left_behind, .. } => carried::write(brings, left_behind, f),
            Self::Recovery { .. } => Ok(()),
        }
    }

    /// Its name, as in JSON.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Eject { .. } => "eject",
            Self::HandOver { .. } => "hand-over",
            Self::Join { .. } => "join",
            Self::Maintenance { .. } => "maintenance",
            Self::Recovery { .. } => "recovery",
        }
    }
}

impl Subject {
    pub(super) fn new<T: Record>(record: &T, reference: &Ref<T>, name: &str) -> Self {
        let name = if name.is_empty() { reference.short().into_owned() } else { name.to_owned() };
        Self { uuid: record.uuid().clone(), name }
    }

    /// A pool, named after its master if it has no name.
    pub(super) fn pool(pool: &Pool, reference: &Ref<Pool>, master: &Host) -> Self {
        match pool.name_label.as_str() {
            "" => Self::new(pool, reference, &format!("the pool of {}", master.name_label)),
            name => Self::new(pool, reference, name),
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Self::Recovery { old_master: Some(old), .. } => write!(f, " from the loss of {old}"),
            Self::Recovery { old_master: None, .. } => {
                f.write_str(" from a hand-over that failed half-way")
            }
            Self::Eject { .. }
            | Self::HandOver { .. }
            | Self::Join { .. }
            | Self::Maintenance { .. } => Ok(()),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", plain(&self.name), plain(&self.uuid))
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} moves, to {} as it seems", self.vm, plain(&self.to))
    }
}

fn hand_over_details(
    members: &[Member],
    warnings: &[String],
    confirmed: &BTreeSet<Confirmation>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    warnings.iter().try_for_each(|warning| writeln!(f, "      warning: {}", plain(warning)))?;
    let name = |host: &Ref<Host>| match members.iter().find(|member| member.host == *host) {
        Some(member) => plain(&member.name).to_string(),
        None => "another host".to_owned(),
    };
    confirmed
        .iter()
        .map(|confirmed| confirmed.in_words(name))
        .try_for_each(|words| writeln!(f, "      confirmed: {words}"))
}
