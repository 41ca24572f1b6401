//! Whether a host may join a pool, asked of both.

use std::sync::Arc;

use crate::client::{Client, ClockReading, Scope};
use crate::error::{ErrorKind, Result};
use crate::model::{Host, Ref, Snapshot};
use crate::preflight::{self, Evidence, Options, Report};

/// Reads a pool and a host, and tells whether the host may join.
///
/// The evidence that no database has is read, too. `pool` is a client of the pool's master,
/// `joiner` one of the host that is to join. What `options` has of the evidence stays as it is; the
/// rest is that of [`join_evidence`].
///
/// ```no_run
/// # fn example(pool: &xcp_pool::client::Client, host: &xcp_pool::client::Client) -> xcp_pool::Result<()> {
/// use xcp_pool::{operations, preflight::Options};
///
/// let report = operations::preflight(pool, host, &Options::default())?;
/// println!("{report}");
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`Client::snapshot`].
pub fn preflight(pool: &Client, joiner: &Client, options: &Options) -> Result<Report> {
    let theirs = pool.snapshot(Scope::Preflight)?;
    let own = joiner.snapshot(Scope::Preflight)?;
    report((pool, theirs.into()), (joiner, own.into()), options)
}

/// The report on snapshots of both sides, with the evidence that their clients gather.
pub(super) fn report(
    pool: (&Client, Arc<Snapshot>),
    joiner: (&Client, Arc<Snapshot>),
    options: &Options,
) -> Result<Report> {
    let gathered = gather((pool.0, &pool.1), (joiner.0, &joiner.1))?;
    let mut options = options.clone();
    let given = &mut options.evidence;
    // One clock of another moment is no use to the other.
    if given.master_time.is_none() && given.joiner_time.is_none() {
        (given.master_time, given.joiner_time) = (gathered.master_time, gathered.joiner_time);
    }
    given.master_address = given.master_address.take().or(gathered.master_address);
    Ok(preflight::evaluate(pool.1, joiner.1, &options))
}

/// Reads what the preflight of a join wants and no database tells.
///
/// As far as a call tells it:
///
/// * Both clocks (`host.get_servertime`), right after one another. The joiner's is that of its
///   answer; the master's is carried on to that moment. Either counts as read in the middle of its
///   round trip, so they are comparable to a second and half of both round trips.
/// * The address that the pool knows its master by, which [`join`](crate::operations::join) gives
///   to `pool.join`.
///
/// What is left out:
/// * The editions of the licence daemon. `host.editions`, in the database, has their names; the
///   orders by which `pool.join` compares them are told by the daemon (v6d) to its own host alone,
///   and no call of XAPI passes them on. They matter only where hosts have different editions.
/// * The bridge backend. The network daemon is asked by its own host; XAPI stores the answer in
///   `host.software_version` (`network_backend`) at each start, which snapshots have.
///
/// A clock that a host refuses to tell is left out, too.
///
/// # Errors
/// As [`Client::snapshot`].
pub fn join_evidence(pool: &Client, joiner: &Client) -> Result<Evidence> {
    let theirs = pool.snapshot(Scope::Overview)?;
    let own = joiner.snapshot(Scope::Overview)?;
    gather((pool, &theirs), (joiner, &own))
}

fn gather(pool: (&Client, &Snapshot), joiner: (&Client, &Snapshot)) -> Result<Evidence> {
    let mut evidence = Evidence::default();
    let Ok((master, record)) = pool.1.master() else { return Ok(evidence) };
    evidence.master_address = Some(record.address.clone()).filter(|address| !address.is_empty());
    let Ok((host, _)) = joiner.1.master() else { return Ok(evidence) };
    if let (Some(theirs), Some(own)) = (clock(pool.0, master)?, clock(joiner.0, host)?) {
        evidence.master_time = Some(theirs.time_at(own.at));
        evidence.joiner_time = Some(own.time);
    }
    Ok(evidence)
}

fn clock(client: &Client, host: &Ref<Host>) -> Result<Option<ClockReading>> {
    match client.server_time(host) {
        Ok(reading) => Ok(Some(reading)),
        Err(error) if error.kind() == ErrorKind::Fault => Ok(None),
        Err(error) => Err(error),
    }
}
