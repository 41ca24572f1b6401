//! A watch, a snapshot by events and a snapshot class by class agree with the database, whatever
//! happens: random changes, forgotten deletions, restarts, new masters, lost sessions.
//!
//! `XCP_POOL_CASES` sets the number of lives.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{HOSTS, credentials, lab, log_in, millis, seconds};
use xcp_pool::client::{Client, OneHost, Watch};
use xcp_pool::election::HostRole;
use xcp_pool::model::{Class, Host, Ref, Snapshot};
use xcp_pool::simulator::database::{Database, Value};
use xcp_pool::simulator::{Front, Injection, Trouble, World};
use xcp_pool::transport::{Cancel, Clock, Limits, SystemClock, Transport};
use xcp_pool::wire::{Event, Operation};

/// Everything that the release has and nothing that a look at the pool changes by itself.
fn classes() -> Vec<Class> {
    Class::ALL.iter().copied().filter(|class| *class != Class::Task).collect()
}

/// The master's database as a snapshot.
fn truth(world: &World, classes: &[Class]) -> Snapshot {
    let saved = world.database(&master(world)).unwrap().save();
    let names: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
    let objects = saved.as_object().unwrap().iter();
    let wanted: serde_json::Map<_, _> = objects
        .filter(|(class, _)| names.contains(&class.as_str()))
        .map(|(class, records)| (class.clone(), records.clone()))
        .collect();
    Snapshot::from_json(serde_json::Value::Object(wanted).to_string().as_bytes()).unwrap()
}

fn master(world: &World) -> String {
    let is_master = |host: &&&str| world.role(host) == Some(HostRole::Master);
    (*HOSTS.iter().find(is_master).unwrap()).to_owned()
}

/// How two snapshots differ, class by class; empty if they do not.
fn differences(one: &Snapshot, other: &Snapshot, classes: &[Class]) -> Vec<String> {
    let json = |snapshot: &Snapshot| -> serde_json::Value {
        serde_json::from_str(&snapshot.to_json()).unwrap()
    };
    let (one, other) = (json(one), json(other));
    let empty = serde_json::Map::new();
    let mut found = Vec::new();
    for class in classes {
        let table = |side: &serde_json::Value| side[class.as_str()].as_object().cloned();
        let (a, b) = (table(&one), table(&other));
        // A class that the release lacks is covered by neither, or empty in the database.
        let (a, b) = (a.unwrap_or(empty.clone()), b.unwrap_or(empty.clone()));
        let refs: BTreeSet<_> = a.keys().chain(b.keys()).collect();
        for reference in refs {
            if a.get(reference) != b.get(reference) {
                let has = |side: &serde_json::Map<_, _>| side.contains_key(reference);
                found.push(format!("{class} {reference}: {} and {}", has(&a), has(&b)));
            }
        }
    }
    found
}

/// A generator of its own, so that a failing seed is all that is needed to see it again.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        usize::try_from((self.0 >> 33) % u64::try_from(sides).unwrap()).unwrap()
    }
}

/// A pool that lives, and what was made in it.
struct Life {
    world: World,
    dice: Dice,
    made: Vec<(&'static str, String)>,
    number: usize,
    /// What happened, for who reads a failure.
    log: Vec<String>,
}

impl Life {
    fn edit<T>(&mut self, change: impl FnOnce(&mut Database) -> T) -> T {
        let master = master(&self.world);
        self.world.act(|scene| scene.edit(&master, |database| Ok(change(database))).unwrap())
    }

    fn make(&mut self, class: &'static str) {
        self.number += 1;
        let object = format!("OpaqueRef:made-{}", self.number);
        let name = Value::text(format!("made {}", self.number));
        let network = self.edit(|database| database.refs("network")[0].clone());
        self.edit(|database| {
            // Both sides of a relation change.
            let values = [("name_label", name), ("network", Value::from(&network))];
            database.create(class, &object, values).unwrap();
        });
        self.made.push((class, object));
    }

    fn unmake(&mut self) {
        if self.made.is_empty() {
            return;
        }
        let (class, object) = self.made.swap_remove(self.dice.throw(self.made.len()));
        self.edit(|database| database.destroy(class, &object));
    }

    fn rename(&mut self) {
        let class = ["network", "VM", "SR", "host", "pool", "VDI"][self.dice.throw(6)];
        let refs = self.edit(|database| database.refs(class));
        self.number += 1;
        let name = format!("name {}", self.number);
        if let Some(object) = refs.get(self.dice.throw(refs.len().max(1))) {
            self.edit(|database| database.set(class, object, "name_label", Value::text(name)))
                .unwrap();
        }
    }

