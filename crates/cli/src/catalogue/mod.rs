//! What an image can begin with and what it is used for: the machine's frameworks, which the door tells, and lists of
//! packages by purpose, which are the machine's where it has its own. It must never ask a registry: what is here is
//! preferred, and told.

use ds01_api::{Framework, FrameworkList, UseCase};

/// Purposes: a key, a title, Python packages, packages of the distribution a line.
const USE_CASES: &str = include_str!("use_cases.tsv");

/// The machine's purposes, or those that come with the program, in the order in which they are offered.
pub(crate) fn use_cases(list: &FrameworkList) -> Vec<UseCase> {
    list.use_cases.clone().unwrap_or_else(built_in_use_cases)
}

/// The purposes that come with the program.
pub(crate) fn built_in_use_cases() -> Vec<UseCase> {
    let words = |text: &str| match text {
        "-" => Vec::new(),
        text => text.split(' ').map(str::to_owned).collect(),
    };
    let lines = USE_CASES.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| match line.split('\t').collect::<Vec<_>>().as_slice() {
            [key, title, packages, system] => {
                let (key, title) = ((*key).to_owned(), (*title).to_owned());
                Some(UseCase { key, title, packages: words(packages), system: words(system) })
            }
            _ => None,
        })
        .collect()
}

/// A framework with its versions, as the machine's list has them: `pytorch`, `pytorch-2.8.0`, `pytorch-official`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) name: String,
    /// The image that stands for the name alone; none if the list has only versions.
    pub(crate) default: Option<String>,
    /// Versions and their images, the newest first.
    pub(crate) versions: Vec<(String, String)>,
}

/// The machine's list by framework. What stands behind a dash and begins with a digit is a version; other names are
/// frameworks of their own.
pub(crate) fn choices(list: &[Framework]) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    for framework in list {
        let (name, version) = split(&framework.name);
        let at = choices.iter().position(|choice| choice.name == name).unwrap_or_else(|| {
            choices.push(Choice { name: name.to_owned(), default: None, versions: Vec::new() });
            choices.len() - 1
        });
        match version {
            Some(version) => choices[at].versions.push((version.to_owned(), framework.image.clone())),
            None => choices[at].default = Some(framework.image.clone()),
        }
    }
    for choice in &mut choices {
        choice.versions.sort_by(|(a, _), (b, _)| numbers(b).cmp(&numbers(a)).then_with(|| b.cmp(a)));
    }
    choices
}

impl Choice {
    /// The image to take where no version is asked for: the default if it is here, else the newest that is, else the
    /// default.
    pub(crate) fn best(&self, is_here: impl Fn(&str) -> bool) -> Option<&str> {
        let default =
            self.default.as_deref().or_else(|| self.versions.first().map(|(_, image)| image.as_str()));
        let all = default.into_iter().chain(self.versions.iter().map(|(_, image)| image.as_str()));
        all.into_iter().find(|image| is_here(image)).or(default)
    }

    /// The image of a version; `2.8` will do for `2.8.0`.
    pub(crate) fn of_version(&self, version: &str) -> Option<&str> {
        let exact = self.versions.iter().find(|(known, _)| known == version);
        let begins = |known: &str| known.strip_prefix(version).is_some_and(|rest| rest.starts_with('.'));
        exact
            .or_else(|| self.versions.iter().find(|(known, _)| begins(known)))
            .map(|(_, image)| image.as_str())
    }

    /// The versions, for people.
    pub(crate) fn told_versions(&self) -> String {
        self.versions.iter().map(|(version, _)| version.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// `pytorch-2.8.0` is `pytorch` and `2.8.0`.
fn split(name: &str) -> (&str, Option<&str>) {
    let dash =
        name.match_indices('-').find(|(at, _)| name[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    dash.map_or((name, None), |(at, _)| (&name[..at], Some(&name[at + 1..])))
}

/// A version's numbers, to be compared.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::{Installer, Package, checked};

    fn list(names: &[&str]) -> Vec<Framework> {
        let framework = |name: &&str| Framework { name: (*name).to_owned(), image: format!("lab/{name}") };
        names.iter().map(framework).collect()
    }

    #[test]
    fn versions_are_under_their_framework() {
        let choices = choices(&list(&[
            "pytorch",
            "pytorch-2.10.0",
            "pytorch-2.8.0",
            "pytorch-official",
            "python-3.11",
        ]));
        let told: Vec<String> =
            choices.iter().map(|choice| format!("{}: {}", choice.name, choice.told_versions())).collect();
        assert_eq!(told, ["pytorch: 2.10.0, 2.8.0", "pytorch-official: ", "python: 3.11"]);
        assert_eq!(choices[0].of_version("2.8"), Some("lab/pytorch-2.8.0"));
        assert_eq!(choices[0].of_version("2.1"), None, "2.10 is another one");
        assert_eq!(choices[0].best(|_| false), Some("lab/pytorch"));
        assert_eq!(choices[0].best(|image| image == "lab/pytorch-2.8.0"), Some("lab/pytorch-2.8.0"));
        assert_eq!(choices[2].best(|_| false), Some("lab/python-3.11"));
    }

    #[test]
    fn the_lists_of_packages_are_sound() {
        let all = built_in_use_cases();
        let lines = USE_CASES.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(all.len(), lines, "a line without its four columns");
        let keys: Vec<&str> = all.iter().map(|use_case| use_case.key.as_str()).collect();
        assert_eq!(keys[..3], ["ml", "cv", "nlp"]);
        for use_case in &all {
            for package in use_case.packages.iter().chain(&use_case.system) {
                assert!(checked(package).is_ok(), "{}: {package}", use_case.key);
            }
            let mut names: Vec<String> =
                use_case.packages.iter().map(|text| Package::new(Installer::Pip, text).name).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), use_case.packages.len(), "{}: a package twice", use_case.key);
        }
    }
}
