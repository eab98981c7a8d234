//! DS01 itself: that its parts are of one version, find each other, and are closed to everybody else.

use std::path::Path;

use ds01_api::{Health, Process};

use super::super::facts::{Facts, RuntimeSettings, Step, Way, because};
use super::super::finding::{Check, Finding, Judged, Unseen};
use super::count;
use super::reach::{Want, make_roots, who};

/// Mistakes of a configuration that are told here; `ds01d check` tells all.
const MISTAKES_MAX: usize = 3;

pub(super) const CHECKS: &[Check<Facts>] = &[
    Check { id: "ds01.configuration", what: "the configuration", judge: configuration },
    Check {
        id: "ds01.configuration-file",
        what: "who may write the configuration",
        judge: configuration_file,
    },
    Check { id: "ds01.door", what: "the door", judge: door },
    Check { id: "ds01.versions", what: "the version of ds01d", judge: versions },
    Check { id: "ds01.runtime", what: "the version of ds01-runtime", judge: runtime },
    Check { id: "ds01.runtime-settings", what: "the settings of ds01-runtime", judge: runtime_settings },
    Check { id: "ds01.hinge", what: "the hinge's socket", judge: hinge },
    Check { id: "ds01.receipts", what: "the receipts", judge: receipts },
    Check { id: "ds01.ledger", what: "the ledger", judge: ledger },
    Check { id: "ds01.units", what: "the state of the GPUs", judge: units },
    Check { id: "ds01.buildkit", what: "clients with BuildKit", judge: buildkit },
];

fn configuration(facts: &Facts) -> Judged {
    let told = match &facts.configuration {
        Ok(told) => told,
        Err(Unseen::NeedsRoot) => return Err(Unseen::NeedsRoot),
        Err(Unseen::Because(why)) => {
            return Finding::problem(
                format!("ds01d cannot be asked: {why}"),
                "without it nothing is granted; the rest is judged by the usual places",
                "install ds01d, ds01-runtime and ds01 of one version, as in Installing, step 1",
            )
            .alone();
        }
    };
    let Some(file) = &told.file else {
        return Finding::warning(
            "there is no /etc/ds01/ds01.yaml: the defaults hold",
            "everybody has the same limits, and the door is not where clients look for Docker",
            "write one, as in Installing, step 3",
        )
        .alone();
    };
    let file = file.display();
    if !told.mistakes.is_empty() {
        let shown: Vec<&str> = told.mistakes.iter().take(MISTAKES_MAX).map(String::as_str).collect();
        return Finding::problem(
            format!(
                "{file} has {}; nothing of it is used:\n{}",
                count(told.mistakes.len(), "mistake"),
                shown.join("\n")
            ),
            "ds01d does not start with it, and SIGHUP changes nothing",
            format!("ds01d check {file} tells all; mend them, then kill -HUP $(pgrep -x ds01d)"),
        )
        .alone();
    }
    match told.notes.len() {
        0 => Finding::ok(format!("{file} is in order")).alone(),
        n => Finding::ok(format!("{file} is in order; {} without effect, see ds01d check", count(n, "key")))
            .alone(),
    }
}

fn configuration_file(facts: &Facts) -> Judged {
    let Some(way) = facts.own.file.as_ref().map_err(Clone::clone)? else { return Ok(Vec::new()) };
    let path = end(way);
    match who(way, Want::Write, &facts.accounts) {
        None => Finding::ok(format!("only root writes {}", path.display())).alone(),
        Some(who) => Finding::problem(
            format!("{who} can write {}", path.display()),
            "who writes the configuration makes himself an administrator",
            make_roots(path),
        )
        .alone(),
    }
}

fn end(way: &[Step]) -> &Path {
    way.last().map_or(Path::new("/"), |step| &step.path)
}

