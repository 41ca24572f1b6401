//! Buffers of connections, lent for a request: an idle connection has none.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ureq::unversioned::transport::{Buffers, LazyBuffers};

/// Large enough for a fast network.
const INPUT: usize = 64 << 10;
const OUTPUT: usize = 16 << 10;

/// Spare buffers that are kept: one for each request that is likely to run at a time.
const SPARE: usize = 16;

/// Where connections borrow their buffers, so that hundreds of idle ones take no memory.
#[derive(Clone, Default)]
pub(super) struct Lender(Arc<Mutex<Vec<LazyBuffers>>>);

/// The buffers of one connection, if it has any at the moment.
pub(super) struct Borrowed {
    lender: Lender,
    buffers: Option<LazyBuffers>,
}

impl Lender {
    pub(super) fn lend(&self) -> Borrowed {
        Borrowed { lender: self.clone(), buffers: None }
    }
}

impl Borrowed {
    pub(super) fn get(&mut self) -> &mut LazyBuffers {
        self.buffers.get_or_insert_with(|| {
            let spare = self.lender.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
            spare.unwrap_or_else(|| LazyBuffers::new(INPUT, OUTPUT))
        })
    }

    /// Gives the buffers back, unless they hold something unread.
    pub(super) fn give_back(&mut self) {
        if let Some(buffers) = self.buffers.take_if(|buffers| buffers.input().is_empty()) {
            let mut spare = self.lender.0.lock().unwrap_or_else(PoisonError::into_inner);
            if spare.len() < SPARE {
                spare.push(buffers);
            }
        }
    }
}

impl fmt::Debug for Lender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lender")
    }
}
