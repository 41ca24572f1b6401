//! What can be made to go wrong: requests, networks, machines.

use std::collections::BTreeSet;
use std::time::Duration;

/// Somebody on the network: a host of the world, or the tool that looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Peer {
    /// A host, by name or address.
    Host(String),
    /// The other end of [`World::transport`](crate::simulator::World::transport).
    Tool,
}

impl From<&str> for Peer {
    fn from(name: &str) -> Self {
        Self::Host(name.to_ascii_lowercase())
    }
}

/// Something that goes wrong at the boundary of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The request is carried out, its reply breaks off in the middle.
    CutReply,
    /// The request arrives after a delay.
    Delay(Duration),
    /// The power of the host fails before the request is looked at.
    KillBefore,
    /// The request is carried out, then power fails before the host can answer.
    KillAfter,
    /// The request is carried out, its reply is lost: the connection breaks.
    LoseReply,
    /// Nobody listens: the connection is refused.
    Refuse,
    /// The connection breaks before the host has read the request.
    Reset,
    /// The request is carried out, but the answer never comes.
    ///
    /// The caller waits to its deadline.
    Silence,
    /// The request is carried out, its reply comes in small pieces over that time.
    SlowReply(Duration),
    /// The request is carried out; half of its reply comes, the rest after this.
    StallReply(Duration),
}

/// Which requests a [`Trouble`] befalls.
///
/// # Examples
/// ```
/// use xcp_pool::simulator::{Injection, Trouble};
///
/// let lost_join = Injection::new(Trouble::LoseReply).host("ignite").method("pool.join");
/// let third_request_of_all = Injection::new(Trouble::Reset).skip(2);
/// let always = Injection::new(Trouble::Refuse).host("phantom").times(u64::MAX);
/// ```
#[derive(Clone, Debug)]
pub struct Injection {
    pub(in crate::simulator) trouble: Trouble,
    host: Option<Peer>,
    method: Option<String>,
    skip: u64,
    times: u64,
}

impl Injection {
    /// The next request of all.
    pub fn new(trouble: Trouble) -> Self {
        Self { trouble, host: None, method: None, skip: 0, times: 1 }
    }

    /// Only requests to this host.
    #[must_use]
    pub fn host(mut self, name: &str) -> Self {
        self.host = Some(Peer::from(name));
        self
    }

    /// Only requests of this method, `Async.` included in the name where it is used.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Lets that many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// How many matching requests it befalls, one if not said.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Gives the host that it befalls, if any, another name.
    pub(in crate::simulator) fn with_host(self, name: impl FnOnce(Peer) -> Peer) -> Self {
        Self { host: self.host.map(name), ..self }
    }

    /// Counts a request and answers whether the trouble befalls it.
    pub(in crate::simulator) fn strikes(&mut self, host: &str, method: &str) -> bool {
        let matches = self.host.as_ref().is_none_or(|wanted| *wanted == Peer::from(host))
            && self.method.as_ref().is_none_or(|wanted| wanted == method);
        if !matches || self.times == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times -= 1;
        true
    }

    pub(in crate::simulator) fn is_spent(&self) -> bool {
        self.times == 0
    }
}

/// The directions in which packets do not get through.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct Links {
    cut: BTreeSet<(Peer, Peer)>,
}

impl Links {
    pub(crate) fn cut(&mut self, from: Peer, to: Peer) {
        self.cut.insert((from, to));
    }

    pub(crate) fn heal(&mut self, from: &Peer, to: &Peer) {
        self.cut.retain(|link| (&link.0, &link.1) != (from, to));
    }

    /// Whether packets get from one to the other.
    pub(crate) fn passes(&self, from: &Peer, to: &Peer) -> bool {
        from == to || !self.cut.contains(&(from.clone(), to.clone()))
    }

    /// Whether a connection can be made: packets must pass both ways.
    pub(crate) fn open(&self, from: &Peer, to: &Peer) -> bool {
        self.passes(from, to) && self.passes(to, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_counts_only_what_it_is_about() {
        let mut rule =
            Injection::new(Trouble::Reset).host("Ignite").method("pool.join").skip(1).times(2);
        assert!(!rule.strikes("phantom", "pool.join"));
        assert!(!rule.strikes("ignite", "host.get_all"));
        let strikes: Vec<_> = (0..4).map(|_| rule.strikes("ignite", "pool.join")).collect();
        assert_eq!(strikes, [false, true, true, false]);
        assert!(rule.is_spent());
    }

    #[test]
    fn a_link_cut_one_way_carries_no_connection() {
        let mut links = Links::default();
        let (tool, host) = (Peer::Tool, Peer::from("phantom"));
        links.cut(host.clone(), tool.clone());
        assert!(links.passes(&tool, &host) && !links.open(&tool, &host));
        links.heal(&host, &tool);
        assert!(links.open(&tool, &host));
    }
}
