//! Every action, one sample each: that its call exists, is known to the simulator, can be taken back
//! as it says, and says what it destroys.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use xcp_pool::actions::{Action, Argument, Condition, Side};
use xcp_pool::model::{NetworkPurpose, Object, Record, Ref, Snapshot, Vm};

/// A sample of every action. Each ref has the name of its class.
pub(crate) fn samples() -> Vec<Action> {
    let side = Side::Joiner;
    let configuration = BTreeMap::from([("timeout".to_owned(), "60".to_owned())]);
    let purpose = NetworkPurpose::Nbd;
    let (edition, before) = ("xcp-ng".to_owned(), "free".to_owned());
    let vm: Ref<Vm> = sample();
    let migrate = |live| Action::VmMigrateToPool {
        vm: sample(),
        live,
        host: sample(),
        network: sample(),
        vdi_map: BTreeMap::from([(sample(), sample())]),
        vif_map: BTreeMap::from([(sample(), sample())]),
    };
    vec![
        Action::Await {
            side,
            object: Object::unnamed(xcp_pool::model::Class::Vm, &vm),
            until: Condition::VmIdle { vm },
        },
        Action::BondDestroy { bond: sample() },
        Action::ClusterHostDisable { cluster_host: sample() },
        Action::ClusterHostEnable { cluster_host: sample() },
        Action::HostApplyEdition { host: sample(), edition, before },
        Action::HostDestroy { host: sample() },
        Action::HostDisable { side, host: sample() },
        Action::HostDisableExternalAuth { host: sample() },
        Action::HostEnable { side, host: sample() },
        Action::HostReboot { side, host: sample() },
        Action::HostRestartAgent { side, host: sample() },
        Action::NetworkAddPurpose { network: sample(), purpose: purpose.clone() },
        Action::NetworkDestroy { network: sample() },
        Action::NetworkRemovePurpose { network: sample(), purpose },
        Action::NetworkSriovDestroy { network_sriov: sample() },
        Action::PbdPlug { pbd: sample() },
        Action::PbdUnplug { pbd: sample() },
        Action::PoolDisableHa {
            side,
            pool: sample(),
            heartbeat_srs: vec![sample()],
            configuration: configuration.clone(),
        },
        Action::PoolEnableHa { side, pool: sample(), heartbeat_srs: vec![sample()], configuration },
        Action::PoolEnableTlsVerification { side, pool: sample() },
        Action::PoolUninstallCaCertificate {
            side,
            certificate: sample(),
            name: "company.pem".to_owned(),
        },
        Action::PoolUninstallTrustedCertificate { side, pool: sample(), certificate: sample() },
        Action::SdnControllerForget { sdn_controller: sample() },
        Action::SrDestroy { sr: sample() },
        Action::SrForget { sr: sample() },
        Action::TaskCancel { task: sample(), vm: sample() },
        Action::TunnelDestroy { tunnel: sample() },
        Action::VdiDestroy { vdi: sample() },
        Action::VlanDestroy { vlan: sample() },
        Action::VmCleanShutdown { vm: sample() },
        Action::VmDestroy { vm: sample() },
        Action::VmHardShutdown { vm: sample() },
        migrate(true),
        migrate(false),
        Action::VmRemoveMacSeed { vm: sample(), seed: "seed".to_owned() },
        Action::VmResume { vm: sample() },
        Action::VmStart { vm: sample() },
        Action::VmSuspend { vm: sample() },
        Action::VmUnpause { vm: sample() },
    ]
}

fn sample<T: Record>() -> Ref<T> {
    Ref::new(&format!("OpaqueRef:{}", T::CLASS))
}

/// The name of an action's variant.
pub(crate) fn name(action: &Action) -> String {
    let debug = format!("{action:?}");
    debug.split(' ').next().unwrap().to_owned()
}

/// A method of the datamodel.
struct Method<'a> {
    /// Each type, and whether it must be given.
    params: Vec<(&'a str, bool)>,
    result: &'a str,
}

fn methods() -> BTreeMap<&'static str, Method<'static>> {
    let lines = include_str!("../data/actions/methods.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, rest) = line.split_once('(').unwrap();
            let (params, result) = rest.rsplit_once(") -> ").unwrap();
            let params = params.split(", ").filter(|param| !param.is_empty()).map(|param| {
                let (name, kind) = param.split_once(": ").unwrap();
                (kind, !name.ends_with('?'))
            });
            (name, Method { params: params.collect(), result })
        })
        .collect()
}

#[test]
fn there_is_a_sample_of_every_action() {
    let found: BTreeSet<_> = samples().iter().map(name).collect();
    let all: BTreeSet<_> = Action::NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, all);
}

#[test]
fn every_call_is_in_the_datamodel_with_these_types() {
    let methods = methods();
    let check = |method: &str, params: &[Argument], whose: &Action| {
        let known = methods.get(method).unwrap_or_else(|| panic!("{whose:?}: no method {method}"));
        let required = known.params.iter().filter(|(_, required)| *required).count();
        let given = params.len();
        assert!(required <= given && given <= known.params.len(), "{whose:?}: {given} parameters");
        for (param, (kind, _)) in params.iter().zip(&known.params) {
            assert!(fits(param, kind, &methods), "{whose:?}: {param:?} is no {kind}");
        }
    };
    for action in samples() {
        let Some(method) = action.method() else {
            assert_eq!(action.arguments(), [], "{action:?} is a wait");
            continue;
        };
        check(method, &action.arguments(), &action);
        for argument in &action.arguments() {
            if let Argument::ResultOf { method, arguments, .. } = argument {
                check(method, arguments, &action);
            }
        }
    }
}

