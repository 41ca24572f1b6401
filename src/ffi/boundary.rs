//! Where C meets Rust: arguments are checked, panics end, outputs are written last.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::registry::{self, Dead, Held, Object};
pub(super) use crate::ffi::registry::{c_text, free};
use crate::ffi::status::xcp_status::{self, *};

/// One call from C.
#[derive(Default)]
pub(super) struct Call {
    /// The objects that it uses, which a panic would spoil.
    used: Vec<usize>,
}

impl Call {
    /// The object behind a pointer, for the time of the call.
    pub(super) fn object<T: Object>(
        &mut self,
        pointer: *const T,
        name: &str,
    ) -> Result<Held<T>, Failure> {
        if pointer.is_null() {
            return Err(null(name));
        }
        let held = registry::hold(pointer).map_err(|dead| {
            let what = T::NAME;
            let message = match dead {
                Dead::Gone => format!("{name} is no {what}, or was freed"),
                Dead::Spoilt => format!("a panic spoilt the {what} {name}: it can only be freed"),
            };
            Failure::new(XCP_E_MISUSE, message)
        })?;
        self.used.push(pointer.addr());
        Ok(held)
    }

    /// The objects behind an array of pointers, for the time of the call.
    ///
    /// # Safety
    /// The array is NULL, or `count` pointers can be read from it.
    pub(super) unsafe fn objects<T: Object>(
        &mut self,
        array: *const *const T,
        count: usize,
        name: &str,
    ) -> Result<Vec<Held<T>>, Failure> {
        // SAFETY: the same promise.
        let pointers = unsafe { slice(array, count, name)? };
        let pointers = pointers.iter().enumerate();
        pointers.map(|(n, pointer)| self.object(*pointer, &format!("{name}[{n}]"))).collect()
    }
}

/// A place of the caller's for an output.
pub(super) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// The place that a pointer leads to.
    ///
    /// # Safety
    /// The pointer is NULL, or a `T` may be written there until the call ends.
    pub(super) unsafe fn new(place: *mut T, name: &str) -> Result<Self, Failure> {
        NonNull::new(place).map(Self).ok_or_else(|| null(name))
    }

    /// Writes the output: the last that a call does.
    pub(super) fn write(self, value: T) {
        // SAFETY: who made this promised that the place can be written.
        unsafe { self.0.write(value) }
    }
}

impl Out<*mut c_char> {
    /// Writes a text that the caller has to free.
    pub(super) fn write_text(self, text: impl Into<Vec<u8>>) {
        self.write(registry::give_text(c_text(text)));
    }
}

impl<T: Object> Out<*mut T> {
    /// Writes an object that the caller has to free.
    pub(super) fn write_object(self, object: T) {
        self.write(registry::give(object));
    }
}

/// A text argument.
///
/// # Safety
/// The pointer is NULL or leads to a text that ends with NUL and does not change during the call.
pub(super) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str, Failure> {
    // SAFETY: the same promise.
    unsafe { optional_text(pointer, name) }?.ok_or_else(|| null(name))
}

/// A text argument that may be NULL.
///
/// # Safety
/// As [`text`].
pub(super) unsafe fn optional_text<'a>(
    pointer: *const c_char,
    name: &str,
) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller promised a text that ends.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|error| {
        let at = error.valid_up_to();
        Failure::new(XCP_E_UTF8, format!("{name} is not UTF-8 from byte {at} on"))
    })
}

/// An argument of bytes, or of other plain values.
///
/// # Safety
/// `length` values can be read from the pointer during the call, or it is NULL.
pub(super) unsafe fn slice<'a, T>(
    pointer: *const T,
    length: usize,
    name: &str,
) -> Result<&'a [T], Failure> {
    let bytes = length.checked_mul(size_of::<T>()).filter(|bytes| isize::try_from(*bytes).is_ok());
    match (pointer.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(null(name)),
        (false, _) if bytes.is_none() => {
            Err(Failure::new(XCP_E_INVALID_INPUT, format!("{name}: no {length} of them exist")))
        }
        // SAFETY: not NULL, not too long, and the caller promised that they can be read.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(pointer, length) }),
    }
}

