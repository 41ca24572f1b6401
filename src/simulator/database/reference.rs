//! Refs, as rows have them.

use std::sync::Arc;

/// The text of a ref, shared between all that name the object.
pub(in crate::simulator) type Ref = Arc<str>;