fn fits(param: &Argument, kind: &str, methods: &BTreeMap<&str, Method<'_>>) -> bool {
    if let Argument::ResultOf { method, .. } = param {
        return methods[*method].result == kind;
    }
    match (kind, param) {
        ("bool", Argument::Bool(_)) => true,
        (kind, Argument::Text(text)) => text_fits(text, kind),
        (kind, Argument::Set(set)) => kind
            .strip_suffix(" set")
            .is_some_and(|kind| set.iter().all(|text| text_fits(text, kind))),
        (kind, Argument::Map(map)) => kind
            .strip_prefix('(')
            .and_then(|kind| kind.strip_suffix(") map"))
            .and_then(|kinds| kinds.split_once(" -> "))
            .is_some_and(|(key, value)| {
                map.iter().all(|(k, v)| text_fits(k, key) && text_fits(v, value))
            }),
        _ => false,
    }
}

fn text_fits(text: &str, kind: &str) -> bool {
    match (text.strip_prefix("OpaqueRef:"), kind.strip_suffix(" ref")) {
        (Some(class), Some(kind)) => class == kind,
        (None, None) => kind == "string" || kind.starts_with("enum "),
        _ => false,
    }
}

#[test]
fn the_object_is_of_the_class_whose_state_changes() {
    for action in samples() {
        let object = action.object();
        assert_eq!(object.reference, format!("OpaqueRef:{}", object.class), "{action:?}");
        if let Condition::Gone { class, reference } = action.effect() {
            assert_eq!((class, reference), (object.class, object.reference), "{action:?}");
        }
    }
}

#[cfg(feature = "simulator")]
#[test]
fn the_simulator_knows_every_call() {
    use crate::support::{Caller, raw};
    use xcp_pool::simulator::{PoolSpec, Release, World};
    let pool = PoolSpec::new("pool", Release::Newest).host("master", "10.0.0.1");
    let caller = Caller::login(&World::builder().pool(pool).build().unwrap(), "master");
    let check = |method: &str, params: &[Argument]| {
        let params = params.iter().map(|param| match param {
            Argument::ResultOf { .. } => json!({}),
            param => json!(param),
        });
        let all: Vec<_> = [json!(caller.session)].into_iter().chain(params).collect();
        let Err(failed) = raw(&caller.transport, &caller.host, method, json!(all)) else {
            return;
        };
        let fault = failed.fault();
        for unknown in ["MESSAGE_METHOD_UNKNOWN", "MESSAGE_PARAMETER_COUNT", "NOT_IMPLEMENTED"] {
            assert!(!fault.starts_with(unknown), "{method}: {fault}");
        }
    };
    for action in samples() {
        let Some(method) = action.method() else { continue };
        check(method, &action.arguments());
        for argument in &action.arguments() {
            if let Argument::ResultOf { method, arguments, .. } = argument {
                check(method, arguments);
            }
        }
    }
}

#[test]
fn what_takes_an_action_back_brings_back_what_was_before() {
    for action in samples() {
        let Some(undo) = action.undo() else { continue };
        assert_eq!((undo.side(), undo.object()), (action.side(), action.object()), "{action:?}");
        let (effect, back) = (json!(action.effect()), json!(undo.effect()));
        // The condition that the action changes, with another value.
        assert_eq!(effect["condition"], back["condition"], "{action:?}");
        assert_ne!(effect, back, "{action:?}");
        let before = action.preconditions();
        assert!(before.is_empty() || before.contains(&undo.effect()), "{action:?}");
    }
}

/// Why nothing is lost for good by calls whose names sound as if something were.
const KEEP: &[(&str, &str)] = &[
    ("Bond.destroy", "its NICs stay, and it can be made anew"),
    ("SDN_controller.forget", "the controller runs on, and its address can be given again"),
    ("SR.forget", "the data stays on the storage, which can be introduced again"),
    ("VLAN.destroy", "its network stays, and it can be made anew"),
    ("VM.remove_from_other_config", "the VM gets another seed where it needs one"),
    ("host.destroy", "the host is dead, and its disks keep what lies on them"),
    ("host.disable_external_auth", "the domain stays, and can be entered again"),
    ("host.reboot", "it waits until no VM is on the host, which XAPI would shut down by force"),
    ("network.remove_purpose", "it can be given again"),
    ("network_sriov.destroy", "the NIC stays, and its functions can be switched on anew"),
    ("tunnel.destroy", "its network stays, and it can be made anew"),
];

/// Words in the names of methods after which something may be gone.
const SOUND: &[&str] = &[
    "clear",
    "delete",
    "destroy",
    "disable_external_auth",
    "eject",
    "forget",
    "hard",
    "purge",
    "reboot",
    "remove",
    "reset",
    "revert",
    "uninstall",
    "wipe",
];

#[test]
fn an_action_that_sounds_destructive_says_what_is_lost_or_is_known_to_keep_it() {
    let mut kept = BTreeSet::new();
    for action in samples() {
        let losses = action.destroys(&Snapshot::default());
        let method = action.method().unwrap_or_default();
        let sounds = SOUND.iter().any(|word| method.contains(word));
        let why = KEEP.iter().find(|(known, _)| *known == method);
        kept.extend(why.map(|(known, _)| *known));
        assert_eq!(losses.is_empty(), !sounds || why.is_some(), "{action:?} destroys {losses:?}");
        for loss in losses {
            let object = action.object();
            assert_eq!(
                (loss.object.class, loss.object.reference),
                (object.class, object.reference)
            );
        }
    }
    assert_eq!(kept, KEEP.iter().map(|(method, _)| *method).collect(), "no such action any more");
}
