//! Worlds and troubles as they are written.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::ffi::json::duration;
use crate::simulator::database::Database;
use crate::simulator::{
    Injection, PoolSpec, Release, Timings, Trouble, VmSpec, World, WorldBuilder,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with pools")]
pub(super) struct WorldSpec {
    #[serde(default)]
    seed: u64,
    password: Option<String>,
    #[serde(default)]
    driven: bool,
    #[serde(default)]
    timings: Times,
    story: Option<Story>,
    #[serde(default)]
    pools: Vec<Pool>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "an object with the addresses of the story's hosts"
)]
struct Story {
    phantom: String,
    ignite: String,
}

impl Default for Story {
    fn default() -> Self {
        Self { phantom: "10.0.0.1".to_owned(), ignite: "10.0.0.2".to_owned() }
    }
}

/// How long things take, where that differs from the usual.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of times in seconds")]
struct Times {
    boot: Option<Seconds>,
    fuse: Option<Seconds>,
    latency: Option<Seconds>,
    migrate: Option<Seconds>,
    reinstall: Option<Seconds>,
    restart: Option<Seconds>,
    settle: Option<Seconds>,
    shutdown: Option<Seconds>,
    start: Option<Seconds>,
    start_member: Option<Seconds>,
    start_new_member: Option<Seconds>,
    suspend: Option<Seconds>,
}

