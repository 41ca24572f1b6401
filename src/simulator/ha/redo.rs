//! The copy of the database that a master keeps on the shared storage (`redo_log.ml`).
//!
//! Every write of the master goes there as long as it reaches the storage; so the copy is that of
//! the moment when it died or lost the storage, which is when it is taken here.

use crate::election::HostRole;
use crate::simulator::database::Database;
use crate::simulator::state::{HostId, State};

/// Brings the copy up to date, if this is a master that reaches the storage.
pub(super) fn sync(state: &mut State, id: HostId) {
    if state.ha.cut.contains(&id) || state.host(id).role != HostRole::Master {
        return;
    }
    let Some(place) = state.ha.place(id) else { return };
    let database = state.host(id).database.clone();
    if let Some(pool) = state.ha.pool_mut(place) {
        pool.metadata = database;
    }
}

/// The copy on the shared storage, if a host that becomes master reaches it and its own database
/// is not newer (`db_connections.ml:33-58`).
pub(in crate::simulator) fn newer_database(
    state: &State,
    id: HostId,
    own: Option<&Database>,
) -> Option<Database> {
    let place = state.ha.place(id).filter(|_| !state.ha.cut.contains(&id))?;
    let copy = state.ha.pool(place)?.metadata.as_ref()?;
    let newer = own.is_none_or(|own| copy.generation() >= own.generation());
    newer.then(|| copy.clone())
}
