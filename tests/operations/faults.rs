//! What every operation survives alike: replies that are lost, calls that never arrive, callers that
//! are cut off anywhere, deadlines.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use xcp_pool::operations::{Control, Outcome, Progress};
use xcp_pool::simulator::{Injection, Trouble, World};
use xcp_pool::transport::Cancel;
use xcp_pool::{ErrorKind, Result};

use crate::eject::Eject;
use crate::hand_over::HandOver;
use crate::join::Story;
use crate::maintenance::Maintenance;
use crate::recover::Recovery;
use crate::support::{done, not_done, requests, unknown};

/// An operation in a world of its own, planned and ready to begin.
pub(crate) trait Drill: Sized {
    type Done: Debug;

    /// The calls that change the world: each is made once, whatever happens to it.
    const CALLS: &'static [&'static str];

    /// The host that is called.
    const AT: &'static str;

    /// How many places there are at least, steps and waits, where a caller may be cut off.
    const PLACES: usize;

    /// What is awaited on the way, among other things.
    const AWAITED: &'static [&'static str];

    /// Deadlines that pass while something is under way, in seconds, and what is said then.
    const DEADLINES: &'static [(u64, &'static [&'static str])];

    fn new() -> Self;

    fn world(&self) -> &World;

    fn run(&self, control: &mut Control<'_>) -> Result<Outcome<Self::Done>>;

    /// Leaves the rest to another caller, with clients of its own where there is somebody to log in at.
    fn come_back(&mut self);

    /// Nothing came of a call that never arrived, and that was said.
    fn assert_not_done(&self, call: &str, why: &str);

    /// The end that was asked for holds, and no session is left.
    fn assert_in_order(self, done: &Self::Done);
}

/// The rest is done, each call was made once in all, and all is in order.
fn finish<D: Drill>(drill: D, what: &str) {
    let end = done(drill.run(&mut Control::new()));
    for call in D::CALLS {
        assert_eq!(requests(drill.world(), call), 1, "{call}, {what}");
    }
    drill.assert_in_order(&end);
}

fn lost_replies<D: Drill>() {
    for call in D::CALLS {
        for trouble in [Trouble::LoseReply, Trouble::Silence, Trouble::CutReply] {
            let drill = D::new();
            let what = format!("{trouble:?} of {call}");
            drill.world().trouble(Injection::new(trouble).host(D::AT).method(call));
            finish(drill, &what);
        }
    }
}

fn calls_that_never_arrive<D: Drill>() {
    for call in D::CALLS {
        let drill = D::new();
        drill.world().trouble(Injection::new(Trouble::Reset).host(D::AT).method(call));
        let why = not_done(drill.run(&mut Control::new()));
        assert_eq!(requests(drill.world(), call), 0, "{call}");
        drill.assert_not_done(call, &why);
        let end = done(drill.run(&mut Control::new()));
        assert_eq!(requests(drill.world(), call), 1, "{call}");
        drill.assert_in_order(&end);
    }
}

fn deadlines<D: Drill>() {
    for (seconds, words) in D::DEADLINES {
        let drill = D::new();
        let mut control = Control::new().deadline(Duration::from_secs(*seconds));
        let why = unknown(drill.run(&mut control));
        for word in *words {
            assert!(why.contains(word), "{word:?} is missing after {seconds} s in {why}");
        }
        finish(drill, &format!("after {seconds} s"));
    }
}

/// A step and what is awaited in it, without the errors of hosts that do not answer.
fn place(progress: &Progress<'_>) -> (usize, Option<String>) {
    let what = |awaited: &str| awaited.split(" (").next().unwrap_or_default().to_owned();
    (progress.step, progress.awaited.map(what))
}

fn callers_that_are_cut_off<D: Drill>() {
    let mut places = BTreeSet::new();
    let mut control = Control::new().observer(|progress| {
        places.insert(place(progress));
    });
    done(D::new().run(&mut control));
    drop(control);
    assert!(places.len() >= D::PLACES, "{places:?}");
    for awaited in D::AWAITED {
        let comes = |(_, what): &(usize, Option<String>)| what.as_deref() == Some(*awaited);
        assert!(places.iter().any(comes), "{awaited:?} is missing in {places:?}");
    }
    for at in places {
        let mut drill = D::new();
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let mut control = Control::new().cancel(cancel).observer(|progress| {
            if place(progress) == at {
                stop.cancel();
            }
        });
        let cut = drill.run(&mut control).unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::Cancelled, "{at:?}");
        drop(control);
        drill.come_back();
        finish(drill, &format!("cut off at {at:?}"));
    }
}

/// Has each operation survive each kind of fault.
macro_rules! drills {
    ($($name:ident: $drill:ty,)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn lost_replies_change_nothing_about_the_outcome() {
                lost_replies::<$drill>();
            }

            #[test]
            fn a_call_that_never_arrived_is_not_done_and_can_be_made_again() {
                calls_that_never_arrive::<$drill>();
            }

            #[test]
            fn a_deadline_leaves_the_outcome_open() {
                deadlines::<$drill>();
            }

            #[test]
            fn a_caller_that_was_cut_off_anywhere_goes_on_by_looking() {
                callers_that_are_cut_off::<$drill>();
            }
        }
    )*};
}

drills! {
    eject: Eject,
    hand_over: HandOver,
    join: Story,
    maintenance: Maintenance,
    recover: Recovery,
}