fn door(facts: &Facts) -> Judged {
    let start = "systemctl start ds01d, or ds01d run; what it says tells why it ended";
    let Some(way) = facts.own.door.as_ref().map_err(Clone::clone)? else {
        let why = "nobody reaches Docker; running containers go on";
        return Finding::problem("there is no socket of the door: ds01d does not run", why, start).alone();
    };
    let path = end(way).display();
    if let Err(why) = &facts.own.answers {
        return Finding::problem(
            format!("ds01d does not answer at {path}: {why}"),
            "nobody reaches Docker; running containers go on",
            start,
        )
        .alone();
    }
    let closed = way.iter().rev().skip(1).find(|step| step.mode & 0o001 == 0);
    if let Some(step) = closed {
        return Finding::problem(
            format!("users do not get through {} (mode {:04o})", step.path.display(), step.mode & 0o7777),
            format!("the door is at {path}: to them Docker is not there"),
            format!("chmod o+x {}", step.path.display()),
        )
        .alone();
    }
    match way.last() {
        Some(step) if step.mode & 0o002 == 0 => Finding::problem(
            format!("{path} has mode {:04o}", step.mode & 0o7777),
            "users cannot open the door: to them Docker is not there",
            format!("chmod 0666 {path}"),
        )
        .alone(),
        _ => Finding::ok(format!("ds01d answers at {path}, which everybody may open")).alone(),
    }
}

fn versions(facts: &Facts) -> Judged {
    let running = facts.own.daemon.as_ref().map_err(Clone::clone)?;
    let own = facts.own.version;
    if running.version != own {
        return Finding::problem(
            format!("ds01d is {} and ds01 is {own}", running.version),
            "the three programs speak the protocol of one version",
            "install ds01d, ds01-runtime and ds01 of one version, then restart ds01d; containers run on",
        )
        .alone();
    }
    if running.is_replaced {
        return Finding::warning(
            "ds01d runs from a program that was replaced since",
            "the new one is used after a restart only",
            "systemctl restart ds01d; containers run on",
        )
        .alone();
    }
    Finding::ok(format!("ds01d and ds01 are both {own}")).alone()
}

fn runtime(facts: &Facts) -> Judged {
    let found = facts.own.runtime_version.as_ref().map_err(Clone::clone)?;
    let own = facts.own.version;
    if found == own {
        return Finding::ok(format!("ds01-runtime is {own}, as ds01")).alone();
    }
    Finding::problem(
        format!("ds01-runtime is {found} and ds01 is {own}"),
        "the three programs speak the protocol of one version: containers with a GPU may not start",
        "install ds01d, ds01-runtime and ds01 of one version, then restart ds01d; containers run on",
    )
    .alone()
}

