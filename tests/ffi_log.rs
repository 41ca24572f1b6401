//! The library's log through a callback of C. One process has one logger.
#![cfg(feature = "ffi")]

#[path = "ffi/support/mod.rs"]
mod support;

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use support::world::World;
use support::{borrowed, c, done, text};
use xcp_pool::ffi::xcp_log_level::*;
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

/// Held by each test: they share the process's log.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a callback writes down what it hears. Leaked, so that a late call would be seen.
#[derive(Default)]
struct Book {
    lines: Mutex<Vec<(u32, String, String)>>,
    released: AtomicUsize,
    late: AtomicBool,
}

impl Book {
    fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn ctx(&'static self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn listen(&'static self, level: xcp_log_level) {
        // SAFETY: the book lives for ever.
        done(|e| unsafe {
            xcp_log_set(level as u32, Some(write_down), self.ctx(), Some(release), e)
        })
        .unwrap();
    }

    fn lines(&self) -> Vec<(u32, String, String)> {
        self.lines.lock().unwrap().clone()
    }

    fn released(&self) -> usize {
        self.released.load(Ordering::SeqCst)
    }
}

unsafe fn book(ctx: *mut c_void) -> &'static Book {
    // SAFETY: every context of these tests is a book that lives for ever.
    unsafe { &*ctx.cast::<Book>() }
}

unsafe extern "C" fn write_down(
    ctx: *mut c_void,
    level: u32,
    target: *const c_char,
    message: *const c_char,
) {
    // SAFETY: as `book` says.
    let book = unsafe { book(ctx) };
    book.late.fetch_or(book.released() > 0, Ordering::SeqCst);
    book.lines.lock().unwrap().push((level, borrowed(target), borrowed(message)));
}

unsafe extern "C" fn release(ctx: *mut c_void) {
    // SAFETY: as `book` says.
    unsafe { book(ctx) }.released.fetch_add(1, Ordering::SeqCst);
}

fn end() {
    // SAFETY: NULLs are allowed.
    done(|e| unsafe { xcp_log_set(XCP_LOG_TRACE as u32, None, ptr::null_mut(), None, e) }).unwrap();
}

fn log_in(world: &World) {
    drop(world.client(c"phantom"));
}

#[test]
fn what_the_library_does_is_told_up_to_the_level() {
    let _alone = alone();
    let (world, loud, quiet) = (World::story(), Book::new(), Book::new());
    loud.listen(XCP_LOG_DEBUG);
    log_in(&world);
    quiet.listen(XCP_LOG_INFO);
    log_in(&world);
    end();
    log_in(&world);
    let line = |level: xcp_log_level, message: &str| {
        (level as u32, "xcp_pool::client".to_owned(), message.to_owned())
    };
    let told = loud.lines();
    let is_request = |(level, target, message): &(u32, String, String)| {
        *level == XCP_LOG_DEBUG as u32
            && target == "xcp_pool::client"
            && message.starts_with("session.login_with_password at https://phantom: ")
    };
    assert_eq!(told.iter().filter(|line| is_request(line)).count(), 1, "{told:?}");
    assert!(told.contains(&line(XCP_LOG_INFO, "logged in at https://phantom")), "{told:?}");
    assert!(!told.iter().any(|(_, _, message)| message.contains("xcp-test")), "{told:?}");
    assert_eq!(quiet.lines(), [line(XCP_LOG_INFO, "logged in at https://phantom")]);
    assert_eq!((loud.released(), quiet.released()), (1, 1));
}

#[test]
fn what_other_libraries_log_is_not_passed_on() {
    let _alone = alone();
    let book = Book::new();
    book.listen(XCP_LOG_TRACE);
    log::trace!(target: "ureq_proto::util", "{:?}", "a body with a password");
    log::error!(target: "xcp_pool_of_somebody_else", "no");
    log::trace!(target: "xcp_pool::client", "a\0b");
    log::error!(target: "xcp_pool", "yes");
    end();
    let heard = book.lines();
    let heard: Vec<_> =
        heard.iter().map(|(level, _, message)| (*level, message.as_str())).collect();
    assert_eq!(heard, [(5, "a\u{fffd}b"), (1, "yes")]);
}

