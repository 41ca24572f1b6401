//! Plans as objects.

use std::collections::BTreeMap;
use std::ffi::c_char;

use serde::{Deserialize, Serialize};

use crate::actions::Loss;
use crate::client::Scope;
use crate::ffi::boundary::{self, Call, Out, call, optional_text, quiet, text};
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::client::xcp_client;
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::registry::Object;
use crate::ffi::report::xcp_report;
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status;
use crate::model::{Host, Ref, Snapshot};
use crate::operations;
use crate::plan::{self, Choices, Digest, Plan};

/// What to do, as data: steps that can be read, saved and run.
///
/// Made by `xcp_plan_join` and its kin or `xcp_plan_from_json`, freed by `xcp_plan_free`. Threads:
/// immutable; may be used by many at once.
pub struct xcp_plan {
    pub(super) plan: Plan,
}

impl Object for xcp_plan {
    const NAME: &'static str = "xcp_plan";
}

/// Plans the join that a report was made for: remedies, the join, the wait.
///
/// If `choices_json` is NULL, each finding gets the remedy that destroys least. It is `{"rules":
/// {rule: choice}, "objects": {rule: {ref: choice}}}`, both optional, with the codes that the
/// report names under "remedy". What stands in the way gets a remedy in any case, all other
/// findings if one is chosen. Findings in the way that have no remedy, and those for which evidence
/// is missing, are left to a person: `xcp_plan_is_complete` tells. What the join itself loses, such
/// as VMs that will not be imported, is among the plan's losses (`xcp_plan_losses_json`).
///
/// `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT for
/// unknown rules, choices and objects, and if a snapshot of the report has no pool with a master.
///
/// # Safety
/// `report` came from this library; `choices_json` is NULL or ends with NUL; `plan` can be written;
/// `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_join(
    report: *const xcp_report,
    choices_json: *const c_char,
    plan: *mut *mut xcp_plan,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_join", error, |call| {
            let held = call.object(report, "report")?;
            let choices = optional_text(choices_json, "choices_json")?;
            let choices: Chosen = json::decode_or_default(choices, "choices_json")?;
            let out = Out::new(plan, "plan")?;
            out.write_object(xcp_plan { plan: held.report.plan(&choices.choices()?)? });
            Ok(())
        })
    }
}

/// Plans the ejection of a host: what goes with it, what stands against it.
///
/// `host` is a uuid, a ref or a name that only one host of the snapshot has; the snapshot is of the
/// pool, in scope "everything". What the ejection destroys (`xcp_plan_losses_json`) needs consent
/// in `xcp_run`; preconditions that do not hold are left to a person: `xcp_plan_is_complete` tells.
///
/// `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the
/// snapshot has no such host, or no pool with a master.
///
/// # Safety
/// `pool` came from this library; `host` ends with NUL; `plan` can be written; `error` is NULL or
/// can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_eject(
    pool: *const xcp_snapshot,
    host: *const c_char,
    plan: *mut *mut xcp_plan,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_eject", error, |call| {
            of_host(call, pool, host, plan, |pool, host| Ok(plan::eject(pool, host)?))
        })
    }
}

/// Plans the maintenance of a host: move its VMs away, reboot, wait, enable.
///
/// `host` is a uuid, a ref or a name that only one host of the snapshot has; the snapshot is of the
/// pool, in scope "everything". VMs that cannot move are left to a person, with their reasons:
/// `xcp_plan_is_complete` tells.
///
/// `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the
/// snapshot has no such host, or no pool with a master.
///
/// # Safety
/// `pool` came from this library; `host` ends with NUL; `plan` can be written; `error` is NULL or
/// can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_maintenance(
    pool: *const xcp_snapshot,
    host: *const c_char,
    plan: *mut *mut xcp_plan,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_maintenance", error, |call| {
            of_host(call, pool, host, plan, |pool, host| Ok(plan::maintenance(pool, host)?))
        })
    }
}

