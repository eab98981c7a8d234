//! The NVIDIA driver and container toolkit: that a granted GPU gets into its container, stays there, and no other does.

use std::collections::BTreeSet;
use std::path::Path;

use ds01_api::GpuSource;

use super::super::facts::{Facts, because};
use super::super::finding::{Check, Finding, Judged, Seen};
use super::super::version::Version;
use super::count;
use super::reach::only_roots;

/// The oldest driver that can be asked everything.
const DRIVER_MIN: &str = "510";
/// Drivers whose lists of processes are broken: from the first on, up to the second.
const DRIVER_BROKEN: [&str; 2] = ["535.43", "535.104.5"];
/// From this version on the toolkit attaches GPUs by specifications that it makes itself, unless it is told otherwise.
const TOOLKIT_BY_CDI: &str = "1.18.0";
/// Where the toolkit's settings are.
const FILE: &str = "/etc/nvidia-container-runtime/config.toml";

pub(super) const CHECKS: &[Check<Facts>] = &[
    Check { id: "nvidia.driver", what: "the NVIDIA driver", judge: driver },
    Check { id: "nvidia.library", what: "the NVIDIA driver's library", judge: library },
    Check { id: "nvidia.runtime", what: "nvidia-container-runtime", judge: runtime },
    Check { id: "nvidia.toolkit", what: "the NVIDIA container toolkit's settings", judge: toolkit },
    Check { id: "nvidia.mode", what: "how the toolkit attaches GPUs", judge: mode },
    Check { id: "nvidia.low-level", what: "the runtime behind the NVIDIA runtime", judge: low_level },
    Check { id: "nvidia.cdi", what: "CDI specifications", judge: cdi },
    Check { id: "nvidia.persistence", what: "nvidia-persistenced", judge: persistence },
    Check { id: "nvidia.nodes", what: "the GPUs' device nodes", judge: nodes },
];

fn nothing() -> Judged {
    // Told once, by the first check.
    Ok(Vec::new())
}

fn version(text: &str) -> Version {
    Version::read(text).expect("the limits can be read")
}

fn driver(facts: &Facts) -> Judged {
    if !facts.nvidia.is_there() {
        return because(match facts.gpus() {
            Some(GpuSource::Simulated) => "this machine has none: its GPUs are simulated",
            _ => "this machine has none",
        });
    }
    let Some(said) = &facts.nvidia.module else {
        return Finding::problem(
            "the NVIDIA kernel module is not loaded",
            "no GPU can be seen, and none is granted",
            "modprobe nvidia; if that fails, dmesg says why",
        )
        .alone();
    };
    let Some(found) = Version::read(said) else {
        return because(format!("{said:?} is no version that can be compared"));
    };
    if found < version(DRIVER_MIN) {
        return Finding::problem(
            format!("the NVIDIA driver is {said}, older than {DRIVER_MIN}"),
            "it cannot be asked who computes on which slice",
            "install a newer driver; Debian: apt install nvidia-driver, Ubuntu: ubuntu-drivers install --gpgpu",
        )
        .alone();
    }
    if version(DRIVER_BROKEN[0]) <= found && found < version(DRIVER_BROKEN[1]) {
        return Finding::warning(
            format!("the NVIDIA driver is {said}, whose lists of processes are broken"),
            "DS01 cannot see whether somebody still computes on a GPU that it lends again",
            "install 535.104.05 or newer",
        )
        .alone();
    }
    Finding::ok(format!("the NVIDIA driver {said} is loaded")).alone()
}

fn library(facts: &Facts) -> Judged {
    let (Some(module), library) = (&facts.nvidia.module, &facts.nvidia.library) else { return nothing() };
    match library {
        None => Finding::problem(
            "the NVIDIA driver is loaded and its library (libnvidia-ml.so.1) is not installed",
            "ds01d cannot ask for GPUs, and containers would lack the driver's programs",
            "install the libraries of the same version; Debian: apt install libnvidia-ml1 nvidia-smi",
        )
        .alone(),
        Some(library) if library == module => {
            Finding::ok(format!("library and kernel module are both {module}")).alone()
        }
        Some(library) => Finding::problem(
            format!("the NVIDIA library is {library} and the loaded kernel module is {module}"),
            "after an upgrade the old module still runs: no new container gets a GPU",
            "reboot; or stop all GPU containers, `ds01 gpu release`, and load the module anew",
        )
        .alone(),
    }
}

fn runtime(facts: &Facts) -> Judged {
    if !facts.nvidia.is_there() {
        return nothing();
    }
    match facts.nvidia.runtime.as_ref().map_err(Clone::clone)? {
        None => Finding::problem(
            "nvidia-container-runtime is not where ds01-runtime looks for it",
            "no container with a GPU can start",
            "install nvidia-container-toolkit, or name its path under `runtimes` in /etc/ds01/runtime.json",
        )
        .alone(),
        Some(program) => only_roots(program, "nvidia-container-runtime")
            .unwrap_or_else(|| Finding::ok(format!("nvidia-container-runtime is {}", program.path.display())))
            .alone(),
    }
}

