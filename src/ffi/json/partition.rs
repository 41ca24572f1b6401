//! Who survives a partition of an HA pool.

use std::collections::BTreeMap;
use std::ffi::c_char;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::input::{self, Given};
use super::numbered;
use crate::election::partition::{
    HostDecision, LocalView, Objection, Scenario, Survival, Timing, Views,
};
use crate::ffi::boundary::{Out, call, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT};
use crate::model::Snapshot;

/// Tells which hosts of an HA pool survive when links, storage or hosts fail.
///
/// As the HA daemon decides.
///
/// `input_json` is one of
/// - a pool in words: `{"hosts": [uuid...]}`, all healthy, or `{"snapshot": {class: {ref: record}},
///   "complete_snapshots": bool}`, whose dead hosts crashed before; and what happens to it, each of
///   it optional: `"shut_down": [host...]` (cleanly, before the fault), `"crash": [host...]`,
///   `"lose_storage": [host...]`, `"cut": [[host, host]...]` (the network between two), `"split":
///   [[host...]...]` (each group from all others), `"weights": {host: number}`, `"master": host`,
///   `"base_timeout": seconds`. Hosts are named by uuid; in a snapshot also by ref or by a name
///   that only one of them has. The outcome has, beside `"schema"`, `"hosts"` (each with its fate
///   and why), `"rule"`, `"survivors"`, `"fenced"`, `"next_live_set"`, `"election"` (who may be
///   master), `"wait"` (seconds until anyone may act) and `"timing"` (the timers of the daemon, in
///   seconds). With `"ask": "objections"` the outcome is `{"schema", "objections": [{"objection",
///   ..., "message"}...]}`: what there is about the story that cannot be, for which it would be
///   refused;
/// - the same as views: the fields of the next form and `"hosts": [uuid...]` in the order of the
///   uuids, `"master": uuid`, `"base_timeout": seconds`, `"ask"`; the outcome is that of a pool in
///   words;
/// - what each host knows, as bit masks with bit k for host k: `{"n", "weights", "excluded",
///   "liveset", "running", "hb", "sf", "stale_view"}`; other fields are ignored. The outcome is
///   `{"schema", "hosts": {"0": {"views_agreed", "survives", "by_rule2", "hb_after", "sf_after",
///   "proposed_liveset"}...}}` for the hosts that run;
/// - what one host knows, `{"me": index, "weights": [number...], "excluded", "liveset", "own":
///   {"hb", "sf"}, "heard": [{"hb", "sf"}...], "read": [{"hb", "sf"}...]}`. The outcome is
///   `{"schema", "agrees": bool, "is_in_best_group": bool, "decision": {...}}`: whether all whom it
///   hears or sees have its view, whether it is in the best group as far as it sees, and what it
///   decides now, as above.
///
/// `*outcome_json` is freed with `xcp_string_free`. From any thread. Fails with XCP_E_INVALID_INPUT
/// for input of another form, and for views that the daemon's rules are not made for.
///
/// # Safety
/// `input_json` ends with NUL; `outcome_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_partition_json(
    input_json: *const c_char,
    outcome_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_partition_json", error, |_| {
            let input = text(input_json, "input_json")?;
            let out = Out::new(outcome_json, "outcome_json")?;
            out.write_text(partition(input)?);
            Ok(())
        })
    }
}

/// Which form the input has.
#[derive(Deserialize)]
#[serde(expecting = "an object with the hosts, a snapshot or the views")]
struct Form {
    #[serde(default)]
    ask: Ask,
    hosts: Option<IgnoredAny>,
    me: Option<IgnoredAny>,
    n: Option<IgnoredAny>,
    snapshot: Option<IgnoredAny>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ask {
    Objections,
    #[default]
    Outcome,
}

/// The decisions of the hosts, by index.
#[derive(Serialize)]
struct Decisions {
    hosts: BTreeMap<usize, HostDecision>,
}

/// What one host makes of its view.
#[derive(Serialize)]
struct OneHost {
    agrees: bool,
    is_in_best_group: bool,
    decision: HostDecision,
}

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    outcome: Survival,
    timing: Timing,
}

#[derive(Serialize)]
struct Objections {
    objections: Vec<Objecting>,
}

