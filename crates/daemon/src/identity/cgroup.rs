//! `/proc/PID/cgroup` in its three forms: version 1, version 2, and both at once. Pure.
//!
//! It answers for reading the lines and for the container ids that their paths *name*. A name is a hint where to look
//! and never a proof: users with a delegated cgroup name its children as they like.

use ds01_domain::ContainerId;

/// The length of a container id in hexadecimal digits.
const ID_DIGITS: usize = 64;

/// One line: where a process is in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Membership {
    /// The controllers of a version 1 hierarchy as the kernel writes them (`cpu,cpuacct`, `name=systemd`); empty for
    /// version 2.
    pub(super) hierarchy: String,
    /// The path from the root of our cgroup namespace, beginning with `/`.
    pub(super) path: String,
}

/// The lines of `/proc/PID/cgroup`. A line that is not of its form is left out.
pub(super) fn parse(text: &str) -> Vec<Membership> {
    text.lines().filter_map(membership).collect()
}

fn membership(line: &str) -> Option<Membership> {
    // The path may hold colons; the controllers may not.
    let mut fields = line.splitn(3, ':');
    let (number, hierarchy, path) = (fields.next()?, fields.next()?, fields.next()?);
    number.parse::<u32>().ok()?;
    // The kernel says so when a cgroup was removed below a process.
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.starts_with('/').then(|| Membership { hierarchy: hierarchy.to_owned(), path: path.to_owned() })
}

/// The container that the last part of `path` names, if it names one: `<id>` or `docker-<id>.scope`.
pub(super) fn named_by(part: &str) -> Option<ContainerId> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let digits = part.len().checked_sub(ID_DIGITS)?;
    let id = ContainerId::new(part.get(digits..)?)?;
    // Before the id stands nothing or a driver's prefix.
    let prefix = &part[..digits];
    (prefix.is_empty() || prefix.ends_with('-')).then_some(id)
}

/// All containers that the paths name, outermost first, each once.
pub(super) fn candidates(memberships: &[Membership]) -> Vec<ContainerId> {
    let mut found = Vec::new();
    for membership in memberships {
        for id in membership.path.split('/').filter_map(named_by) {
            if !found.contains(&id) {
                found.push(id);
            }
        }
    }
    found
}

/// Where the hierarchies are mounted, from `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mounted {
    /// As in [`Membership::hierarchy`].
    pub(super) hierarchy: String,
    /// The path of the cgroup that is mounted there: `/`, or a part of the tree.
    pub(super) root: String,
    /// The directory that it is mounted on.
    pub(super) at: String,
}

impl Mounted {
    /// The directory of the cgroup `path` of this hierarchy, if this mount shows it.
    pub(super) fn directory(&self, path: &str) -> Option<String> {
        let rest = if self.root == "/" { path } else { path.strip_prefix(&self.root)? };
        // A cgroup outside our own cgroup namespace is written with `..`; no mount of ours shows it.
        let shown = (rest.is_empty() || rest.starts_with('/')) && !rest.split('/').any(|part| part == "..");
        shown.then(|| format!("{}{rest}", self.at))
    }
}

/// The cgroup mounts in the text of `/proc/self/mountinfo`.
pub(super) fn mounts(text: &str) -> Vec<Mounted> {
    text.lines().filter_map(mounted).collect()
}

fn mounted(line: &str) -> Option<Mounted> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, at) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (kind, _, options) = (after.next()?, after.next()?, after.next()?);
    let hierarchy = match kind {
        "cgroup2" => String::new(),
        "cgroup" => controllers(options),
        _ => return None,
    };
    Some(Mounted { hierarchy, root: root.to_owned(), at: at.to_owned() })
}

/// The controllers among the super block's options, in the order and form of `/proc/PID/cgroup`.
fn controllers(options: &str) -> String {
    let other = |option: &&str| {
        !matches!(
            *option,
            "rw" | "ro" | "xattr" | "noprefix" | "clone_children" | "cpuset_v2_mode" | "favordynmods"
        ) && !option.starts_with("release_agent=")
    };
    options.split(',').filter(other).collect::<Vec<_>>().join(",")
}
