//! Plans as objects.

use std::collections::BTreeMap;
use std::ffi::c_char;

use serde::{Deserialize, Serialize};

use crate::ffi::boundary::{self, Out, call, optional_text, quiet, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::registry::Object;
use crate::ffi::report::xcp_report;
use crate::ffi::status::xcp_status;
use crate::plan::{self, Choices, Digest, Plan};
use crate::preflight::remedy::Loss;

/// What to do, as data: steps that can be read, saved and run.
///
/// Made by `xcp_plan_join` or `xcp_plan_from_json`, freed by `xcp_plan_free`. Threads: immutable; may
/// be used by many at once.
pub struct xcp_plan {
    pub(super) plan: Plan,
}

impl Object for xcp_plan {
    const NAME: &'static str = "xcp_plan";
}

/// Plans the join that a report was made for: remedies, the join, the wait.
///
/// `choices_json` may be NULL: then each finding gets the remedy that destroys least. It is `{"rules":
/// {rule: choice}, "objects": {rule: {ref: choice}}}`, both optional, with the codes that the report
/// names under "remedy". Findings that have no remedy, and those for which evidence is missing, are left
/// to a person: `xcp_plan_is_complete` tells.
///
/// `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT for unknown
/// rules and choices, and if a snapshot of the report has no pool with a master.
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
            let (pool, host, options) = (&held.pool, &held.host, &held.options);
            let plan = plan::join(pool, host, options, &held.report, &choices.choices()?)?;
            out.write_object(xcp_plan { plan });
            Ok(())
        })
    }
}

/// Loads a plan that `xcp_plan_json` saved.
///
/// `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT for what is no
/// plan, or one of another schema.
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
            if loaded.schema != Plan::SCHEMA {
                let message = format!("json: schema {}, not {}", loaded.schema, Plan::SCHEMA);
                return Err(Failure::new(xcp_status::XCP_E_INVALID_INPUT, message));
            }
            out.write_object(xcp_plan { plan: loaded });
            Ok(())
        })
    }
}

/// Saves a plan as JSON.
///
/// `*json` is `{"schema": 1, "purpose", "pool": {"uuid", "name"}, "host": {"uuid", "name"}, "steps":
/// [{"side", "work", "summary", "because", "destroys"}...], "unsolved": [{"rule", "message",
/// "by_person"}...]}`, freed with `xcp_string_free`. From any thread.
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

/// Tells the plan as text for people: its steps, what is left to a person, what is destroyed.
///
/// `*text` is freed with `xcp_string_free`. From any thread.
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

/// Returns whether nothing is left to a person; false for NULL and for what is no plan.
///
/// From any thread.
///
/// # Safety
/// `plan` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_is_complete(plan: *const xcp_plan) -> bool {
    quiet(false, |call| Ok(call.object(plan, "plan")?.plan.is_complete()))
}

/// Tells what is gone for good once the plan has run, and the digest by which that is consented to.
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
/// `*digest` is 32 hexadecimal digits, freed with `xcp_string_free`. From any thread.
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

/// Tells the digest of the whole plan: plans with equal digests do the same to the same objects.
///
/// `*digest` is 32 hexadecimal digits, freed with `xcp_string_free`. From any thread.
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

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of choices")]
struct Chosen {
    rules: BTreeMap<String, String>,
    objects: BTreeMap<String, BTreeMap<String, String>>,
}

impl Chosen {
    fn choices(self) -> Result<Choices, Failure> {
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

#[derive(Serialize)]
struct Losses<'a> {
    digest: Digest,
    losses: Vec<&'a Loss>,
}
