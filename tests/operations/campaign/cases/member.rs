//! Members that leave, or are rebooted.

use super::*;

pub(super) struct Eject {
    world: World,
    uuid: String,
    plan: Plan,
    before: BTreeSet<(&'static str, String)>,
    pool: String,
    refused: usize,
}

impl Eject {
    pub(super) fn new(seed: u64) -> Self {
        let spec = three_hosts()
            .vm(VmSpec::running("web", "alpha").disk("NFS", 10))
            .vm(VmSpec::halted("build").disk("NFS", 5));
        let world = World::builder().seed(seed).pool(spec).build().unwrap();
        let client = Client::connect(world.transport(), "alpha", &root()).unwrap();
        let snapshot = client.snapshot(Scope::Failover).unwrap();
        let uuid = uuid_of(&world, "gamma");
        let plan = plan::eject(&snapshot, named(&snapshot, "gamma")).unwrap();
        let before = inventory(&world, &hosts(&["alpha"]));
        let pool = world.pool_uuid("alpha").unwrap();
        Self { world: world.clone(), uuid, plan, before, pool, refused: 0 }
    }
}

impl Case for Eject {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&THREE)
    }

    fn guard(&self) -> Guard {
        let uuid = self.uuid.clone();
        Arc::new(move |world, _, host, method| {
            if !method.contains("pool.eject") {
                return None;
            }
            let known = world.database("alpha").is_ok_and(|database| has(&database, &uuid));
            if host != "alpha" || !world.is_running("alpha") {
                None
            } else if !known || world.role("gamma") == Some(HostRole::Master) {
                // Not as long as the restart fuse burns: a master that dies over its own call leaves a
                // host behind that still says, and is said, to be a member.
                Some(String::from("the host has left"))
            } else if is_pending(world, "alpha", "Async.pool.eject") {
                Some(String::from("it is leaving"))
            } else {
                None
            }
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        let consent = Consent::to(&self.plan, self.plan.losses_digest()).unwrap();
        let run = || {
            let pool = connect(caller, "10.0.0.1")?;
            let agreed = self.plan.with_consent(&consent);
            caller.ended(operations::eject(&pool, agreed, &mut control(caller)))
        };
        said(run())
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        let database = self.world.database("alpha").map_err(|error| error.to_string())?;
        let (known, role) = (has(&database, &self.uuid), self.world.role("gamma"));
        let alone = role == Some(HostRole::Master)
            && self.world.pool_uuid("gamma").is_some_and(|pool| pool != self.pool);
        match said {
            Said::Done(_) if known || !alone => Err(format!("known: {known}, gamma is {role:?}")),
            Said::NotDone(_) if alone && !known => Err(String::from("gamma has left")),
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        match said {
            Said::Done(_) => true,
            // A master that dies before it forgets the host leaves that to a person.
            Said::NotDone(_) if self.world.configured_role("gamma") == Some(HostRole::Master) => {
                self.refused += 1;
                self.refused > 1
            }
            _ => false,
        }
    }

    fn losses(&self) -> Vec<String> {
        missing(&self.before, &self.world, &hosts(&["alpha"]), &agreed(&self.plan))
    }
}

pub(super) struct Maintenance {
    world: World,
    plan: Plan,
    uuid: String,
    before: BTreeSet<(&'static str, String)>,
}

impl Maintenance {
    pub(super) fn new(seed: u64) -> Self {
        let spec = three_hosts().vm(VmSpec::running("web", "gamma").disk("NFS", 10));
        let world = World::builder().seed(seed).pool(spec).build().unwrap();
        let client = Client::connect(world.transport(), "alpha", &root()).unwrap();
        let snapshot = client.snapshot(Scope::Failover).unwrap();
        let plan = plan::maintenance(&snapshot, named(&snapshot, "gamma")).unwrap();
        let before = inventory(&world, &hosts(&["alpha"]));
        let uuid = uuid_of(&world, "gamma");
        Self { world: world.clone(), plan, uuid, before }
    }
}

impl Case for Maintenance {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&THREE)
    }

    fn guard(&self) -> Guard {
        let uuid = self.uuid.clone();
        Arc::new(move |world, _, _, method| {
            if !method.ends_with("host.reboot") {
                return None;
            }
            let database = world.database("alpha").ok()?;
            let row = database.by_uuid("host", &uuid)?;
            let stays = |vm: &str| database.flag("VM", vm, "is_control_domain");
            let resident = database.object("host", &row)?.refs("resident_VMs");
            let runs = resident.iter().any(|vm| !stays(vm));
            runs.then(|| String::from("VMs run on the host"))
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        let run = || {
            let pool = connect(caller, "10.0.0.1")?;
            caller.ended(operations::maintenance(&pool, &self.plan, &mut control(caller)))
        };
        said(run())
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        match said {
            Said::Done(_) => assert_member(&self.world, "gamma", &self.uuid, "alpha"),
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        matches!(said, Said::Done(_))
    }

    fn losses(&self) -> Vec<String> {
        missing(&self.before, &self.world, &hosts(&["alpha"]), &BTreeSet::new())
    }
}
