//! Questions to the planner of HA in words of our own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::{named_host, named_vm};
use crate::error::Fault;
use crate::failover::{Change, Placement, Planner, WhatIf};
use crate::ffi::error::Failure;
use crate::ffi::status::xcp_status::XCP_E_INTERNAL;
use crate::model::{Host, Ref, Snapshot, Vm};

/// A question; hosts and VMs by ref, uuid, or a name that only one of them has.
#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Asked {
    Agile {
        vm: String,
    },
    Assess {},
    Evacuate {
        host: String,
    },
    Failure {
        hosts: Vec<String>,
    },
    HostMemory {
        host: String,
    },
    IfHaEnabled {
        failures: i64,
    },
    IfHostDisabled {
        host: String,
    },
    IfHostJoins {
        like: String,
        #[serde(default)]
        uuid: String,
    },
    IfHostLeaves {
        host: String,
    },
    IfVmStarts {
        vm: String,
        host: String,
    },
    IfVmStops {
        vm: String,
    },
    Maximum {
        priorities: Option<BTreeMap<String, String>>,
    },
    Place {
        vms: Vec<String>,
        hosts: Vec<String>,
    },
    Plan {
        failures: Option<i64>,
        #[serde(default)]
        change: Changed,
    },
    Refusal {
        change: Changed,
    },
    Restart {},
    VmMemory {
        vm: String,
    },
}

/// A change of the pool, as it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object that tells a change")]
pub(super) struct Changed {
    leaving: Vec<Placed>,
    arriving: Vec<Placed>,
    disabled: Vec<String>,
    failures: Option<i64>,
    protect: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with vm and host")]
struct Placed {
    vm: String,
    host: String,
}

/// What is answered.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    Ok(Value),
    Error(Fault),
}

#[derive(Serialize)]
struct Agility {
    not_agile: Option<crate::failover::NotAgile>,
}

#[derive(Serialize)]
struct HostMemory {
    free: i64,
    free_in_plan: i64,
}

#[derive(Serialize)]
struct VmMemory {
    to_evacuate: i64,
    to_restart: i64,
}

#[derive(Serialize)]
struct Moves {
    moves: BTreeMap<Ref<Vm>, Ref<Host>>,
    unplaced: Vec<Ref<Vm>>,
}

#[derive(Serialize)]
struct Refusal {
    refusal: Option<Fault>,
}

impl Asked {
    /// The answer; a fault of the planner is one, too.
    pub(super) fn ask(&self, snapshot: &Snapshot) -> Result<Told, Failure> {
        match self.answer(snapshot) {
            Ok(value) => Ok(Told::Ok(value)),
            Err(Failure { fault: Some(fault), .. }) => Ok(Told::Error(fault)),
            Err(failure) => Err(failure),
        }
    }

    fn answer(&self, snapshot: &Snapshot) -> Result<Value, Failure> {
        let host = |name: &String| Ok::<_, Failure>(named_host(snapshot, name)?.0.clone());
        let vm = |name: &String| Ok::<_, Failure>(named_vm(snapshot, name)?.0.clone());
        let planner = Planner::new(snapshot)?;
        match self {
            Self::Agile { vm: name } => {
                told(&Agility { not_agile: planner.not_agile(&vm(name)?)? })
            }
            Self::Assess {} => told(&planner.assess()),
            Self::Evacuate { host: name } => told(&planner.host_evacuation(&host(name)?)?),
            Self::Failure { hosts } => {
                let hosts = hosts.iter().map(host).collect::<Result<Vec<_>, _>>()?;
                told(&planner.failure(&hosts)?)
            }
            Self::HostMemory { host: name } => {
                let host = host(name)?;
                let free = planner.host_free_memory(&host)?;
                told(&HostMemory { free, free_in_plan: planner.host_planning_memory(&host)? })
            }
            Self::IfHaEnabled { failures } => {
                what_if(snapshot, &WhatIf::HaEnabled { failures: *failures })
            }
            Self::IfHostDisabled { host: name } => {
                what_if(snapshot, &WhatIf::HostDisabled { host: host(name)? })
            }
            Self::IfHostJoins { like, uuid } => {
                let (like, uuid) = (host(like)?, uuid.clone());
                what_if(snapshot, &WhatIf::HostJoins { like, uuid })
            }
            Self::IfHostLeaves { host: name } => {
                what_if(snapshot, &WhatIf::HostLeaves { host: host(name)? })
            }
            Self::IfVmStarts { vm: name, host: on } => {
                what_if(snapshot, &WhatIf::VmStarts { vm: vm(name)?, host: host(on)? })
            }
            Self::IfVmStops { vm: name } => what_if(snapshot, &WhatIf::VmStops { vm: vm(name)? }),
            Self::Maximum { priorities: None } => told(&planner.maximum()),
            Self::Maximum { priorities: Some(priorities) } => {
                let priorities = priorities.iter();
                let priorities = priorities
                    .map(|(name, priority)| Ok((vm(name)?, priority.clone())))
                    .collect::<Result<_, Failure>>()?;
                told(&planner.hypothetical_maximum(&priorities)?)
            }
            Self::Place { vms, hosts } => {
                let vms = vms.iter().map(vm).collect::<Result<Vec<_>, _>>()?;
                let hosts = hosts.iter().map(host).collect::<Result<Vec<_>, _>>()?;
                let moves: BTreeMap<_, _> = planner.evacuation(&hosts, &vms)?.into_iter().collect();
                let unplaced = vms.into_iter().filter(|vm| !moves.contains_key(vm)).collect();
                told(&Moves { moves, unplaced })
            }
            Self::Plan { failures, change } => {
                let wanted = snapshot.the_pool()?.1.ha_host_failures_to_tolerate;
                let change = change.change(snapshot)?;
                told(&planner.plan_after(&change, failures.unwrap_or(wanted)))
            }
            Self::Refusal { change } => {
                told(&Refusal { refusal: planner.refusal(&change.change(snapshot)?) })
            }
            Self::Restart {} => told(&planner.restart_plan()?),
            Self::VmMemory { vm: name } => {
                let vm = vm(name)?;
                let to_evacuate = planner.vm_memory(&vm)?;
                told(&VmMemory { to_evacuate, to_restart: planner.vm_restart_memory(&vm)? })
            }
        }
    }
}

impl Changed {
    fn change(&self, snapshot: &Snapshot) -> Result<Change, Failure> {
        let placements = |list: &[Placed]| {
            let placement = |placed: &Placed| {
                let vm = named_vm(snapshot, &placed.vm)?.0.clone();
                Ok(Placement { vm, host: named_host(snapshot, &placed.host)?.0.clone() })
            };
            list.iter().map(placement).collect::<Result<Vec<_>, Failure>>()
        };
        let host = |name: &String| Ok(named_host(snapshot, name)?.0.clone());
        let vm = |name: &String| Ok(named_vm(snapshot, name)?.0.clone());
        Ok(Change {
            leaving: placements(&self.leaving)?,
            arriving: placements(&self.arriving)?,
            disabled: self.disabled.iter().map(host).collect::<Result<_, Failure>>()?,
            failures: self.failures,
            protect: self.protect.iter().map(vm).collect::<Result<_, Failure>>()?,
        })
    }
}

fn what_if(snapshot: &Snapshot, event: &WhatIf) -> Result<Value, Failure> {
    told(&event.ask(snapshot)?)
}

fn told<T: Serialize>(answer: &T) -> Result<Value, Failure> {
    serde_json::to_value(answer)
        .map_err(|error| Failure::new(XCP_E_INTERNAL, format!("the answer is no JSON: {error}")))
}
