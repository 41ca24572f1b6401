//! Tells what HA would do for a pool, now and after one change.
//!
//! `failover_what_if [POOL.json] [WHAT …]` with a snapshot as `Snapshot::to_json` saves it, else a
//! small pool that is built in. WHAT is `fail HOST…`, `disable HOST`, `leave HOST`, `join LIKE`,
//! `start VM HOST`, `stop VM` or `enable N`; hosts and VMs go by name, uuid or ref.

use std::process::ExitCode;

use xcp_pool::failover::{Assessment, FailureOutcome, Planner, WhatIf};
use xcp_pool::model::{Host, Record, Ref, Snapshot, Vm};
use xcp_pool::{Error, ErrorKind, Result};

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    match run(&mut words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failover_what_if: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &mut Vec<String>) -> Result<()> {
    let snapshot = match words.first() {
        Some(path) if path.ends_with(".json") => {
            let json = std::fs::read(path)
                .map_err(|error| wrong(format!("{path} cannot be read")).with_source(error))?;
            words.remove(0);
            Snapshot::from_json(&json)?
        }
        _ => built_in(),
    };
    println!("now");
    print(&snapshot, &Planner::new(&snapshot)?.assess());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let what_if = match words[..] {
        [] => return Ok(()),
        ["fail", ref hosts @ ..] => {
            let hosts =
                hosts.iter().map(|name| host(&snapshot, name)).collect::<Result<Vec<_>>>()?;
            println!("\nafter the failure");
            print_failure(&snapshot, &Planner::new(&snapshot)?.failure(&hosts)?);
            return Ok(());
        }
        ["disable", name] => WhatIf::HostDisabled { host: host(&snapshot, name)? },
        ["leave", name] => WhatIf::HostLeaves { host: host(&snapshot, name)? },
        ["join", name] => {
            WhatIf::HostJoins { like: host(&snapshot, name)?, uuid: "the-joining-host".into() }
        }
        ["start", name, on] => {
            WhatIf::VmStarts { vm: vm(&snapshot, name)?, host: host(&snapshot, on)? }
        }
        ["stop", name] => WhatIf::VmStops { vm: vm(&snapshot, name)? },
        ["enable", failures] => {
            let failures =
                failures.parse().map_err(|_| wrong(format!("{failures} is no number")))?;
            WhatIf::HaEnabled { failures }
        }
        _ => return Err(wrong(format!("what is {:?}?", words.join(" ")))),
    };
    let outcome = what_if.ask(&snapshot)?;
    println!("\nafter {}", words.join(" "));
    if let Some(fault) = &outcome.refusal {
        println!("  the server refuses this: {fault}");
    }
    print(&what_if.happened(&snapshot)?, &outcome.after);
    Ok(())
}

fn print(snapshot: &Snapshot, assessment: &Assessment) {
    let maximum = &assessment.maximum;
    println!("  of {} hosts, {} may fail", assessment.hosts.len(), maximum.value);
    for memory in &assessment.hosts {
        let free = memory.free.map_or("unknown".to_owned(), mib);
        let usable = if memory.usable { "" } else { ", not usable" };
        println!("    {}: {free} MiB free{usable}", name(snapshot, &memory.host));
    }
    for vm in &assessment.protected {
        let place = vm
            .host
            .as_ref()
            .map_or("off".to_owned(), |host| format!("on {}", name(snapshot, host)));
        let size = vm.memory.map_or("unknown".to_owned(), mib);
        let agile = vm
            .not_agile
            .as_ref()
            .map_or(String::new(), |reason| format!(", tied: {}", reason.describe(snapshot)));
        println!("    {} is {place}, {size} MiB{agile}", name(snapshot, &vm.vm));
    }
    let wanted = &assessment.wanted;
    println!("  to survive {} failures: plan for {}", wanted.failures, wanted.status);
    if let Some(obstacle) = &wanted.obstacle {
        println!("    {}", obstacle.describe(snapshot));
    }
    for oddity in &assessment.oddities {
        println!("  note: {}", oddity.describe(snapshot));
    }
}

fn print_failure(snapshot: &Snapshot, outcome: &FailureOutcome) {
    for group in &outcome.groups {
        let order = group.order.map_or("last".to_owned(), |order| format!("order {order}"));
        for start in &group.starts {
            let host = start.host.as_ref().map_or("wherever it fits".to_owned(), |host| {
                format!("on {}", name(snapshot, host))
            });
            println!("  {order}: {} starts {host}", name(snapshot, &start.vm));
        }
    }
    for left in &outcome.not_restarted {
        let why = left.why.describe(snapshot);
        println!("  no plan for {}: {why}", name(snapshot, &left.vm));
    }
    for vm in &outcome.best_effort {
        println!("  {} starts if there is room", name(snapshot, vm));
    }
    for vm in &outcome.stay_off {
        println!("  {} stays off", name(snapshot, vm));
    }
}

