//! What `ds01d check FILE` prints: every mistake, or what holds if the file is taken.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ds01_domain::{Aggregate, Limits, Mode, Person, Uid};

use super::units::{Weightless, show_size};
use super::{Config, Machine, Mistake, Mistakes, Root};

/// Checks a file, or the defaults, as the daemon would at start. The text to print, and whether the file is in order.
#[must_use]
pub fn check_report(path: Option<&Path>, json: bool) -> (String, bool) {
    let (config, mistakes) = path.map_or_else(Default::default, super::load_with_mistakes);
    let sound = mistakes.is_empty();
    let text = if json {
        serde_json::to_string_pretty(&as_json(path, config, &mistakes)).expect("paths and sentences are JSON")
    } else if sound {
        summary(path, &config)
    } else {
        refusal(&Mistakes(mistakes))
    };
    (text, sound)
}

/// What holds, for a program; of a file with mistakes, what could be read.
fn as_json(path: Option<&Path>, config: Config, mistakes: &[Mistake]) -> ds01_api::Configuration {
    let roots = config.binds.roots.iter().filter_map(|root| match root {
        Root::Path(path) => Some(path.clone()),
        Root::Home(_) => None,
    });
    ds01_api::Configuration {
        file: path.map(Path::to_owned),
        mistakes: mistakes.iter().map(ToString::to_string).collect(),
        notes: config.notes.iter().map(ToString::to_string).collect(),
        door: config.paths.socket,
        engine: config.paths.engine,
        hinge: config.paths.hinge,
        receipts: config.paths.run.join(crate::run::RECEIPTS),
        ledger: config.paths.state.join(crate::run::LEDGER_FILE),
        runtime: config.engine.runtime,
        gpus: match config.machine {
            Machine::None => ds01_api::GpuSource::None,
            Machine::Simulated(_) => ds01_api::GpuSource::Simulated,
            Machine::Nvidia { .. } => ds01_api::GpuSource::Nvidia,
        },
        binds_homes: config.binds.roots.iter().any(|root| matches!(root, Root::Home(_))),
        binds: roots.chain(config.binds.shares.iter().map(|share| share.path.clone())).collect(),
    }
}

fn refusal(mistakes: &Mistakes) -> String {
    let count = match mistakes.0.len() {
        1 => "1 mistake".to_owned(),
        n => format!("{n} mistakes"),
    };
    format!("{mistakes}\n\n{count}; nothing of this file is used.\n")
}

fn summary(path: Option<&Path>, config: &Config) -> String {
    let mut out = match path {
        Some(path) => format!("{}: in order\n\n", path.display()),
        None => "no file: the defaults hold\n\n".to_owned(),
    };
    machine(&config.machine, &mut out);
    groups(config, &mut out);
    let admins: Vec<String> = config
        .admins
        .users
        .iter()
        .cloned()
        .chain(config.admins.groups.iter().map(|group| format!("group {group}")))
        .collect();
    let _ = writeln!(out, "admins: {}", or_none(&admins));
    let _ =
        writeln!(out, "door: {}    engine: {}", config.paths.socket.display(), config.paths.engine.display());
    if !config.notes.is_empty() {
        let _ = writeln!(out, "\nwithout effect here:");
        for note in &config.notes {
            let _ = writeln!(out, "  {note}");
        }
    }
    out
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn machine(machine: &Machine, out: &mut String) {
    let (units, _) = machine.size();
    let cards = match machine {
        Machine::Simulated(cards) => cards,
        Machine::None => return out.push_str("machine: no GPUs\n\n"),
        Machine::Nvidia { library: Some(path), .. } => {
            let _ =
                writeln!(out, "machine: the GPUs of the NVIDIA driver, asked through {}\n", path.display());
            return;
        }
        Machine::Nvidia { .. } => {
            return out.push_str("machine: the GPUs of the NVIDIA driver, if there are any\n\n");
        }
    };
    let s = if units == 1 { "" } else { "s" };
    let _ = writeln!(out, "machine: simulated, {units} unit{s}");
    for (index, card) in cards.iter().enumerate() {
        let cut = match card.mig.as_slice() {
            [] => "whole".to_owned(),
            slices => slices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let _ = writeln!(out, "  {index}  {}, {}: {cut}", card.model, show_size(card.memory_mib << 20));
    }
    out.push('\n');
}

fn groups(config: &Config, out: &mut String) {
    let policy = &config.policy;
    let mut names: Vec<&String> = policy.groups.keys().collect();
    if !policy.groups.contains_key(&policy.default_group) {
        names.push(&policy.default_group);
    }
    out.push_str("groups:\n");
    let mut rows =
        vec![["", "GPUs", "per container", "containers", "CPUs", "memory", "together"].map(str::to_owned)];
    for name in names {
        let limits = limits_of(config, name);
        let mark = if *name == policy.default_group { " (default)" } else { "" };
        rows.push([
            format!("{name}{mark}"),
            show(limits.max_gpu_equivalents, |weight| weight.to_string()),
            show(limits.max_gpu_slots_per_container, |n| n.to_string()),
            show(limits.max_containers_per_user, |n| n.to_string()),
            show(limits.max_cpus_milli, |milli| Weightless(milli).to_string()),
            show(limits.memory_bytes, show_size),
            together(&limits.aggregate),
        ]);
    }
    table(&rows, out);
    out.push_str(match policy.rules.mode {
        Some(Mode::Enforce) => "idle containers are stopped, after warnings\n",
        Some(Mode::Observe) => "idle containers are not stopped: what would be done is written down\n",
        None => "idle containers are stopped from the second week on; `lifecycle: enforce` does it at once\n",
    });
    if !policy.users.is_empty() {
        let users: Vec<String> = policy.users.keys().cloned().collect();
        let _ = writeln!(out, "limits of their own: {}", users.join(", "));
    }
    out.push('\n');
}

/// The limits of a group, as the one resolver gives them to a member without limits of his own.
fn limits_of(config: &Config, group: &str) -> Limits {
    let mut policy = config.policy.clone();
    policy.users = BTreeMap::new();
    for found in policy.groups.values_mut() {
        (found.members, found.unix_groups) = (Vec::new(), Vec::new());
    }
    group.clone_into(&mut policy.default_group);
    let nobody = Person { uid: Uid(u32::MAX), name: String::new(), unix_groups: Vec::new(), admin: false };
    policy.resolve(&nobody)
}

fn show<T>(limit: Option<T>, show: impl Fn(T) -> String) -> String {
    limit.map_or_else(|| "no limit".to_owned(), show)
}

/// What all containers of a user may use together.
fn together(total: &Aggregate) -> String {
    let parts: Vec<String> = [
        total.cpus_milli.map(|milli| format!("{} CPUs", Weightless(milli))),
        total.memory_bytes.map(show_size),
        total.pids.map(|n| format!("{n} processes")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "no limit".to_owned() } else { parts.join(", ") }
}

fn table<const N: usize>(rows: &[[String; N]], out: &mut String) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, " {cell:<width$} ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}
