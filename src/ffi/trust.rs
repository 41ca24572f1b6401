//! Which certificates are trusted.

use std::ffi::{c_char, c_void};

use serde::Serialize;

use crate::error::Result;
use crate::ffi::boundary::{self, Out, call, slice, text};
use crate::ffi::callback::{Context, table};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::registry::Object;
use crate::ffi::reply::xcp_reply;
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT};
use crate::transport::{FilePins, Fingerprint, MemoryPins, PinStore, Trust};

/// Says which certificates of hosts are trusted.
///
/// Made by the `xcp_trust_store_...` functions, freed by `xcp_trust_store_free`; transports keep
/// what they need. Threads: may be used by many at once.
pub struct xcp_trust_store(Kind);

enum Kind {
    Fixed(Trust),
    File(FilePins),
}

impl Object for xcp_trust_store {
    const NAME: &'static str = "xcp_trust_store";
}

impl xcp_trust_store {
    pub(super) fn trust(&self) -> Trust {
        match &self.0 {
            Kind::Fixed(trust) => trust.clone(),
            Kind::File(pins) => Trust::first_use(pins.clone()),
        }
    }

    fn file(&self) -> Result<&FilePins, Failure> {
        match &self.0 {
            Kind::File(pins) => Ok(pins),
            Kind::Fixed(_) => {
                Err(Failure::new(XCP_E_INVALID_INPUT, "store: it remembers in no file"))
            }
        }
    }
}

/// Trusts certificates that one of these authorities signed for their name.
///
/// `pem` is one or more certificates in PEM form; a self-signed host certificate may be its own
/// authority. `*store` is freed with `xcp_trust_store_free`. From any thread. Fails with
/// XCP_E_INVALID_INPUT for what is no certificate.
///
/// # Safety
/// `pem` ends with NUL; `store` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_trust_store_authorities(
    pem: *const c_char,
    store: *mut *mut xcp_trust_store,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_trust_store_authorities", error, |_| {
            let pem = text(pem, "pem")?;
            let out = Out::new(store, "store")?;
            let trust = Trust::authorities(pem.as_bytes())
                .map_err(|error| Failure::from(error).in_argument("pem"))?;
            out.write_object(xcp_trust_store(Kind::Fixed(trust)));
            Ok(())
        })
    }
}

/// Trusts certificates that one of the authorities in a file signed for their name.
///
/// As `xcp_trust_store_authorities` does. `*store` is freed with `xcp_trust_store_free`. From any
/// thread. Fails with XCP_E_INVALID_INPUT if the file cannot be read or has no certificate.
///
/// # Safety
/// `path` ends with NUL; `store` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_trust_store_authorities_file(
    path: *const c_char,
    store: *mut *mut xcp_trust_store,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_trust_store_authorities_file", error, |_| {
            let path = text(path, "path")?;
            let out = Out::new(store, "store")?;
            let trust = Trust::authorities_file(path)
                .map_err(|error| Failure::from(error).in_argument("path"))?;
            out.write_object(xcp_trust_store(Kind::Fixed(trust)));
            Ok(())
        })
    }
}

/// Trusts certificates with one of these SHA-256 fingerprints, whoever signed them.
///
/// `pins_json` is `["SHA256:4B:8F:...", ...]`; what openssl prints and what XAPI stores is read,
/// too. `*store` is freed with `xcp_trust_store_free`. From any thread. Fails with
/// XCP_E_INVALID_INPUT for what is no fingerprint.
///
/// # Safety
/// `pins_json` ends with NUL; `store` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_trust_store_pins(
    pins_json: *const c_char,
    store: *mut *mut xcp_trust_store,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_trust_store_pins", error, |_| {
            let pins: Vec<String> = json::decode_any(text(pins_json, "pins_json")?, "pins_json")?;
            let out = Out::new(store, "store")?;
            let pins: Result<Vec<Fingerprint>> = pins.iter().map(|pin| pin.parse()).collect();
            out.write_object(xcp_trust_store(Kind::Fixed(Trust::pins(pins?))));
            Ok(())
        })
    }
}