    /// Something happens.
    fn happen(&mut self, client: &Client, clock: &dyn Clock) {
        let kind = self.dice.throw(14);
        let wait = |time| clock.sleep(time, &Cancel::new()).unwrap();
        match kind {
            0..=2 => self.rename(),
            3 => self.make("network"),
            4 => self.make("VM"),
            5 => self.make("VIF"),
            6 => self.unmake(),
            7 => {
                // Nobody ever sees it.
                self.make("network");
                let (class, object) = self.made.pop().unwrap();
                self.edit(|database| database.destroy(class, &object));
            }
            8 => {
                // More deletions than the server remembers, the first of them of what was known.
                let known = self.made.iter().position(|(class, _)| *class == "network");
                if let Some(known) = known {
                    let (class, object) = self.made.remove(known);
                    self.edit(|database| database.destroy(class, &object));
                }
                let first = self.made.len();
                for _ in 0..600 {
                    self.make("network");
                }
                for (class, object) in self.made.split_off(first) {
                    self.edit(|database| database.destroy(class, &object));
                }
            }
            9 => {
                let host = master(&self.world);
                self.world.act(|scene| scene.restart_toolstack(&host));
                self.rename();
            }
            10 => {
                let master = master(&self.world);
                self.world.act(|scene| {
                    let dropped = scene.edit(&master, |database| {
                        database.refs("session").iter().for_each(|session| {
                            database.destroy("session", session);
                        });
                        Ok(())
                    });
                    dropped.unwrap();
                });
            }
            11 => {
                let troubles =
                    [Trouble::Reset, Trouble::LoseReply, Trouble::CutReply, Trouble::Refuse];
                let trouble = troubles[self.dice.throw(4)].clone();
                let times = 1 + self.dice.throw(3) as u64;
                self.world.trouble(Injection::new(trouble).method("event.from").times(times));
            }
            12 => {
                let hosts = client.call::<Vec<Ref<Host>>>("host.get_all", &());
                if let Ok(hosts) = hosts {
                    let next = &hosts[self.dice.throw(hosts.len())];
                    // Refused while a host is away; that is all right.
                    let _ = client.call::<()>("pool.designate_new_master", &(next,));
                }
                wait(seconds(90));
            }
            _ => {
                // The master loses its power; another takes its last copy of the database.
                wait(seconds(240));
                let old = master(&self.world);
                let next = HOSTS.iter().find(|host| **host != old).unwrap();
                self.world.power_off(&old);
                let limits = Limits::within(seconds(30));
                let at =
                    format!("10.0.0.{}", HOSTS.iter().position(|host| host == next).unwrap() + 1);
                let local =
                    OneHost::new(self.world.transport(), at.parse().unwrap(), &credentials())
                        .limits(limits)
                        .session();
                local.unwrap().call::<()>("pool.emergency_transition_to_master", &()).unwrap();
                wait(seconds(60));
                let client = Client::connect(self.world.transport(), &at, &credentials()).unwrap();
                client.call::<Vec<Ref<Host>>>("pool.recover_slaves", &()).unwrap();
                self.world.power_on(&old);
                wait(seconds(240));
                // What was made since the copy is gone.
                self.made.clear();
            }
        }
        self.log.push(format!("{kind}"));
    }
}

/// The refs that the changes so far amount to.
#[derive(Default)]
struct Shadow(BTreeSet<(Class, String)>);

impl Shadow {
    fn of(snapshot: &Snapshot, classes: &[Class]) -> Self {
        Self(refs(snapshot, classes))
    }

