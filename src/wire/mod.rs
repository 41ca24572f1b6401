//! Bytes to typed values and back: requests, replies, faults, events, saved snapshots. Pure.

mod snapshot;
