//! Where the operations run: a pool of three hosts, and two hosts that want to join it.

use xcp_pool::client::{Client, Credentials};
use xcp_pool::model::{Host, Ref, Snapshot};
use xcp_pool::simulator::{Front, PoolSpec, Release, VmSpec, World};
use xcp_pool::transport::{Http, Trust};
use xcp_pool::{Error, ErrorKind, Result};

pub(crate) struct Lab {
    world: World,
    /// The hosts on real sockets, if they are served there.
    front: Option<Front>,
}

impl Lab {
    pub(crate) fn new(https: bool) -> Result<Self> {
        let pool = PoolSpec::new("lab", Release::XcpNg83)
            .host("alpha", "10.0.0.1")
            .host("beta", "10.0.0.2")
            .host("gamma", "10.0.0.3")
            .shared_sr("NFS", "nfs")
            .vm(VmSpec::running("web", "gamma").disk("NFS", 20))
            .vm(VmSpec::running("db", "beta").disk("NFS", 40));
        let alone = |name: &str, address: &str, vm: VmSpec| {
            PoolSpec::new("", Release::XcpNg83).host(name, address).vm(vm)
        };
        let archive = VmSpec::halted("archive").disk("Local storage", 50);
        let world = World::builder()
            .pool(pool)
            .pool(alone("delta", "10.0.0.4", VmSpec::halted("build")))
            .pool(alone("epsilon", "10.0.0.5", archive))
            .build()?;
        // A minute of the hosts passes in a second: reboots take their time.
        let front =
            https.then(|| Front::builder(&world).https(0).speed(60.0).start()).transpose()?;
        Ok(Self { world, front })
    }

    pub(crate) fn client(&self, host: &str) -> Result<Client> {
        let root = Credentials::new("root", "xcp-test");
        let Some(front) = &self.front else {
            return Client::connect(self.world.transport(), host, &root);
        };
        let pins = front.hosts().iter().filter_map(|host| front.fingerprint(&host.name));
        let http = Http::builder().trust(Trust::pins(pins)).build()?;
        let builder = front
            .addresses()
            .fold(Client::builder(http), |builder, (named, real)| builder.address(named, real));
        let unknown = || Error::new(ErrorKind::InvalidInput, format!("nobody serves {host}"));
        builder.connect_to(&front.endpoint(host).ok_or_else(unknown)?, &root)
    }

    pub(crate) fn open_sessions(&self) -> usize {
        self.world.open_sessions()
    }
}

pub(crate) fn named(pool: &Snapshot, name: &str) -> Result<Ref<Host>> {
    let found = pool.host.iter().find(|(_, host)| host.name_label == name);
    let unknown = || Error::new(ErrorKind::InvalidInput, format!("the pool has no host {name:?}"));
    found.map(|(host, _)| host.clone()).ok_or_else(unknown)
}
