//! The configuration: one YAML file, checked whole, and what holds without one.
//!
//! A file is taken as a whole or not at all, and every mistake in it is told in one go, with its line and column.
//! Nothing here touches what the file speaks of: whether a path exists or a user is known is somebody else's question;
//! only a program that is to run as root is looked at.
//! Key names are those of the `resource-limits.yaml` that such labs have, so that a lab carries its file over; what
//! such a file says and DS01 does not carry out is noted, and what nobody knows is refused.

mod frameworks;
mod limits;
mod machine;
mod mig;
mod mistake;
mod policy;
mod read;
mod report;
mod sections;
mod units;
mod use_cases;
mod yaml;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use ds01_domain::Policy;

pub use frameworks::Frameworks;
pub use machine::{Card, Machine};
pub use mig::Profile;
use mistake::Findings;
pub use mistake::{Mistake, Mistakes, Note, Place};
pub use report::check_report;
pub use sections::{Admins, Binds, Engine, Paths, Ports, Root, Share};
pub use use_cases::UseCase;
use yaml::{Entry, Value};

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Everything that an administrator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the daemon keeps and finds things.
    pub paths: Paths,
    /// How the Engine knows us.
    pub engine: Engine,
    /// Where the GPUs come from.
    pub machine: Machine,
    /// Who may do everything.
    pub admins: Admins,
    /// What may be mounted into containers.
    pub binds: Binds,
    /// What may be published.
    pub ports: Ports,
    /// Registries that the Engine may be sent to beside the public ones, with their ports.
    pub registries: Vec<String>,
    /// Images to begin with, by name.
    pub frameworks: Frameworks,
    /// Packages by purpose; none where the file has no list of its own.
    pub use_cases: Option<Vec<UseCase>>,
    /// Groups and limits.
    pub policy: Policy,
    /// A program that is told when containers are warned, spared or stopped.
    pub lifecycle_hook: Option<PathBuf>,
    /// What the file says and DS01 does not carry out.
    pub notes: Vec<Note>,
}

/// What holds with no file at all.
impl Default for Config {
    fn default() -> Self {
        let policy = Policy { default_group: policy::DEFAULT_GROUP.into(), ..Policy::default() };
        Self {
            paths: Paths::default(),
            engine: Engine::default(),
            machine: Machine::default(),
            admins: Admins::default(),
            binds: Binds::default(),
            ports: Ports::default(),
            registries: Vec::new(),
            frameworks: frameworks::built_in(),
            use_cases: None,
            policy,
            lifecycle_hook: None,
            notes: Vec::new(),
        }
    }
}

/// Reads and checks a file.
///
/// # Errors
///
/// Every mistake in it; one where it cannot be read. A file that is named must exist: whoever wants the defaults of
/// [`Config::default`] where there is none asks first.
pub fn load(path: &Path) -> Result<Config, Mistakes> {
    let (config, mistakes) = load_with_mistakes(path);
    if mistakes.is_empty() { Ok(config) } else { Err(Mistakes(mistakes)) }
}

/// What could be read of a file, and what is wrong with it. Nothing may run by a configuration with mistakes.
fn load_with_mistakes(path: &Path) -> (Config, Vec<Mistake>) {
    let name = path.display().to_string();
    match read_text(path) {
        Ok(text) => {
            let mut findings = Findings::default();
            let config = read_config(&text, &mut findings);
            findings.look_at_programs();
            let (mistakes, notes) = findings.finish(&name);
            (Config { notes, ..config }, mistakes)
        }
        Err(message) => (Config::default(), vec![Mistake { file: name, place: Place::FILE, message }]),
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("is longer than {} KiB; is it the right file?", FILE_BYTES_MAX >> 10));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        format!("line {line} is not UTF-8 text")
    })
}

/// Checks a text. The configuration is there exactly where there are no mistakes.
#[must_use]
pub fn check_text(text: &str, file_name: &str) -> (Option<Config>, Vec<Mistake>) {
    let (config, mistakes) = check_whole(text, file_name);
    (mistakes.is_empty().then_some(config), mistakes)
}

fn check_whole(text: &str, file_name: &str) -> (Config, Vec<Mistake>) {
    let mut findings = Findings::default();
    let config = read_config(text, &mut findings);
    let (mistakes, notes) = findings.finish(file_name);
    (Config { notes, ..config }, mistakes)
}

const SECTIONS: &[&str] = &[
    "paths",
    "engine",
    "machine",
    "admins",
    "binds",
    "ports",
    "registries",
    "frameworks",
    "use_cases",
    "start_wait",
    "defaults",
    "default_group",
    "groups",
    "users",
    "user_overrides",
    "policies",
    "lifecycle",
    "lifecycle_hook",
    "container_types",
];

fn read_config(text: &str, findings: &mut Findings) -> Config {
    let mut config = Config::default();
    let Some(root) = yaml::parse(text, findings) else { return config };
    let mut draft = policy::Draft::default();
    for entry in read::map(&root, "the file", findings).unwrap_or(&[]) {
        let node = &entry.value;
        match entry.key.as_str() {
            "paths" => config.paths = sections::paths(node, findings),
            "engine" => config.engine = sections::engine(node, findings),
            "machine" => config.machine = machine::machine(node, findings),
            "binds" => config.binds = sections::binds(node, findings),
            "ports" => config.ports = sections::ports(node, findings),
            "registries" => config.registries = sections::registries(node, findings),
            "frameworks" => config.frameworks = frameworks::frameworks(node, findings),
            "use_cases" => config.use_cases = Some(use_cases::use_cases(node, findings)),
            "start_wait" => draft.start_wait(entry, findings),
            "defaults" => draft.defaults(node, findings),
            "default_group" => draft.default_group(entry, findings),
            "groups" => draft.groups(entry, findings),
            "users" | "user_overrides" => draft.users(entry, findings),
            "policies" => draft.policies(node, findings),
            "lifecycle_hook" => config.lifecycle_hook = sections::program(entry, findings),
            "lifecycle" => draft.lifecycle(entry, findings),
            "container_types" => draft.kinds(node, findings),
            "admins" | "access_control" => {}
            _ => section_without_effect(entry, findings),
        }
    }
    // In this order whatever the file's: `admins` says who, an older file's `access_control` adds to them.
    if let Value::Map(entries) = &root.value {
        admins(entries, &mut config.admins, findings);
    }
    config.policy = draft.finish(&config.machine, findings);
    config
}

fn admins(entries: &[Entry], admins: &mut Admins, findings: &mut Findings) {
    let section = |key: &str| entries.iter().find(|entry| entry.key == key);
    if let Some(found) = section("admins").and_then(|entry| read::map(&entry.value, "admins", findings)) {
        sections::admins(found, admins, findings);
    }
    if let Some(found) =
        section("access_control").and_then(|entry| read::map(&entry.value, "access_control", findings))
    {
        sections::access_control(found, admins, findings);
    }
}

/// Sections of such files that other programs carry out, or nobody.
fn section_without_effect(entry: &Entry, findings: &mut Findings) {
    let reason = match entry.key.as_str() {
        "gpu_allocation" => "units are found on the machine and given out smallest first",
        "enforcement" => "limits are always enforced",
        "monitoring" => "monitoring is configured where it runs",
        "bare_metal_access" => "DS01 governs containers only",
        "advanced" | "wizard" => "DS01 has no such settings",
        _ => return read::unknown(entry, "at the top of the file", SECTIONS, findings),
    };
    findings.note(entry.place, format!("`{}` has no effect: {reason}", entry.key));
}

#[cfg(test)]
mod tests;
