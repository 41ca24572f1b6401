//! Everything that was handed out to C and not yet given back.
//!
//! A pointer that comes back from C is looked up here before anything is read through it. So a
//! pointer that was freed, that never was ours or that has another type is an error and no
//! undefined behaviour, as long as no new object took its address; and freeing an object in the
//! middle of another thread's call only ends it when that call does.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// An object that C holds by an opaque pointer.
pub(super) trait Object: Send + Sync + 'static {
    /// Its type's name in C.
    const NAME: &'static str;
}

/// Why a pointer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dead {
    /// It leads to no living object of the type.
    Gone,
    /// A panic interrupted a call on the object.
    Spoilt,
}

#[derive(Clone, Copy)]
struct Entry {
    kind: TypeId,
    spoilt: bool,
}

/// The complements of addresses, so that a leak checker does not take them for pointers.
type Shard = RwLock<BTreeMap<usize, Entry>>;

const SHARDS: usize = 16;

static LIVING: [Shard; SHARDS] = [const { RwLock::new(BTreeMap::new()) }; SHARDS];

/// A use of an object: it stays alive until this is dropped.
pub(super) struct Held<T: Object>(Arc<T>);

impl<T: Object> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Hands an object out.
pub(super) fn give<T: Object>(object: T) -> *mut T {
    let pointer = Arc::into_raw(Arc::new(object)).cast_mut();
    enter(pointer.addr(), TypeId::of::<T>());
    pointer
}

/// Holds an object for the time of a call.
pub(super) fn hold<T: Object>(pointer: *const T) -> Result<Held<T>, Dead> {
    let living = read(pointer.addr());
    match living.get(&!pointer.addr()) {
        Some(entry) if entry.kind != TypeId::of::<T>() => Err(Dead::Gone),
        Some(entry) if entry.spoilt => Err(Dead::Spoilt),
        Some(_) => {
            // SAFETY: the entry says that `give` made this pointer from an `Arc<T>` whose count
            // `take` has not given back, and cannot before the lock is released.
            let object = unsafe {
                Arc::increment_strong_count(pointer);
                Arc::from_raw(pointer)
            };
            Ok(Held(object))
        }
        None => Err(Dead::Gone),
    }
}

/// Takes an object back; it ends when the last call that holds it does.
pub(super) fn take<T: Object>(pointer: *mut T) -> Result<(), Dead> {
    leave(pointer.addr(), TypeId::of::<T>())?;
    // SAFETY: the entry said that `give` made this pointer from an `Arc<T>`, and removing it was
    // only possible once.
    drop(unsafe { Arc::from_raw(pointer.cast_const()) });
    Ok(())
}

/// Hands a text out.
pub(super) fn give_text(text: CString) -> *mut c_char {
    let pointer = text.into_raw();
    enter(pointer.addr(), TypeId::of::<CString>());
    pointer
}

/// Takes a text back.
pub(super) fn take_text(pointer: *mut c_char) -> Result<(), Dead> {
    leave(pointer.addr(), TypeId::of::<CString>())?;
    // SAFETY: the entry said that `give_text` made this pointer, and removing it was only possible
    // once.
    drop(unsafe { CString::from_raw(pointer) });
    Ok(())
}

/// Says that a panic interrupted a call on an object.
pub(super) fn spoil(address: usize) {
    if let Some(entry) = write(address).get_mut(&!address) {
        entry.spoilt = true;
    }
}

fn enter(address: usize, kind: TypeId) {
    write(address).insert(!address, Entry { kind, spoilt: false });
}

fn leave(address: usize, kind: TypeId) -> Result<(), Dead> {
    let mut living = write(address);
    match living.get(&!address) {
        Some(entry) if entry.kind == kind => {
            living.remove(&!address);
            Ok(())
        }
        _ => Err(Dead::Gone),
    }
}

fn shard(address: usize) -> &'static Shard {
    // Heap addresses are multiples of 16.
    &LIVING[(address >> 4) % SHARDS]
}

fn read(address: usize) -> RwLockReadGuard<'static, BTreeMap<usize, Entry>> {
    shard(address).read().unwrap_or_else(PoisonError::into_inner)
}

fn write(address: usize) -> RwLockWriteGuard<'static, BTreeMap<usize, Entry>> {
    shard(address).write().unwrap_or_else(PoisonError::into_inner)
}

/// Frees an object; NULL and what is none (any more) are left alone.
pub(super) fn free<T: Object>(pointer: *mut T) {
    // The panic of a destructor ends here, and the object is gone in any case.
    let _ = catch_unwind(AssertUnwindSafe(|| take(pointer)));
}

/// A text for C; a NUL inside, which would end it, becomes the replacement character.
pub(super) fn c_text(text: impl Into<Vec<u8>>) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let text = String::from_utf8_lossy(&error.into_vec()).replace('\0', "\u{fffd}");
        // No NUL is left.
        CString::new(text).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counted(&'static AtomicUsize);

    impl Object for Counted {
        const NAME: &'static str = "counted";
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Other;

    impl Object for Other {
        const NAME: &'static str = "other";
    }

    #[test]
    fn an_object_in_use_outlives_its_being_freed() {
        static ENDED: AtomicUsize = AtomicUsize::new(0);
        let pointer = give(Counted(&ENDED));
        let held = hold(pointer).unwrap_or_else(|_| panic!("it lives"));
        assert_eq!(take(pointer), Ok(()));
        assert_eq!(ENDED.load(Ordering::Relaxed), 0);
        drop(held);
        assert_eq!(ENDED.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_was_freed_or_is_of_another_type_is_not_touched() {
        static ENDED: AtomicUsize = AtomicUsize::new(0);
        let pointer = give(Counted(&ENDED));
        assert_eq!(hold(pointer.cast::<Other>()).err(), Some(Dead::Gone));
        assert_eq!(take(pointer.cast::<Other>()), Err(Dead::Gone));
        assert_eq!(take_text(pointer.cast()), Err(Dead::Gone));
        assert_eq!(take(pointer), Ok(()));
        assert_eq!(take(pointer), Err(Dead::Gone));
        assert_eq!(ENDED.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_spoilt_object_can_only_be_freed() {
        let pointer = give(Other);
        spoil(pointer.addr());
        assert_eq!(hold(pointer).err(), Some(Dead::Spoilt));
        assert_eq!(take(pointer), Ok(()));
    }
}