/// The toolkit's settings; none where it is not installed.
fn settings(facts: &Facts) -> Seen<Option<toml::Table>> {
    let Some(text) = facts.nvidia.toolkit.as_ref().map_err(Clone::clone)? else { return Ok(None) };
    match text.parse() {
        Ok(settings) => Ok(Some(settings)),
        Err(error) => because(format!("{FILE} cannot be read: {}", error.message())),
    }
}

fn section<'a>(settings: &'a toml::Table, name: &str) -> Option<&'a toml::Table> {
    settings.get(name)?.as_table()
}

fn toolkit(facts: &Facts) -> Judged {
    if !facts.nvidia.is_there() {
        return nothing();
    }
    let Some(settings) = settings(facts)? else {
        return Finding::ok(format!("there is no {FILE}: the toolkit's defaults hold")).alone();
    };
    let flag = |key: &str, default| settings.get(key).and_then(toml::Value::as_bool).unwrap_or(default);
    let mut findings = Vec::new();
    let key = "accept-nvidia-visible-devices-envvar-when-unprivileged";
    if !flag(key, true) {
        findings.push(Finding::problem(
            format!("{key} is false"),
            "DS01 names the granted GPU in the environment, which users cannot reach: containers start without a GPU",
            format!("in {FILE}: {key} = true"),
        ));
    }
    let key = "accept-nvidia-visible-devices-as-volume-mounts";
    if flag(key, false) {
        findings.push(Finding::problem(
            format!("{key} is true"),
            "a second way of asking for GPUs, which DS01 does not use",
            format!("in {FILE}: {key} = false"),
        ));
    }
    if let Some(name) =
        settings.get("swarm-resource").and_then(toml::Value::as_str).filter(|name| !name.is_empty())
    {
        findings.push(Finding::problem(
            format!("swarm-resource is {name}"),
            "the toolkit prefers that variable to the one in which DS01 names the granted GPU, and users may set it",
            format!("in {FILE}: take swarm-resource out"),
        ));
    }
    let client = section(&settings, "nvidia-container-cli");
    if client.and_then(|client| client.get("no-cgroups")?.as_bool()) == Some(true) {
        findings.push(Finding::problem(
            "no-cgroups is true",
            "in the mode legacy containers may not open the GPU that they are granted (Operation not permitted)",
            format!("in {FILE}, under [nvidia-container-cli]: no-cgroups = false"),
        ));
    }
    if findings.is_empty() {
        findings
            .push(Finding::ok("the toolkit goes by the environment that DS01 writes, and by nothing else"));
    }
    Ok(findings)
}

fn mode_of(settings: Option<&toml::Table>) -> &str {
    let mode =
        settings.and_then(|settings| section(settings, "nvidia-container-runtime")?.get("mode")?.as_str());
    mode.filter(|mode| !mode.is_empty()).unwrap_or("auto")
}

fn mode(facts: &Facts) -> Judged {
    if !facts.nvidia.is_there() {
        return nothing();
    }
    let settings = settings(facts)?;
    let mode = mode_of(settings.as_ref());
    let toolkit = facts.parts.toolkit.as_ref().ok().and_then(|part| Version::read(&part.version));
    let makes_own = toolkit.is_some_and(|found| found >= version(TOOLKIT_BY_CDI));
    let line = format!("in {FILE}, under [nvidia-container-runtime]: mode = ");
    let why = "after systemctl daemon-reload, or an update that does it, running containers lose their GPU";
    match mode {
        "cdi" | "jit-cdi" => Finding::ok(format!("the toolkit attaches GPUs by CDI (mode {mode})")).alone(),
        "auto" if makes_own => Finding::ok("the toolkit attaches GPUs by CDI (mode auto)").alone(),
        "auto" if toolkit.is_none() => because("the mode is auto, and the toolkit's version is not known"),
        "auto" => Finding::warning(
            "the toolkit's mode is auto, which in this version is legacy",
            why,
            format!("update the toolkit to {TOOLKIT_BY_CDI} or newer; or {line}\"cdi\""),
        )
        .alone(),
        "legacy" if makes_own => {
            Finding::warning("the toolkit's mode is legacy", why, format!("{line}\"jit-cdi\"")).alone()
        }
        "legacy" => Finding::warning(
            "the toolkit's mode is legacy",
            why,
            format!("nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml, and {line}\"cdi\""),
        )
        .alone(),
        other => Finding::problem(
            format!("the toolkit's mode is {other}"),
            "it is for other machines: containers get no GPU",
            format!("{line}\"auto\""),
        )
        .alone(),
    }
}

