//! Every text that a person reads: with names, without refs, Rust's own forms and doubled words.

mod docs;
mod elections;
mod failover;
mod joins;
mod plans;
#[path = "../support/words.rs"]
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use xcp_pool::model::Snapshot;
use xcp_pool::preflight::arbitrary::{JoinCase, Offence, Size, join_case};
use xcp_pool::preflight::{Options, evaluate};

use words::{Names, complaints};

/// Texts that were read, and what is wrong with them, each complaint with the first text that has it.
#[derive(Default)]
struct Reader {
    texts: usize,
    wrong: BTreeMap<String, String>,
}

impl Reader {
    fn read(&mut self, text: &str, names: &Names) {
        self.texts += 1;
        for complaint in complaints(text, names) {
            self.wrong.entry(complaint).or_insert_with(|| text.to_owned());
        }
    }

    #[track_caller]
    fn finish(self, at_least: usize) {
        let wrong = self.wrong.iter().take(20);
        let wrong: Vec<_> =
            wrong.map(|(complaint, text)| format!("{complaint}, in the text:\n{text}")).collect();
        assert!(wrong.is_empty(), "{} complaints\n{}", self.wrong.len(), wrong.join("\n\n"));
        assert!(self.texts >= at_least, "only {} texts were read", self.texts);
    }
}

/// A pool, a host that is to join it, and how that is asked.
struct Pair {
    pool: Snapshot,
    joiner: Snapshot,
    options: Options,
}

/// Worlds with each offence alone, random ones, and the saved ones.
fn pairs() -> Vec<Pair> {
    let sizes =
        [(1, 1, 1, 0), (3, 2, 4, 2)].map(|(hosts, nics, vms, srs)| Size { hosts, nics, vms, srs });
    let alone = Offence::ALL.iter().zip(sizes.into_iter().cycle());
    let alone = alone.map(|(offence, size)| JoinCase::new(size, [*offence]).with_halted_vms(2));
    let mut runner = TestRunner::deterministic();
    let random = (0..60).map(|_| join_case().new_tree(&mut runner).unwrap().current());
    let all = alone.chain(random).map(|JoinCase { pool, joiner, options, .. }| Pair {
        pool,
        joiner,
        options,
    });
    let mut all: Vec<_> = all.chain(saved()).collect();
    for snapshot in all.iter_mut().flat_map(|pair| [&mut pair.pool, &mut pair.joiner]) {
        // "The master master" would be right for a host of that name, and wrong for any other.
        snapshot.host.iter_mut().for_each(|(_, host)| host.name_label.insert_str(0, "n-"));
    }
    all
}

fn saved() -> Vec<Pair> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/snapshots");
    let mut found: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|file| {
            file.unwrap().file_name().to_str()?.strip_suffix(".pool.json").map(str::to_owned)
        })
        .collect();
    found.sort_unstable();
    assert!(found.len() >= 3, "{found:?}");
    let load = |name: String| {
        let mut snapshot = Snapshot::from_json(&fs::read(folder.join(name)).unwrap()).unwrap();
        snapshot.complete();
        snapshot
    };
    let pair = |name: String| Pair {
        pool: load(format!("{name}.pool.json")),
        joiner: load(format!("{name}.host.json")),
        options: Options::default(),
    };
    found.into_iter().map(pair).collect()
}

/// A database in which whoever named things meant harm.
fn with_hostile_names(mut snapshot: Snapshot) -> Snapshot {
    fn spoil(name: &mut String) {
        *name = format!("{name}\u{1b}[2K\u{202e}\u{2028}\r\nFORGED \"and\" said");
    }
    macro_rules! spoil {
        ($($table:ident),*) => { $(
            snapshot.$table.iter_mut().for_each(|(_, record)| spoil(&mut record.name_label));
        )* };
    }
    spoil!(pool, host, network, sr, vdi, vm, vm_appliance, sm, task);
    for (_, host) in snapshot.host.iter_mut() {
        spoil(&mut host.address);
    }
    snapshot
}

/// No name makes a line of its own, moves the cursor or turns the writing round.
fn read_hostile(text: &str, wrong: &mut BTreeMap<String, String>) {
    let unseen = text
        .chars()
        .find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{2028}'..='\u{202e}'));
    if let Some(c) = unseen {
        wrong.entry(format!("{c:?} is shown")).or_insert_with(|| text.to_owned());
    }
    if text.lines().any(|line| line.trim_start().starts_with("FORGED")) {
        wrong.entry("a line is forged".to_owned()).or_insert_with(|| text.to_owned());
    }
}

#[test]
fn hostile_names_forge_nothing() {
    let mut wrong = BTreeMap::new();
    let mut texts = 0;
    for pair in pairs().into_iter().step_by(4) {
        let pool = with_hostile_names(pair.pool);
        let joiner = with_hostile_names(pair.joiner);
        let mut read = |text: String| {
            texts += 1;
            read_hostile(&text, &mut wrong);
        };
        joins::texts(&pool, &joiner, &pair.options, &mut read);
        plans::texts(&pool, &mut read);
        elections::texts(&pool, &mut read);
        failover::texts(&pool, &mut read);
    }
    assert!(texts > 1_000, "{texts}");
    let told: Vec<_> =
        wrong.iter().map(|(what, text)| format!("{what}, in the text:\n{text}")).collect();
    assert!(wrong.is_empty(), "{}", told.join("\n\n"));
}

#[test]
fn the_worlds_have_something_to_say() {
    let reports = pairs().into_iter().map(|p| evaluate(p.pool, p.joiner, &p.options));
    let mut rules: Vec<_> =
        reports.flat_map(|report| report.findings().to_vec()).map(|found| found.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    assert!(rules.len() >= Offence::ALL.len() / 2, "{}", rules.len());
}

#[test]
fn the_reader_of_words_finds_what_is_no_word() {
    let mut names = Names::unknown();
    let named = |name: &str| serde_json::json!({"name_label": name});
    names.add(&serde_json::json!({"VM": {"OpaqueRef:1": named("web"), "OpaqueRef:2": named("")}}));
    for (text, wanted) in [
        ("VM \"web\" is halted", ""),
        ("HANDLE_INVALID [VM, OpaqueRef:1]: VM \"web\"", ""),
        ("OpaqueRef:3 is not known to the pool", ""),
        ("the VM VM \"web\"", "it says \"VM VM\""),
        ("VM OpaqueRef:1 is halted", "it shows OpaqueRef:1 in place of \"web\""),
        ("PBD OpaqueRef:2", "it shows OpaqueRef:2"),
        (
            "HANDLE_INVALID [VM, OpaqueRef:1]",
            "beside the fault with OpaqueRef:1 there is no \"web\"",
        ),
        ("as Some(3)", "it holds \"Some(\""),
        ("VmPower { vm: 1 }", "it holds \"{ \""),
        ("HaEnabled does not hold", "it says HaEnabled"),
        ("its address is None", "it says None"),
        ("the host \"\" is gone", "it has empty quotation marks"),
        ("a\u{202e}b", "it holds '\\u{202e}'"),
    ] {
        let found = complaints(text, &names).into_iter().next().unwrap_or_default();
        assert_eq!(found, wanted, "{text}");
    }
}
