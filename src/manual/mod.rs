//! The manual: how the crate is built, how to add to it, how to test it, how to release it.
//!
//! The reference of each module says what a thing does; these pages say where things are and in
//! what order to touch them. They are for whoever changes the crate; whoever uses it begins at the
//! [front page](crate).

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("adding.md")]
pub mod adding {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("releasing.md")]
pub mod releasing {}
