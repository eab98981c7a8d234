//! A folder of cases, read to see whether it is one: every mistake at once, before minutes are spent on a lab.
//!
//! It must never say more of a case than its form: what the words mean is for `tests/redteam`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

const OUTCOMES: [&str; 3] = ["deny", "rewrite", "allow"];

/// The cases of a folder: where each id was found.
#[derive(Debug)]
pub(crate) struct Cases {
    folder: PathBuf,
    by_id: BTreeMap<String, String>,
}

/// Why a folder is not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CasesError {
    #[error("{} is no directory; name a folder of cases with --cases DIR", .0.display())]
    NoFolder(PathBuf),
    #[error("{} has no cases: a case is an object in the array that a *.json file holds", .0.display())]
    Empty(PathBuf),
    #[error("{} has no case {ids}; its ids are those of the rows", .folder.display())]
    NoSuchCase { folder: PathBuf, ids: String },
    #[error("{} cannot be run as it is:{mistakes}", .folder.display())]
    Mistakes { folder: PathBuf, mistakes: String },
}

impl CasesError {
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::NoFolder(_) | Self::Empty(_) | Self::NoSuchCase { .. } => 4,
            Self::Mistakes { .. } => 2,
        }
    }
}

impl Cases {
    /// Reads every `*.json` of a folder; a file that is no array explains the others.
    pub(crate) fn read(folder: &Path) -> Result<Self, CasesError> {
        let entries = fs::read_dir(folder).map_err(|_| CasesError::NoFolder(folder.to_owned()))?;
        let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        let mut cases = Self { folder: folder.to_owned(), by_id: BTreeMap::new() };
        let mut mistakes = String::new();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for mistake in cases.read_file(&file, &name) {
                let _ = write!(mistakes, "\n  {name}: {mistake}");
            }
        }
        if !mistakes.is_empty() {
            return Err(CasesError::Mistakes { folder: cases.folder, mistakes });
        }
        if cases.by_id.is_empty() { Err(CasesError::Empty(cases.folder)) } else { Ok(cases) }
    }

    /// Whether the folder has all that were named.
    pub(crate) fn choose(&self, only: &[String]) -> Result<(), CasesError> {
        let missing: Vec<&str> =
            only.iter().map(String::as_str).filter(|id| !self.by_id.contains_key(*id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(CasesError::NoSuchCase { folder: self.folder.clone(), ids: missing.join(", ") })
    }

    fn read_file(&mut self, file: &Path, name: &str) -> Vec<String> {
        let read = fs::read(file).map_err(|error| error.to_string());
        let value: Value =
            match read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string())) {
                Ok(value) => value,
                Err(error) => return vec![format!("is not JSON: {error}")],
            };
        let Value::Array(found) = value else { return Vec::new() };
        let mut mistakes = Vec::new();
        for (number, case) in found.iter().enumerate() {
            let Some(id) = case.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) else {
                mistakes.push(format!("case {} has no id", number + 1));
                continue;
            };
            mistakes.extend(form_of(case).map(|mistake| format!("{id} {mistake}")));
            if let Some(other) = self.by_id.insert(id.to_owned(), name.to_owned()) {
                mistakes.push(format!("{id} is in {other} already"));
            }
        }
        mistakes
    }
}

/// What is wrong with the form of a case that has an id.
fn form_of(case: &Value) -> Option<String> {
    let text = |field: &str| case.get(field).and_then(Value::as_str);
    match text("expect") {
        None => return Some("has no expect: deny, rewrite or allow".to_owned()),
        Some(word) if !OUTCOMES.contains(&word) => {
            return Some(format!("expects {word:?}, which is not deny, rewrite or allow"));
        }
        Some(_) => {}
    }
    if text("raw").is_none() && (text("method").is_none() || text("path").is_none()) {
        return Some("has neither a method and a path nor raw bytes".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};

    use expect_test::{Expect, expect};

    use super::Cases;

    /// A folder of these files, what reading it and choosing from it says, and the exit code.
    fn check(files: &[(&str, &str)], only: &[&str], expected: &Expect) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("redteam-cases-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        for (name, content) in files {
            std::fs::write(folder.join(name), content).unwrap();
        }
        let only: Vec<String> = only.iter().map(|id| (*id).to_owned()).collect();
        let said = match Cases::read(&folder).and_then(|cases| cases.choose(&only).map(|()| cases)) {
            Ok(cases) => format!("{} cases\n", cases.by_id.len()),
            Err(error) => format!("exit {}: {error}\n", error.exit()),
        };
        std::fs::remove_dir_all(&folder).unwrap();
        expected.assert_eq(&said.replace(&folder.display().to_string(), "DIR"));
    }

    const GOOD: &str = r#"[{"id": "a-1", "expect": "deny", "method": "GET", "path": "/info"},
        {"id": "a-2", "expect": "deny", "method": "RAW", "path": "-", "raw": "GET / HTTP/1.1\r\n\r\n"}]"#;

    #[test]
    fn a_folder_of_cases_and_what_explains_them() {
        check(
            &[("00-context.json", r#"{"_about": "…"}"#), ("10.json", GOOD), ("notes.txt", "x")],
            &["a-2"],
            &expect![[r"
            2 cases
        "]],
        );
    }

    #[test]
    fn the_projects_own_cases_are_some() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/redteam/cases");
        assert!(Cases::read(&own).unwrap().by_id.len() > 290);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let bad = r#"[{"expect": "deny"}, {"id": "b", "method": "GET", "path": "/"}, {"id": "c", "expect": "refuse"},
            {"id": "d", "expect": "allow", "path": "/info"}, {"id": "a-1", "expect": "deny", "raw": "x"}]"#;
        check(
            &[("10.json", GOOD), ("20.json", bad), ("30.json", "[{]")],
            &[],
            &expect![[r#"
            exit 2: DIR cannot be run as it is:
              20.json: case 1 has no id
              20.json: b has no expect: deny, rewrite or allow
              20.json: c expects "refuse", which is not deny, rewrite or allow
              20.json: d has neither a method and a path nor raw bytes
              20.json: a-1 is in 10.json already
              30.json: is not JSON: key must be a string at line 1 column 3
        "#]],
        );
    }

    #[test]
    fn a_folder_without_cases_and_none_at_all() {
        check(
            &[("00-context.json", "{}")],
            &[],
            &expect![[r#"
            exit 4: DIR has no cases: a case is an object in the array that a *.json file holds
        "#]],
        );
        let error = Cases::read(Path::new("/nonexistent/cases")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nonexistent/cases is no directory; name a folder of cases with --cases DIR"
        );
        assert_eq!(error.exit(), 4);
    }

    #[test]
    fn a_case_that_is_not_there() {
        check(
            &[("10.json", GOOD)],
            &["a-1", "z-9"],
            &expect![[r#"
            exit 4: DIR has no case z-9; its ids are those of the rows
        "#]],
        );
    }
}
