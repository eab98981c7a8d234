//! The one place that maps a project and a user to Docker's names, and back.
//!
//! A container is called `<project>._.<user>`, its image `ds01-<user>/<project>:latest`. Both parts obey the grammar of
//! Docker's repository names, which never has `._.` inside a part, so the container's name comes apart in one way only.
//! This module must never answer for ownership: a name is a label that anybody may give; owners are in the ledger.

use std::fmt;

/// Stands between project and user in a container's name.
const SEPARATOR: &str = "._.";
/// Longest project name: it becomes the container's host name, and Linux allows no more.
pub const PROJECT_BYTES_MAX: usize = 63;
/// Longest user part before it is cut and made unique by a digest: an image name has 255 bytes in all.
const USER_PART_BYTES_MAX: usize = 128;
/// Where a user part that is too long is cut.
const USER_PART_BYTES_KEPT: usize = 64;

/// A project name that is fit for Docker, for a host name and for a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Project(String);

impl Project {
    /// Checks the rules: lower-case letters and digits, joined by `-`, `_`, `__` or `.`, at most
    /// [`PROJECT_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`ProjectNameError`], which says what is wrong and proposes a name that would do.
    pub fn new(name: &str) -> Result<Self, ProjectNameError> {
        let fault = match name {
            "" => Some(Fault::Empty),
            _ if name.len() > PROJECT_BYTES_MAX => Some(Fault::Long),
            _ if name.chars().any(|c| c.is_ascii_uppercase()) => Some(Fault::UpperCase),
            _ => match name.chars().find(|&c| !is_plain(c) && !is_joint(c)) {
                Some(c) => Some(Fault::Character(c)),
                None if !is_component(name) => Some(Fault::Joints),
                None => None,
            },
        };
        match fault {
            None => Ok(Self(name.to_owned())),
            Some(fault) => Err(ProjectNameError { name: name.to_owned(), fault }),
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Empty,
    Long,
    UpperCase,
    Character(char),
    Joints,
}

/// Why a project cannot be called so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectNameError {
    name: String,
    fault: Fault,
}

impl ProjectNameError {
    /// A similar name that would do, if there is one.
    pub fn suggestion(&self) -> Option<String> {
        let mut name = String::new();
        for c in self.name.chars().flat_map(char::to_lowercase) {
            if is_plain(c) {
                name.push(c);
            } else if !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
        }
        name.truncate(PROJECT_BYTES_MAX);
        let name = name.trim_end_matches('-');
        Project::new(name).ok().map(|project| project.0)
    }
}

impl std::error::Error for ProjectNameError {}

impl fmt::Display for ProjectNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Debug quoting, so that no control character of the name reaches a terminal.
        let name = &self.name;
        match self.fault {
            Fault::Empty => f.write_str("a project needs a name"),
            Fault::Long => write!(f, "the project name is longer than {PROJECT_BYTES_MAX} characters"),
            Fault::UpperCase => {
                write!(f, "the project name {name:?} has upper-case letters, which Docker refuses")
            }
            Fault::Character(c) => write!(f, "the project name {name:?} has a {c:?} in it"),
            Fault::Joints => {
                write!(f, "the project name {name:?} has \"-\", \"_\" or \".\" at an end or side by side")
            }
        }
    }
}

/// The name of the container of `project` and `user` (the system's user name).
pub fn container(project: &Project, user: &str) -> String {
    format!("{project}{SEPARATOR}{}", user_part(user))
}

/// The repository in which the images of `user` stand: `ds01-<user>`.
pub fn image_namespace(user: &str) -> String {
    format!("ds01-{}", user_part(user))
}

/// The image of `project` and `user`.
pub fn image(project: &Project, user: &str) -> String {
    format!("{}/{project}:latest", image_namespace(user))
}

/// Takes a container's name (a leading slash is allowed) apart into project and user part.
pub fn split_container(name: &str) -> Option<(Project, &str)> {
    let name = name.strip_prefix('/').unwrap_or(name);
    let (project, user) = name.split_once(SEPARATOR)?;
    let project = Project::new(project).ok()?;
    (!user.is_empty() && !user.contains(SEPARATOR)).then_some((project, user))
}

