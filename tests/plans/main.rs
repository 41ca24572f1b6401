//! Plans as data: what their digests are of, and what consent to their losses covers.

mod consent;
mod golden;