/// Trusts the certificate that each host shows first, and remembers it in a file.
///
/// The file need not exist yet; it is made for its owner alone, and refused if others may write to
/// it. Many processes may use one file. `*store` is freed with `xcp_trust_store_free`. From any
/// thread.
///
/// # Safety
/// `path` ends with NUL; `store` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_trust_store_file(
    path: *const c_char,
    store: *mut *mut xcp_trust_store,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_trust_store_file", error, |_| {
            let path = text(path, "path")?;
            let out = Out::new(store, "store")?;
            out.write_object(xcp_trust_store(Kind::File(FilePins::new(path))));
            Ok(())
        })
    }
}

/// Trusts the certificate that each host shows first.
///
/// Remembers it as long as the store is used. `*store` is freed with `xcp_trust_store_free`. From
/// any thread.
///
/// # Safety
/// `store` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_trust_store_memory(
    store: *mut *mut xcp_trust_store,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_trust_store_memory", error, |_| {
            let out = Out::new(store, "store")?;
            let trust = Trust::first_use(MemoryPins::default());
            out.write_object(xcp_trust_store(Kind::Fixed(trust)));
            Ok(())
        })
    }
}

/// A memory of the caller's for the certificates that hosts showed first.
///
/// Hosts are named with their port, as "phantom.lan:443"; fingerprints are texts as
/// "SHA256:4B:8F:...". Both callbacks answer by `xcp_reply_body` with a fingerprint, or by
/// `xcp_reply_error`; then, and if they answer nothing, the host is not trusted. They are called on
/// any thread, on many at once, and must not let an exception of C++ pass.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct xcp_trust_callbacks {
    /// `sizeof(xcp_trust_callbacks)`: what lies beyond is not read.
    pub size: usize,
    /// Passed to the callbacks as it is.
    pub ctx: *mut c_void,
    /// Returns the fingerprint that is remembered for a host, else an empty body.
    pub pin: Option<
        unsafe extern "C" fn(ctx: *mut c_void, host: *const c_char, reply: *const xcp_reply),
    >,
    /// Remembers a fingerprint unless one is remembered; returns the one that counts.
    pub remember: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            host: *const c_char,
            fingerprint: *const c_char,
            reply: *const xcp_reply,
        ),
    >,
    /// Called once, on any thread, when nobody needs `ctx` any more; may be NULL.
    pub release: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

/// Trusts the certificate that each host shows first, as callbacks remember it.
///
/// The table is copied. If the function fails, `release` is not called, and `ctx` stays the
/// caller's. `*store` is freed with `xcp_trust_store_free`. From any thread. Fails with
/// XCP_E_INVALID_INPUT for a table without callbacks or with a wrong size.
///
/// # Safety
/// `callbacks` leads to as many bytes as its `size` says; the callbacks can be called with `ctx`
/// from every thread until `release` was; `store` can be written; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_trust_store_custom(
    callbacks: *const xcp_trust_callbacks,
    store: *mut *mut xcp_trust_store,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_trust_store_custom", error, |_| {
            let out = Out::new(store, "store")?;
            let callbacks = table(callbacks, "callbacks")?;
            let (Some(pin), Some(remember)) = (callbacks.pin, callbacks.remember) else {
                let message = "callbacks: pin or remember is NULL";
                return Err(Failure::new(XCP_E_INVALID_INPUT, message));
            };
            let context = Context::new(callbacks.ctx, callbacks.release);
            let trust = Trust::first_use(Custom { pin, remember, context });
            out.write_object(xcp_trust_store(Kind::Fixed(trust)));
            Ok(())
        })
    }
}

/// Trusts any certificate.
///
/// Whoever is on the way can be the host, and gets the password. `*store` is freed with
/// `xcp_trust_store_free`. From any thread.
///
/// # Safety
/// `store` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_trust_store_danger_accept_any(
    store: *mut *mut xcp_trust_store,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_trust_store_danger_accept_any", error, |_| {
            let out = Out::new(store, "store")?;
            out.write_object(xcp_trust_store(Kind::Fixed(Trust::danger_accept_any())));
            Ok(())
        })
    }
}