/// Runs the body of a call: what it fails with, or a panic, becomes a status and an error.
///
/// # Safety
/// `error` is NULL, or a pointer may be written there.
pub(super) unsafe fn call(
    function: &str,
    error: *mut *mut xcp_error,
    body: impl FnOnce(&mut Call) -> Result<(), Failure>,
) -> xcp_status {
    let mut call = Call::default();
    let failure = match catch_unwind(AssertUnwindSafe(|| body(&mut call))) {
        Ok(Ok(())) => return XCP_OK,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            call.used.iter().for_each(|address| registry::spoil(*address));
            Failure::new(XCP_E_PANIC, format!("{function} panicked: {}", what_it_said(&*panic)))
        }
    };
    let status = failure.status;
    if let Some(place) = NonNull::new(error) {
        // SAFETY: not NULL, and the caller promised that it can be written.
        unsafe { place.write(registry::give(xcp_error::from(failure))) };
    }
    status
}

/// Runs a body that cannot fail; after a panic the answer is `otherwise`.
pub(super) fn quiet<T>(otherwise: T, body: impl FnOnce(&mut Call) -> Result<T, Failure>) -> T {
    let mut call = Call::default();
    match catch_unwind(AssertUnwindSafe(|| body(&mut call))) {
        Ok(answer) => answer.unwrap_or(otherwise),
        Err(_) => {
            call.used.iter().for_each(|address| registry::spoil(*address));
            otherwise
        }
    }
}

/// Frees a text; NULL and what is none (any more) are left alone.
pub(super) fn free_text(pointer: *mut c_char) {
    let _ = registry::take_text(pointer);
}

fn null(name: &str) -> Failure {
    Failure::new(XCP_E_NULL, format!("{name} is NULL"))
}

fn what_it_said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a word")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::error::{xcp_error_code, xcp_error_free, xcp_error_message};

    struct Thing;

    impl Object for Thing {
        const NAME: &'static str = "thing";
    }

    extern "C" fn panics(thing: *const Thing, error: *mut *mut xcp_error) -> xcp_status {
        // SAFETY: the tests give a place for the error.
        unsafe {
            call("panics", error, |call| {
                call.object(thing, "thing")?;
                panic!("the roof is on fire");
            })
        }
    }

    fn message_of(error: *mut xcp_error) -> String {
        // SAFETY: the error is alive until it is freed here.
        unsafe {
            let message = CStr::from_ptr(xcp_error_message(error)).to_str().unwrap().to_owned();
            xcp_error_free(error);
            message
        }
    }

    #[test]
    fn a_panic_becomes_a_status_and_spoils_what_it_used() {
        let (thing, innocent) = (registry::give(Thing), registry::give(Thing));
        let mut error = std::ptr::null_mut();
        assert_eq!(panics(thing, &mut error), XCP_E_PANIC);
        // SAFETY: the error is alive.
        assert_eq!(unsafe { xcp_error_code(error) }, XCP_E_PANIC);
        assert_eq!(message_of(error), "panics panicked: the roof is on fire");
        assert_eq!(panics(thing, &mut error), XCP_E_MISUSE);
        assert_eq!(message_of(error), "a panic spoilt the thing thing: it can only be freed");
        assert!(registry::hold(innocent).is_ok());
        assert_eq!(panics(innocent, std::ptr::null_mut()), XCP_E_PANIC);
        assert_eq!(quiet(7, |call| call.object(innocent, "thing").map(|_| 8)), 7);
        free(thing);
        free(innocent);
        assert_eq!(panics(thing, std::ptr::null_mut()), XCP_E_MISUSE);
    }

    #[test]
    fn a_panic_in_a_destructor_does_not_cross() {
        struct Grenade;
        impl Object for Grenade {
            const NAME: &'static str = "grenade";
        }
        impl Drop for Grenade {
            fn drop(&mut self) {
                panic!("bang");
            }
        }
        let grenade = registry::give(Grenade);
        free(grenade);
        assert_eq!(registry::hold(grenade).err(), Some(Dead::Gone));
    }

    #[test]
    fn a_nul_inside_a_text_does_not_end_it() {
        assert_eq!(c_text("a\0b").to_str().unwrap(), "a\u{fffd}b");
    }
}