/// Plans a hand-over: another host becomes master (`pool.designate_new_master`).
///
/// Reads the pool, and asks each of its hosts what it is. `host` is a uuid, a ref or a name that
/// only one host has. All that rules it out is left to a person: `xcp_plan_is_complete` tells.
/// `cancel` may be NULL.
///
/// `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the
/// pool has no such host, with XCP_E_CANCELLED, and as reading a pool does.
///
/// # Safety
/// `pool` came from this library, `cancel` or is NULL; `host` ends with NUL; `plan` can be written;
/// `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_hand_over(
    pool: *const xcp_client,
    host: *const c_char,
    cancel: *const xcp_cancel,
    plan: *mut *mut xcp_plan,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_hand_over", error, |call| {
            let pool = call.object(pool, "pool")?;
            let name = text(host, "host")?;
            let out = Out::new(plan, "plan")?;
            let plan = pool.on(call, cancel, |pool| {
                let snapshot = pool.snapshot(Scope::Everything)?;
                let (host, _) = json::named_host(&snapshot, name)?;
                let evidence = operations::evidence(pool, &snapshot)?;
                Ok(plan::hand_over(&snapshot, &evidence, host)?)
            })?;
            out.write_object(xcp_plan { plan });
            Ok(())
        })
    }
}

/// Plans a hand-over as `xcp_plan_hand_over` does, and asks nobody.
///
/// `pool` is a snapshot of scope "election", "overview" or more; `evidence_json` is that of
/// `xcp_election_json`, such as `xcp_evidence_json` finds out, to which a person may add under
/// "confirmed" what cannot be asked; NULL is no evidence. `host` is a uuid, a ref or a name that
/// only one host has.
///
/// `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the
/// snapshot has no such host, no pool with a master, or not the hosts of the evidence.
///
/// # Safety
/// `pool` came from this library; `host` ends with NUL, `evidence_json` too or is NULL; `plan` can
/// be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_hand_over_with(
    pool: *const xcp_snapshot,
    evidence_json: *const c_char,
    host: *const c_char,
    plan: *mut *mut xcp_plan,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_hand_over_with", error, |call| {
            let evidence = optional_text(evidence_json, "evidence_json")?;
            let evidence = json::decode_or_default(evidence, "evidence_json")?;
            of_host(call, pool, host, plan, |pool, host| {
                let evidence = json::with_refs(evidence, pool, "evidence_json")?;
                Ok(plan::hand_over(pool, &evidence, host)?)
            })
        })
    }
}

/// Loads a plan that `xcp_plan_json` saved.
///
/// `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT for what
/// is no plan, or one of another schema.
///
/// # Safety
/// `json` ends with NUL; `plan` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_from_json(
    json: *const c_char,
    plan: *mut *mut xcp_plan,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_from_json", error, |_| {
            let loaded: Plan = json::decode(text(json, "json")?, "json")?;
            let out = Out::new(plan, "plan")?;
            known_schema(loaded.schema)?;
            out.write_object(xcp_plan { plan: loaded });
            Ok(())
        })
    }
}

/// Saves a plan as JSON.
///
/// `*json` is `{"schema": 1, "purpose", "pool": {"uuid", "name"}, "host": {"uuid", "name"},
/// "steps": [{"side", "work", "summary", "because", "destroys"}...], "unsolved": [{"rule",
/// "message", "by_person"}...]}`, freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `plan` came from this library; `json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_json(
    plan: *const xcp_plan,
    json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_json", error, |call| {
            let held = call.object(plan, "plan")?;
            let out = Out::new(json, "json")?;
            out.write_text(json::encode(&held.plan)?);
            Ok(())
        })
    }
}

/// Tells the plan as text for people.
///
/// Its steps, what is left to a person, what is destroyed. `*text` is freed with `xcp_string_free`.
/// From any thread.
///
/// # Safety
/// `plan` came from this library; `text` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_text(
    plan: *const xcp_plan,
    text: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_text", error, |call| {
            let held = call.object(plan, "plan")?;
            let out = Out::new(text, "text")?;
            out.write_text(held.plan.to_string());
            Ok(())
        })
    }
}

/// Returns how many steps the plan has; 0 for NULL and for what is no plan.
///
/// From any thread.
///
/// # Safety
/// `plan` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_step_count(plan: *const xcp_plan) -> usize {
    quiet(0, |call| Ok(call.object(plan, "plan")?.plan.steps.len()))
}

/// Returns whether nothing is left to a person.
///
/// False for NULL and for what is no plan. From any thread.
///
/// # Safety
/// `plan` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_is_complete(plan: *const xcp_plan) -> bool {
    quiet(false, |call| Ok(call.object(plan, "plan")?.plan.is_complete()))
}