/// The project of a container, if its name is that of a project of `user`.
pub fn project_of(container_name: &str, user: &str) -> Option<Project> {
    let (project, part) = split_container(container_name)?;
    (part == user_part(user)).then_some(project)
}

/// What `name`, typed by `user`, may mean as a Docker name, best first: his project, then the name as it stands.
pub fn candidates(name: &str, user: &str) -> Vec<String> {
    let mut names: Vec<String> =
        Project::new(name).map(|project| container(&project, user)).into_iter().collect();
    names.push(name.strip_prefix('/').unwrap_or(name).to_owned());
    names
}

/// A user name as it stands in Docker's names. Different users always get different parts.
///
/// A name that Docker's grammar allows stays as it is (`alice`, `h.baker`). In any other, each byte that does not fit
/// becomes `__` and two hex digits (`h.baker@lab.example` → `h.baker__40lab.example`), and a first byte that does not fit
/// becomes `u--` and two hex digits (`Alice` → `u--41lice`). `__` and `--` come from nowhere else: a name which has them
/// itself has them encoded. What comes out too long is cut and ends in a digest (`…--l` and 16 hex digits).
pub fn user_part(user: &str) -> String {
    let bytes = user.as_bytes();
    let plain = |index: usize| bytes.get(index).is_some_and(|&b| is_plain(char::from(b)));
    let mut part = String::with_capacity(user.len());
    for (index, &byte) in bytes.iter().enumerate() {
        let c = char::from(byte);
        if is_plain(c) || (is_joint(c) && index > 0 && plain(index - 1) && plain(index + 1)) {
            part.push(c);
        } else if index == 0 {
            part = format!("u--{byte:02x}");
        } else {
            part.push_str(&format!("__{byte:02x}"));
        }
    }
    if part.is_empty() {
        return "u--empty".to_owned();
    }
    if part.len() > USER_PART_BYTES_MAX {
        let kept = part[..USER_PART_BYTES_KEPT].trim_end_matches(is_joint);
        return format!("{kept}--l{:016x}", digest(bytes));
    }
    part
}

