//! What all operations are told beside their plan: consent, options, progress, and who may end
//! them.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result as Known;
use crate::ffi::boundary::{Call, c_text, optional_text};
use crate::ffi::calls::on_all;
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::client::xcp_client;
use crate::ffi::error::Failure;
use crate::ffi::json::{self, seconds};
use crate::ffi::status::xcp_status::XCP_E_INVALID_INPUT;
use crate::operations::{Control, OnFailure, Progress};
use crate::plan::{Consent, Digest};
use crate::transport::Cancel;

/// Tells where an operation stands.
///
/// `progress_json` is `{"schema": 1, "step", "of", "summary", "done": 0 to 1 | null, "awaited":
/// text | null, "elapsed": seconds}`.
///
/// The text lives until the callback returns. Called on the thread of the operation, between
/// requests. The callback must not call on the operation's clients (it gets XCP_E_MISUSE), nor let
/// an exception of C++ pass. To end the operation from inside use `xcp_cancel_cancel`.
pub type xcp_progress =
    Option<unsafe extern "C" fn(ctx: *mut c_void, progress_json: *const c_char)>;

/// What every operation takes from C.
#[derive(Clone, Copy)]
pub(super) struct Arguments {
    pub consent: *const c_char,
    pub options_json: *const c_char,
    pub progress: xcp_progress,
    pub ctx: *mut c_void,
    pub cancel: *const xcp_cancel,
}

/// How an operation is to run, read from what C gave.
pub(super) struct Manner {
    consent: Option<Digest>,
    on_failure: OnFailure,
    deadline: Option<Duration>,
    progress: xcp_progress,
    ctx: *mut c_void,
    cancel: *const xcp_cancel,
}

impl Arguments {
    /// The arguments of an operation on one host.
    ///
    /// # Safety
    /// The texts are NULL or end with NUL; `progress` can be called with `ctx`, and `cancel` is
    /// NULL or came from this library, as long as the answer lives.
    pub(super) unsafe fn read(self) -> Result<Manner, Failure> {
        // SAFETY: the same promise.
        let options = unsafe { optional_text(self.options_json, "options_json")? };
        let Options { deadline } = json::decode_or_default(options, "options_json")?;
        // SAFETY: the same promise.
        unsafe { self.with(deadline, OnFailure::default()) }
    }

    /// The arguments of an operation on several.
    ///
    /// # Safety
    /// As for [`Self::read`].
    pub(super) unsafe fn read_for_many(self) -> Result<Manner, Failure> {
        // SAFETY: the same promise.
        let options = unsafe { optional_text(self.options_json, "options_json")? };
        let options: OptionsOfMany = json::decode_or_default(options, "options_json")?;
        let on_failure = match options.on_failure {
            NextHost::Continue => OnFailure::Continue,
            NextHost::Stop => OnFailure::Stop,
        };
        // SAFETY: the same promise.
        unsafe { self.with(options.deadline, on_failure) }
    }

    unsafe fn with(
        self,
        deadline: Option<Duration>,
        on_failure: OnFailure,
    ) -> Result<Manner, Failure> {
        // SAFETY: the caller promised a text.
        let consent = unsafe { optional_text(self.consent, "consent")? };
        let consent = consent.map(str::parse).transpose();
        let consent = consent
            .map_err(|error| Failure::new(XCP_E_INVALID_INPUT, format!("consent: {error}")))?;
        let Self { progress, ctx, cancel, .. } = self;
        Ok(Manner { consent, on_failure, deadline, progress, ctx, cancel })
    }
}

impl Manner {
    /// The consent that was given, to what `to` says that its digest stands for.
    pub(super) fn consent(
        &self,
        to: impl FnOnce(Digest) -> Known<Consent>,
    ) -> Result<Consent, Failure> {
        Ok(self.consent.map(to).transpose()?.unwrap_or_default())
    }

    /// Runs an operation on clients.
    ///
    /// # Safety
    /// What was promised to [`Arguments::read`] still holds.
    pub(super) unsafe fn run<T>(
        &self,
        call: &mut Call,
        clients: &[&xcp_client],
        operate: impl FnOnce(&mut Control<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let run = |token: &Cancel| {
            let mut control = Control::new()
                .cancel(token.clone())
                .observer(|at| self.tell(at))
                .on_failure(self.on_failure);
            if let Some(deadline) = self.deadline {
                control = control.deadline(deadline);
            }
            operate(&mut control)
        };
        let calls: Vec<_> = clients.iter().map(|client| &*client.calls).collect();
        // SAFETY: the caller promised it of `cancel`.
        unsafe { on_all(call, &calls, &[], self.cancel, run) }
    }

    fn tell(&self, told: &Progress<'_>) {
        let Some(progress) = self.progress else { return };
        if let Ok(json) = json::numbered(ProgressText::from(told)) {
            let json = c_text(json);
            // SAFETY: only `run` leads here, whose caller promised that it can be called; the text
            // is alive.
            unsafe { progress(self.ctx, json.as_ptr()) }
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of options")]
struct Options {
    #[serde(deserialize_with = "seconds")]
    deadline: Option<Duration>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of options")]
struct OptionsOfMany {
    #[serde(deserialize_with = "seconds")]
    deadline: Option<Duration>,
    on_failure: NextHost,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NextHost {
    Continue,
    #[default]
    Stop,
}

#[derive(Serialize)]
struct ProgressText<'a> {
    step: usize,
    of: usize,
    summary: &'a str,
    done: Option<f64>,
    awaited: Option<&'a str>,
    elapsed: f64,
}

impl<'a> From<&'a Progress<'_>> for ProgressText<'a> {
    fn from(progress: &'a Progress<'_>) -> Self {
        Self {
            step: progress.step,
            of: progress.of,
            summary: progress.summary,
            done: progress.done,
            awaited: progress.awaited,
            elapsed: progress.elapsed.as_secs_f64(),
        }
    }
}