/// Tells what is gone for good once the plan has run, with the digest for consent.
///
/// `*losses_json` is `{"schema": 1, "digest", "losses": [{"kind", "object", ...}...]}`, freed with
/// `xcp_string_free`. Show the losses to a person, and pass the digest on. From any thread.
///
/// # Safety
/// `plan` came from this library; `losses_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_losses_json(
    plan: *const xcp_plan,
    losses_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_losses_json", error, |call| {
            let held = call.object(plan, "plan")?;
            let out = Out::new(losses_json, "losses_json")?;
            let (digest, losses) = (held.plan.losses_digest(), held.plan.losses().collect());
            out.write_text(json::numbered(Losses { digest, losses })?);
            Ok(())
        })
    }
}

/// Tells the digest of what the plan destroys, by which consent is given.
///
/// It is of each loss with the step that brings it, on this pool and host: it stands for no other
/// plan that destroys something else, or the same by another call.
///
/// `*digest` is `sha256:` and 64 hexadecimal digits, freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `plan` came from this library; `digest` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_losses_digest(
    plan: *const xcp_plan,
    digest: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_losses_digest", error, |call| {
            let held = call.object(plan, "plan")?;
            let out = Out::new(digest, "digest")?;
            out.write_text(held.plan.losses_digest().to_string());
            Ok(())
        })
    }
}

/// Tells the digest of the whole plan.
///
/// Plans with equal digests do the same to the same objects. It is the SHA-256 of all that the
/// plan's JSON says, in a notation of which there is only one for each plan: the line `xcp_pool
/// plan v1`, then a string as its length in bytes, a colon and its bytes, an integer as `i` and its
/// digits, `true`, `false`, `null`, a list as `[` and the number of its items, then these, and an
/// object as `{` and the number of its entries, then their names and values in the order of the
/// names' bytes; a line feed after each of these.
///
/// `*digest` is `sha256:` and 64 hexadecimal digits, freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `plan` came from this library; `digest` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_digest(
    plan: *const xcp_plan,
    digest: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_digest", error, |call| {
            let held = call.object(plan, "plan")?;
            let out = Out::new(digest, "digest")?;
            out.write_text(held.plan.digest().to_string());
            Ok(())
        })
    }
}

/// Frees a plan. NULL is fine.
///
/// From any thread.
///
/// # Safety
/// `plan` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_free(plan: *mut xcp_plan) {
    boundary::free(plan);
}

/// Refuses what another version of the library saved in a form that this one does not know.
pub(super) fn known_schema(schema: u32) -> Result<(), Failure> {
    if schema == Plan::SCHEMA {
        return Ok(());
    }
    let message = format!("json: schema {schema}, not {}", Plan::SCHEMA);
    Err(Failure::new(xcp_status::XCP_E_INVALID_INPUT, message))
}

/// Writes the plan for one host of a pool.
///
/// # Safety
/// `host` is NULL or ends with NUL; `plan` is NULL or can be written.
unsafe fn of_host(
    call: &mut Call,
    pool: *const xcp_snapshot,
    host: *const c_char,
    plan: *mut *mut xcp_plan,
    make: impl FnOnce(&Snapshot, &Ref<Host>) -> Result<Plan, Failure>,
) -> Result<(), Failure> {
    let pool = call.object(pool, "pool")?;
    // SAFETY: the same promise.
    let (host, out) = unsafe { (text(host, "host")?, Out::new(plan, "plan")?) };
    let (host, _) = json::named_host(&pool.snapshot, host)?;
    out.write_object(xcp_plan { plan: make(&pool.snapshot, host)? });
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of choices")]
pub(super) struct Chosen {
    rules: BTreeMap<String, String>,
    objects: BTreeMap<String, BTreeMap<String, String>>,
}

impl Chosen {
    pub(super) fn choices(self) -> Result<Choices, Failure> {
        let mut choices = Choices::new();
        for (rule, choice) in &self.rules {
            choices = choices.choose(rule, choice)?;
        }
        for (rule, objects) in &self.objects {
            for (object, choice) in objects {
                choices = choices.choose_for(rule, object, choice)?;
            }
        }
        Ok(choices)
    }
}

/// What is destroyed, and the digest by which that is consented to.
#[derive(Serialize)]
pub(super) struct Losses<'a> {
    pub digest: Digest,
    pub losses: Vec<&'a Loss>,
}
