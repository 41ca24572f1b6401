//! Which calls may be sent a second time.

/// Whether a call only reads, so that sending it again changes nothing.
///
/// By name, since XAPI's datamodel says nothing of it: getters and the questions below.
pub(super) fn is_read(method: &str) -> bool {
    let Some((class, name)) = method.split_once('.') else { return false };
    if class == "Async" || class == "session" {
        return false;
    }
    name.starts_with("get_")
        || name.starts_with("ha_compute_")
        || matches!(
            method,
            "event.from"
                | "host.is_in_emergency_mode"
                | "pool.ha_failover_plan_exists"
                | "pool.is_slave"
                | "system.listMethods"
        )
}

/// Whether a call that was answered with "no such session" or "not the master" was surely not done.
///
/// The server checks the session before it does anything, but the body of a synchronous call may
/// call on with the same session and raise the same error half-way. Reads do no harm then, the
/// body of an `Async` call reports to its task and not to the caller, and a change of one field has
/// no half-way.
pub(super) fn is_refused_whole(method: &str) -> bool {
    let name = method.rsplit('.').next().unwrap_or(method);
    is_read(method)
        || method.starts_with("Async.")
        || ["set_", "add_to_", "remove_from_"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_are_reads() {
        for read in ["host.get_all_records", "event.from", "VM.get_record", "pool.is_slave"] {
            assert!(is_read(read), "{read}");
        }
        for write in [
            "pool.join",
            "Async.pool.join",
            "Async.host.get_record",
            "host.set_name_label",
            "session.get_this_host",
            "PBD.plug",
            "get_all",
        ] {
            assert!(!is_read(write), "{write}");
        }
    }

    #[test]
    fn writes_that_call_on_with_the_session_are_not_refused_whole() {
        for whole in ["Async.pool.join", "pool.set_name_label", "host.get_all", "VM.add_to_tags"] {
            assert!(is_refused_whole(whole), "{whole}");
        }
        for half in ["pool.join", "host.evacuate", "pool.designate_new_master", "VM.start"] {
            assert!(!is_refused_whole(half), "{half}");
        }
    }
}
