//! In what state a pool is, concluded from what each of its hosts says for itself.
//!
//! Also when no master answers, which is when it is wanted most. The answers are data:
//!
//! ```
//! use xcp_pool::election::HostRole;
//! use xcp_pool::health::diagnosis::{Contact, Diagnosis, HostAnswer, PoolState, Records};
//!
//! let why = String::from("no reply within 15 s");
//! let phantom = HostAnswer::new("https://10.0.0.1", Contact::Silent { why });
//! let mut ignite = HostAnswer::new("https://10.0.0.2", Contact::Answers);
//! ignite.role = Some(HostRole::Slave("10.0.0.1".into()));
//! let diagnosis = Diagnosis::of(vec![phantom, ignite], Records::None);
//! assert_eq!(diagnosis.state, PoolState::MasterAway { master: "10.0.0.1".into() });
//! println!("{diagnosis}");
//! ```

mod answer;
mod classify;
mod conclude;
mod emergency;
mod evidence;
mod report;
mod state;
mod text;
mod whole;

pub use answer::{Contact, HostAnswer, LedPool};
pub use evidence::evidence;
pub use report::HostReport;
pub(crate) use report::only_master;
pub use state::PoolState;
pub use whole::{Diagnosis, Records};
