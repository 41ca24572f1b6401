//! The master lock: how one of the survivors, and one only, becomes master.
//!
//! Each host owns a [`Block`] of the state file: one bit to ask for the lock, and one bit for each
//! host that it grants the lock to. The host to which every host of the live set grants is the
//! holder. This is the daemon's protocol (`lock_mgr.c`) as a state machine of one host, for
//! simulation: whoever drives it reads and writes the blocks, in any order and at any time.
//!
//! With a live set that does not change there is never more than one holder, however reads, writes
//! and requests interleave; the tests walk through every state for two and three hosts. Any host
//! may win, and who asks while others ask finds the lowest index preferred. Nobody gives the lock
//! back: it lapses when the holder leaves the live set.
//!
//! What the protocol leans on beyond that: a host that was refused leaves the others time to see it
//! before it proposes again (XAPI waits 5 seconds, several reads of the file). Without such a pause
//! a grant for the first attempt can arrive during the second, and two hosts may hold the lock.

use serde::{Deserialize, Serialize};

use super::HostSet;
use super::hostset::MAX_HOSTS;
use crate::error::{Error, ErrorKind, Result};

/// What a host has in the state file, as far as the lock goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Block {
    /// Whether the host asks for the lock.
    pub request: bool,
    /// The hosts that it grants the lock to.
    pub grants: HostSet,
}

/// Where a host's proposal to be master stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Proposal {
    /// None was made yet.
    #[default]
    None,
    /// It waits for the others.
    Pending,
    /// The host holds the lock: it is master.
    Granted,
    /// Another host holds the lock, or the state file was lost.
    Refused,
}

/// One host's side of the master lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MasterLock {
    me: usize,
    online: HostSet,
    own: Block,
    /// Each host's block as last read; the own entry is not used.
    peers: Vec<Block>,
    proposal: Proposal,
}

impl MasterLock {
    /// The side of host `me` of `n`, with its live set; nobody has asked yet.
    ///
    /// # Errors
    /// `InvalidInput` if there are more than 64 hosts, or `me` is not one of them.
    pub(crate) fn new(me: usize, n: usize, online: HostSet) -> Result<Self> {
        if n > MAX_HOSTS || me >= n {
            return Err(Error::new(ErrorKind::InvalidInput, format!("no host {me} of {n}")));
        }
        let online = online & HostSet::first(n);
        Ok(Self {
            me,
            online,
            own: Block::default(),
            peers: vec![Block::default(); n],
            proposal: Proposal::None,
        })
    }

    /// The block to write to the state file.
    pub(crate) fn block(&self) -> Block {
        self.own
    }

    /// Where the host's own proposal stands.
    pub(crate) fn proposal(&self) -> Proposal {
        self.proposal
    }

    /// The holder, as far as this host knows.
    ///
    /// It is the lowest online host to which all online hosts grant (`lock_mgr.c:880-932`).
    pub(crate) fn holder(&self) -> Option<usize> {
        let granted =
            self.online.iter().fold(self.online, |granted, host| granted & self.seen(host).grants);
        granted.lowest()
    }

    /// Proposes this host as master (`ha_propose_master`, `lock_mgr.c:449-534`).
    ///
    /// A pending proposal goes on with every [`MasterLock::update`].
    pub(crate) fn propose(&mut self) -> Proposal {
        self.proposal = match self.holder() {
            Some(host) if host == self.me => Proposal::Granted,
            Some(_) => Proposal::Refused,
            None => Proposal::Pending,
        };
        self.proposal
    }

    /// Takes note of another host's block.
    ///
    /// Unknown hosts and the own block change nothing.
    pub(crate) fn read(&mut self, host: usize, block: Block) {
        if let Some(seen) = self.peers.get_mut(host).filter(|_| host != self.me) {
            *seen = block;
        }
    }

    /// Applies the grant rules to what was read, and returns the proposal.
    ///
    /// As `lock_mgr.c:589-697, 837-859`.
    ///
    /// Grants are taken back from hosts that ask no more or are offline. The own request goes up
    /// only once nobody online grants this host from an earlier attempt and this host grants nobody
    /// with a higher index. Then every online host that asks is granted, but while this host asks
    /// itself, only up to its own index.
    pub(crate) fn update(&mut self) -> Proposal {
        let asking = |lock: &Self| -> HostSet {
            lock.online.iter().filter(|host| lock.seen(*host).request).collect()
        };
        self.own.grants = self.own.grants & asking(self);
        if self.proposal == Proposal::Pending && !self.own.request {
            let still_granted = self
                .online
                .without(self.me)
                .iter()
                .any(|host| self.seen(host).grants.contains(self.me));
            let grants_higher = self.own.grants.highest().is_some_and(|host| host > self.me);
            self.own.request = !still_granted && !grants_higher;
        }
        let allowed = if self.own.request { HostSet::first(self.me + 1) } else { self.online };
        self.own.grants = self.own.grants | (asking(self) & allowed);
        if self.proposal == Proposal::Pending {
            match self.holder() {
                Some(host) if host == self.me => self.proposal = Proposal::Granted,
                Some(_) => self.withdraw(),
                None => {}
            }
        }
        self.proposal
    }

    /// Changes the live set; a holder that left it holds no more.
    pub(crate) fn set_online(&mut self, online: HostSet) {
        self.online = online & HostSet::first(self.peers.len());
    }

    /// The state file is lost: a pending proposal ends.
    pub(crate) fn lose_state_file(&mut self) -> Proposal {
        if self.proposal == Proposal::Pending {
            self.withdraw();
        }
        self.proposal
    }

    fn withdraw(&mut self) {
        self.own.request = false;
        self.own.grants.remove(self.me);
        self.proposal = Proposal::Refused;
    }

    fn seen(&self, host: usize) -> Block {
        if host == self.me { self.own } else { self.peers.get(host).copied().unwrap_or_default() }
    }
}
