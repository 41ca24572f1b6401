//! Hosts that become members.

use super::*;

const JOINERS: [&str; 2] = ["ignite", "ember"];

pub(super) struct Join {
    world: World,
    uuid: String,
    plan: Plan,
    consent: Consent,
    consents: bool,
    before: BTreeSet<(&'static str, String)>,
    refused: usize,
}

impl Join {
    pub(super) fn new(seed: u64, consents: bool) -> Self {
        let world = World::story(seed);
        let log_in = |host| Client::connect(world.transport(), host, &root()).unwrap();
        let (phantom, ignite) = (log_in("phantom"), log_in("ignite"));
        let pool = phantom.snapshot(Scope::Preflight).unwrap();
        let host = ignite.snapshot(Scope::Preflight).unwrap();
        let report = preflight::evaluate(pool, host, &Options::new());
        let mut choices = Choices::new();
        if !consents {
            choices = choices.choose("running-vms", "delete").unwrap();
        }
        let plan = report.plan(&choices).unwrap();
        let before = inventory(&world, &hosts(&["phantom", "ignite"]));
        let uuid = uuid_of(&world, "ignite");
        let consent = Consent::to_nothing();
        Self { world: world.clone(), uuid, plan, consent, consents, before, refused: 0 }
    }

    fn is_left_behind(&self) -> bool {
        self.world.role("ignite") == Some(HostRole::Master)
            && self.world.database("phantom").is_ok_and(|database| has(&database, &self.uuid))
    }
}

impl Case for Join {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&["phantom", "ignite"])
    }

    fn guard(&self) -> Guard {
        let uuid = self.uuid.clone();
        Arc::new(move |world, _, host, method| {
            if !method.contains("pool.join") {
                return None;
            }
            let known = world.database("phantom").is_ok_and(|database| has(&database, &uuid));
            if host != "ignite" {
                Some(String::from("it is no joiner"))
            } else if world.configured_role(host) != Some(HostRole::Master) {
                Some(String::from("it has joined"))
            } else if known {
                Some(String::from("the pool knows it already"))
            } else if is_pending(world, host, "Async.pool.join") {
                Some(String::from("it is joining"))
            } else {
                None
            }
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        let run = || {
            let pool = connect(caller, "10.0.0.1")?;
            let joiner = connect(caller, "10.0.0.2")?;
            caller.ended(operations::join(
                &pool,
                &joiner,
                self.plan.with_consent(&self.consent),
                &mut control(caller),
            ))
        };
        said(run())
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        match said {
            Said::Done(_) => assert_member(&self.world, "ignite", &self.uuid, "phantom"),
            _ if self.world.configured_role("ignite") != Some(HostRole::Master) => {
                Err(String::from("ignite has joined"))
            }
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        match said {
            Said::Done(_) => true,
            Said::NotDone(why) if !self.consents => why.contains("nobody agreed"),
            // A join that broke off left records behind, which only a person may remove.
            Said::NotDone(_) | Said::Unknown(_) if self.is_left_behind() => {
                self.refused += 1;
                self.refused > 1
            }
            _ => false,
        }
    }

    fn losses(&self) -> Vec<String> {
        let none = BTreeSet::new();
        let mut losses = missing(&self.before, &self.world, &self.hosts(), &none);
        if !self.consents && self.world.role("ignite") != Some(HostRole::Master) {
            losses.push(String::from("ignite joined although nobody agreed to what that costs"));
        }
        losses
    }
}

pub(super) struct JoinMany {
    world: World,
    joins: Joins,
    uuids: Vec<String>,
    before: BTreeSet<(&'static str, String)>,
    refused: usize,
}

impl JoinMany {
    pub(super) fn new(seed: u64) -> Self {
        let pool = PoolSpec::new("lab", Release::XcpNg83)
            .host("phantom", "10.0.0.1")
            .shared_sr("NFS", "nfs")
            .vm(VmSpec::running("web", "phantom").disk("NFS", 10));
        let mut builder = World::builder().seed(seed).pool(pool);
        for (n, name) in JOINERS.into_iter().enumerate() {
            let vm = VmSpec::halted(&format!("{name} VM")).disk("Local storage", 5);
            let spec = PoolSpec::new("", Release::XcpNg83);
            builder = builder.pool(spec.host(name, &format!("10.0.0.{}", n + 2)).vm(vm));
        }
        let world = builder.build().unwrap();
        let snapshot = |host: &str| {
            let client = Client::connect(world.transport(), host, &root()).unwrap();
            client.snapshot(Scope::Preflight).unwrap()
        };
        let pool = Arc::new(snapshot("phantom"));
        let report = |host| preflight::evaluate(Arc::clone(&pool), snapshot(host), &Options::new());
        let (reports, choices) = (JOINERS.map(report), Choices::new());
        let joiners = reports.iter().map(|report| (report, &choices));
        let joins = plan::join_many(joiners).unwrap();
        let uuids = JOINERS.iter().map(|host| uuid_of(&world, host)).collect();
        let before = inventory(&world, &hosts(&["phantom", "ignite", "ember"]));
        Self { world, joins, uuids, before, refused: 0 }
    }
}

impl Case for JoinMany {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&["phantom", "ignite", "ember"])
    }

    fn guard(&self) -> Guard {
        let uuids = self.uuids.clone();
        Arc::new(move |world, _, host, method| {
            if !method.contains("pool.join") {
                return None;
            }
            let Some(n) = JOINERS.iter().position(|joiner| *joiner == host) else {
                return Some(String::from("it is no joiner"));
            };
            let known = world.database("phantom").is_ok_and(|database| has(&database, &uuids[n]));
            if world.configured_role(host) != Some(HostRole::Master) || known {
                return Some(String::from("it has joined, or is known already"));
            }
            let joining = |host: &&str| is_pending(world, host, "Async.pool.join");
            JOINERS.into_iter().find(joining).map(|host| format!("{host} is joining"))
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        let consent = Consent::to_nothing();
        let run = || {
            let pool = connect(caller, "10.0.0.1")?;
            let (ignite, ember) = (connect(caller, "10.0.0.2")?, connect(caller, "10.0.0.3")?);
            let mut control = control(caller).on_failure(OnFailure::Stop);
            let joiners = [&ignite, &ember];
            let agreed = self.joins.with_consent(&consent);
            caller.ended(operations::join_many(&pool, &joiners, agreed, &mut control))
        };
        match run() {
            Err(error) => Said::Failed(error.to_string()),
            Ok(joined) => {
                let told = joined.to_string();
                let hosts = joined.hosts.into_iter();
                let unsettled = hosts
                    .map(|host| host.outcome)
                    .filter(|outcome| !matches!(outcome, Some(Outcome::Done(_))));
                let unsettled: Vec<_> = unsettled.collect();
                let is_unknown = |outcome| matches!(outcome, &Some(Outcome::Unknown(_)));
                // Who was not tried has not joined.
                match unsettled.is_empty() {
                    true => Said::Done(String::new()),
                    false if unsettled.iter().any(is_unknown) => Said::Unknown(told),
                    false => Said::NotDone(told),
                }
            }
        }
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        let mut joined = JOINERS.iter().zip(&self.uuids);
        let joined: Result<(), String> =
            joined.try_for_each(|(host, uuid)| assert_member(&self.world, host, uuid, "phantom"));
        match said {
            Said::Done(_) => joined,
            _ if joined.is_ok() => Err(String::from("both have joined")),
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        let left_behind = JOINERS.iter().zip(&self.uuids).any(|(host, uuid)| {
            self.world.role(host) == Some(HostRole::Master)
                && self.world.database("phantom").is_ok_and(|database| has(&database, uuid))
        });
        match said {
            Said::Done(_) => true,
            Said::NotDone(_) | Said::Unknown(_) if left_behind => {
                self.refused += 1;
                self.refused > 1
            }
            _ => false,
        }
    }

    fn losses(&self) -> Vec<String> {
        missing(&self.before, &self.world, &self.hosts(), &BTreeSet::new())
    }
}
