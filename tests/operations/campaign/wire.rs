//! The network between the callers and the world: counts requests, breaks things, keeps the books.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as Json;
use xcp_pool::election::HostRole;
use xcp_pool::simulator::{Injection, Peer, Trouble, World, WorldTransport};
use xcp_pool::transport::{Body, Cancel, Clock, Request, Transport};
use xcp_pool::{Error, ErrorKind, Result};

use super::cases::Case;
use super::words::{Names, complaints};
use super::{Random, Run, Said, Schedule};

/// Something that goes wrong at a request, counted from the first one of all callers.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub at: u64,
    pub what: What,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// The request is lost, refused, answered in vain or in part, or late.
    Request(Trouble),
    /// The operation is cancelled while the request is under way.
    Cancel,
    /// The caller dies before it sends.
    CrashBefore,
    /// The caller dies before it reads the reply.
    CrashAfter,
    /// The toolstack of the host that is asked restarts before it reads.
    Restart,
    /// The toolstack of the host that is asked restarts after it has answered.
    RestartAfter,
    /// The power of the host that is asked fails before it reads, and is back after so many seconds.
    KillBefore(u64),
    /// The power of the host that is asked fails before it answers, and is back after so many seconds.
    KillAfter(u64),
    /// The power of the pool's master fails, and is back after so many seconds.
    KillMaster(u64),
    /// Nothing passes between caller and host for so many seconds.
    CutOff(u64),
    /// Replies of the host do not pass.
    CutReplies(u64),
    /// Nothing passes between the master and another host.
    CutHosts(u64),
    /// What the other host sends does not reach the master.
    CutToMaster(u64),
    /// The master forgets all sessions.
    LoseSessions,
    /// The master forgets all tasks.
    LoseTasks,
}

impl What {
    /// Every kind.
    pub(crate) fn all() -> Vec<Self> {
        let seconds = Duration::from_secs;
        let troubles = [
            Trouble::Refuse,
            Trouble::Reset,
            Trouble::LoseReply,
            Trouble::CutReply,
            Trouble::Silence,
            Trouble::Delay(seconds(8)),
            Trouble::Delay(seconds(70)),
        ];
        let others = [
            Self::Cancel,
            Self::CrashBefore,
            Self::CrashAfter,
            Self::Restart,
            Self::RestartAfter,
            Self::KillBefore(40),
            Self::KillAfter(40),
            Self::KillMaster(90),
            Self::CutOff(50),
            Self::CutReplies(130),
            Self::CutHosts(60),
            Self::CutToMaster(200),
            Self::LoseSessions,
            Self::LoseTasks,
        ];
        troubles.into_iter().map(Self::Request).chain(others).collect()
    }
}

/// Whether a request may be sent to a host now; if not, why.
pub(super) type Guard = Arc<dyn Fn(&World, &Books, &str, &str) -> Option<String> + Send + Sync>;

/// What the campaign knows beside the world.
#[derive(Default)]
pub(crate) struct Books {
    /// How often a method was carried out at a host.
    pub carried_out: BTreeMap<(String, String), u64>,
}

/// Everything that is kept of a run; a clone is another handle.
#[derive(Clone)]
pub(crate) struct Log {
    inner: Arc<Mutex<Inner>>,
    world: World,
    hosts: Arc<Vec<String>>,
    guard: Guard,
}

struct Inner {
    count: u64,
    faults: Vec<Fault>,
    violations: Vec<String>,
    trace: Vec<String>,
    books: Books,
    random: Random,
    /// Sessions that a caller has got, by caller.
    got: BTreeMap<String, u64>,
    /// Sessions that a caller has tried to close.
    closed: BTreeSet<String>,
    dead: BTreeSet<u64>,
    callers: u64,
}

