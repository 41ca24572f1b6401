//! Changes of master.

use super::*;

pub(super) struct HandOver {
    world: World,
    plan: Plan,
    uuids: Vec<(String, String)>,
    before: BTreeSet<(&'static str, String)>,
}

impl HandOver {
    pub(super) fn new(seed: u64) -> Self {
        let spec = three_hosts().vm(VmSpec::running("web", "alpha").disk("NFS", 10));
        let world = World::builder().seed(seed).pool(spec).build().unwrap();
        let client = Client::connect(world.transport(), "alpha", &root()).unwrap();
        let snapshot = client.snapshot(Scope::Overview).unwrap();
        let evidence = operations::evidence(&client, &snapshot).unwrap();
        let plan = plan::hand_over(&snapshot, &evidence, named(&snapshot, "beta")).unwrap();
        let uuids = uuids_of(&world, &THREE);
        let before = inventory(&world, &hosts(&["alpha"]));
        Self { world: world.clone(), plan, uuids, before }
    }

    fn is_broken(&self) -> bool {
        self.hosts().iter().any(|host| {
            self.world.configured_role(host) == Some(HostRole::Broken)
                || self.world.emergency(host).is_some_and(|error| error.code == "HOST_BROKEN")
        })
    }
}

impl Case for HandOver {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&THREE)
    }

    fn guard(&self) -> Guard {
        Arc::new(move |world, _, host, method| {
            if !method.contains("designate_new_master") || !world.is_running(host) {
                return None;
            }
            let changing =
                THREE.into_iter().find(|host| world.role(host) != world.configured_role(host));
            if let Some(changing) = changing {
                return Some(format!("{changing} is changing its role"));
            }
            is_pending(world, "alpha", "Async.pool.designate_new_master")
                .then(|| String::from("a hand-over is under way"))
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        // Whoever takes over knows all hosts, not who is master.
        let run = || {
            let builder = Client::builder(caller.clone()).cancel(caller.cancel.clone());
            let member = |address: &str| address.parse().unwrap();
            let pool = builder
                .member(member("10.0.0.2"))
                .member(member("10.0.0.3"))
                .connect("10.0.0.1", &root())?;
            caller.ended(operations::hand_over(&pool, &self.plan, &mut control(caller)))
        };
        said(run())
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        let beta = self.world.role("beta");
        match said {
            Said::Done(_) => {
                if beta != Some(HostRole::Master) {
                    return Err(format!("beta is {beta:?}"));
                }
                let mut others = self.uuids.iter().filter(|(host, _)| host != "beta");
                others.try_for_each(|(host, uuid)| assert_member(&self.world, host, uuid, "beta"))
            }
            Said::NotDone(_) if beta == Some(HostRole::Master) => {
                Err(String::from("beta is master"))
            }
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        match said {
            Said::Done(_) => true,
            _ => self.is_broken(),
        }
    }

    fn losses(&self) -> Vec<String> {
        match self.is_broken() {
            true => Vec::new(),
            false => {
                let hosts = self.hosts();
                missing(&self.before, &self.world, &hosts, &BTreeSet::new())
            }
        }
    }
}

pub(super) struct Recover {
    world: World,
    last: Snapshot,
    plans: Vec<Plan>,
    consents: bool,
    is_alive: bool,
    uuids: Vec<(String, String)>,
    before: BTreeSet<(&'static str, String)>,
}

impl Recover {
    pub(super) fn new(seed: u64, consents: bool, is_alive: bool) -> Self {
        let world = World::builder().seed(seed).pool(phantoms_pool()).build().unwrap();
        let client = Client::connect(world.transport(), "phantom", &root()).unwrap();
        let last = client.snapshot(Scope::Failover).unwrap();
        client.close().unwrap();
        let uuids = uuids_of(&world, &["phantom", "alpha", "beta"]);
        let before = inventory(&world, &hosts(&["phantom"]));
        if is_alive {
            world.act(|scene| scene.cut(xcp_pool::simulator::Peer::Tool, "phantom"));
            world.after(Duration::from_secs(400), |scene| {
                scene.heal(xcp_pool::simulator::Peer::Tool, "phantom");
            });
        } else {
            world.power_off("phantom");
        }
        Self { world: world.clone(), last, plans: Vec::new(), consents, is_alive, uuids, before }
    }

    fn members(&self, caller: &Caller) -> Members {
        Members::new(caller.clone(), &root())
            .cancel(caller.cancel.clone())
            .snapshot(self.last.clone(), None)
            .ask_whether_ha_is_armed()
    }

    fn name(&self, host: &Ref<Host>) -> String {
        self.last.get(host).unwrap().name_label.clone()
    }

    /// Confirms what is true, as somebody who goes and looks.
    fn confirm(&self, evidence: &mut PoolEvidence) -> Result<()> {
        let decision = election::emergency(&self.last, evidence)?;
        let is_true = |open: &Confirmation| match open {
            Confirmation::OldMasterIsOff { .. } => !self.is_alive,
            Confirmation::NoOtherMaster { hosts } => hosts
                .iter()
                .all(|host| self.world.configured_role(&self.name(host)) != Some(HostRole::Master)),
            _ => true,
        };
        evidence.confirmed.extend(decision.confirmations.into_iter().filter(is_true));
        Ok(())
    }

    /// The plan to go on with: that for the host that is master, or was promoted.
    fn plan(&mut self, caller: &Caller) -> Result<Option<Plan>> {
        let diagnosis = operations::diagnose(&self.members(caller))?;
        let master = diagnosis.hosts.iter().find(|host| {
            host.said.role == Some(election::HostRole::Master) && host.belongs != Some(false)
        });
        if let Some(master) = master {
            let uuid = master.uuid.clone().unwrap_or_default();
            return Ok(self.plans.iter().rev().find(|plan| plan.host.uuid == uuid).cloned());
        }
        let mut evidence = diagnosis.evidence();
        self.confirm(&mut evidence)?;
        let decision = election::emergency(&self.last, &evidence)?;
        let plan = plan::recovery(&self.last, &evidence, &decision)?;
        if plan.check().is_err() {
            return Ok(None);
        }
        self.plans.push(plan.clone());
        Ok(Some(plan))
    }

    fn run(&mut self, caller: &Caller) -> Result<Said> {
        let Some(plan) = self.plan(caller)? else {
            return Ok(Said::Declined(String::from("nobody may be promoted")));
        };
        let consent = match self.consents {
            true => Consent::to(&plan, plan.losses_digest())?,
            false => Consent::to_nothing(),
        };
        let agreed = plan.with_consent(&consent);
        let outcome = operations::recover(&self.members(caller), agreed, &mut control(caller));
        let outcome = caller.ended(outcome)?;
        Ok(match outcome {
            Outcome::Done(recovered) => {
                let follows = recovered.members.iter().filter(|member| member.follows);
                let names: Vec<_> = follows.map(|member| member.name.as_str()).collect();
                Said::Done(format!("{}:{}", plan.host.name, names.join(",")))
            }
            outcome => said(Ok(outcome)),
        })
    }
}

impl Case for Recover {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&["phantom", "alpha", "beta"])
    }

    fn guard(&self) -> Guard {
        let is_alive = self.is_alive;
        Arc::new(move |world, books, host, method| {
            let all = ["phantom", "alpha", "beta"];
            match method {
                "pool.emergency_transition_to_master" => {
                    let times = |host: &str| {
                        let key = (host.to_owned(), method.to_owned());
                        books.carried_out.get(&key).copied().unwrap_or(0)
                    };
                    let rules = |other: &&str| {
                        world.has_power(other)
                            && (world.role(other) == Some(HostRole::Master)
                                || world.configured_role(other) == Some(HostRole::Master))
                    };
                    if let Some(other) = all.into_iter().filter(|other| *other != host).find(rules)
                    {
                        return Some(format!("{other} is, or becomes, master"));
                    }
                    let rules = world.configured_role(host) == Some(HostRole::Master);
                    if times(host) > 0 && rules {
                        return Some(String::from("it was promoted before"));
                    }
                    is_alive.then(|| String::from("the old master lives"))
                }
                // Also asked with the master that it follows, which changes nothing.
                "pool.emergency_reset_master" | "pool.recover_slaves" => {
                    let rules = method.ends_with("reset_master")
                        && world.is_running(host)
                        && world.role(host) == Some(HostRole::Master);
                    rules.then(|| String::from("it is a master, which would obey"))
                }
                _ if method.ends_with("host.declare_dead") && world.has_power("phantom") => {
                    Some(String::from("the host is not off"))
                }
                _ => None,
            }
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        match self.run(caller) {
            Ok(said) => said,
            Err(error) => Said::Failed(error.to_string()),
        }
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        match said {
            Said::Done(what) => {
                let (master, members) = what.split_once(':').unwrap();
                if self.world.role(master) != Some(HostRole::Master) {
                    return Err(format!("{master} is {:?}", self.world.role(master)));
                }
                let follows = |host: &str| members.split(',').any(|member| member == host);
                let mut members = self.uuids.iter().filter(|(host, _)| follows(host));
                members.try_for_each(|(host, uuid)| assert_member(&self.world, host, uuid, master))
            }
            Said::NotDone(_) => {
                let plan = self.plans.last().map(|plan| plan.host.name.clone()).unwrap_or_default();
                match self.world.role(&plan) {
                    Some(HostRole::Master) => Err(format!("{plan} is master")),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        match said {
            // Members that were away at the end are for the next caller.
            Said::Done(what) => what.ends_with("alpha") || what.ends_with("beta"),
            Said::Declined(_) => self.is_alive,
            _ => false,
        }
    }

    fn losses(&self) -> Vec<String> {
        let mut losses = missing(&self.before, &self.world, &self.hosts(), &BTreeSet::new());
        let master = ["alpha", "beta", "phantom"].into_iter().find(|host| {
            self.world.is_running(host) && self.world.role(host) == Some(HostRole::Master)
        });
        if let Some(database) = master.and_then(|master| self.world.database(master).ok()) {
            let state = |name: &str| {
                let vm = database.objects("VM").find(|vm| vm.text("name_label") == name);
                vm.map(|vm| vm.text("power_state").to_owned()).unwrap_or_default()
            };
            if !self.consents && state("web") != "Running" {
                losses.push(format!("web was reset to {} without consent", state("web")));
            }
        }
        losses
    }
}