#[derive(Serialize)]
struct Objecting {
    #[serde(flatten)]
    objection: Objection,
    message: String,
}

fn partition(json: &str) -> Result<String, Failure> {
    let form: Form = input::decode(json, "input_json")?;
    match (form.hosts, form.n, form.snapshot, form.me) {
        (None, None, None, Some(_)) => {
            let view: LocalView = input::decode(json, "input_json")?;
            numbered(OneHost {
                agrees: view.agrees()?,
                is_in_best_group: view.is_in_best_group()?,
                decision: view.decide()?,
            })
        }
        (None, Some(_), None, None) => {
            let views: Views = input::decode(json, "input_json")?;
            numbered(Decisions { hosts: views.decide()? })
        }
        (Some(_), Some(_), None, None) => {
            decide(&input::decode::<Scenario>(json, "input_json")?, form.ask)
        }
        _ => {
            let story: Story = input::decode(json, "input_json")?;
            decide(&story.scenario()?, form.ask)
        }
    }
}

fn decide(scenario: &Scenario, ask: Ask) -> Result<String, Failure> {
    match ask {
        Ask::Objections => {
            let objections = scenario
                .objections()
                .into_iter()
                .map(|objection| Objecting { message: objection.to_string(), objection });
            numbered(Objections { objections: objections.collect() })
        }
        Ask::Outcome => {
            let (outcome, base) = (scenario.decide()?, scenario.base_timeout());
            numbered(Whole { outcome, timing: Timing::from_base(base)? })
        }
    }
}

/// A pool and what happens to it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Story<'a> {
    #[serde(rename = "ask")]
    _ask: Option<IgnoredAny>,
    hosts: Option<Vec<String>>,
    #[serde(borrow)]
    snapshot: Option<&'a RawValue>,
    complete_snapshots: bool,
    shut_down: Vec<String>,
    crash: Vec<String>,
    lose_storage: Vec<String>,
    cut: Vec<[String; 2]>,
    split: Vec<Vec<String>>,
    weights: BTreeMap<String, u32>,
    master: Option<String>,
    base_timeout: Option<u32>,
}

impl Story<'_> {
    fn scenario(&self) -> Result<Scenario, Failure> {
        let (mut scenario, snapshot) = match (&self.hosts, &self.snapshot) {
            (Some(hosts), None) => (Scenario::new(hosts.iter().map(String::as_str))?, None),
            (None, Some(snapshot)) => {
                let given = Given { snapshot, complete_snapshots: self.complete_snapshots };
                let snapshot = given.load()?;
                (Scenario::from_snapshot(&snapshot)?, Some(snapshot))
            }
            _ => {
                return Err(Failure::new(
                    XCP_E_INVALID_INPUT,
                    "input_json: neither or both of hosts and snapshot are there",
                ));
            }
        };
        let name = |host: &String| uuid_of(snapshot.as_ref(), host);
        for host in &self.shut_down {
            scenario.shut_down(&name(host)?)?;
        }
        for (host, weight) in &self.weights {
            scenario.set_weight(&name(host)?, *weight)?;
        }
        for [one, other] in &self.cut {
            scenario.cut(&name(one)?, &name(other)?)?;
        }
        for group in &self.split {
            let group: Vec<_> = group.iter().map(name).collect::<Result<_, _>>()?;
            scenario.split(&group.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        for host in &self.lose_storage {
            scenario.lose_storage(&name(host)?)?;
        }
        for host in &self.crash {
            scenario.crash(&name(host)?)?;
        }
        if let Some(master) = &self.master {
            scenario.set_master(&name(master)?)?;
        }
        if let Some(seconds) = self.base_timeout {
            scenario.set_base_timeout(seconds);
        }
        Ok(scenario)
    }
}

/// The uuid of a host that is named; without a snapshot every name is a uuid.
fn uuid_of(snapshot: Option<&Snapshot>, name: &str) -> Result<String, Failure> {
    match snapshot {
        None => Ok(name.to_owned()),
        Some(snapshot) => {
            let (_, host) = input::named_host(snapshot, name)?;
            Ok(host.uuid.to_string())
        }
    }
}
