//! A host leaves the pool.

use xcp_pool::Result;
use xcp_pool::client::Scope;
use xcp_pool::plan::Consent;
use xcp_pool::{operations, plan};

use crate::lab::{Lab, named};
use crate::told;

pub(crate) fn run(lab: &Lab) -> Result<()> {
    let pool = lab.client("alpha")?;
    let now = pool.snapshot(Scope::Failover)?;
    let name = if now.host.len() > 3 { "epsilon" } else { "gamma" };
    println!("# {name} leaves\n");
    let (_, master) = now.master()?;
    let plan = plan::eject(&now, &named(&now, &master.name_label)?)?;
    println!("{}, the master, could not:\n{plan}\n", master.name_label);

    let host = named(&now, name)?;
    let mut plan = plan::eject(&now, &host)?;
    if !plan.is_complete() {
        println!("{plan}\n\nso its VMs move away first\n");
        pool.task::<()>("host.evacuate", &(&host,), &mut |_| {})?.into_result()?;
        plan = plan::eject(&pool.snapshot(Scope::Failover)?, &host)?;
    }
    println!("{plan}\n");

    // What is destroyed is agreed to by naming its digest.
    let consent = Consent::to(&plan, plan.losses_digest())?;
    let ejected = operations::eject(&pool, plan.with_consent(&consent), &mut told())?;
    println!("\n{}\n", ejected.into_result()?);
    Ok(())
}
