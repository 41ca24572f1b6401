//! Virtual machines described by what is special about them.

/// A virtual machine.
#[derive(Clone, Debug)]
pub struct VmSpec {
    pub(super) name: String,
    pub(super) host: Option<String>,
    pub(super) power: &'static str,
    pub(super) memory: i64,
    pub(super) disks: Vec<(String, i64)>,
    pub(super) networks: Vec<String>,
}

impl VmSpec {
    /// A VM that is off.
    pub fn halted(name: &str) -> Self {
        Self::new(name, None, "Halted")
    }

    /// A VM that runs on a host.
    pub fn running(name: &str, host: &str) -> Self {
        Self::new(name, Some(host.to_owned()), "Running")
    }

    /// A VM whose memory lies on a disk. Give it a disk: its SR takes the memory too.
    pub fn suspended(name: &str) -> Self {
        Self::new(name, None, "Suspended")
    }

    /// Its memory in GiB, two if not said.
    #[must_use]
    pub fn memory(mut self, gib: i64) -> Self {
        self.memory = bytes(gib);
        self
    }

    /// Gives it a disk on the SR with this label.
    #[must_use]
    pub fn disk(mut self, sr: &str, gib: i64) -> Self {
        self.disks.push((sr.to_owned(), bytes(gib)));
        self
    }

    /// Puts it on the network with this label; else on the first NIC's network.
    #[must_use]
    pub fn network(mut self, label: &str) -> Self {
        self.networks.push(label.to_owned());
        self
    }

    fn new(name: &str, host: Option<String>, power: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            host,
            power,
            memory: 2 << 30,
            disks: Vec::new(),
            networks: Vec::new(),
        }
    }
}

/// GiB in bytes.
pub(super) fn bytes(gib: i64) -> i64 {
    gib.saturating_mul(1 << 30)
}