#[derive(Clone, Copy, Deserialize)]
struct Seconds(#[serde(deserialize_with = "duration")] Duration);

impl Times {
    fn change(&self, timings: &mut Timings) {
        for (time, changed) in [
            (&mut timings.boot, self.boot),
            (&mut timings.fuse, self.fuse),
            (&mut timings.latency, self.latency),
            (&mut timings.migrate, self.migrate),
            (&mut timings.reinstall, self.reinstall),
            (&mut timings.restart, self.restart),
            (&mut timings.settle, self.settle),
            (&mut timings.shutdown, self.shutdown),
            (&mut timings.start, self.start),
            (&mut timings.start_member, self.start_member),
            (&mut timings.start_new_member, self.start_new_member),
            (&mut timings.suspend, self.suspend),
        ] {
            *time = changed.map_or(*time, |changed| changed.0);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object that tells a pool")]
struct Pool {
    #[serde(default)]
    name: String,
    #[serde(default)]
    release: ReleaseName,
    database: Option<Value>,
    #[serde(default)]
    hosts: Vec<Host>,
    nics: Option<usize>,
    memory_gib: Option<i64>,
    #[serde(default)]
    shared_srs: Vec<SharedSr>,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    vlans: Vec<Vlan>,
    #[serde(default)]
    bonds: Vec<Bond>,
    #[serde(default)]
    vms: Vec<Vm>,
    edit: Option<Value>,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum ReleaseName {
    #[serde(rename = "8.2")]
    XcpNg82,
    #[default]
    #[serde(rename = "8.3")]
    XcpNg83,
    #[serde(rename = "newest")]
    Newest,
}

impl From<ReleaseName> for Release {
    fn from(name: ReleaseName) -> Self {
        match name {
            ReleaseName::XcpNg82 => Self::XcpNg82,
            ReleaseName::XcpNg83 => Self::XcpNg83,
            ReleaseName::Newest => Self::Newest,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    name: String,
    address: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SharedSr {
    name: String,
    r#type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vlan {
    name: String,
    nic: usize,
    tag: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bond {
    name: String,
    nics: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vm {
    name: String,
    #[serde(default)]
    power: Power,
    host: Option<String>,
    memory_gib: Option<i64>,
    #[serde(default)]
    disks: Vec<Disk>,
    #[serde(default)]
    networks: Vec<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Power {
    #[default]
    Halted,
    Running,
    Suspended,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disk {
    sr: String,
    gib: i64,
}

impl WorldSpec {
    pub(super) fn build(self) -> Result<World> {
        if self.story.is_none() && self.pools.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "the world has no pools"));
        }
        let mut builder = match &self.story {
            Some(story) => WorldBuilder::story_at(self.seed, &story.phantom, &story.ignite),
            None => World::builder().seed(self.seed),
        };
        builder = builder.timings(|timings| self.timings.change(timings));
        if self.driven {
            builder = builder.driven();
        }
        if let Some(password) = &self.password {
            builder = builder.password(password);
        }
        for pool in self.pools {
            builder = match &pool.database {
                Some(database) => {
                    let mut database = Database::load(pool.release.into(), database)?;
                    if let Some(changes) = &pool.edit {
                        database.patch(changes)?;
                    }
                    builder.database(database)
                }
                None => builder.pool(pool.spec()),
            };
        }
        builder.build()
    }
}

impl Pool {
    fn spec(self) -> PoolSpec {
        let mut spec = PoolSpec::new(&self.name, self.release.into());
        for host in &self.hosts {
            spec = spec.host(&host.name, &host.address);
        }
        if let Some(nics) = self.nics {
            spec = spec.nics(nics);
        }
        if let Some(gib) = self.memory_gib {
            spec = spec.memory(gib);
        }
        for sr in &self.shared_srs {
            spec = spec.shared_sr(&sr.name, &sr.r#type);
        }
        for network in &self.networks {
            spec = spec.internal_network(network);
        }
        for vlan in &self.vlans {
            spec = spec.vlan(&vlan.name, vlan.nic, vlan.tag);
        }
        for bond in &self.bonds {
            spec = spec.bond(&bond.name, &bond.nics);
        }
        for vm in self.vms {
            let host = vm.host.as_deref().or(self.hosts.first().map(|host| host.name.as_str()));
            let mut made = match vm.power {
                Power::Halted => VmSpec::halted(&vm.name),
                Power::Running => VmSpec::running(&vm.name, host.unwrap_or_default()),
                Power::Suspended => VmSpec::suspended(&vm.name),
            };
            if let Some(gib) = vm.memory_gib {
                made = made.memory(gib);
            }
            for disk in &vm.disks {
                made = made.disk(&disk.sr, disk.gib);
            }
            for network in &vm.networks {
                made = made.network(network);
            }
            spec = spec.vm(made);
        }
        match self.edit {
            Some(changes) => spec.patch(changes),
            None => spec,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a trouble")]
pub(super) struct TroubleSpec {
    trouble: TroubleName,
    host: Option<String>,
    method: Option<String>,
    #[serde(default)]
    skip: u64,
    times: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TroubleName {
    CutReply,
    #[serde(deserialize_with = "duration")]
    Delay(Duration),
    KillAfter,
    KillBefore,
    LoseReply,
    Refuse,
    Reset,
    Silence,
    #[serde(deserialize_with = "duration")]
    SlowReply(Duration),
    #[serde(deserialize_with = "duration")]
    StallReply(Duration),
}

impl TroubleSpec {
    pub(super) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    pub(super) fn rule(&self) -> Injection {
        let mut rule = Injection::new(match self.trouble {
            TroubleName::CutReply => Trouble::CutReply,
            TroubleName::Delay(time) => Trouble::Delay(time),
            TroubleName::KillAfter => Trouble::KillAfter,
            TroubleName::KillBefore => Trouble::KillBefore,
            TroubleName::LoseReply => Trouble::LoseReply,
            TroubleName::Refuse => Trouble::Refuse,
            TroubleName::Reset => Trouble::Reset,
            TroubleName::Silence => Trouble::Silence,
            TroubleName::SlowReply(time) => Trouble::SlowReply(time),
            TroubleName::StallReply(time) => Trouble::StallReply(time),
        });
        rule = rule.skip(self.skip).times(self.times.unwrap_or(1));
        if let Some(host) = &self.host {
            rule = rule.host(host);
        }
        match &self.method {
            Some(method) => rule.method(method),
            None => rule,
        }
    }
}
