//! Serves the story's hosts, so that any XAPI client can be tried against them.
//!
//! `simulate [OPTIONS]` starts *Phantom*, master of a pool, and *Ignite*, a host that should become a
//! member, says where they are, and serves them until it is stopped with Ctrl-C:
//!
//! * `--for SECONDS`: ends by itself;
//! * `--speed FACTOR`: lets time pass faster in the world than really;
//! * `--http PORT`, `--https PORT`: other ports than 8080 and 8443; 0 for any that is free;
//! * `--at ADDRESS`: serves all hosts there, at one port after the other, for systems that do not
//!   have all of 127.0.0.0/8; redirects lead nowhere then;
//! * `--lab HOSTS`: adds a pool of that many hosts with a VM each, at 127.0.7.11 and following;
//! * `--seed NUMBER`: other ids;
//! * `--json`: says where in one line of JSON.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value as Json, json};
use xcp_pool::election::HostRole;
use xcp_pool::simulator::{Front, PoolSpec, Release, VmSpec, World, WorldBuilder};
use xcp_pool::{Error, ErrorKind, Result};

const USAGE: &str = "usage: simulate [--for SECONDS] [--speed FACTOR] [--http PORT] [--https PORT] \
                     [--at ADDRESS] [--lab HOSTS] [--seed NUMBER] [--json]";

/// Of `root`, on every host.
const PASSWORD: &str = "xcp-test";

fn main() -> ExitCode {
    match Options::read(std::env::args().skip(1)).and_then(|options| options.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    time: Option<Duration>,
    speed: f64,
    http: u16,
    https: u16,
    at: Option<IpAddr>,
    lab: u8,
    seed: u64,
    json: bool,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            time: None,
            speed: 1.0,
            http: 8080,
            https: 8443,
            at: None,
            lab: 0,
            seed: 1,
            json: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--for" => options.time = Some(seconds(&value(&word, &mut words)?)?),
                "--speed" => options.speed = parse(&value(&word, &mut words)?)?,
                "--http" => options.http = parse(&value(&word, &mut words)?)?,
                "--https" => options.https = parse(&value(&word, &mut words)?)?,
                "--at" => options.at = Some(parse(&value(&word, &mut words)?)?),
                "--lab" => options.lab = parse(&value(&word, &mut words)?)?,
                "--seed" => options.seed = parse(&value(&word, &mut words)?)?,
                "--json" => options.json = true,
                _ => return Err(usage(&format!("unknown argument {word:?}"))),
            }
        }
        Ok(options)
    }

    fn run(&self) -> Result<()> {
        let world = self.world()?;
        let builder = Front::builder(&world).http(self.http).https(self.https).speed(self.speed);
        let builder = match self.at {
            Some(address) => builder.address(address),
            None => builder.at_own_addresses(),
        };
        let front = builder.start()?;
        if self.json {
            println!("{}", describe(&world, &front));
        } else {
            tell(&world, &front);
        }
        match self.time {
            Some(time) => std::thread::sleep(time),
            // Until Ctrl-C.
            None => loop {
                std::thread::park();
            },
        }
        front.stop();
        Ok(())
    }

    fn world(&self) -> Result<World> {
        let mut builder = WorldBuilder::story_at(self.seed, "127.0.7.1", "127.0.7.2");
        if self.lab > 0 {
            let mut lab = PoolSpec::new("lab", Release::XcpNg83).shared_sr("Lab NFS", "nfs");
            for number in 1..=self.lab {
                lab =
                    lab.host(&lab_host(number), &format!("127.0.7.{}", number.saturating_add(10)));
            }
            for number in 1..=self.lab {
                let vm = VmSpec::running(&format!("lab VM {number}"), &lab_host(number));
                lab = lab.vm(vm.disk("Lab NFS", 10));
            }
            builder = builder.pool(lab);
        }
        builder.password(PASSWORD).build()
    }
}

fn lab_host(number: u8) -> String {
    format!("lab-{number}")
}

/// Where everything is, for programs.
fn describe(world: &World, front: &Front) -> Json {
    let hosts = front.hosts().iter().map(|host| {
        json!({
            "name": host.name,
            "address": host.address,
            "http": host.http.map(|address| format!("http://{address}")),
            "https": host.https.map(|address| format!("https://{address}")),
            "master": world.role(&host.name) == Some(HostRole::Master),
            "fingerprint": fingerprint(front, &host.name),
        })
    });
    json!({"hosts": hosts.collect::<Vec<_>>(), "user": "root", "password": PASSWORD})
}

/// Where everything is, for people.
fn tell(world: &World, front: &Front) {
    for host in front.hosts() {
        let role = match world.role(&host.name) {
            Some(HostRole::Slave(master)) => format!("member, its master is {master}"),
            _ if world.count(&host.name, "host") == 1 => "alone in its pool".to_owned(),
            _ => "master of its pool".to_owned(),
        };
        println!("{:<8} {role}", host.name);
        for (scheme, address) in [("http", host.http), ("https", host.https)] {
            if let Some(address) = address {
                println!("         {scheme}://{address}");
            }
        }
        if let Some(fingerprint) = fingerprint(front, &host.name) {
            println!("         {fingerprint}");
        }
    }
    println!("\nuser root, password {PASSWORD}");
    if let Some(address) = front.hosts().first().and_then(|host| host.http) {
        let call = json!({
            "jsonrpc": "2.0",
            "method": "session.login_with_password",
            "params": ["root", PASSWORD],
            "id": 1,
        });
        println!("\ncurl -d '{call}' http://{address}/jsonrpc");
    }
    println!("\nCtrl-C stops it.");
}

fn fingerprint(front: &Front, host: &str) -> Option<String> {
    front.fingerprint(host).map(|fingerprint| fingerprint.to_string())
}

fn value(option: &str, words: &mut impl Iterator<Item = String>) -> Result<String> {
    words.next().ok_or_else(|| usage(&format!("{option} needs a value")))
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| usage(&format!("{text:?} will not do")))
}

fn seconds(text: &str) -> Result<Duration> {
    Duration::try_from_secs_f64(parse(text)?).map_err(|_| usage(&format!("{text:?} will not do")))
}

fn usage(what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{what}\n{USAGE}"))
}
