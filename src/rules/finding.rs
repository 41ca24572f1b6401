//! One finding: which rule, how bad, about what, and the way out.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::code::RuleCode;
use super::rule::Rule;
use super::severity::Severity;
use crate::actions::{Remedy, Side};
use crate::error::Fault;
use crate::model::Object;
use crate::text::{line, plain};

/// What a rule has to say.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule.
    pub rule: RuleCode,
    /// How much it weighs.
    pub severity: Severity,
    /// Whose state it objects to.
    pub side: Side,
    /// The check of XAPI that the rule mirrors.
    pub xapi_check: Option<&'static str>,
    /// The error that this check would raise.
    ///
    /// Missing if XAPI does not object, for the second cause in a check that stops at its first,
    /// and for a check that the forced form of the call skips, if that is what will be called.
    pub fault: Option<Fault>,
    /// The objects that offend, by name.
    pub objects: Vec<Object>,
    /// What would be needed, or what the other side has.
    pub expected: Option<String>,
    /// What is there.
    pub actual: Option<String>,
    /// What is wrong, what it means, in one line.
    pub message: String,
    /// What can be done.
    pub remedy: Remedy,
    /// Why the policy overrides this finding, if it does.
    pub overridden: Option<String>,
    /// Whether XAPI or the policy can refuse for this rule.
    #[serde(skip)]
    pub(crate) binding: bool,
}

impl Finding {
    pub(super) fn new(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            severity: rule.severity,
            side: rule.side,
            xapi_check: rule.check,
            fault: None,
            objects: Vec::new(),
            expected: None,
            actual: None,
            message: line(message.into()),
            remedy: Remedy::default(),
            overridden: None,
            binding: rule.check.is_some(),
        }
    }

    /// Whether it stands in the way.
    ///
    /// So does a blocker, or a forceable one, that no policy overrides.
    pub fn stops(&self) -> bool {
        matches!(self.severity, Severity::Blocker | Severity::Forceable)
            && self.overridden.is_none()
    }

    /// Whether it may stand in the way or not.
    ///
    /// Then what a check of XAPI's needs is not known, or what the policy demands.
    pub fn leaves_open(&self) -> bool {
        self.severity == Severity::Unknown && self.binding && self.overridden.is_none()
    }

    /// What there is to say beside the message, a line each.
    pub(super) fn details(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(reason) = &self.overridden {
            lines.push(format!("overridden: {}", plain(reason)));
        }
        if let Some(expected) = &self.expected {
            lines.push(format!("expected: {expected}"));
        }
        if let Some(actual) = &self.actual {
            lines.push(format!("actual: {actual}"));
        }
        lines.extend(self.objects.iter().map(|object| format!("object: {object}")));
        if let Some(check) = self.xapi_check {
            match &self.fault {
                Some(fault) => lines.push(format!("XAPI: {check} raises {fault}")),
                None => lines.push(format!("XAPI: {check}")),
            }
        }
        for choice in &self.remedy.choices {
            let mut line = format!("remedy {}: {}", choice.code, choice.summary);
            if !choice.destroys.is_empty() {
                let losses: Vec<_> = choice.destroys.iter().map(ToString::to_string).collect();
                let _ = write!(line, " DESTROYS {}", losses.join("; "));
            }
            lines.push(line);
        }
        if let Some(person) = &self.remedy.by_person {
            lines.push(format!("by hand: {person}"));
        }
        lines
    }

    /// That what the checks of XAPI's will do is not known.
    pub(crate) fn open(mut self) -> Self {
        (self.severity, self.binding) = (Severity::Unknown, true);
        self
    }

    /// The error that the rule names, without parameters.
    pub(crate) fn refused(mut self) -> Self {
        self.fault = self.rule.rule().error.map(Fault::bare);
        self
    }

    pub(crate) fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    pub(crate) fn objects(mut self, objects: impl IntoIterator<Item = Object>) -> Self {
        self.objects.extend(objects);
        self
    }

    pub(crate) fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.expected = Some(plain(expected).to_string());
        self
    }

    pub(crate) fn actual(mut self, actual: impl fmt::Display) -> Self {
        self.actual = Some(plain(actual).to_string());
        self
    }

    pub(crate) fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    pub(crate) fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = remedy;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}): {}", self.severity, self.rule, self.side, self.message)?;
        match &self.overridden {
            Some(reason) => write!(f, " [overridden: {}]", plain(reason)),
            None => Ok(()),
        }
    }
}
