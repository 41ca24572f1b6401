//! On which threads a transport carries a request.

use std::cell::RefCell;
use std::sync::Arc;

use crate::error::Result;
use crate::ffi::error::Failure;
use crate::ffi::status::xcp_status::XCP_E_MISUSE;
use crate::transport::{Body, Clock, Request, Transport};

/// A transport that knows of the threads on which it carries a request.
///
/// A callback of it, or of its trust store, runs there, and a call on a client over it would wait
/// for itself.
#[derive(Clone)]
pub(in crate::ffi) struct Carried(Arc<dyn Transport>);

impl Carried {
    pub(super) fn new(transport: impl Transport + 'static) -> Self {
        Self(Arc::new(transport))
    }

    /// By which [`not_in_callback_of`] knows it.
    pub(in crate::ffi) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

thread_local! {
    /// The transports, by address, that carry a request on this thread.
    static CARRYING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Fails if this thread is in a callback of the transport, by address: it would wait for itself.
pub(in crate::ffi) fn not_in_callback_of(transport: usize) -> Result<(), Failure> {
    match CARRYING.with_borrow(|carrying| carrying.contains(&transport)) {
        true => {
            let message = "client: a callback cannot call on clients over its own transport";
            Err(Failure::new(XCP_E_MISUSE, message))
        }
        false => Ok(()),
    }
}

impl Transport for Carried {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        struct Carrying;
        impl Drop for Carrying {
            fn drop(&mut self) {
                CARRYING.with_borrow_mut(Vec::pop);
            }
        }
        CARRYING.with_borrow_mut(|carrying| carrying.push(self.address()));
        let _carrying = Carrying;
        self.0.exchange(request)
    }

    fn clock(&self) -> &dyn Clock {
        self.0.clock()
    }

    fn at_once(&self) -> usize {
        self.0.at_once()
    }
}