fn runtime_settings(facts: &Facts) -> Judged {
    let RuntimeSettings { file, is_unsafe, values } =
        facts.own.runtime_settings.as_ref().map_err(Clone::clone)?;
    let shown = file.as_deref().unwrap_or(Path::new("/etc/ds01/runtime.json"));
    let stop = "no container with a GPU can start";
    if *is_unsafe {
        let found = format!("others than root can write {}", shown.display());
        return Finding::problem(found, stop, make_roots(shown)).alone();
    }
    let values = match values {
        Ok(values) => values,
        Err(why) => {
            let found = format!("{} cannot be used: {why}", shown.display());
            return Finding::problem(found, stop, "mend it, as in Installing, step 3").alone();
        }
    };
    let told = facts.configuration.as_ref().map_err(Clone::clone)?;
    let mut findings = Vec::new();
    for (key, here, there) in
        [("socket", &values.socket, &told.hinge), ("receipts", &values.receipts, &told.receipts)]
    {
        if here != there {
            findings.push(Finding::problem(
                format!("ds01-runtime has {key} {}, and ds01d {}", here.display(), there.display()),
                match key {
                    "socket" => stop,
                    _ => "after a loss of the ledger nobody knows who holds which GPU",
                },
                format!("in {}: \"{key}\": \"{}\"", shown.display(), there.display()),
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("ds01-runtime and ds01d agree on where they meet"));
    }
    Ok(findings)
}

/// Whether only root gets at something of DS01's.
fn closed(facts: &Facts, way: &Way, want: Want, missing: Option<Finding>, why: &str, mode: &str) -> Judged {
    let Some(way) = way.as_ref().map_err(Clone::clone)? else {
        return Ok(missing.into_iter().collect());
    };
    let path = end(way);
    match who(way, want, &facts.accounts) {
        None => Finding::ok(format!("only root gets at {}", path.display())).alone(),
        Some(who) => Finding::problem(
            format!("{who} can get at {}", path.display()),
            why,
            format!("chown root:root {0} && chmod {mode} {0}", path.display()),
        )
        .alone(),
    }
}

fn hinge(facts: &Facts) -> Judged {
    let missing = Finding::problem(
        "the hinge's socket is not there",
        "no container with a GPU can start",
        "systemctl restart ds01d; containers run on",
    );
    let missing = facts.own.answers.is_ok().then_some(missing);
    closed(
        facts,
        &facts.own.hinge,
        Want::Write,
        missing,
        "who asks there learns what others were granted",
        "0600",
    )
}

fn receipts(facts: &Facts) -> Judged {
    closed(
        facts,
        &facts.own.receipts,
        Want::Write,
        None,
        "who writes there claims GPUs after a crash",
        "0700",
    )
}

fn ledger(facts: &Facts) -> Judged {
    let missing = Finding::problem(
        "there is no ledger where the configuration has it",
        "who holds what is not kept over a restart",
        "is it `paths.state` in ds01.yaml that has changed? Put the ledger there, then start ds01d",
    );
    let missing = facts.own.answers.is_ok().then_some(missing);
    closed(facts, &facts.own.ledger, Want::Read, missing, "it holds what people asked for", "0600")
}

fn units(facts: &Facts) -> Judged {
    let machine = match &facts.own.machine {
        Ok(machine) => machine,
        Err(Unseen::NeedsRoot) => return Err(Unseen::NeedsRoot),
        Err(Unseen::Because(why)) => return because(why.as_str()),
    };
    let mut findings: Vec<Finding> = (machine.problems.iter())
        .map(|problem| {
            Finding::warning(problem.as_str(), "what cannot be seen is not granted", "gpu-status; dmesg")
        })
        .collect();
    for unit in machine.cards.iter().flat_map(|card| &card.units) {
        findings.extend(unit.ungranted.iter().map(|process| ungranted(&unit.unit.address, process)));
        let (what, fix) = match unit.health {
            Health::Available => continue,
            // Said by name.
            Health::Dirty if !unit.ungranted.is_empty() => continue,
            Health::Dirty => ("is in use by a program that DS01 did not start", "nvidia-smi shows which"),
            Health::Draining => {
                ("still runs what has ended", "it is looked at every few seconds; gpu-status")
            }
            Health::Lost => ("is lost", "dmesg says why; a reboot brings it back"),
        };
        findings.push(Finding::warning(
            format!("GPU {} {what}", unit.unit.address),
            "it is lent to nobody meanwhile",
            fix,
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(match machine.total_units {
            0 => "ds01d sees no GPU".to_owned(),
            total => format!("ds01d sees {}, all in order", count(total as usize, "GPU unit")),
        }));
    }
    Ok(findings)
}

fn ungranted(address: &str, process: &Process) -> Finding {
    let Process { pid, name, user, container } = process;
    let whose = match container {
        Some(container) => format!("of {container}, which was not granted it"),
        None => format!("of {user}, outside of DS01"),
    };
    Finding::warning(
        format!("GPU {address} is used by process {pid} ({name}) {whose}"),
        "who is granted it shares it with that: its memory may be full and its work slow",
        format!("ps -o user,lstart,args -p {pid} tells more; DS01 does not end it"),
    )
}

fn buildkit(facts: &Facts) -> Judged {
    let Some(client) = facts.own.buildkit_clients.first() else {
        return Finding::ok("no client with BuildKit is installed for everybody").alone();
    };
    if facts.own.buildkit_is_off {
        return Finding::ok(format!("{} is told to use the classic builder", client.display())).alone();
    }
    Finding::warning(
        format!("{} builds with BuildKit", client.display()),
        "the door lets only the classic builder in: builds fail until people find out",
        "echo 'export DOCKER_BUILDKIT=0' >/etc/profile.d/ds01.sh",
    )
    .alone()
}
