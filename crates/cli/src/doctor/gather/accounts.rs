//! Users and groups of the machine's own files. A directory service's people are not listed by it, and not by us.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::facts::Accounts;
use super::Look;

/// The user ids of people, as distributions give them.
const PEOPLE: std::ops::Range<u32> = 1000..60_000;

/// The accounts, with what only the look itself needs.
pub(super) struct Found {
    pub(super) facts: Accounts,
    /// Where people's homes are.
    pub(super) homes: Vec<PathBuf>,
}

pub(super) fn look(look: &Look) -> Found {
    let passwd = look.root.text("/etc/passwd").unwrap_or_default();
    let (mut people, mut homes) = (Vec::new(), Vec::new());
    let mut primary: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for line in passwd.lines() {
        let parts: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = parts[..] else { continue };
        let (Ok(uid), Ok(gid)) = (uid.parse::<u32>(), gid.parse::<u32>()) else { continue };
        if uid != 0 {
            primary.entry(gid).or_default().push(name.to_owned());
        }
        if PEOPLE.contains(&uid) && !shell.ends_with("/nologin") && !shell.ends_with("/false") {
            people.push((name.to_owned(), uid));
            homes.push(PathBuf::from(home));
        }
    }
    let groups = groups(&look.root.text("/etc/group").unwrap_or_default(), &primary);
    Found { facts: Accounts { people, groups }, homes }
}

fn groups(text: &str, primary: &BTreeMap<u32, Vec<String>>) -> BTreeMap<u32, (String, Vec<String>)> {
    let mut groups = BTreeMap::new();
    for line in text.lines() {
        let parts: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = parts[..] else { continue };
        let Ok(gid) = gid.parse::<u32>() else { continue };
        let mut all: Vec<String> = members
            .split(',')
            .filter(|name| !name.is_empty() && *name != "root")
            .map(str::to_owned)
            .collect();
        for name in primary.get(&gid).into_iter().flatten() {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        groups.insert(gid, (name.to_owned(), all));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_those_whose_first_group_it_is() {
        let primary = BTreeMap::from([(106, vec!["bob".to_owned(), "carol".to_owned()])]);
        let found = groups("docker:x:106:alice,bob,root\nempty:x:7:\nnonsense\nbad:x:y:z\n", &primary);
        let docker = ["alice", "bob", "carol"].map(str::to_owned).into();
        let expected = [(7, ("empty".to_owned(), Vec::new())), (106, ("docker".to_owned(), docker))];
        assert_eq!(found, BTreeMap::from(expected));
    }
}
