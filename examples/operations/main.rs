//! The planned operations on a pool, each first as a plan, then as it runs.
//!
//! `operations [--https] [join | maintenance | hand-over | eject]...` runs them on a lab of simulated
//! hosts, all four in this order if none is named: two hosts join, one is rebooted without its VMs,
//! another becomes master, one leaves. Embedded, hours of waiting take milliseconds; with `--https` the
//! hosts are served on real sockets, and the clients trust them by pins.

mod eject;
mod hand_over;
mod join;
mod lab;
mod maintenance;

use std::process::ExitCode;

use xcp_pool::operations::Control;
use xcp_pool::{Error, ErrorKind, Result};

use lab::Lab;

const USAGE: &str = "usage: operations [--https] [join | maintenance | hand-over | eject]...";

type Operation = fn(&Lab) -> Result<()>;

const OPERATIONS: [(&str, Operation); 4] = [
    ("join", join::run),
    ("maintenance", maintenance::run),
    ("hand-over", hand_over::run),
    ("eject", eject::run),
];

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: impl Iterator<Item = String>) -> Result<()> {
    let (https, names): (Vec<_>, Vec<_>) = words.partition(|word| word == "--https");
    let wrong = names.iter().find(|name| !OPERATIONS.iter().any(|(known, _)| known == name));
    if let Some(wrong) = wrong {
        let what = format!("unknown argument {wrong:?}\n{USAGE}");
        return Err(Error::new(ErrorKind::InvalidInput, what));
    }
    let lab = Lab::new(!https.is_empty())?;
    for (name, operation) in OPERATIONS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            operation(&lab)?;
        }
    }
    println!("{} sessions are left open", lab.open_sessions());
    Ok(())
}

/// Says what an operation is at, a line for each step and each wait.
fn told() -> Control<'static> {
    Control::new().observer(|progress| {
        let seconds = progress.elapsed.as_secs();
        let waits = if progress.awaited.is_some() { "waits for " } else { "" };
        let what = progress.awaited.unwrap_or(progress.summary);
        if progress.done.is_none() {
            println!("{seconds:>4} s  {}/{}  {waits}{what}", progress.step, progress.of);
        }
    })
}
