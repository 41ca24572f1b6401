//! A member is emptied, rebooted and put back to work.

use xcp_pool::Result;
use xcp_pool::client::Scope;
use xcp_pool::{operations, plan};

use crate::lab::{Lab, named};
use crate::told;

pub(crate) fn run(lab: &Lab) -> Result<()> {
    println!("# gamma is rebooted without its VMs\n");
    let pool = lab.client("alpha")?;
    let now = pool.snapshot(Scope::Failover)?;
    let (_, master) = now.master()?;
    let plan = plan::maintenance(&now, &named(&now, &master.name_label)?)?;
    println!("{}, the master, could not be: {}\n", master.name_label, plan.unsolved[0]);

    let plan = plan::maintenance(&now, &named(&now, "gamma")?)?;
    println!("{plan}\n");
    let maintained = operations::maintenance(&pool, &plan, &mut told())?;
    println!("\ngamma {}\n", maintained.into_result()?);
    Ok(())
}
