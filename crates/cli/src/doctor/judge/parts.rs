//! Versions with known holes: the Engine, containerd, runc, the NVIDIA toolkit.

use super::super::advisories::{self, Advisory, Part as Kind};
use super::super::facts::{Facts, Part, because};
use super::super::finding::{Check, Finding, Judged, Seen, Unseen};
use super::super::version::Version;

pub(super) const CHECKS: &[Check<Facts>] = &[
    Check { id: "version.engine", what: "the Engine's version", judge: engine },
    Check { id: "version.containerd", what: "containerd's version", judge: containerd },
    Check { id: "version.runc", what: "runc's version", judge: runc },
    Check { id: "version.nvidia-toolkit", what: "the NVIDIA container toolkit's version", judge: toolkit },
];

fn engine(facts: &Facts) -> Judged {
    // Without plugins, what passes by them passes by nothing. Where nobody can tell, it counts.
    let plugins = |info: &super::super::facts::Info| {
        info.plugins.authorization.as_deref().is_some_and(|p| !p.is_empty())
    };
    let has_plugins = facts.engine.info.as_ref().map_or(true, plugins);
    judge(Kind::Engine, "the Engine", &facts.parts.engine, has_plugins)
}

fn containerd(facts: &Facts) -> Judged {
    judge(Kind::Containerd, "containerd", &facts.parts.containerd, false)
}

fn runc(facts: &Facts) -> Judged {
    judge(Kind::Runc, "runc", &facts.parts.runc, false)
}

fn toolkit(facts: &Facts) -> Judged {
    if !facts.nvidia.is_there() {
        return because("this machine has no NVIDIA driver and no toolkit");
    }
    judge(Kind::NvidiaToolkit, "the NVIDIA container toolkit", &facts.parts.toolkit, false)
}

fn judge(kind: Kind, what: &str, part: &Seen<Part>, has_plugins: bool) -> Judged {
    let part = match part {
        Ok(part) => part,
        Err(Unseen::NeedsRoot) => return Err(Unseen::NeedsRoot),
        Err(Unseen::Because(why)) => return because(why.as_str()),
    };
    let Some(version) = Version::read(&part.version) else {
        return because(format!("{:?} is no version that can be compared", part.version));
    };
    let named = |advisory: &Advisory| {
        part.package
            .as_ref()
            .is_some_and(|(_, named)| advisory.names.iter().all(|name| named.contains(*name)))
    };
    let (mended, open): (Vec<_>, Vec<_>) = advisories::of(kind, version)
        .filter(|(advisory, _)| has_plugins || !advisory.wants_plugins)
        .partition(|(advisory, _)| named(advisory));
    if open.is_empty() {
        let rest = match (&part.package, mended.len()) {
            (Some((package, _)), 1..) => {
                format!(", and the package {package} names the fixes of its older ones")
            }
            _ => String::new(),
        };
        return Finding::ok(format!("{what} {}: no hole that is known here{rest}", part.version)).alone();
    }
    Ok(vec![told(what, part, &open)])
}

fn told(what: &str, part: &Part, open: &[(&Advisory, &str)]) -> Finding {
    let names: Vec<&str> = open.iter().flat_map(|(advisory, _)| advisory.names).copied().collect();
    let holes: Vec<String> = open
        .iter()
        .map(|(a, mended)| {
            format!("{}: {}; mended in {mended}, see {}", a.names.join(", "), a.what, a.source)
        })
        .collect();
    let found = format!("{what} is {}: {}", part.version, names.join(", "));
    let why = holes.join("\n");
    if let Some((package, _)) = &part.package {
        // A distribution mends without another version, and its changelog may say so elsewhere or not at all.
        return Finding::warning(
            format!("{found}; the distribution may have mended it, its changelog here does not say so"),
            why,
            format!("apt-get install --only-upgrade {package}, and apt-get changelog {package}"),
        );
    }
    let fix = format!("update {what}, as its source says: https://docs.docker.com/engine/install/");
    match open.iter().any(|(advisory, _)| advisory.is_grave) {
        true => Finding::problem(found, why, fix),
        false => Finding::warning(found, why, fix),
    }
}
