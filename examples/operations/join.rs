//! Two hosts join the pool, one after the other.

use xcp_pool::Result;
use xcp_pool::operations::{self, OnFailure};
use xcp_pool::plan::{self, Choices, Consent};
use xcp_pool::preflight::Options;

use crate::lab::Lab;
use crate::told;

pub(crate) fn run(lab: &Lab) -> Result<()> {
    println!("# delta and epsilon join\n");
    let pool = lab.client("alpha")?;
    let (delta, epsilon) = (lab.client("delta")?, lab.client("epsilon")?);
    let options = Options::new();
    let reports = [
        operations::preflight(&pool, &delta, &options)?,
        operations::preflight(&pool, &epsilon, &options)?,
    ];
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
