//! Findings and rules as text for people.

use std::fmt::{self, Write as _};

use super::finding::Finding;
use super::rule::Rule;
use crate::model::since::Since;

/// Writes findings below a first line: a line each, then the details of each that has some.
pub(crate) fn write_findings(findings: &[Finding], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for finding in findings {
        write!(f, "\n{finding}")?;
    }
    for finding in findings {
        let details = finding.details();
        if !details.is_empty() {
            write!(f, "\n\n{}:", finding.rule)?;
        }
        for line in details {
            write!(f, "\n  {line}")?;
        }
    }
    Ok(())
}

/// Adds findings to Markdown: a table, then a section with the details of each.
pub(crate) fn push_markdown(text: &mut String, findings: &[Finding]) {
    if !findings.is_empty() {
        text.push_str("\n| severity | rule | side | finding |\n| --- | --- | --- | --- |\n");
    }
    for finding in findings {
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {} |",
            finding.severity,
            finding.rule,
            finding.side,
            cell(&finding.message)
        );
    }
    for finding in findings {
        let _ = write!(text, "\n## `{}`\n\n{}\n", finding.rule, finding.message);
        for line in finding.details() {
            let _ = write!(text, "\n- {line}");
        }
        text.push('\n');
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The Markdown table of some rules, as the documentation of a rule set has it.
///
/// With the check that each mirrors and its error, if all of them mirror one.
pub fn rules_table(rules: &[&Rule]) -> String {
    let checks = rules.iter().all(|rule| rule.check.is_some());
    let mut text = String::from(match checks {
        true => {
            "| rule | what must hold | XAPI's check | its error | what helps |\n\
             | --- | --- | --- | --- | --- |\n"
        }
        false => "| rule | what had better hold | what helps |\n| --- | --- | --- |\n",
    });
    for rule in rules {
        let Rule { code, severity, side, compares, remedy, .. } = rule;
        let documented = if rule.documented { ", documented" } else { "" };
        let _ = write!(text, "| `{code}` ({severity}, {side}{documented}) | {compares} ");
        if let (true, Some(check)) = (checks, rule.check) {
            let mut told = Vec::new();
            if rule.since != Since::ALWAYS {
                told.push(format!("since {}", rule.since));
            }
            if let Some((name, renamed)) = rule.formerly {
                told.push(format!("`{name}` before {renamed}"));
            }
            let since = match told.is_empty() {
                true => String::new(),
                false => format!(" ({})", told.join("; ")),
            };
            let error = rule.error.unwrap_or_default();
            let _ = write!(text, "| `{check}`{since} | `{error}` ");
        }
        let _ = writeln!(text, "| {remedy} |");
    }
    text
}
