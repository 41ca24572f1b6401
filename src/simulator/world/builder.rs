//! Making worlds.

use std::collections::BTreeMap;

use super::World;
use super::spec::PoolSpec;
use crate::election::HostRole;
use crate::error::{Error, ErrorKind, Result};
use crate::simulator::calls::operations;
use crate::simulator::database::Database;
use crate::simulator::housekeeping;
use crate::simulator::state::{Host, Power, State, Timings};

/// A world in the making: pools, one by one, then [`build`](Self::build).
///
/// # Examples
/// ```
/// use xcp_pool::simulator::{PoolSpec, Release, VmSpec, World};
///
/// let world = World::builder()
///     .seed(7)
///     .pool(
///         PoolSpec::new("lab", Release::XcpNg83)
///             .host("phantom", "10.0.0.1")
///             .host("member", "10.0.0.2")
///             .shared_sr("NFS", "nfs")
///             .vm(VmSpec::running("web", "member").disk("NFS", 10)),
///     )
///     .pool(PoolSpec::new("", Release::XcpNg83).host("ignite", "10.0.0.3"))
///     .build()?;
/// assert_eq!(world.count("member", "host"), 2);
/// # Ok::<(), xcp_pool::Error>(())
/// ```
pub struct WorldBuilder {
    seed: u64,
    timings: Timings,
    driven: bool,
    pools: Vec<Pool>,
    password: String,
}

enum Pool {
    Database(Database),
    Spec(PoolSpec),
}

impl World {
    /// Begins a world of one's own.
    pub fn builder() -> WorldBuilder {
        WorldBuilder::new()
    }
}

impl WorldBuilder {
    pub(super) fn new() -> Self {
        Self {
            seed: 0,
            timings: Timings::default(),
            driven: false,
            pools: Vec::new(),
            password: PASSWORD.to_owned(),
        }
    }

    /// Which ids the world makes up; worlds of the same seed are alike.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long things take.
    #[must_use]
    pub fn timings(mut self, change: impl FnOnce(&mut Timings)) -> Self {
        change(&mut self.timings);
        self
    }

    /// The password of `root` on every host; `xcp-test` if not said.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self
    }

    /// Leaves the clock to [`World::advance`].
    ///
    /// Waiting does not move it, it waits for another thread to do so. For worlds that run in step
    /// with something outside.
    #[must_use]
    pub fn driven(mut self) -> Self {
        self.driven = true;
        self
    }

    /// Adds a pool; a host of its own is a pool of one.
    #[must_use]
    pub fn pool(mut self, pool: PoolSpec) -> Self {
        self.pools.push(Pool::Spec(pool));
        self
    }

    /// Adds a pool by its database, such as a recorded one.
    ///
    /// Every host record in it becomes a host at its address, named by its `hostname` or, without
    /// one, its `name_label`, or by its address where another host has that name already.
    ///
    /// A member's record with the uuid of a host that was added before stands for that host, and
    /// makes no other one.
    #[must_use]
    pub fn database(mut self, database: Database) -> Self {
        self.pools.push(Pool::Database(database));
        self
    }

    /// The world.
    ///
    /// # Errors
    /// `InvalidInput` if a pool names what it does not have, or has not exactly one pool record
    /// with a master, or two hosts share an address or a uuid.
    pub fn build(self) -> Result<World> {
        let mut state = State::new(self.seed, self.timings);
        for pool in self.pools {
            let database = match pool {
                Pool::Database(database) => database,
                Pool::Spec(spec) => spec.build(&mut state.random)?,
            };
            add_pool(&mut state, database, &self.password)?;
        }
        housekeeping::begin(&mut state);
        Ok(World::begin(state, self.driven))
    }
}

/// Adds the hosts of a database to the world.
fn add_pool(state: &mut State, mut database: Database, password: &str) -> Result<()> {
    let wrong = |what: String| Error::new(ErrorKind::InvalidInput, what);
    let pools = database.refs("pool");
    let [pool] = pools.as_slice() else {
        return Err(wrong(format!("a database with {} pool records is no pool's", pools.len())));
    };
    let master = database.text("pool", pool, "master");
    let address = database.text("host", &master, "address").to_string();
    if !database.contains("host", &master) {
        return Err(wrong(format!("the pool's master {master} is not among its hosts")));
    }
    for sr in database.objects("SR").filter(|sr| sr.int("physical_size") > 0) {
        let sizes = (sr.int("physical_size"), sr.int("physical_utilisation"));
        state.stores.insert(sr.text("uuid").to_owned(), sizes);
    }
    operations::refresh_pool(&mut database);
    for host in database.refs("host") {
        operations::refresh_host(&mut database, &host);
    }
    for vm in database.refs("VM") {
        operations::refresh_vm(&mut database, &vm);
    }
    let secret = [state.random.uuid(), state.random.uuid(), state.random.uuid()].join("/");
    let records: Vec<_> = database.refs("host").into_iter().rev().collect();
    for record in records {
        let Some(row) = database.object("host", &record) else { continue };
        let role =
            if record == master { HostRole::Master } else { HostRole::Slave(address.clone()) };
        let (hostname, uuid) = (row.text("hostname"), row.text("uuid"));
        if record != master && state.hosts.iter().any(|host| host.uuid == uuid) {
            continue;
        }
        let name = if hostname.is_empty() { row.text("name_label") } else { hostname };
        let taken = state.hosts.iter().any(|host| host.name.eq_ignore_ascii_case(name));
        let name = if taken { row.text("address") } else { name };
        let host = Host {
            name: name.to_owned(),
            address: row.text("address").to_owned(),
            uuid: uuid.to_owned(),
            release: database.release(),
            power: Power::Running,
            role: role.clone(),
            configured: role,
            database: (record == master).then(|| database.clone()),
            backup: (record != master).then(|| database.clone()),
            emergency: None,
            users: BTreeMap::from([("root".to_owned(), password.to_owned())]),
            local_sessions: std::collections::BTreeSet::new(),
            incarnation: 0,
            pool_secret: secret.clone(),
            disabled_by_user: false,
            stays_disabled: false,
            rebooted: false,
            collected: None,
            network_backend: row
                .entry("software_version", "network_backend")
                .unwrap_or("bridge")
                .to_owned(),
            heartbeats: BTreeMap::new(),
            proposal: None,
            ignored: Vec::new(),
            bridge_trouble: None,
            is_new_member: false,
            legacy: BTreeMap::new(),
        };
        for other in &state.hosts {
            let same =
                [("address", other.address == host.address), ("uuid", other.uuid == host.uuid)];
            if let Some((what, _)) = same.into_iter().find(|(_, same)| *same) {
                let pair = format!("{} and {}", other.name, host.name);
                return Err(wrong(format!("the hosts {pair} have the same {what}")));
            }
        }
        state.hosts.push(host);
    }
    Ok(())
}

/// What `root` types where nothing else is said.
const PASSWORD: &str = "xcp-test";
