//! Whether a process sees a machine of its own: another network, other mounts than the daemon does.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// A namespace of the kernel's, see namespaces(7). The daemon never changes its own.
static NETWORK: LazyLock<Option<PathBuf>> = LazyLock::new(|| link("self", "net"));
static MOUNTS: LazyLock<Option<PathBuf>> = LazyLock::new(|| link("self", "mnt"));

/// Which one a process is in, as the kernel numbers them.
fn link(process: &str, kind: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{process}/ns/{kind}")).ok()
}

/// Whether a process has a network of its own.
#[must_use]
pub fn has_own_network(pid: i32) -> bool {
    link(&pid.to_string(), "net").is_some_and(|its| NETWORK.as_ref().is_some_and(|ours| its != *ours))
}

/// Whether a process has mounts of its own, so that its root is not the machine's: one that is only on its way into a
/// container has not.
#[must_use]
pub fn has_own_mounts(pid: i32) -> bool {
    link(&pid.to_string(), "mnt").is_some_and(|its| MOUNTS.as_ref().is_some_and(|ours| its != *ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_has_what_the_machine_has() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(!has_own_network(pid));
        assert!(!has_own_mounts(pid));
    }
}
