//! One step of a plan.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::actions::{Action, Condition, Loss, Side};
use crate::model::{Host, Ref};
use crate::text::{line, plain};

/// One thing to do, on one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// Whose server is asked.
    pub side: Side,
    /// What is done.
    pub work: Work,
    /// What is done, in words.
    pub summary: String,
    /// The rules that ask for it.
    pub because: Vec<String>,
    /// What is gone for good afterwards.
    pub destroys: Vec<Loss>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Work {
    /// One call that brings a condition about.
    Act {
        /// The call.
        action: Action,
    },
    /// Waits until the host that left answers as a pool of its own.
    Alone {
        /// The address that it had in the pool.
        address: String,
    },
    /// `pool.designate_new_master`
    Designate {
        /// The new master.
        host: Ref<Host>,
    },
    /// `pool.eject`
    Eject {
        /// The host that leaves.
        host: Ref<Host>,
    },
    /// `host.evacuate`: the host's VMs move to others.
    Evacuate {
        /// The host that is emptied.
        host: Ref<Host>,
    },
    /// Waits until the host is master, and all others follow it, live and enabled.
    Follow {
        /// The new master's address.
        address: String,
    },
    /// Waits until the new master answers as the pool's master.
    AwaitMaster,
    /// Sees that every member follows the new master, is live and enabled.
    CheckRoles,
    /// `host.declare_dead` of the old master.
    DeclareDead,
    /// `pool.join` on the joiner, or `pool.join_force`.
    Join {
        /// Whether `pool.join_force` is called.
        force: bool,
    },
    /// `pool.emergency_transition_to_master` on the host.
    Promote {
        /// Where the host is.
        address: String,
    },
    /// `pool.recover_slaves` on the new master.
    RecoverMembers,
    /// `host.reboot`
    Reboot {
        /// The host that reboots.
        host: Ref<Host>,
        /// When it booted last, as its record says: a later boot is the one that was asked for.
        boot_time: Option<String>,
    },
    /// Waits until the host is live with its storage attached, after another boot.
    Return,
    /// Waits until the host is a live, enabled member with its storage attached.
    ///
    /// Then what the pool has is compared with what was foretold.
    Settle,
}

/// Something in the way that only a person, or more evidence, can remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unsolved {
    /// The rule.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// What a person can do.
    pub by_person: String,
}

impl Unsolved {
    pub(super) fn new(rule: &str, message: String, by_person: &str) -> Self {
        Self { rule: rule.to_owned(), message: line(message), by_person: by_person.to_owned() }
    }
}

impl Step {
    pub(super) fn new(side: Side, work: Work, summary: impl Into<String>) -> Self {
        Self {
            side,
            work,
            summary: line(summary.into()),
            because: Vec::new(),
            destroys: Vec::new(),
        }
    }

    /// What must hold on its side before it runs.
    pub fn preconditions(&self) -> Vec<Condition> {
        self.work.row().before
    }

    /// What holds on its side afterwards; if it holds already there is nothing to do.
    ///
    /// Missing where that is more than one object's state: it is in the summary then.
    pub fn effect(&self) -> Option<Condition> {
        self.work.row().after
    }

    /// What takes it back, where something does.
    pub fn undo(&self) -> Option<Action> {
        self.work.row().undo
    }
}

/// What a snapshot can say of a kind of work. Each states every column.
struct Row {
    before: Vec<Condition>,
    after: Option<Condition>,
    undo: Option<Action>,
}

impl Work {
    fn row(&self) -> Row {
        let live = |host: &Ref<Host>| Condition::HostLive { host: host.clone(), live: true };
        let at_rest = |host: &Ref<Host>| {
            vec![live(host), Condition::HaEnabled { enabled: false }, Condition::NotUpdating]
        };
        match self {
            Self::Act { action } => Row {
                before: action.preconditions(),
                after: Some(action.effect()),
                undo: action.undo(),
            },
            Self::Designate { host } => Row { before: at_rest(host), after: None, undo: None },
            Self::Eject { host } => {
                Row { before: at_rest(host), after: Some(Condition::gone(host)), undo: None }
            }
            Self::Evacuate { host } => Row { before: vec![live(host)], after: None, undo: None },
            Self::Reboot { host, boot_time: _ } => Row {
                before: vec![
                    Condition::HostEnabled { host: host.clone(), enabled: false },
                    Condition::HostEmpty { host: host.clone() },
                ],
                after: None,
                undo: None,
            },
            // Whether these may run is asked of a rule set or of the hosts themselves.
            Self::DeclareDead
            | Self::Join { force: _ }
            | Self::Promote { address: _ }
            | Self::RecoverMembers => Row { before: vec![], after: None, undo: None },
            // These only look.
            Self::Alone { address: _ }
            | Self::AwaitMaster
            | Self::CheckRoles
            | Self::Follow { address: _ }
            | Self::Return
            | Self::Settle => Row { before: vec![], after: None, undo: None },
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.side, plain(&self.summary))?;
        if !self.because.is_empty() {
            write!(f, " [{}]", self.because.join(", "))?;
        }
        if !self.destroys.is_empty() {
            f.write_str(" DESTROYS")?;
        }
        Ok(())
    }
}

impl fmt::Display for Unsolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", plain(&self.rule), plain(&self.message))?;
        if !self.by_person.is_empty() {
            write!(f, " By hand: {}", plain(&self.by_person))?;
        }
        Ok(())
    }
}
