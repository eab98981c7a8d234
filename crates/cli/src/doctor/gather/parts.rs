//! Versions: what the Engine says of its parts, what the toolkit says of itself, and what a distribution has mended.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use super::super::facts::{Part, Parts, because};
use super::super::finding::{Seen, Unseen};
use super::engine::Component;
use super::files::Root;
use super::{Look, program};

/// The longest changelog that is read, in bytes, unpacked.
const CHANGELOG_BYTES_MAX: u64 = 16 << 20;

pub(super) async fn look(look: &Look, components: Seen<Vec<Component>>, has_nvidia: bool) -> Parts {
    let part = |name: &str, package: &str| {
        let components = components.as_ref().map_err(|unseen| match unseen {
            Unseen::NeedsRoot => Unseen::NeedsRoot,
            // Told once, by the first check of the Engine.
            Unseen::Because(_) => Unseen::Because("the Engine does not answer".to_owned()),
        })?;
        let Some(found) = components.iter().find(|component| component.name == name) else {
            return because("the Engine does not tell");
        };
        Ok(Part { version: found.version.clone(), package: distribution(&look.root, package) })
    };
    Parts {
        engine: part("Engine", "docker.io"),
        containerd: part("containerd", "containerd"),
        runc: part("runc", "runc"),
        toolkit: if has_nvidia { toolkit(&look.root).await } else { because("there is none") },
    }
}

async fn toolkit(root: &Root) -> Seen<Part> {
    let names = ["/usr/bin/nvidia-ctk", "/usr/bin/nvidia-container-toolkit"];
    let Some(found) = names.map(|name| root.at(name)).into_iter().find(|path| path.exists()) else {
        return because(format!("neither {} is there", names.join(" nor ")));
    };
    let said = program::output(&found, &["--version".as_ref()]).await?;
    let Some(version) = program::version_in(&said) else { return because("it does not say its version") };
    Ok(Part { version, package: None })
}

/// A distribution's package, and the advisories that its changelog names; nothing where it is not installed.
fn distribution(root: &Root, package: &str) -> Option<(String, BTreeSet<String>)> {
    let path = root.at(Path::new("/usr/share/doc").join(package).join("changelog.Debian.gz"));
    let file = std::fs::File::open(path).ok()?;
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(file).take(CHANGELOG_BYTES_MAX).read_to_end(&mut text).ok()?;
    Some((package.to_owned(), advisories(&String::from_utf8_lossy(&text))))
}

fn advisories(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("CVE-"))
        .map(|word| word.trim_end_matches('-').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_names_what_it_mends() {
        let text =
            "  * Backport fix for CVE-2024-21626 (Closes: #1062532)\n  * CVE-2021-41103, CVE-2023-25153-\n";
        let found: Vec<String> = advisories(text).into_iter().collect();
        assert_eq!(found, ["CVE-2021-41103", "CVE-2023-25153", "CVE-2024-21626"]);
    }
}
