//! A client for measuring: reads a pool in one of several ways, and prints what that took.
//!
//! `measure WORKLOAD URL [URL2|N] [CONCURRENCY]`, where the workload is
//! `w1` (overview, one request a class), `w2` (what decides a join, of the pool and of the joiner at
//! URL2, one request a class), `w2e` (the same in one request a side), `w3` (all VMs), or `w4` (the
//! overview of N pools at consecutive ports, some at a time). Prints one line of JSON: how many
//! records, a check sum over them, and milliseconds. Any certificate is accepted: point it at test
//! servers only.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use xcp_pool::client::{Client, Credentials, Scope};
use xcp_pool::model::{Class, PowerState, Snapshot, Vm};
use xcp_pool::transport::{Endpoint, Http, Trust};
use xcp_pool::{Error, ErrorKind, Result};

/// What decides a join, of the pool's side; of the joiner's, the VMs too.
const JOIN: &[Class] = &[
    Class::Pool,
    Class::Host,
    Class::HostMetrics,
    Class::Pif,
    Class::Network,
    Class::Vlan,
    Class::Bond,
    Class::Tunnel,
    Class::NetworkSriov,
    Class::Sr,
    Class::Pbd,
    Class::Sm,
    Class::Certificate,
    Class::Cluster,
    Class::ClusterHost,
    Class::SdnController,
    Class::PoolUpdate,
    Class::Feature,
    Class::Vm,
];

/// How many records, and a sum that only the right ones give.
#[derive(Clone, Copy, Default)]
struct Total {
    records: usize,
    check: i64,
}

impl Total {
    fn add(self, other: Self) -> Self {
        Self { records: self.records + other.records, check: self.check + other.check }
    }

    fn of(snapshot: &Snapshot, join: bool) -> Self {
        let gibibytes: i64 =
            snapshot.host_metrics.records().map(|metrics| metrics.memory_total >> 30).sum();
        let management = snapshot.pif.records().filter(|pif| pif.management).count();
        let attached = snapshot.pbd.records().filter(|pbd| pbd.currently_attached).count();
        let mut check = gibibytes + (management + attached) as i64;
        if join {
            let disks: usize = snapshot.sr.records().map(|sr| sr.VDIs.len()).sum();
            let templates = snapshot.vm.records().filter(|vm| vm.is_a_template).count();
            check += (disks + templates) as i64;
        }
        Self { records: snapshot.len(), check }
    }
}

fn connect(http: &Http, url: &str) -> Result<Client> {
    Client::connect(http.clone(), url, &Credentials::new("root", "measure"))
}

fn overview(http: &Http, url: &str) -> Result<Total> {
    let client = connect(http, url)?;
    let snapshot = client.snapshot_by_class(Scope::Overview.classes())?;
    client.close()?;
    Ok(Total::of(&snapshot, false))
}

fn join(http: &Http, sides: [&str; 2], events: bool) -> Result<Total> {
    let read = |url: &str, classes: &[Class]| -> Result<Total> {
        let client = connect(http, url)?;
        let snapshot = match events {
            true => client.snapshot_of(classes)?,
            false => client.snapshot_by_class(classes)?,
        };
        client.close()?;
        Ok(Total::of(&snapshot, true))
    };
    let pool_classes = &JOIN[..JOIN.len() - 1];
    std::thread::scope(|scope| {
        let joiner = scope.spawn(|| read(sides[1], JOIN));
        let pool = read(sides[0], pool_classes)?;
        let joiner = joiner
            .join()
            .map_err(|_| Error::new(ErrorKind::Internal, "the joiner's thread panicked"))??;
        Ok(pool.add(joiner))
    })
}

fn all_vms(http: &Http, url: &str) -> Result<Total> {
    let client = connect(http, url)?;
    let vms = client.records::<Vm>()?;
    client.close()?;
    let weight = |vm: &Vm| {
        let running = vm.power_state == PowerState::Running;
        vm.VCPUs_max + if running { 1_000_000 } else { 0 }
    };
    Ok(Total { records: vms.len(), check: vms.records().map(weight).sum() })
}

fn many_pools(http: &Http, url: &str, pools: usize, concurrency: usize) -> Result<Total> {
    let first: Endpoint = url.parse()?;
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Total> {
        let mut total = Total::default();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= pools {
                return Ok(total);
            }
            let port = u16::try_from(n).ok().and_then(|n| first.port().checked_add(n));
            let port =
                port.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "no port is left"))?;
            total = total.add(overview(http, &first.clone().with_port(port).to_string())?);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..concurrency).map(|_| scope.spawn(worker)).collect();
        let mut total = Total::default();
        for thread in threads {
            let part = thread
                .join()
                .map_err(|_| Error::new(ErrorKind::Internal, "a worker panicked"))??;
            total = total.add(part);
        }
        Ok(total)
    })
}

fn run(arguments: &[String]) -> Result<Total> {
    let usage = || {
        Error::new(
            ErrorKind::InvalidInput,
            "usage: measure w1|w2|w2e|w3|w4 URL [URL2|N] [CONCURRENCY]",
        )
    };
    let argument = |n: usize| arguments.get(n).map(String::as_str).ok_or_else(usage);
    let number = |n: usize| argument(n)?.parse::<usize>().map_err(|_| usage());
    let http =
        Http::builder().trust(Trust::danger_accept_any()).danger_allow_plain_http().build()?;
    let url = argument(1)?;
    match argument(0)? {
        "w1" => overview(&http, url),
        "w2" => join(&http, [url, argument(2)?], false),
        "w2e" => join(&http, [url, argument(2)?], true),
        "w3" => all_vms(&http, url),
        "w4" => many_pools(&http, url, number(2)?, number(3)?),
        _ => Err(usage()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let start = Instant::now();
    match run(&arguments) {
        Ok(total) => {
            let ms = start.elapsed().as_secs_f64() * 1e3;
            println!(
                "{{\"records\": {}, \"check\": {}, \"ms\": {ms:.2}}}",
                total.records, total.check
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprintln!("  because {cause}");
                source = cause.source();
            }
            ExitCode::from(2)
        }
    }
}