impl Log {
    pub(crate) fn new(schedule: &Schedule, case: &dyn Case) -> Self {
        let inner = Inner {
            count: 0,
            faults: schedule.faults.clone(),
            violations: Vec::new(),
            trace: Vec::new(),
            books: Books::default(),
            random: Random::new(schedule.seed ^ 0xfa17),
            got: BTreeMap::new(),
            closed: BTreeSet::new(),
            dead: BTreeSet::new(),
            callers: 0,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            world: case.world().clone(),
            hosts: Arc::new(case.hosts()),
            guard: case.guard(),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap())
    }

    pub(crate) fn violation(&self, what: String) {
        self.with(|inner| inner.violations.push(what));
    }

    /// Notes what nobody could read in a text.
    pub(crate) fn read(&self, text: &str, names: &Names) {
        for complaint in complaints(text, names) {
            self.violation(format!("{complaint}, in the text: {text}"));
        }
    }

    pub(crate) fn note(&self, what: &str) {
        let now = self.world.now().as_secs_f64();
        self.with(|inner| inner.trace.push(format!("{now:9.2} {what}")));
    }

    /// No pool has two masters that run.
    pub(crate) fn check_masters(&self, when: &str) {
        let mut masters: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for host in self.hosts.iter() {
            let rules = self.world.is_running(host)
                && self.world.role(host) == Some(HostRole::Master)
                && self.world.emergency(host).is_none();
            if let Some(pool) = rules.then(|| self.world.pool_uuid(host)).flatten() {
                masters.entry(pool).or_default().push(host);
            }
        }
        for (pool, masters) in masters.into_iter().filter(|(_, masters)| masters.len() > 1) {
            self.violation(format!("{when}: {masters:?} are masters of pool {pool}"));
        }
    }

    fn master(&self) -> Option<&String> {
        let rules = |host: &&String| {
            self.world.is_running(host) && self.world.role(host) == Some(HostRole::Master)
        };
        self.hosts.iter().find(rules)
    }

    /// What the host is called that is asked.
    fn name(&self, endpoint: &str) -> String {
        let pool = self.hosts.iter().find(|host| {
            host.as_str() == endpoint || self.world.address(host).as_deref() == Some(endpoint)
        });
        pool.cloned().unwrap_or_else(|| endpoint.to_owned())
    }

    pub(crate) fn finish(self, attempts: Vec<Said>) -> Run {
        let open = self.world.sessions();
        let world_requests = self.with(|inner| inner.count);
        self.with(|inner| {
            let mut unknowable = 0;
            for session in open {
                match inner.got.get(&session) {
                    Some(caller) if !inner.dead.contains(caller) => {
                        if inner.closed.contains(&session) {
                            unknowable += 1;
                        } else {
                            inner.violations.push(format!("caller {caller} left {session} open"));
                        }
                    }
                    _ => unknowable += 1,
                }
            }
            inner.violations.dedup();
            Run {
                violations: std::mem::take(&mut inner.violations),
                attempts,
                requests: world_requests,
                unknowable_sessions: unknowable,
                trace: std::mem::take(&mut inner.trace),
            }
        })
    }
}

/// Somebody who runs an operation, until it dies.
#[derive(Clone)]
pub(crate) struct Caller {
    log: Log,
    transport: WorldTransport,
    number: u64,
    dead: Arc<AtomicBool>,
    pub cancel: Cancel,
    /// What cancels the operation, and not what the caller does otherwise.
    stop: Cancel,
    operates: Arc<AtomicBool>,
    /// Whether the operation ended after it was cancelled.
    cancelled: Arc<AtomicBool>,
}

impl Caller {
    pub(crate) fn new(world: &World, log: &Log) -> Self {
        let number = log.with(|inner| {
            inner.callers += 1;
            inner.callers
        });
        let dead = Arc::new(AtomicBool::new(false));
        let transport = world.transport();
        let (cancel, stop) = <(Cancel, Cancel)>::default();
        let (operates, cancelled) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        Self { log: log.clone(), transport, number, dead, cancel, stop, operates, cancelled }
    }

