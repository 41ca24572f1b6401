//! Two hosts join the pool, one after the other.

use std::sync::Arc;

use xcp_pool::Result;
use xcp_pool::client::Scope;
use xcp_pool::operations::{self, OnFailure};
use xcp_pool::plan::{self, Choices, Consent};
use xcp_pool::preflight::{self, Options};

use crate::lab::Lab;
use crate::told;

pub(crate) fn run(lab: &Lab) -> Result<()> {
    println!("# delta and epsilon join\n");
    let pool = lab.client("alpha")?;
    let (delta, epsilon) = (lab.client("delta")?, lab.client("epsilon")?);
    let world = Arc::new(pool.snapshot(Scope::Preflight)?);
    let snapshots = [delta.snapshot(Scope::Preflight)?, epsilon.snapshot(Scope::Preflight)?];
    let reports =
        snapshots.map(|host| preflight::evaluate(Arc::clone(&world), host, &Options::new()));
    let choices = Choices::new();
    let joins = plan::join_many(reports.iter().map(|report| (report, &choices)))?;
    println!("{joins}\n");

    // An administrator who has read the plans agrees to what they destroy by naming this digest.
    let consent = Consent::to_all(&joins, joins.losses_digest())?;
    let joiners = [&delta, &epsilon];
    let mut control = told().on_failure(OnFailure::Stop);
    let agreed = joins.with_consent(&consent);
    let joined = operations::join_many(&pool, &joiners, agreed, &mut control)?;
    println!("\n{joined}\n");
    Ok(())
}