    fn apply(&mut self, change: &Event) {
        let key = (change.class, change.reference.clone());
        match change.operation {
            Operation::Deleted => self.0.remove(&key),
            _ => self.0.insert(key),
        };
    }
}

fn refs(snapshot: &Snapshot, classes: &[Class]) -> BTreeSet<(Class, String)> {
    let json: serde_json::Value = serde_json::from_str(&snapshot.to_json()).unwrap();
    let of = |class: &Class| {
        let table = json[class.as_str()].as_object().cloned().unwrap_or_default();
        table.keys().map(|reference| (*class, reference.clone())).collect::<Vec<_>>()
    };
    classes.iter().flat_map(of).collect()
}

/// Polls until the watch shows what the database has.
fn settle(life: &Life, watch: &mut Watch, shadow: &mut Shadow, classes: &[Class]) {
    let mut last = Vec::new();
    for _ in 0..60 {
        let polled = watch.poll();
        // The changes that are there already, without waiting for more.
        for _ in 0..polled.unwrap_or(0) {
            let change = watch.next().unwrap().unwrap();
            shadow.apply(&change);
        }
        last = differences(watch.snapshot(), &truth(&life.world, classes), classes);
        if last.is_empty() {
            return;
        }
    }
    let rest: Vec<_> = last.iter().take(10).collect();
    panic!("the watch does not see {} things after {:?}: {rest:#?}", last.len(), life.log);
}

/// Lives through so many things, and compares after each few.
fn live(world: &World, client: &Client, seed: u64, clock: &dyn Clock, rounds: usize) {
    let classes = classes();
    let mut life = Life {
        world: world.clone(),
        dice: Dice(seed),
        made: Vec::new(),
        number: 0,
        log: vec![format!("seed {seed}")],
    };
    for _ in 0..6 {
        life.make("network");
    }
    let mut watch = client.watch_of(&classes).unwrap().hold(Duration::ZERO);
    let mut shadow = Shadow::of(watch.snapshot(), &classes);
    for _ in 0..rounds {
        for _ in 0..1 + life.dice.throw(4) {
            life.happen(client, clock);
        }
        settle(&life, &mut watch, &mut shadow, &classes);
        assert_eq!(shadow.0, refs(watch.snapshot(), &classes), "{:?}", life.log);
        let by_class = client.snapshot_by_class(&classes).unwrap();
        assert_eq!(differences(&by_class, &truth(world, &classes), &classes), [""; 0]);
        // The trouble that is left over befalls this one.
        let by_events = (0..4).find_map(|_| client.snapshot_of(&classes).ok()).unwrap();
        assert_eq!(differences(&by_events, &truth(world, &classes), &classes), [""; 0]);
        for class in &classes {
            // By class nobody says whether the release has it, but by refusing.
            assert_eq!(by_class.covers(*class), by_events.covers(*class), "{class}");
        }
    }
}

#[test]
fn a_watch_and_snapshots_agree_with_the_database_whatever_happens() {
    let cases = std::env::var("XCP_POOL_CASES").ok().and_then(|cases| cases.parse().ok());
    for seed in 0..cases.unwrap_or(12) {
        let world = lab(seed);
        let client = Client::builder(world.transport())
            .limits(Limits::within(seconds(60)))
            .patience(seconds(300))
            .connect("10.0.0.1", &credentials())
            .unwrap();
        let transport = world.transport();
        live(&world, &client, seed, transport.clock(), 8);
        client.close().unwrap();
        assert_eq!(world.open_sessions(), 0, "seed {seed}");
    }
}

#[test]
fn the_same_over_sockets_while_others_write() {
    let world = lab(99);
    let front = Front::builder(&world).https(0).start().unwrap();
    let client = log_in(&front, "phantom", seconds(10));
    let writer = log_in(&front, "phantom", seconds(10));
    let classes = classes();
    let mut watch = client.watch_of(&classes).unwrap().hold(millis(200));
    let mut shadow = Shadow::of(watch.snapshot(), &classes);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for number in 0..60 {
                let name = format!("network {number}");
                let network: String = writer
                    .call(
                        "network.create",
                        &(serde_json::json!({"name_label": name, "name_description": "",
                            "MTU": 1500, "other_config": {}, "bridge": "", "managed": true,
                            "tags": []}),),
                    )
                    .unwrap();
                if number % 3 == 0 {
                    writer.call::<()>("network.destroy", &(&network,)).unwrap();
                }
                if number == 30 {
                    world.act(|scene| scene.restart_toolstack("phantom"));
                    SystemClock.sleep(millis(1500), &Cancel::new()).unwrap();
                    let _ = writer.call::<Vec<Ref<Host>>>("host.get_all", &());
                }
            }
        });
        while !writing.is_finished() {
            for _ in 0..watch.poll().unwrap_or(0) {
                shadow.apply(&watch.next().unwrap().unwrap());
            }
        }
        writing.join().unwrap();
    });
    let life =
        Life { world: world.clone(), dice: Dice(0), made: Vec::new(), number: 0, log: Vec::new() };
    settle(&life, &mut watch, &mut shadow, &classes);
    assert_eq!(shadow.0, refs(watch.snapshot(), &classes));
    assert!(
        watch.snapshot().network.records().any(|network| network.name_label == "network 59")
            || watch.snapshot().network.records().any(|network| network.name_label == "network 58")
    );
    drop(watch);
    client.close().unwrap();
    writer.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
}