/// The user whose part this is; `None` for a part that was cut or that no user has.
pub fn user_of_part(part: &str) -> Option<String> {
    let (first, mut rest) = match part.strip_prefix("u--") {
        Some(coded) => (Some(hex_byte(coded)?), coded.get(2..)?),
        None => (None, part),
    };
    let mut bytes: Vec<u8> = first.into_iter().collect();
    while let Some(at) = rest.find("__") {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        bytes.push(hex_byte(&rest[at + 2..])?);
        rest = rest.get(at + 4..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    let user = String::from_utf8(bytes).ok()?;
    (user_part(&user) == part).then_some(user)
}

fn hex_byte(text: &str) -> Option<u8> {
    u8::from_str_radix(text.get(..2)?, 16).ok()
}

const fn is_plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

const fn is_joint(c: char) -> bool {
    matches!(c, '.' | '_' | '-')
}

/// Docker's grammar for one component of a repository name: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let mut joint = String::new();
    let mut begun = false;
    for c in text.chars() {
        if is_plain(c) {
            let joined = matches!(joint.as_str(), "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-');
            if !joined || (!begun && !joint.is_empty()) {
                return false;
            }
            joint.clear();
            begun = true;
        } else if is_joint(c) {
            joint.push(c);
        } else {
            return false;
        }
    }
    begun && joint.is_empty()
}

/// FNV-1a: names need to differ, not to withstand anybody; who owns what is not read from names.
fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn users_that_docker_accepts_keep_their_names() {
        for user in ["alice", "h.baker", "h-baker", "a_b", "x1", "1234"] {
            assert_eq!(user_part(user), user);
        }
    }

    #[test]
    fn users_that_docker_refuses_are_mapped() {
        for (user, part) in [
            ("h.baker@lab.example", "h.baker__40lab.example"),
            ("Alice", "u--41lice"),
            ("LAB\\bob", "u--4c__41__42__5cbob"),
            ("anna maria", "anna__20maria"),
            ("_apt", "u--5fapt"),
            ("www-", "www__2d"),
            ("a._.b", "a__2e__5f__2eb"),
            ("a__b", "a__5f__5fb"),
            ("jörg", "j__c3__b6rg"),
        ] {
            assert_eq!(user_part(user), part);
            assert_eq!(user_of_part(part).as_deref(), Some(user));
        }
    }

    #[test]
    fn long_users_are_cut_and_differ() {
        let (a, b) = ("A".repeat(200), "A".repeat(201));
        assert!(user_part(&a).len() <= USER_PART_BYTES_MAX);
        assert_ne!(user_part(&a), user_part(&b));
        assert_eq!(user_of_part(&user_part(&a)), None);
    }

    #[test]
    fn docker_names() {
        let project = Project::new("my-project").unwrap();
        assert_eq!(container(&project, "alice"), "my-project._.alice");
        assert_eq!(image(&project, "alice"), "ds01-alice/my-project:latest");
        assert_eq!(image(&project, "h.baker@lab.example"), "ds01-h.baker__40lab.example/my-project:latest");
        assert_eq!(split_container("/my-project._.alice"), Some((project.clone(), "alice")));
        assert_eq!(project_of("my-project._.alice", "alice"), Some(project));
        assert_eq!(project_of("my-project._.alice", "bob"), None);
        assert_eq!(split_container("web"), None);
        assert_eq!(candidates("web", "bob"), ["web._.bob", "web"]);
        assert_eq!(candidates("web._.bob", "bob"), ["web._.bob"]);
        assert_eq!(candidates("My_Container", "bob"), ["My_Container"]);
    }

    #[test]
    fn project_names_that_will_not_do() {
        let table: Vec<String> =
            ["", "MyProject", "my project", "-x", "a..b", "a._.b", "über", "../../etc", "a\x1b[31m"]
                .into_iter()
                .map(|name| Project::new(name).unwrap_err())
                .map(|error| format!("{error} -> {}", error.suggestion().unwrap_or_default()))
                .collect();
        expect_test::expect![[r#"
            a project needs a name -> 
            the project name "MyProject" has upper-case letters, which Docker refuses -> myproject
            the project name "my project" has a ' ' in it -> my-project
            the project name "-x" has "-", "_" or "." at an end or side by side -> x
            the project name "a..b" has "-", "_" or "." at an end or side by side -> a-b
            the project name "a._.b" has "-", "_" or "." at an end or side by side -> a-b
            the project name "über" has a 'ü' in it -> ber
            the project name "../../etc" has a '/' in it -> etc
            the project name "a\u{1b}[31m" has a '\u{1b}' in it -> a-31m"#]]
        .assert_eq(&table.join("\n"));
        assert!(Project::new(&"a".repeat(63)).is_ok());
        assert_eq!(Project::new(&"a".repeat(64)).unwrap_err().suggestion(), Some("a".repeat(63)));
    }

    proptest! {
        #[test]
        fn a_user_part_fits_docker_and_leads_back(user in "\\PC{0,30}") {
            let part = user_part(&user);
            prop_assert!(is_component(&format!("ds01-{part}")), "{part}");
            if !user.is_empty() && part.len() <= USER_PART_BYTES_MAX && !part.contains("--l") {
                prop_assert_eq!(user_of_part(&part), Some(user));
            }
        }

        #[test]
        fn different_users_have_different_parts(a in "[aA_.u4-]{0,8}", b in "[aA_.u4-]{0,8}") {
            prop_assert_eq!(a == b, user_part(&a) == user_part(&b));
        }

        #[test]
        fn names_come_apart_as_they_were_put_together(project in "[a-z0-9._-]{1,20}", user in "\\PC{1,20}") {
            if let Ok(project) = Project::new(&project) {
                let (name, part) = (container(&project, &user), user_part(&user));
                prop_assert_eq!(project_of(&name, &user), Some(project.clone()));
                prop_assert_eq!(split_container(&name), Some((project, part.as_str())));
            }
        }

        #[test]
        fn a_suggestion_is_always_a_project(name in "\\PC{0,80}") {
            if let Err(error) = Project::new(&name)
                && let Some(suggestion) = error.suggestion()
            {
                prop_assert!(Project::new(&suggestion).is_ok());
            }
        }

        #[test]
        fn parts_that_nobody_has_do_not_panic(part in "[_u0-9a-f-]{0,12}") {
            let _ = user_of_part(&part);
        }
    }
}