    /// From here on every request is that of an operation, which this cancels.
    pub(crate) fn operates_until(&self) -> Cancel {
        self.operates.store(true, Ordering::Relaxed);
        self.stop.clone()
    }

    /// What the operation came to; what is cancelled from here on was not the operation.
    pub(crate) fn ended<T>(&self, result: T) -> T {
        self.cancelled.store(self.stop.is_cancelled(), Ordering::Relaxed);
        self.operates.store(false, Ordering::Relaxed);
        result
    }

    /// Whether the operation was cancelled in the middle.
    pub(crate) fn was_cancelled(&self) -> bool {
        match self.operates.load(Ordering::Relaxed) {
            true => self.stop.is_cancelled(),
            false => self.cancelled.load(Ordering::Relaxed),
        }
    }

    /// Reads what is told of the operation's progress.
    pub(crate) fn reads(&self) -> impl Fn(&str) + use<> {
        let log = self.log.clone();
        move |text| log.read(text, &Names::unknown())
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    fn die(&self) -> Error {
        self.dead.store(true, Ordering::Relaxed);
        self.cancel.cancel();
        self.log.with(|inner| inner.dead.insert(self.number));
        self.log.note("the caller dies");
        Error::new(ErrorKind::Cancelled, "the caller is dead")
    }

    /// Lets everything happen that is due at this request; whether the caller dies after it.
    ///
    fn suffer(&self, due: Vec<What>, host: &str) -> Result<After> {
        let world = &self.log.world;
        let mut after = After::default();
        let back = |host: String, seconds: u64| {
            // Power that fails at the end of a long call fails after that.
            for seconds in [seconds, seconds + 200, seconds + 700] {
                let host = host.clone();
                world.after(Duration::from_secs(seconds), move |scene| scene.power_on(&host));
            }
        };
        for what in due {
            self.log.note(&format!("FAULT {what:?} at {host}"));
            match what {
                What::Request(trouble) => world.trouble(Injection::new(trouble)),
                What::Cancel => self.stop.cancel(),
                What::CrashBefore => return Err(self.die()),
                What::CrashAfter => after.crash = true,
                What::Restart => world.act(|scene| scene.restart_toolstack(host)),
                What::RestartAfter => after.restart = true,
                What::KillBefore(seconds) | What::KillAfter(seconds) if world.is_running(host) => {
                    let trouble = match what {
                        What::KillBefore(_) => Trouble::KillBefore,
                        _ => Trouble::KillAfter,
                    };
                    world.trouble(Injection::new(trouble));
                    back(host.to_owned(), seconds);
                }
                What::KillBefore(_) | What::KillAfter(_) => {}
                What::KillMaster(seconds) => {
                    if let Some(master) = self.log.master().cloned() {
                        world.power_off(&master);
                        back(master, seconds);
                    }
                }
                What::CutOff(seconds) => self.cut(Peer::from(host), Peer::Tool, seconds, false),
                What::CutReplies(seconds) => self.cut(Peer::from(host), Peer::Tool, seconds, true),
                What::CutHosts(seconds) | What::CutToMaster(seconds) => {
                    let one_way = matches!(what, What::CutToMaster(_));
                    if let Some(master) = self.log.master().cloned() {
                        let others: Vec<_> =
                            self.log.hosts.iter().filter(|other| **other != master).collect();
                        let n = self.log.with(|inner| inner.random.below(others.len()));
                        if let Some(other) = others.get(n) {
                            let (from, to) = (Peer::from(other.as_str()), Peer::from(&*master));
                            self.cut(from, to, seconds, one_way);
                        }
                    }
                }
                What::LoseSessions => self.forget("session"),
                What::LoseTasks => self.forget("task"),
            }
        }
        Ok(after)
    }

    fn cut(&self, from: Peer, to: Peer, seconds: u64, one_way: bool) {
        let world = &self.log.world;
        let (a, b) = (from.clone(), to.clone());
        world.act(|scene| match one_way {
            true => scene.cut_one_way(from, to),
            false => scene.cut(from, to),
        });
        world.after(Duration::from_secs(seconds), move |scene| scene.heal(a, b));
    }

    fn forget(&self, class: &str) {
        if let Some(master) = self.log.master().cloned() {
            // A master whose database is not there has nothing to forget.
            let _ = self.log.world.act(|scene| {
                scene.edit(&master, |database| {
                    for row in database.refs(class) {
                        database.destroy(class, &row);
                    }
                    Ok(())
                })
            });
        }
    }
}

#[derive(Default)]
struct After {
    crash: bool,
    restart: bool,
}

impl Transport for Caller {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        if self.is_dead() {
            return Err(Error::new(ErrorKind::Cancelled, "the caller is dead"));
        }
        let body: Json = serde_json::from_slice(request.body).unwrap_or_default();
        let method = body["method"].as_str().unwrap_or_default().to_owned();
        let host = self.log.name(request.endpoint.host());
        let due = self.log.with(|inner| {
            let n = inner.count;
            inner.count += 1;
            let (due, later): (Vec<_>, Vec<_>) =
                std::mem::take(&mut inner.faults).into_iter().partition(|fault| fault.at == n);
            inner.faults = later;
            due.into_iter().map(|fault| fault.what).collect::<Vec<_>>()
        });
        if method.ends_with("logout") {
            let session = body["params"][0].as_str().unwrap_or_default().to_owned();
            self.log.with(|inner| inner.closed.insert(session));
        }
        let after = self.suffer(due, &host)?;
        if self.was_cancelled() && !method.ends_with("logout") && !request.cancel.is_cancelled() {
            let what = format!("{method} was sent to {host} by an operation that was cancelled");
            self.log.violation(what);
        }
        let world = &self.log.world;
        let objection =
            self.log.with(|inner| (self.log.guard)(world, &inner.books, &host, &method));
        if let Some(objection) = objection {
            self.log.violation(format!("{method} was sent to {host}, but {objection}"));
        }
        let before = world.requests().get(&method).copied().unwrap_or(0);
        let reply = self.transport.exchange(request);
        // What was to befall this request, and did not, waits for no other.
        world.calm();
        let carried_out = world.requests().get(&method).copied().unwrap_or(0) > before;
        if carried_out {
            self.log.with(|inner| {
                let key = (host.clone(), method.clone());
                *inner.books.carried_out.entry(key).or_default() += 1;
            });
        }
        self.log.check_masters(&format!("after {method} at {host}"));
        let reply = match reply {
            Ok(body) => body.into_bytes().map_err(|error| {
                Error::new(ErrorKind::Transport, "the reply broke off").with_source(error)
            }),
            Err(error) => Err(error),
        };
        match &reply {
            Ok(bytes) => {
                if method.ends_with("login_with_password") {
                    let reply: Json = serde_json::from_slice(bytes).unwrap_or_default();
                    if let (Some(session), false) = (reply["result"].as_str(), after.crash) {
                        let session = session.to_owned();
                        self.log.with(|inner| inner.got.insert(session, self.number));
                    }
                }
                let said = if bytes.len() < 160 {
                    String::from_utf8_lossy(bytes).into_owned()
                } else {
                    format!("{} bytes", bytes.len())
                };
                self.log.note(&format!("{method} at {host}: {said}"));
            }
            Err(error) => self.log.note(&format!("{method} at {host}: {error}")),
        }
        if after.restart {
            world.act(|scene| scene.restart_toolstack(&host));
        }
        if after.crash {
            return Err(self.die());
        }
        reply.map(Body::Bytes)
    }

    fn clock(&self) -> &dyn Clock {
        self
    }

    fn at_once(&self) -> usize {
        1
    }
}

impl Clock for Caller {
    fn now(&self) -> Duration {
        self.log.world.now()
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()> {
        self.cancel.check()?;
        Clock::sleep(&self.transport, time, cancel)
    }
}