#[test]
fn what_cannot_be_set_stays_the_callers() {
    let _alone = alone();
    let (world, book, refused) = (World::story(), Book::new(), Book::new());
    book.listen(XCP_LOG_INFO);
    // SAFETY: the book lives for ever.
    let error =
        done(|e| unsafe { xcp_log_set(6, Some(write_down), refused.ctx(), Some(release), e) });
    assert_eq!(error.as_ref().unwrap_err().status, XCP_E_INVALID_INPUT);
    assert_eq!(error.unwrap_err().message, "level: 6 is no xcp_log_level");
    log_in(&world);
    assert_eq!((book.lines().len(), refused.lines().len(), refused.released()), (1, 0, 0));
    end();
    assert_eq!((book.released(), refused.released()), (1, 0));
}

#[test]
fn a_context_that_comes_with_the_end_is_released_at_once() {
    let _alone = alone();
    for (level, callback) in [(XCP_LOG_OFF, true), (XCP_LOG_TRACE, false)] {
        let book = Book::new();
        let callback: xcp_log = if callback { Some(write_down) } else { None };
        // SAFETY: the book lives for ever.
        done(|e| unsafe { xcp_log_set(level as u32, callback, book.ctx(), Some(release), e) })
            .unwrap();
        assert_eq!(book.released(), 1);
    }
}

#[test]
fn a_callback_may_call_the_library_and_does_not_hear_itself() {
    struct Inner {
        world: World,
        calls: AtomicUsize,
        released: AtomicUsize,
    }
    // SAFETY: the contract says that objects may be used from every thread.
    unsafe impl Sync for Inner {}

    unsafe extern "C" fn calls_back(ctx: *mut c_void, _: u32, _: *const c_char, _: *const c_char) {
        // SAFETY: the test keeps it alive until the callback is ended.
        let inner = unsafe { &*ctx.cast::<Inner>() };
        inner.calls.fetch_add(1, Ordering::SeqCst);
        log_in(&inner.world);
        // SAFETY: NULLs are allowed.
        let refused = done(|e| unsafe { xcp_log_set(0, None, ptr::null_mut(), None, e) });
        assert_eq!(refused.unwrap_err().status, XCP_E_MISUSE);
    }
    unsafe extern "C" fn sets_again(ctx: *mut c_void) {
        // SAFETY: as above; NULLs are allowed.
        let refused = done(|e| unsafe { xcp_log_set(0, None, ptr::null_mut(), None, e) });
        assert_eq!(refused.unwrap_err().status, XCP_E_MISUSE);
        // SAFETY: as above.
        unsafe { &*ctx.cast::<Inner>() }.released.fetch_add(1, Ordering::SeqCst);
    }

    let _alone = alone();
    let inner =
        Inner { world: World::story(), calls: AtomicUsize::new(0), released: AtomicUsize::new(0) };
    let ctx = ptr::from_ref(&inner).cast_mut().cast();
    // SAFETY: the context lives until the callback is ended below.
    done(|e| unsafe {
        xcp_log_set(XCP_LOG_INFO as u32, Some(calls_back), ctx, Some(sets_again), e)
    })
    .unwrap();
    log_in(&World::story());
    end();
    assert_eq!(inner.calls.load(Ordering::SeqCst), 1);
    assert_eq!(inner.released.load(Ordering::SeqCst), 1);
}

#[test]
fn threads_that_tell_while_callbacks_come_and_go_never_use_what_was_released() {
    let _alone = alone();
    let books: Vec<_> = (0..200).map(|_| Book::new()).collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    log::info!(target: "xcp_pool::client", "a line");
                }
            });
        }
        for book in &books {
            book.listen(XCP_LOG_INFO);
            std::thread::yield_now();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        end();
        over.store(true, Ordering::SeqCst);
    });
    for book in &books {
        assert_eq!(book.released(), 1);
        assert!(!book.late.load(Ordering::SeqCst), "called after its release");
    }
    assert!(books.iter().any(|book| !book.lines().is_empty()));
}

/// A pool of hosts that all die at once, and a client that its own log calls.
#[derive(Default)]
struct Doomed {
    dead: AtomicBool,
    client: AtomicPtr<xcp_client>,
    /// On which threads the log called the client, and what it got.
    calls: Mutex<Vec<(ThreadId, xcp_status)>>,
}

