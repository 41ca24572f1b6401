//! Another host becomes master.

use xcp_pool::Result;
use xcp_pool::client::Scope;
use xcp_pool::{operations, plan};

use crate::lab::{Lab, named};
use crate::told;

pub(crate) fn run(lab: &Lab) -> Result<()> {
    println!("# beta becomes master\n");
    let pool = lab.client("alpha")?;
    let now = pool.snapshot(Scope::Overview)?;
    // Every host is asked what it is: all of them have to take part.
    let evidence = operations::evidence(&pool, &now)?;
    let plan = plan::hand_over(&now, &evidence, &named(&now, "beta")?)?;
    println!("{plan}\n");
    let handed = operations::hand_over(&pool, &plan, &mut told())?;
    println!("\n{}\n", handed.into_result()?);

    println!("a second time there is nothing to do:");
    let handed = operations::hand_over(&pool, &plan, &mut told())?.into_result()?;
    assert!(handed.already_master);
    println!("beta is at {}\n", pool.endpoint());
    Ok(())
}
