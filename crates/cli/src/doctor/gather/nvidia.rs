//! The NVIDIA driver and toolkit, by their files: the driver itself is `ds01d`'s to ask.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::facts::{CdiSpec, Engine, Nvidia, Program, RuntimeValues, Step};
use super::super::finding::Seen;
use super::files::{self, Root};
use super::{Look, own};

/// Where the toolkit has its settings.
const TOOLKIT: &str = "/etc/nvidia-container-runtime/config.toml";
const LIBRARY: &str = "libnvidia-ml.so.1";
/// Where distributions put the driver's library.
const LIBRARIES: [&str; 4] =
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
/// Where `ds01-runtime` looks for a runtime that its settings do not name.
const RUNTIMES: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
/// Where the toolkit looks for the runtime that it hands over to.
const LOW_LEVEL: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const CDI: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
/// The letters of a UUID.
const UUID_LENGTH: usize = 36;

pub(super) fn look(look: &Look, engine: &Engine) -> Nvidia {
    let root = &look.root;
    let toolkit = root.read(TOOLKIT);
    Nvidia {
        module: root.text("/proc/driver/nvidia/version").and_then(|text| module_version(&text)),
        library: library(root),
        runtime: runtime(look, engine),
        low_level: low_level(root, toolkit.as_ref().ok().and_then(Option::as_deref)),
        toolkit,
        cdi: cdi(root),
        cards: cards(root),
        is_persistent: look.processes.contains("nvidia-persiste"),
        nodes: nodes(root),
    }
}

/// `NVRM version: NVIDIA UNIX … Kernel Module …  580.65.06  …`: the first word that is three or two numbers.
fn module_version(text: &str) -> Option<String> {
    let is_version =
        |word: &&str| word.split('.').count() >= 2 && word.split('.').all(|part| part.parse::<u32>().is_ok());
    let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
    line.split_whitespace().find(is_version).map(str::to_owned)
}

fn library(root: &Root) -> Option<String> {
    let found = LIBRARIES
        .map(|place| root.at(Path::new(place).join(LIBRARY)))
        .into_iter()
        .find(|path| path.exists())?;
    let real = std::fs::canonicalize(found).ok()?;
    real.file_name()?.to_str()?.strip_prefix("libnvidia-ml.so.").map(str::to_owned)
}

fn runtime(look: &Look, engine: &Engine) -> Seen<Option<Program>> {
    let hinge = engine.runtime.as_ref().ok().and_then(Option::as_ref).map(|program| program.path.as_path());
    let values = own::settings_beside(look, hinge).values.unwrap_or_else(|_| RuntimeValues::default());
    let named = values.runtimes.get("nvidia").cloned();
    let usual = || RUNTIMES.map(|place| Path::new(place).join("nvidia-container-runtime")).into_iter();
    let found = named.or_else(|| usual().map(|path| look.root.at(path)).find(|path| path.exists()));
    found.map_or(Ok(None), |path| files::program(&look.root.at(path)))
}

fn low_level(root: &Root, toolkit: Option<&str>) -> BTreeMap<String, PathBuf> {
    let settings: Option<toml::Table> = toolkit.and_then(|text| text.parse().ok());
    let section = settings.as_ref().and_then(|all| all.get("nvidia-container-runtime")?.as_table());
    let listed = section.and_then(|section| section.get("runtimes")?.as_array()).into_iter().flatten();
    let names = listed.filter_map(toml::Value::as_str).chain(["runc", "crun"]);
    let find = |name: &str| {
        let places = match name.starts_with('/') {
            true => vec![PathBuf::from(name)],
            false => LOW_LEVEL.map(|place| Path::new(place).join(name)).into(),
        };
        places.into_iter().map(|path| root.at(path)).find_map(|path| std::fs::canonicalize(path).ok())
    };
    names.filter_map(|name| Some((name.to_owned(), find(name)?))).collect()
}

fn cdi(root: &Root) -> Vec<CdiSpec> {
    let is_spec =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
    let paths = CDI.into_iter().flat_map(|place| root.list(place)).filter(is_spec);
    let specs = paths.filter_map(|path| {
        let text = root.text(&path).filter(|text| text.contains("nvidia.com/"))?;
        Some(CdiSpec { uuids: uuids(&text), path })
    });
    specs.collect()
}

/// Every `GPU-…` and `MIG-…` in a text.
fn uuids(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = text.split(|c| !is_part(c));
    let is_uuid = |word: &&str| {
        word.strip_prefix("GPU-")
            .or_else(|| word.strip_prefix("MIG-"))
            .is_some_and(|id| id.len() == UUID_LENGTH)
    };
    words.filter(is_uuid).map(str::to_owned).collect()
}

fn cards(root: &Root) -> BTreeSet<String> {
    let texts = root
        .list("/proc/driver/nvidia/gpus")
        .into_iter()
        .filter_map(|card| root.text(card.join("information")));
    texts.flat_map(|text| uuids(&text)).collect()
}

fn nodes(root: &Root) -> Vec<Step> {
    let is_card = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix("nvidia").is_some_and(|rest| {
            rest == "ctl" || rest == "-uvm" || !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit())
        })
    };
    let over = root.list("/dev").into_iter().filter(is_card);
    over.filter_map(|path| files::way(&path).ok()??.pop()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_says_its_version() {
        for (text, version) in [
            (
                "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC",
                "535.104.05",
            ),
            (
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build",
                "580.65.06",
            ),
        ] {
            assert_eq!(module_version(text).as_deref(), Some(version));
        }
        assert_eq!(module_version("nothing"), None);
    }

    #[test]
    fn uuids_are_found_in_specifications() {
        let one = "GPU-11111111-aaaa-bbbb-cccc-000000000001";
        let two = "MIG-33333333-aaaa-bbbb-cccc-000000000002";
        let text = format!("devices:\n- name: {one}\n- name: \"{two}\"\n- name: GPU-0\n# {one}\n");
        assert_eq!(uuids(&text).into_iter().collect::<Vec<_>>(), [one, two]);
    }
}
