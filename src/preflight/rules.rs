//! The table of all rules, in the order of the report: XAPI's checks in XAPI's order, then the rest.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::checks::*;
use super::rule::Rule;

macro_rules! rules {
    ($( $variant:ident $code:literal = $rule:path, )*) => {
        /// The stable name of a rule.
        ///
        /// In the order of reports: XAPI's checks in XAPI's order, then what XAPI does not look at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum RuleCode {
            $( #[doc = concat!("`", $code, "`")] $variant, )*
        }

        /// All rules, in the order of reports.
        pub static RULES: &[&Rule] = &[$(&$rule),*];

        impl RuleCode {
            /// The code as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

rules! {
    PoolingUnlicensed "pooling-unlicensed" = licence::POOLING_UNLICENSED,
    PoolUnreadable "pool-unreadable" = identity::POOL_UNREADABLE,
    PoolSizeRestricted "pool-size-restricted" = licence::POOL_SIZE_RESTRICTED,
    JoinerHaEnabled "joiner-ha-enabled" = ha::JOINER_HA_ENABLED,
    PoolHaEnabled "pool-ha-enabled" = ha::POOL_HA_ENABLED,
    JoiningItself "joining-itself" = identity::JOINING_ITSELF,
    JoinerHasOtherHosts "joiner-has-other-hosts" = identity::JOINER_HAS_OTHER_HOSTS,
    RunningVms "running-vms" = vms::RUNNING_VMS,
    VmOperations "vm-operations" = vms::VM_OPERATIONS,
    SharedStorage "shared-storage" = storage::SHARED_STORAGE,
}

impl fmt::Display for RuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for RuleCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RuleCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_stands_in_its_place() {
        for (n, rule) in RULES.iter().enumerate() {
            assert_eq!(rule.code as usize, n, "{}", rule.code);
            assert_eq!(rule.code.as_str().parse::<RuleCode>().unwrap(), rule.code);
        }
    }
}
