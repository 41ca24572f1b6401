//! CPU levels, the start of the new member, and how consequences read.

use std::fs;

use xcp_pool::model::{PowerState, Ref, Snapshot, Vm};
use xcp_pool::preflight::consequences::{Consequences, CpuFeatures};

use crate::foretold::{admitted, report};

fn world(name: &str) -> (Snapshot, Snapshot) {
    let path = format!("{}/tests/data/oracle/joins/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let file: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let load = |which: &str| Snapshot::from_json(file[which].to_string().as_bytes()).unwrap();
    (load("pool_before"), load("joiner_before"))
}

fn set_cpu(snapshot: &mut Snapshot, key: &str, value: &str) {
    for (_, host) in snapshot.host.iter_mut() {
        host.cpu_info.insert(key.to_owned(), value.to_owned());
    }
    for (_, pool) in snapshot.pool.iter_mut() {
        pool.cpu_info.insert(key.to_owned(), value.to_owned());
    }
}

fn flag(snapshot: &mut Snapshot, vm: &str, state: PowerState, vendor: &str, features: &str) {
    let vm = snapshot.vm.get_mut(&Ref::<Vm>::new(&format!("OpaqueRef:{vm}"))).unwrap();
    vm.power_state = state;
    vm.domain_type = "hvm".into();
    vm.last_boot_CPU_flags.insert("vendor".to_owned(), vendor.to_owned());
    vm.last_boot_CPU_flags.insert("features".to_owned(), features.to_owned());
}

#[test]
fn the_pools_cpu_level_is_what_all_hosts_have() {
    let (mut pool, mut joiner) = world("10-vm-same-uuid-newer");
    for key in ["features_hvm", "features_hvm_host"] {
        // avx2 and aes on the pool, sse4.2 and aes on the joiner.
        set_cpu(&mut pool, key, "00000000-02000000-00000000-00000000-00000000-00000020");
        set_cpu(&mut joiner, key, "00000000-02100000");
    }
    let avx2 = "00000000-00000000-00000000-00000000-00000000-00000020";
    flag(&mut pool, "vm-b-1", PowerState::Running, "GenuineIntel", avx2);
    flag(&mut pool, "vm-b-2", PowerState::Suspended, "GenuineIntel", "00000000-02000000");
    flag(&mut joiner, "vm-a-one", PowerState::Suspended, "GenuineIntel", "00000000-00100000");
    flag(&mut joiner, "vm-a-three", PowerState::Halted, "GenuineIntel", avx2);

    let cpu = admitted(&pool, &joiner).cpu.unwrap();
    let level = cpu.levels.iter().find(|level| level.key == "features_hvm_host").unwrap();
    let names = |features: &[_]| -> Vec<_> { features.iter().map(ToString::to_string).collect() };
    assert_eq!(level.after, CpuFeatures::parse("00000000-02000000").unwrap());
    assert_eq!(
        (names(&level.lost), names(&level.unused)),
        (vec!["avx2".to_owned()], vec!["sse4.2".to_owned()])
    );
    let level = cpu.levels.iter().find(|level| level.key == "features_pv_host").unwrap();
    assert!(level.lost.is_empty() && level.before == level.after);

    let confined = cpu.confined.unwrap();
    assert_eq!(confined.len(), 1, "only what uses the feature is confined");
    assert_eq!(
        (confined[0].vm.name.as_str(), names(&confined[0].missing)),
        ("web1", vec!["avx2".to_owned()])
    );
    let bound = cpu.bound.unwrap();
    assert_eq!(bound.len(), 1, "a halted VM starts anywhere");
    assert_eq!(
        (bound[0].vm.name.as_str(), names(&bound[0].missing)),
        ("one", vec!["sse4.2".to_owned()])
    );
}

#[test]
fn vms_do_not_move_between_vendors() {
    let (mut pool, joiner) = world("24-join-force-other-cpu-vendor");
    flag(&mut pool, "vm-b-1", PowerState::Running, "GenuineIntel", "");
    let foretold = report(&pool, &joiner, true).consequences_once_admitted();
    let cpu = foretold.cpu.as_ref().unwrap();
    assert_eq!((cpu.vendor.as_str(), cpu.joiner_vendor.as_str()), ("GenuineIntel", "AuthenticAMD"));
    let confined = cpu.confined.as_ref().unwrap();
    assert!(confined.len() == 1 && confined[0].vendor_differs && confined[0].missing.is_empty());
    assert_eq!(foretold.call, "pool.join_force");
}

#[test]
fn at_its_start_the_member_gets_what_the_master_has() {
    let (pool, mut joiner) = world("12-pool-nfs-vlan-bond");
    let start = admitted(&pool, &joiner).after_start.unwrap();
    let names = |srs: &Option<Vec<_>>| -> Vec<String> {
        let srs: &Vec<xcp_pool::preflight::consequences::SharedSr> = srs.as_ref().unwrap();
        srs.iter().map(|sr| sr.name_label.clone()).collect()
    };
    assert_eq!(names(&start.connected), ["iSCSI", "NFS"]);
    assert_eq!(names(&start.not_connected), ["ISO library"]);
    let iscsi = &start.connected.as_ref().unwrap()[0].device_config;
    assert!(!iscsi.contains_key("SRmaster") && iscsi.contains_key("target"));
    let (bonds, vlans) = (start.bonds.unwrap(), start.vlans.unwrap());
    assert!(bonds.len() == 1 && bonds[0].members.len() == 2 && bonds[0].missing.is_empty());
    assert!(vlans.len() == 1 && vlans[0].tag == 10 && vlans[0].possible);

    // A host with fewer interfaces.
    joiner.pif.remove(&Ref::new("OpaqueRef:pif-a1-2"));
    let start = admitted(&pool, &joiner).after_start.unwrap();
    assert_eq!(start.bonds.unwrap()[0].missing, ["eth2"]);
    joiner.pif.remove(&Ref::new("OpaqueRef:pif-a1-1"));
    let start = admitted(&pool, &joiner).after_start.unwrap();
    assert!(start.bonds.unwrap()[0].members.is_empty());
    assert!(!start.vlans.unwrap()[0].possible);
}

/// The texts are in `tests/data/consequences`; `BLESS=1` writes them anew.
fn reads(name: &str, text: &str) {
    let path = format!("{}/tests/data/consequences/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert_eq!(text, expected, "{name} reads otherwise; BLESS=1 if it should");
}

#[test]
fn consequences_read_as_before() {
    for name in
        ["04-extra-nics", "11-vm-same-uuid-running", "12-pool-nfs-vlan-bond", "13-joiner-settings"]
    {
        let (pool, joiner) = world(name);
        let foretold = admitted(&pool, &joiner);
        reads(&format!("{name}.txt"), &foretold.to_string());
    }
    let (pool, joiner) = world("26-management-vlan-bridge-renamed");
    reads("26-management-vlan-bridge-renamed.md", &admitted(&pool, &joiner).to_markdown());
}

#[test]
fn markdown_does_not_take_names_for_markup() {
    let (pool, mut joiner) = world("01-minimal-fresh-joiner");
    for (_, host) in joiner.host.iter_mut() {
        host.name_label = "*<b>\n# joiner_1|".to_owned();
    }
    let text = admitted(&pool, &joiner).to_markdown();
    assert!(
        text.starts_with("# What pool.join of \\*\\<b\\>\\\\n\\# joiner\\_1\\| will do\n"),
        "{text}"
    );
}

#[test]
fn consequences_serialise_with_their_schema() {
    let (pool, joiner) = world("04-extra-nics");
    let foretold: Consequences = admitted(&pool, &joiner);
    let json = serde_json::to_value(&foretold).unwrap();
    assert_eq!((json["schema"].as_u64(), Consequences::SCHEMA), (Some(1), 1));
    assert_eq!(json["call"], "pool.join");
    assert_eq!(json["sr_count"], serde_json::json!({"before": 5, "after": 8}));
    let network = &json["networks"][1];
    assert_eq!((&network["bridge"], &network["outcome"]), (&"xenbr3".into(), &"introduced".into()));
    assert_eq!(network["landing"]["by"], "label");
    assert_eq!(network["landing"]["moved"], true);
    assert_eq!(network["landing"]["places"][0]["ref"], "OpaqueRef:net-b1");
    assert_eq!(json["machines"]["import"], "complete");
    assert_eq!(
        json["losses"][0],
        serde_json::json!({
            "class": "network", "uuid": "a6b754c8-4a44-574c-9d3c-e49800948f70", "name": "backup",
            "field": "tags", "value": "jt2"
        })
    );
    assert_eq!(json["cpu"]["levels"][0]["before"], "1fcbfbff");
}
