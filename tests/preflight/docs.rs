//! The documented tables of rules are those of the code. With `BLESS=1` they are rewritten.

use std::fmt::Write as _;

use xcp_pool::preflight::Preflight;
use xcp_pool::rules::RuleSet;
use xcp_pool::rules::{Rule, rules_table};

fn codes(rules: &[&Rule]) -> String {
    rules.iter().map(|rule| format!("`{}`", rule.code)).collect::<Vec<_>>().join(", ")
}

/// The tables, as Markdown.
fn tables() -> String {
    let (checks, others): (Vec<_>, Vec<_>) =
        Preflight::rules().iter().partition(|rule| rule.check.is_some());
    let mut text = format!(
        "## What `pool.join` checks\n\n\
         In XAPI's order; the server stops at the first that objects, an evaluation does not. \
         *Forceable* ones are what `pool.join_force` skips. Where no release is given, every \
         supported one has the check (8.2 and later).\n\n\
         {}\n## What `pool.join` lets pass\n\n\
         Hazards lose something or fail later, notices are good to know. *Documented* ones are \
         requirements of the vendor's documents, and blockers under \
         [`Policy::documented`](crate::rules::Policy::documented).\n\n{}",
        rules_table(&checks),
        rules_table(&others),
    );
    text.push_str(
        "\n## Coverage\n\nXAPI's 33 checks, by their place in the newest release, and the rules \
         that mirror each; two tests come before them (`assert_pooling_licensed`, `get_pool`).\n\n\
         | | XAPI's check | rules |\n| --- | --- | --- |\n",
    );
    let mut checks: Vec<_> = Preflight::rules().iter().filter_map(|rule| rule.check).collect();
    checks.dedup();
    for (n, check) in checks.iter().skip(2).enumerate() {
        let rules: Vec<_> =
            Preflight::rules().iter().copied().filter(|rule| rule.check == Some(check)).collect();
        let _ = writeln!(text, "| {} | `{check}` | {} |", n + 1, codes(&rules));
    }
    text
}

#[test]
fn every_rule_is_documented_as_it_is() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/preflight/rules.md");
    let tables = tables();
    if crate::world::blessing() {
        std::fs::write(&path, &tables).unwrap();
    }
    let documented = std::fs::read_to_string(path).unwrap();
    assert_eq!(tables, documented, "BLESS=1 rewrites src/preflight/rules.md");
    for rule in Preflight::rules() {
        assert!(documented.contains(&format!("| `{}` (", rule.code)), "{}", rule.code);
        assert!(!rule.compares.is_empty() && !rule.remedy.is_empty(), "{}", rule.code);
    }
    assert!(documented.contains("| 33 | `assert_sm_features_compatible` |"));
    assert!(!documented.contains("| 34 |"));
}
