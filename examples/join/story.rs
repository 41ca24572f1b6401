//! The story, on the embedded simulator: hosts in memory, waits in virtual time.

use xcp_pool::Result;
use xcp_pool::client::{Client, Credentials, Scope};
use xcp_pool::model::Overview;
use xcp_pool::operations::{self, Control};
use xcp_pool::plan::{Choices, Consent};
use xcp_pool::preflight::Options;
use xcp_pool::rules::Policy;
use xcp_pool::simulator::World;

/// Tells how Ignite joins Phantom's pool.
pub(crate) fn tell(keep_vms: bool) -> Result<()> {
    let world = World::story(1);
    let root = Credentials::new("root", "xcp-test");
    let phantom = Client::connect(world.transport(), "phantom", &root)?;
    let ignite = Client::connect(world.transport(), "ignite", &root)?;

    // The vendor's documents want an empty host; XAPI itself would take its halted VMs along.
    let policy = if keep_vms { Policy::new() } else { Policy::documented() };
    let report = operations::preflight(&phantom, &ignite, &Options::new().policy(policy))?;
    println!("# Phantom's pool\n\n{}\n", Overview::of(report.pool())?);
    println!("# Ignite\n\n{}\n", Overview::of(report.joiner())?);
    println!("# May Ignite join?\n\n{report}\n");

    let plan = report.plan(&Choices::new())?;
    println!("# The plan\n\n{plan}\n");

    // An administrator who has read the plan agrees to what it destroys by naming this digest.
    let consent = Consent::to(&plan, plan.losses_digest())?;
    println!("# What happens\n");
    let mut control = Control::new().observer(|progress| {
        let seconds = progress.elapsed.as_secs();
        let what = progress.awaited.unwrap_or(progress.summary);
        let wait = if progress.awaited.is_some() { "waits for " } else { "" };
        if progress.done.is_none() {
            println!("{seconds:>4} s  {}/{}  {wait}{what}", progress.step, progress.of);
        }
    });
    let joined = operations::join(&phantom, &ignite, plan.with_consent(&consent), &mut control)?;
    drop(control);
    println!("\n# The pool before and after\n\n{}\n", joined.into_result()?);

    println!("# A client that logs in at Ignite now\n");
    let client = Client::connect(world.transport(), "ignite", &root)?;
    println!("is led to {}", client.endpoint());
    let snapshot = client.snapshot(Scope::Overview)?;
    println!("and talks to {}, the master", snapshot.master()?.1.name_label);
    Ok(())
}
