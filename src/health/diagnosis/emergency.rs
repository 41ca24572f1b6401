//! Why a host is in emergency mode, and what leads out of it.
//!
//! One row for each reason that XAPI gives itself (`emergency_mode_error` in `ocaml/xapi`, v26.13);
//! any other error of a call to the master may be handed on, too.

use super::report::HostReport;

/// A reason, with what to do about a member that gives it, and about a master if that differs.
struct Reason {
    code: &'static str,
    member: &'static str,
    master: Option<&'static str>,
}

/// `{}` stands for the host.
const REASONS: &[Reason] = &[
    Reason { code: "HOST_STILL_BOOTING", member: "Wait for {}, which is starting.", master: None },
    Reason {
        code: "HOST_HAS_NO_MANAGEMENT_IP",
        member: "Give {} an address on its management network: mend cable, switch or DHCP server, \
                 or set another interface there (xe host-management-reconfigure).",
        master: None,
    },
    Reason {
        code: "HOST_ITS_OWN_SLAVE",
        member: "{} is told to follow itself: tell it the master's address (xe \
                 pool-emergency-reset-master there).",
        master: Some(
            "{} is told to follow itself: promote it (xe pool-emergency-transition-to-master \
             there), or tell it another master's address.",
        ),
    },
    Reason {
        code: "HOST_MASTER_CANNOT_TALK_BACK",
        member: "Mend the network from the master to {}: it hears the master, but is not heard.",
        master: Some("Mend the network to {}: it hears the master, but is not heard."),
    },
    Reason {
        code: "HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR",
        member: "Update the master: {} runs a newer toolstack and refuses to follow it.",
        master: None,
    },
    Reason {
        code: "HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED",
        member: "HA is enabled in the pool, but was disarmed on {}, which stays out of it: \
                 disable HA in the pool (xe pool-ha-disable), restart the toolstack of {}, and \
                 enable HA anew.",
        master: Some(
            "HA is enabled in the pool, but was disarmed on {}: restart its toolstack, which \
             disables HA in the pool's records, and enable HA anew.",
        ),
    },
    Reason {
        code: "HA_HOST_CANNOT_ACCESS_STATEFILE",
        member: "Mend the path of {} to HA's storage: it cannot read the state file, and tries \
                 again every ten seconds. Until then no call changes its master, as HA is armed; \
                 if the storage is lost for good: xe host-emergency-ha-disable --force there.",
        master: Some(
            "Promote nobody: HA is armed, and promotion is refused. Mend the path of {} to \
             HA's storage; if that is lost for good, xe host-emergency-ha-disable --force on \
             {} first, then on the members, and enable HA anew.",
        ),
    },
    Reason {
        code: "HA_HEARTBEAT_DAEMON_STARTUP_FAILED",
        member: "Look why HA's daemon does not start on {} (/var/log/xha.log): the heartbeat \
                 network, the state file, its configuration. It is tried again every ten seconds; \
                 to give HA up there: xe host-emergency-ha-disable --force.",
        master: Some(
            "Promote nobody while HA is armed. Look why HA's daemon does not start on {} \
             (/var/log/xha.log); to give HA up: xe host-emergency-ha-disable --force on {} \
             first, then on the members.",
        ),
    },
    Reason {
        code: "HOST_BROKEN",
        member: "Point {} to the master: pool.recover_slaves on the master, or \
                 operations::recover.",
        master: Some(
            "{} has lost its role in a hand-over: promote it or another host in an emergency, \
             and point the others there: operations::recover does both.",
        ),
    },
];

/// What a host in emergency mode is to the others.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// A member; whether the pool's master has a record of it, where that is known.
    Member(Option<bool>),
    /// Who should be the master.
    Master,
}

/// What to do about a host, by the reason that it gives for its emergency mode.
///
/// A member that only looks for its master gives none.
pub(super) fn advice(host: &HostReport, place: Place) -> Option<String> {
    let error =
        host.said.emergency_error.as_ref().filter(|_| host.said.emergency_mode == Some(true))?;
    let label = host.label();
    Some(match (error.code.as_str(), place) {
        ("HOST_IS_SLAVE", _) => return None,
        ("HOST_UNKNOWN_TO_MASTER", Place::Member(has_record)) => {
            unknown_to_master(label, has_record)
        }
        (code, _) => match REASONS.iter().find(|reason| reason.code == code) {
            Some(Reason { master: Some(text), .. }) if matches!(place, Place::Master) => {
                text.replace("{}", label)
            }
            Some(reason) => reason.member.replace("{}", label),
            None => format!(
                "{label} is in emergency mode, and what {code} means there is not known: it tries \
                 again by itself; if that does not help, look into its log \
                 (/var/log/xensource.log)."
            ),
        },
    })
}

/// One error says that there is no record of the host, or that its pool secret is refused.
fn unknown_to_master(label: &str, has_record: Option<bool>) -> String {
    let reinstall = "it cannot join as it is. Switch it off if its VMs may have been started \
                     elsewhere, reinstall it, and let it join anew";
    match has_record {
        Some(true) => format!(
            "{label} has another pool secret than the master, which has it on record: copy \
             /etc/xensource/ptoken from the master to it and restart its toolstack, or reinstall \
             it."
        ),
        Some(false) => format!(
            "The master has no record of {label}: it was ejected or forgotten while it was away, \
             and {reinstall}."
        ),
        None => format!(
            "The master has no record of {label}, or refuses its pool secret. If there is a \
             record (xe host-list), copy /etc/xensource/ptoken from the master to it and restart \
             its toolstack; if there is none, {reinstall}."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_names_the_host() {
        for reason in REASONS {
            let texts = [Some(reason.member), reason.master];
            assert!(texts.iter().flatten().all(|text| text.contains("{}")), "{}", reason.code);
        }
    }
}