fn mib(bytes: i64) -> String {
    (bytes >> 20).to_string()
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::InvalidInput, what)
}

/// Hosts and VMs, which have names.
trait Named: Record {
    fn label(&self) -> &str;
}

impl Named for Host {
    fn label(&self) -> &str {
        &self.name_label
    }
}

impl Named for Vm {
    fn label(&self) -> &str {
        &self.name_label
    }
}

fn name<T: Named>(snapshot: &Snapshot, reference: &Ref<T>) -> String {
    let label = snapshot.get(reference).map(Named::label).filter(|label| !label.is_empty());
    label.map_or_else(|| reference.to_string(), str::to_owned)
}

fn find<T: Named>(snapshot: &Snapshot, name: &str) -> Result<Ref<T>> {
    let is = |reference: &Ref<T>, record: &T| {
        record.label() == name || record.uuid().text() == name || reference.text() == name
    };
    let found = snapshot.table::<T>().iter().find(|(reference, record)| is(reference, record));
    found
        .map(|(reference, _)| reference.clone())
        .ok_or_else(|| wrong(format!("there is no {} {name}", T::CLASS)))
}

fn host(snapshot: &Snapshot, name: &str) -> Result<Ref<Host>> {
    find(snapshot, name)
}

fn vm(snapshot: &Snapshot, name: &str) -> Result<Ref<Vm>> {
    find(snapshot, name)
}

/// Three hosts of 16 GiB, three protected VMs, one of them on a local disk.
fn built_in() -> Snapshot {
    let gib = |n: u64| n << 30;
    let mut hosts = Vec::new();
    let (mut metrics, mut pbds) = (Vec::new(), Vec::new());
    for name in ["phantom", "ignite", "ember"] {
        hosts.push(format!(
            r#""OpaqueRef:{name}": {{"name_label": "{name}", "enabled": true, "metrics": "OpaqueRef:{name}-metrics"}}"#
        ));
        metrics.push(format!(
            r#""OpaqueRef:{name}-metrics": {{"live": true, "memory_total": {}}}"#,
            gib(16)
        ));
        pbds.push(format!(
            r#""OpaqueRef:{name}-nfs": {{"host": "OpaqueRef:{name}", "SR": "OpaqueRef:nfs", "currently_attached": true}}"#
        ));
    }
    let vms = [
        ("web", "phantom", 4, "restart", "nfs"),
        ("mail", "phantom", 6, "restart", "nfs"),
        ("database", "ignite", 8, "restart", "nfs"),
        ("builder", "ember", 2, "best-effort", "local"),
    ];
    let vm_records = vms.map(|(name, on, size, priority, _)| {
        let bytes = gib(size);
        format!(
            r#""OpaqueRef:{name}": {{"name_label": "{name}", "power_state": "Running", "resident_on": "OpaqueRef:{on}",
                "memory_static_max": {bytes}, "memory_dynamic_max": {bytes}, "memory_dynamic_min": {bytes},
                "domain_type": "pvh", "VCPUs_max": 2, "VCPUs_at_startup": 2,
                "ha_always_run": true, "ha_restart_priority": "{priority}"}}"#
        )
    });
    let disks = vms.map(|(name, _, _, _, sr)| {
        format!(r#""OpaqueRef:{name}-disk": {{"SR": "OpaqueRef:{sr}"}}"#)
    });
    let vbds = vms.map(|(name, ..)| {
        format!(r#""OpaqueRef:{name}-vbd": {{"VM": "OpaqueRef:{name}", "VDI": "OpaqueRef:{name}-disk"}}"#)
    });
    let json = format!(
        r#"{{"pool": {{"OpaqueRef:pool": {{"master": "OpaqueRef:phantom", "ha_host_failures_to_tolerate": 1}}}},
            "SR": {{"OpaqueRef:nfs": {{"shared": true}}, "OpaqueRef:local": {{"shared": false}}}},
            "host": {{{}}}, "host_metrics": {{{}}}, "PBD": {{{}}}, "VM": {{{}}}, "VDI": {{{}}}, "VBD": {{{}}}}}"#,
        hosts.join(","),
        metrics.join(","),
        pbds.join(","),
        vm_records.join(","),
        disks.join(","),
        vbds.join(",")
    );
    // The text above is JSON; if it were not, the example would show an empty pool.
    let mut snapshot = Snapshot::from_json(json.as_bytes()).unwrap_or_default();
    snapshot.complete();
    snapshot
}