/// Tells what a store that remembers in a file remembers.
///
/// `*pins_json` is `{"schema": 1, "pins": {"phantom.lan:443": "SHA256:4B:8F:..."}}`, freed with
/// `xcp_string_free`. From any thread. Fails with XCP_E_INVALID_INPUT for another store, or if the
/// file cannot be read.
///
/// # Safety
/// `store` came from this library; `pins_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_trust_store_pins_json(
    store: *const xcp_trust_store,
    pins_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_trust_store_pins_json", error, |call| {
            let store = call.object(store, "store")?;
            let out = Out::new(pins_json, "pins_json")?;
            let pins = store.file()?.pins()?;
            let pins = pins.into_iter().map(|(host, pin)| (host, pin.to_string())).collect();
            out.write_text(json::numbered(Pins { pins })?);
            Ok(())
        })
    }
}

/// Makes a store that remembers in a file forget a host.
///
/// The next certificate of that host is then trusted. `host` is named with its port, as
/// "phantom.lan:443". From any thread. Fails with XCP_E_INVALID_INPUT for another store, or if the
/// file cannot be written.
///
/// # Safety
/// `store` came from this library; `host` ends with NUL; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_trust_store_forget(
    store: *const xcp_trust_store,
    host: *const c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_trust_store_forget", error, |call| {
            let store = call.object(store, "store")?;
            Ok(store.file()?.forget(text(host, "host")?)?)
        })
    }
}

/// Tells the SHA-256 fingerprint of a certificate in DER form, as pins are written.
///
/// `*fingerprint` is "SHA256:4B:8F:...", freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `length` bytes can be read from `certificate`; `fingerprint` can be written; `error` is NULL or
/// can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_fingerprint(
    certificate: *const u8,
    length: usize,
    fingerprint: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_fingerprint", error, |_| {
            let certificate = slice(certificate, length, "certificate")?;
            let out = Out::new(fingerprint, "fingerprint")?;
            out.write_text(Fingerprint::of(certificate).to_string());
            Ok(())
        })
    }
}

/// Frees a store. NULL is fine.
///
/// From any thread.
///
/// # Safety
/// `store` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_trust_store_free(store: *mut xcp_trust_store) {
    boundary::free(store);
}

#[derive(Serialize)]
struct Pins {
    pins: std::collections::BTreeMap<String, String>,
}

struct Custom {
    pin: unsafe extern "C" fn(*mut c_void, *const c_char, *const xcp_reply),
    remember: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, *const xcp_reply),
    context: Context,
}

/// A fingerprint is 102 bytes long; whoever answers more is confused.
const MAX_ANSWER: u64 = 1024;

impl PinStore for Custom {
    fn pin(&self, host: &str) -> Result<Option<Fingerprint>> {
        let host = boundary::c_text(host);
        let answer = xcp_reply::ask(MAX_ANSWER, |reply| {
            // SAFETY: who made the store promised that the callback can be called with its context
            // from every thread; the text and the reply are alive until it returns.
            unsafe { (self.pin)(self.context.get(), host.as_ptr(), reply) }
        })?;
        match String::from_utf8_lossy(&answer).trim() {
            "" => Ok(None),
            pin => pin.parse().map(Some),
        }
    }

    fn remember(&self, host: &str, fingerprint: Fingerprint) -> Result<Fingerprint> {
        let (host, pin) = (boundary::c_text(host), boundary::c_text(fingerprint.to_string()));
        let answer = xcp_reply::ask(MAX_ANSWER, |reply| {
            // SAFETY: as above.
            unsafe { (self.remember)(self.context.get(), host.as_ptr(), pin.as_ptr(), reply) }
        })?;
        String::from_utf8_lossy(&answer).parse()
    }
}