unsafe extern "C" fn answers_until_death(
    ctx: *mut c_void,
    request: *const xcp_request,
    reply: *const xcp_reply,
) {
    // SAFETY: the test keeps it alive; request and reply live until this returns.
    unsafe {
        let doomed = &*ctx.cast::<Doomed>();
        let mut length = 0;
        let body = xcp_request_body(request, &mut length);
        let body = String::from_utf8_lossy(std::slice::from_raw_parts(body, length));
        if doomed.dead.load(Ordering::SeqCst) {
            xcp_reply_error(reply, XCP_E_TRANSPORT as u32, c"dead".as_ptr(), ptr::null_mut());
            return;
        }
        let answer = match body.contains("session.") {
            true => r#"{"jsonrpc": "2.0", "id": 1, "result": "OpaqueRef:s"}"#,
            false => r#"{"jsonrpc": "2.0", "id": 1, "result": {"OpaqueRef:p": {"uuid": "u"}}}"#,
        };
        xcp_reply_body(reply, answer.as_ptr(), answer.len(), ptr::null_mut());
    }
}

unsafe extern "C" fn calls_the_client(
    ctx: *mut c_void,
    _: u32,
    _: *const c_char,
    _: *const c_char,
) {
    // SAFETY: the test keeps it alive until the callback is ended.
    let doomed = unsafe { &*ctx.cast::<Doomed>() };
    let client = doomed.client.load(Ordering::SeqCst);
    if !client.is_null() {
        let mut out = ptr::null_mut();
        // SAFETY: the client lives as long as it is there; the place is on this stack.
        let status = unsafe {
            let (method, null) = (c"host.get_all".as_ptr(), ptr::null());
            xcp_client_call_json(client, method, null, null.cast(), &mut out, ptr::null_mut())
        };
        doomed.calls.lock().unwrap().push((std::thread::current().id(), status));
    }
}

#[test]
fn a_client_that_waits_for_who_tells_is_misused_by_the_log_and_not_waited_for() {
    let _alone = alone();
    let doomed = Doomed::default();
    let ctx: *mut c_void = ptr::from_ref(&doomed).cast_mut().cast();
    let (mut transport, mut client) = (ptr::null_mut(), ptr::null_mut());
    let callbacks = xcp_transport_callbacks {
        size: size_of::<xcp_transport_callbacks>(),
        ctx,
        exchange: Some(answers_until_death),
        release: None,
    };
    let options = c(r#"{"members": ["10.0.0.2", "10.0.0.3"], "timeout": 30}"#);
    // SAFETY: what is given lives until the end of the test, which frees what it is given.
    unsafe {
        done(|e| xcp_transport_custom(&callbacks, &mut transport, e)).unwrap();
        done(|e| {
            let (address, user) = (c"10.0.0.1".as_ptr(), c"root".as_ptr());
            let (password, never) = (c"x".as_ptr(), ptr::null());
            let options = options.as_ptr();
            xcp_client_connect(transport, address, user, password, options, never, &mut client, e)
        })
        .unwrap();
        text(|out, e| xcp_client_pool_uuid(client, ptr::null(), out, e)).unwrap();
        done(|e| xcp_log_set(XCP_LOG_DEBUG as u32, Some(calls_the_client), ctx, None, e)).unwrap();
        doomed.dead.store(true, Ordering::SeqCst);
        doomed.client.store(client, Ordering::SeqCst);
        let start = std::time::Instant::now();
        let method = c"host.get_all".as_ptr();
        let failed =
            text(|out, e| xcp_client_call_json(client, method, ptr::null(), ptr::null(), out, e));
        assert_eq!(failed.unwrap_err().status, XCP_E_TRANSPORT);
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
        doomed.client.store(ptr::null_mut(), Ordering::SeqCst);
        end();
        xcp_client_free(client);
        xcp_transport_free(transport);
    }
    let calls = doomed.calls.lock().unwrap();
    assert!(calls.iter().all(|(_, status)| *status == XCP_E_MISUSE), "{calls:?}");
    let me = std::thread::current().id();
    for here in [true, false] {
        assert!(calls.iter().any(|(thread, _)| (*thread == me) == here), "{here}: {calls:?}");
    }
}
