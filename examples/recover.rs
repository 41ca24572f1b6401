//! The master of a pool dies: what is the matter, who takes its place, and what is left to do.
//!
//! On the embedded simulator; with `--https` its hosts are asked over sockets and TLS, as real ones
//! would be.

use xcp_pool::Result;
use xcp_pool::client::{Client, Credentials, Scope};
use xcp_pool::election;
use xcp_pool::operations::{self, Control, Members};
use xcp_pool::plan::{self, Consent};
use xcp_pool::simulator::{Front, PoolSpec, Release, VmSpec, World};
use xcp_pool::transport::{Http, Trust};

fn main() -> Result<()> {
    let pool = PoolSpec::new("lab", Release::XcpNg83)
        .host("phantom", "10.0.0.1")
        .host("ignite", "10.0.0.2")
        .host("ember", "10.0.0.3")
        .shared_sr("NFS", "nfs")
        .vm(VmSpec::running("web", "phantom").disk("NFS", 20));
    let world = World::builder().seed(1).pool(pool).build()?;
    let root = Credentials::new("root", "xcp-test");
    if !std::env::args().any(|argument| argument == "--https") {
        let known = Client::connect(world.transport(), "phantom", &root)?;
        let members = Members::new(world.transport(), &root);
        return tell(&world, members, known);
    }
    let front = Front::builder(&world).https(0).speed(30.0).start()?;
    let pins = front.hosts().iter().filter_map(|host| front.fingerprint(&host.name));
    let http = Http::builder().trust(Trust::pins(pins)).build()?;
    let (mut members, mut known) = (Members::new(http.clone(), &root), Client::builder(http));
    for (address, endpoint) in front.addresses() {
        members = members.address(address, endpoint.clone());
        known = known.address(address, endpoint);
    }
    let known =
        known.connect_to(&front.endpoint("phantom").expect("a host of this front"), &root)?;
    tell(&world, members, known)
}

fn tell(world: &World, members: Members, known: Client) -> Result<()> {
    // Whoever looks after a pool keeps the last snapshot: members cannot read without their master.
    let last = known.snapshot(Scope::Failover)?;
    known.close()?;
    let members = members.snapshot(last.clone(), None).ask_whether_ha_is_armed();
    println!("# The pool\n\n{}\n", operations::diagnose(&members)?);

    world.power_off("phantom");
    let diagnosis = operations::diagnose(&members)?;
    println!("# Phantom is gone\n\n{diagnosis}\n");

    let mut evidence = diagnosis.evidence();
    let decision = election::emergency(&last, &evidence)?;
    let plan = plan::recovery(&last, &evidence, &decision)?;
    println!("# What is not known\n\n{plan}\n");

    // Somebody went to see that Phantom is off and stays off, and answers for the rest.
    evidence.confirmed.extend(decision.confirmations);
    let decision = election::emergency(&last, &evidence)?;
    let plan = plan::recovery(&last, &evidence, &decision)?;
    println!("# The plan\n\n{plan}\n");

    let consent = Consent::to(&plan, plan.losses_digest())?;
    let mut control = Control::new().observer(|progress| {
        let awaited = progress.awaited.map(|awaited| format!(" (waits for {awaited})"));
        println!(
            "{}/{} {}{}",
            progress.step,
            progress.of,
            progress.summary,
            awaited.unwrap_or_default()
        );
    });
    let outcome = operations::recover(&members, plan.with_consent(&consent), &mut control)?;
    println!("\n# Recovered\n\n{}\n", outcome.into_result()?);
    println!("# The pool\n\n{}", operations::diagnose(&members)?);
    Ok(())
}
