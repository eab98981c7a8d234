//! What a check comes to: findings, or why it could not look. It must never hold a fact that nobody judged.

use serde::Serialize;

/// How bad a finding is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// Could not be looked at.
    NotChecked,
    /// Works, and could be better or safer.
    Warning,
    /// Does not work, or is not safe.
    Problem,
}

/// Why something could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// Only root may look.
    NeedsRoot,
    /// Anything else, in words.
    Because(String),
}

/// A fact, or why there is none.
pub(crate) type Seen<T> = Result<T, Unseen>;

/// One sentence of what was found, and where it is not as it should be, why that matters and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    pub(crate) found: String,
    pub(crate) why: String,
    pub(crate) fix: String,
}

impl Finding {
    pub(crate) fn ok(found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, found: found.into(), why: String::new(), fix: String::new() }
    }

    /// `fix` is what can be typed or written: a command, or the line of a file that is named.
    pub(crate) fn warning(found: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, found: found.into(), why: why.into(), fix: fix.into() }
    }

    /// As [`Finding::warning`], for what does not work or is not safe.
    pub(crate) fn problem(found: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, ..Self::warning(found, why, fix) }
    }

    /// The only finding of its check.
    pub(crate) fn alone(self) -> Judged {
        Ok(vec![self])
    }
}

/// What a check comes to.
pub(crate) type Judged = Seen<Vec<Finding>>;

/// A check: its name for scripts, what it looks at in words, and the judgement of the facts.
pub(crate) struct Check<F> {
    pub(crate) id: &'static str,
    pub(crate) what: &'static str,
    pub(crate) judge: fn(&F) -> Judged,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// The check, for scripts: `engine.live-restore`.
    pub(crate) check: &'static str,
    pub(crate) verdict: Verdict,
    /// What was found; for what was not checked, what it is.
    pub(crate) found: String,
    /// Why it matters; for what was not checked, why not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
    /// A command, or the line of a file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) fix: String,
    /// Whether root could check it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) needs_root: bool,
}

/// The answer of `ds01 doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    pub(crate) problems: usize,
    pub(crate) warnings: usize,
    pub(crate) ok: usize,
    pub(crate) not_checked: usize,
    pub(crate) findings: Vec<Entry>,
}

impl Report {
    /// Judges the facts by every check, in order.
    pub(crate) fn of<F>(checks: impl IntoIterator<Item = &'static Check<F>>, facts: &F) -> Self
    where
        F: 'static,
    {
        let mut findings = Vec::new();
        for check in checks {
            match (check.judge)(facts) {
                Ok(found) => findings.extend(found.into_iter().map(|finding| entry(check.id, finding))),
                Err(unseen) => findings.push(not_checked(check, unseen)),
            }
        }
        let count = |verdict| findings.iter().filter(|entry| entry.verdict == verdict).count();
        Self {
            problems: count(Verdict::Problem),
            warnings: count(Verdict::Warning),
            ok: count(Verdict::Ok),
            not_checked: count(Verdict::NotChecked),
            findings,
        }
    }

    /// The same without what is in order and what was not checked; the counts stay.
    pub(crate) fn only_wrong(mut self) -> Self {
        self.findings.retain(|entry| entry.verdict >= Verdict::Warning);
        self
    }
}

fn entry(check: &'static str, finding: Finding) -> Entry {
    let Finding { verdict, found, why, fix } = finding;
    Entry { check, verdict, found, why, fix, needs_root: false }
}

fn not_checked<F>(check: &Check<F>, unseen: Unseen) -> Entry {
    let needs_root = unseen == Unseen::NeedsRoot;
    let why = match unseen {
        Unseen::NeedsRoot => "needs root".to_owned(),
        Unseen::Because(why) => why,
    };
    let (found, fix) = (check.what.to_owned(), String::new());
    Entry { check: check.id, verdict: Verdict::NotChecked, found, why, fix, needs_root }
}
