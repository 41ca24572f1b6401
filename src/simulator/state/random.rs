//! Random-looking ids that a seed determines.

use crate::simulator::database::Ref;

/// A generator of ids (splitmix64).
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A uuid as the server makes them, all digits random.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }

    /// A new ref.
    pub(crate) fn reference(&mut self) -> Ref {
        format!("OpaqueRef:{}", self.uuid()).into()
    }

    /// A locally administered MAC address.
    pub(crate) fn mac(&mut self) -> String {
        let bytes = self.next().to_be_bytes();
        let [a, b, c, d, e, ..] = bytes;
        format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}")
    }
}
