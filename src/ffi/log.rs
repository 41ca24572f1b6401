//! The library's log, told to a callback.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use ::log::{Level, LevelFilter, Log, Metadata, Record};

use crate::ffi::boundary::{c_text, call};
use crate::ffi::callback::Context;
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT, XCP_E_MISUSE, XCP_E_STATE};

/// How much a log is told, and how much a line matters.
///
/// A level takes in those with smaller numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum xcp_log_level {
    /// Nothing is told.
    XCP_LOG_OFF = 0,
    /// Not used at present: what fails is told by the function that fails.
    XCP_LOG_ERROR = 1,
    /// What may need a person.
    ///
    /// A lost connection, a session that is gone, an unknown outcome, a certificate that is new or
    /// wrong.
    XCP_LOG_WARN = 2,
    /// What goes on: logins, redirects, the steps of operations.
    XCP_LOG_INFO = 3,
    /// Each request, and what is waited for.
    XCP_LOG_DEBUG = 4,
    /// Everything.
    XCP_LOG_TRACE = 5,
}

use xcp_log_level::*;

/// Hears one line of the log.
///
/// `level` is an `xcp_log_level`, `target` the part of the library that speaks, such as
/// "xcp_pool::client", `message` one line without an end of line.
///
/// The texts live until the callback returns. It is called on whatever thread has something to
/// tell, on many at once, threads of the library included. It may call the library, though on no
/// client that is in a call, and not `xcp_log_set`: they return XCP_E_MISUSE there. What happens
/// inside of it is not told. It must not let an exception of C++ pass.
pub type xcp_log = Option<
    unsafe extern "C" fn(
        ctx: *mut c_void,
        level: u32,
        target: *const c_char,
        message: *const c_char,
    ),
>;

/// Has a callback hear what the library does, for the whole process.
///
/// Without it nothing is told. `level` is an `xcp_log_level`: the lines up to it are told.
/// XCP_LOG_OFF or a NULL callback ends it. Each call replaces what the one before set. Lines hold
/// methods of XAPI, addresses, times, names and error codes, and never parameters, passwords, refs
/// of sessions, pool secrets or the bodies of requests and replies.
///
/// `release` may be NULL; it is called with `ctx` once, after the last use of `ctx`, when the
/// callback was replaced or ended: on the thread that did that, or on one that was just telling
/// something. A `ctx` that comes with the ending call itself is released at once. `release` must
/// not call `xcp_log_set`. If the function fails, `release` is not called, and `ctx` stays the
/// caller's.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for an unknown level, with XCP_E_MISUSE inside
/// of the callback, and with XCP_E_STATE if the library is linked into a program in Rust that has a
/// logger of its own, which hears everything then.
///
/// # Safety
/// `callback` can be called with `ctx` from every thread until `release` was; `release` can be
/// called once with `ctx` from any thread; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_log_set(
    level: u32,
    callback: xcp_log,
    ctx: *mut c_void,
    release: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_log_set", error, |_| {
            let level = filter(level)?;
            if TELLING.get() {
                let message = "the log cannot be set from inside of its callbacks";
                return Err(Failure::new(XCP_E_MISUSE, message));
            }
            match callback.filter(|_| level != LevelFilter::Off) {
                Some(callback) => {
                    install()?;
                    let context = Context::new(ctx, release);
                    replace(
                        level,
                        Some(Arc::new(Sink { level, callback, context: Some(context) })),
                    );
                }
                None => {
                    replace(LevelFilter::Off, None);
                    let _telling = Telling::begin();
                    drop(Context::new(ctx, release));
                }
            }
            Ok(())
        })
    }
}

/// Who hears.
struct Sink {
    level: LevelFilter,
    callback: unsafe extern "C" fn(*mut c_void, u32, *const c_char, *const c_char),
    /// None once it is released.
    context: Option<Context>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _telling = Telling::begin();
        self.context = None;
    }
}

static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);

/// Held while the sink and the level of the facade are changed together.
static CHANGE: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread is inside of a callback of the log.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as being inside of a callback, until it is dropped.
struct Telling(bool);

impl Telling {
    fn begin() -> Self {
        Self(TELLING.replace(true))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        TELLING.set(self.0);
    }
}

struct Bridge;

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries below tell more than may be told: bytes of requests, with passwords in them.
        metadata.target().split("::").next() == Some("xcp_pool")
            && !TELLING.get()
            && sink().is_some_and(|sink| metadata.level() <= sink.level)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let Some(sink) = sink() else { return };
        let Some(context) = &sink.context else { return };
        let (target, message) = (c_text(record.target()), c_text(record.args().to_string()));
        let level = number(record.level()) as u32;
        let _telling = Telling::begin();
        // SAFETY: who gave the callback promised that it can be called with its context from every
        // thread until it is released, which `sink` prevents; the texts are alive.
        unsafe { (sink.callback)(context.get(), level, target.as_ptr(), message.as_ptr()) }
    }

    fn flush(&self) {}
}

/// Whether this thread is inside of a callback of the log.
pub(super) fn is_telling() -> bool {
    TELLING.get()
}

/// Who hears now; no lock is held while it does.
fn sink() -> Option<Arc<Sink>> {
    SINK.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Makes this library the one that hears the facade, once.
fn install() -> Result<(), Failure> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    match INSTALLED.get_or_init(|| ::log::set_logger(&Bridge).is_ok()) {
        true => Ok(()),
        false => Err(Failure::new(XCP_E_STATE, "the program has a logger of its own")),
    }
}

fn replace(level: LevelFilter, sink: Option<Arc<Sink>>) {
    let old = {
        let _change = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = SINK.write().unwrap_or_else(PoisonError::into_inner);
        // Without a sink of ours the level is somebody else's.
        if sink.is_some() || place.is_some() {
            ::log::set_max_level(level);
        }
        std::mem::replace(&mut *place, sink)
    };
    // Its context is released here, or where it is just being used.
    drop(old);
}

fn filter(level: u32) -> Result<LevelFilter, Failure> {
    let known = [
        (XCP_LOG_OFF, LevelFilter::Off),
        (XCP_LOG_ERROR, LevelFilter::Error),
        (XCP_LOG_WARN, LevelFilter::Warn),
        (XCP_LOG_INFO, LevelFilter::Info),
        (XCP_LOG_DEBUG, LevelFilter::Debug),
        (XCP_LOG_TRACE, LevelFilter::Trace),
    ];
    let found = known.into_iter().find(|(number, _)| *number as u32 == level);
    found.map(|(_, filter)| filter).ok_or_else(|| {
        Failure::new(XCP_E_INVALID_INPUT, format!("level: {level} is no xcp_log_level"))
    })
}

fn number(level: Level) -> xcp_log_level {
    match level {
        Level::Error => XCP_LOG_ERROR,
        Level::Warn => XCP_LOG_WARN,
        Level::Info => XCP_LOG_INFO,
        Level::Debug => XCP_LOG_DEBUG,
        Level::Trace => XCP_LOG_TRACE,
    }
}
