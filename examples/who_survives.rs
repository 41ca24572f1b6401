//! Draws a cut through an HA pool and prints who survives it.
//!
//! `who_survives 'a* b c- | d e!'`: one word a host; the names stand for uuids, whose order breaks
//! ties. Hosts on both sides of a `|` do not hear each other. After a name: `*` it is master, `-` it
//! lost the storage, `!` it crashes, `~` it was shut down before, `:3` its weight. `x/y` cuts the
//! network between two hosts only. Without arguments, well-known cuts are shown.

use std::process::ExitCode;

use xcp_pool::election::partition::{
    Election, Fate, FenceReason, Scenario, Survival, SurvivalRule,
};
use xcp_pool::{Error, ErrorKind};

const WELL_KNOWN: &[(&str, &str)] = &[
    ("two hosts lose each other: the lower uuid wins, whoever was master", "a | b*"),
    ("a pair against the lowest uuid", "a* | b c"),
    ("equal halves", "a b | c* d"),
    ("equal halves, but one host weighs more", "a b | c d:2"),
    ("everybody hears everybody, one keeps the storage", "a*- b c-"),
    ("nobody has storage, everybody is there", "a*- b- c-"),
    ("nobody has storage, and one is gone", "a*- b- c!"),
    ("nobody has storage, and one was shut down before", "a*- b- c~"),
    ("a line: a and c do not hear each other", "a* b c a/c"),
    ("one host dies", "a*! b c"),
];

fn main() -> ExitCode {
    let drawing = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    if drawing.is_empty() {
        for (title, drawing) in WELL_KNOWN {
            println!("{title}\n  {drawing}");
            if let Err(error) = show(drawing) {
                println!("  {error}");
            }
            println!();
        }
        return ExitCode::SUCCESS;
    }
    match show(&drawing) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("who_survives: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(drawing: &str) -> Result<(), Error> {
    let scenario = read(drawing)?;
    print(&scenario.decide()?);
    Ok(())
}

/// A host as it is drawn.
struct Drawn<'a> {
    name: &'a str,
    marks: &'a str,
    side: usize,
}

fn read(drawing: &str) -> Result<Scenario, Error> {
    let (mut hosts, mut links, mut side) = (Vec::new(), Vec::new(), 0);
    for word in
        drawing.replace('|', " | ").split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    {
        if word == "|" {
            side += 1;
        } else if let Some((one, other)) = word.split_once('/') {
            links.push((one.to_owned(), other.to_owned()));
        } else {
            hosts.push((word, side));
        }
    }
    let hosts: Vec<Drawn> = hosts
        .iter()
        .map(|(word, side)| {
            let end = word.find(['*', '-', '!', '~', ':']).unwrap_or(word.len());
            Drawn { name: &word[..end], marks: &word[end..], side: *side }
        })
        .collect();
    let mut pool = Scenario::new(hosts.iter().map(|host| host.name))?;
    for host in hosts.iter().filter(|host| host.marks.contains('~')) {
        pool.shut_down(host.name)?;
    }
    for side in 0..=side {
        let group: Vec<&str> =
            hosts.iter().filter(|host| host.side == side).map(|host| host.name).collect();
        pool.split(&group)?;
    }
    for (one, other) in &links {
        pool.cut(one, other)?;
    }
    for host in &hosts {
        if let Some((_, weight)) = host.marks.split_once(':') {
            let weight = weight.trim_end_matches(['*', '-', '!', '~']).parse().map_err(|_| {
                Error::new(ErrorKind::InvalidInput, format!("{weight} is no weight"))
            })?;
            pool.set_weight(host.name, weight)?;
        }
        if host.marks.contains('-') {
            pool.lose_storage(host.name)?;
        }
        if host.marks.contains('!') {
            pool.crash(host.name)?;
        }
        if host.marks.contains('*') {
            pool.set_master(host.name)?;
        }
    }
    Ok(pool)
}

fn print(outcome: &Survival) {
    for host in &outcome.hosts {
        let fate = match &host.fate {
            Fate::Crashed => "is dead".to_owned(),
            Fate::Excluded => "is off, and does not count".to_owned(),
            Fate::Survives { rule: SurvivalRule::HasStorage } => "survives".to_owned(),
            Fate::Survives { .. } => {
                "survives: all hosts are in sight, and none has storage".to_owned()
            }
            Fate::Fences { reason } => format!("fences itself: {}", why(reason)),
            _ => "has a fate that this example does not know".to_owned(),
        };
        println!("  {} {fate}", host.host);
    }
    println!("  {}", master(&outcome.election));
    if let Some(wait) = &outcome.wait {
        println!(
            "  nobody acts on the deaths before {} s have passed ({} to notice, {} to agree, {} to be sure)",
            wait.earliest, wait.detection, wait.agreement, wait.fence
        );
    }
}

fn why(reason: &FenceReason) -> String {
    match reason {
        FenceReason::HostsMissingWithoutStorage { missing } => {
            format!("nobody has storage, and {} cannot be seen", missing.join(", "))
        }
        FenceReason::LostStorage { holders, missing } if holders.is_empty() => {
            format!("it lost the storage, and {} may have it", missing.join(", "))
        }
        FenceReason::LostStorage { holders, .. } => {
            format!("it lost the storage, and {} has it", holders.join(", "))
        }
        FenceReason::OutsideBestGroup { winner: Some(winner) } => {
            format!("the group around {winner} is better")
        }
        _ => "it is in no group".to_owned(),
    }
}

fn master(election: &Election) -> String {
    match election {
        Election::MasterStays { master } => format!("{master} stays master"),
        Election::NobodyLeft => "nobody is left".to_owned(),
        Election::Impossible { .. } => {
            "there is no master until the storage is back: the lock lies there".to_owned()
        }
        Election::Race { may_become_master, contention_favourite }
        | Election::MasterUnknown { may_become_master, contention_favourite } => {
            let favourite = contention_favourite.as_deref().unwrap_or("nobody");
            format!("may become master: {} (favourite: {favourite})", may_become_master.join(", "))
        }
        _ => "who becomes master, this example does not know".to_owned(),
    }
}