fn low_level(facts: &Facts) -> Judged {
    if !facts.nvidia.is_there() {
        return nothing();
    }
    let settings = settings(facts)?;
    let listed = settings
        .as_ref()
        .and_then(|all| section(all, "nvidia-container-runtime")?.get("runtimes")?.as_array());
    let names: Vec<&str> = match listed {
        Some(list) => list.iter().filter_map(toml::Value::as_str).collect(),
        None => vec!["runc", "crun"],
    };
    let line = format!("in {FILE}, under [nvidia-container-runtime]: runtimes = [\"runc\"]");
    let Some(found) = names.iter().find_map(|name| facts.nvidia.low_level.get(*name)) else {
        return Finding::problem(
            format!(
                "of the runtimes that the toolkit hands over to ({}) none is installed",
                names.join(", ")
            ),
            "no container with a GPU can start",
            line,
        )
        .alone();
    };
    let name = found.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("ds01-runtime") || name.starts_with("nvidia-container-runtime") {
        return Finding::problem(
            format!("the toolkit hands over to {}", found.display()),
            "that runtime hands over to the toolkit again: no container with a GPU can start",
            line,
        )
        .alone();
    }
    Finding::ok(format!("the toolkit hands over to {}", found.display())).alone()
}

fn cdi(facts: &Facts) -> Judged {
    if !facts.nvidia.is_there() {
        return nothing();
    }
    let settings = settings(facts)?;
    let by_file = mode_of(settings.as_ref()) == "cdi";
    let generate = |path: &Path| format!("nvidia-ctk cdi generate --output={}", path.display());
    if facts.nvidia.cdi.is_empty() {
        return match by_file {
            true => Finding::problem(
                "the toolkit's mode is cdi, and there is no specification in /etc/cdi or /var/run/cdi",
                "no container with a GPU can start",
                generate(Path::new("/etc/cdi/nvidia.yaml")),
            )
            .alone(),
            false => nothing(),
        };
    }
    let units: Option<BTreeSet<&str>> = facts.own.machine.as_ref().ok().map(|machine| {
        machine.cards.iter().flat_map(|card| &card.units).map(|unit| unit.unit.id.as_str()).collect()
    });
    let gone = |uuid: &str| match uuid.starts_with("MIG-") {
        true => units.as_ref().is_some_and(|units| !units.contains(uuid)),
        false => !facts.nvidia.cards.is_empty() && !facts.nvidia.cards.contains(uuid),
    };
    let mut findings = Vec::new();
    for spec in &facts.nvidia.cdi {
        let stale: Vec<&str> = spec.uuids.iter().map(String::as_str).filter(|uuid| gone(uuid)).collect();
        let Some(first) = stale.first() else {
            findings.push(Finding::ok(format!("{} names no GPU that is not there", spec.path.display())));
            continue;
        };
        let found = format!(
            "{} names {} that the driver does not have: {first}{}",
            spec.path.display(),
            count(stale.len(), "GPU"),
            if stale.len() > 1 { ", …" } else { "" }
        );
        let why = "it is older than the machine's layout: a name in it may attach another GPU than it says";
        findings.push(match by_file {
            true => Finding::problem(found, why, generate(&spec.path)),
            false => Finding::warning(found, why, generate(&spec.path)),
        });
    }
    Ok(findings)
}

fn persistence(facts: &Facts) -> Judged {
    if facts.nvidia.module.is_none() {
        return nothing();
    }
    if facts.nvidia.is_persistent {
        return Finding::ok("nvidia-persistenced keeps the GPUs' state").alone();
    }
    Finding::warning(
        "nvidia-persistenced does not run",
        "whenever ds01d stops, GPUs that nobody uses lose their settings, and the next start takes seconds longer",
        "systemctl enable --now nvidia-persistenced",
    )
    .alone()
}

fn nodes(facts: &Facts) -> Judged {
    let nodes = &facts.nvidia.nodes;
    if nodes.is_empty() {
        return match facts.nvidia.module.is_some() {
            true => Finding::problem(
                "the driver is loaded and there is no /dev/nvidia0",
                "no GPU can be attached to a container",
                "nvidia-modprobe -u -c 0, or nvidia-smi as root: both make the nodes",
            )
            .alone(),
            false => nothing(),
        };
    }
    if let Some(closed) = nodes.iter().find(|node| node.mode & 0o006 != 0o006) {
        return Finding::problem(
            format!("{} has mode {:04o}", closed.path.display(), closed.mode & 0o7777),
            "in a container whose user is not root, the granted GPU cannot be opened",
            "take NVreg_DeviceFileMode out of /etc/modprobe.d, and load the driver anew; until then:\n\
             chmod 0666 /dev/nvidia*",
        )
        .alone();
    }
    // The usual and the only way in which containers of ordinary users work; what it means is worth a sentence.
    Finding::ok(format!(
        "{} can be opened by all, as containers need; who has a shell here can compute outside of one, and DS01 then \
         keeps that GPU from others",
        nodes[0].path.display()
    ))
    .alone()
}
