//! The compose files of a dev container: what its services would run into, and the smallest change that makes them permanent
//! and allowed.
//!
//! It must never change a line on which something stands that nothing is wrong with.

use std::ops::RangeInclusive;

use super::arguments::{Argument, Fault, capability, judge, port, privileged, security, source_of};
use super::check::{Effect, Finding, Reader};
use super::yaml::{self, Node};

/// More changes than a file has lines would be going in circles.
const CHANGES_MAX: usize = 1000;
/// Where a service asks for GPUs.
const DEVICES: [&str; 4] = ["deploy", "resources", "reservations", "devices"];

/// A compose file, and who is asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compose<'a> {
    /// What people call the file.
    pub(crate) name: &'a str,
    /// The service in which people work.
    pub(crate) own: Option<&'a str>,
    /// The services that are started; none: all of them.
    pub(crate) started: Option<&'a [String]>,
}

struct Problem {
    finding: Finding,
    /// The lines that go, if nothing else stands on them.
    lines: Option<RangeInclusive<usize>>,
}

/// What its services would run into. The error says why it cannot be read.
pub(crate) fn check(text: &str, compose: Compose<'_>, reader: &Reader<'_>) -> Result<Vec<Finding>, String> {
    Ok(problems(text, compose, reader)?.into_iter().map(|problem| problem.finding).collect())
}

/// The file with everything changed that can be, and what was.
pub(crate) fn fix(
    text: &str,
    compose: Compose<'_>,
    reader: &Reader<'_>,
) -> Result<(String, Vec<Finding>), String> {
    let (mut text, mut fixed) = (text.to_owned(), Vec::new());
    for _ in 0..CHANGES_MAX {
        // One at a time: a change moves the lines behind it.
        let next = problems(&text, compose, reader)?.into_iter().find_map(|p| Some((p.finding, p.lines?)));
        let Some((finding, lines)) = next else { break };
        let kept = text.split_inclusive('\n').enumerate().filter(|(at, _)| !lines.contains(&(at + 1)));
        text = kept.map(|(_, line)| line).collect();
        fixed.push(finding);
    }
    Ok((text, fixed))
}

fn problems(text: &str, compose: Compose<'_>, reader: &Reader<'_>) -> Result<Vec<Problem>, String> {
    let root = yaml::parse(text)?;
    let Some(services) = root.get("services") else { return Ok(Vec::new()) };
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (name, service) in services.entries() {
        if compose.started.is_some_and(|started| !started.contains(name)) {
            continue;
        }
        let of = Service { compose, name, service, lines: &lines, reader };
        of.problems(&mut found);
    }
    Ok(found)
}

/// One service, looked at.
struct Service<'a> {
    compose: Compose<'a>,
    name: &'a str,
    service: &'a Node,
    lines: &'a [&'a str],
    reader: &'a Reader<'a>,
}

impl Service<'_> {
    fn problems(&self, found: &mut Vec<Problem>) {
        for (key, value) in self.service.entries() {
            match key.as_str() {
                "deploy" => found.extend(self.reserved()),
                "gpus" => found.extend(self.whole(&[key], self.gpu())),
                "privileged" if value.text() == Some("true") => {
                    found.extend(self.whole(&[key], privileged()));
                }
                "cap_add" => found.extend(self.each(key, value, capability)),
                "security_opt" => found.extend(self.each(key, value, security)),
                "devices" => found.extend(self.each(key, value, |device| {
                    let path = device.split(':').next().unwrap_or_default();
                    self.as_argument("--device", path)
                })),
                "volumes" => found.extend(self.volumes(value)),
                "ports" => found.extend(self.each(key, value, port).map(|mut problem| {
                    // Another port is a person's to choose.
                    problem.lines = None;
                    problem.finding.fixable = false;
                    problem
                })),
                "extends" | "<<" => found.push(self.problem(
                    key,
                    Fault {
                        effect: Effect::Doubtful,
                        why: "a part of it stands elsewhere, and is not looked at here".to_owned(),
                        help: "look whether that asks for a GPU",
                    },
                    None,
                )),
                _ => {
                    let flag = match key.as_str() {
                        "runtime" => "--runtime",
                        "network_mode" => "--network",
                        "pid" => "--pid",
                        "ipc" => "--ipc",
                        "uts" => "--uts",
                        "userns_mode" => "--userns",
                        "cgroup" => "--cgroupns",
                        "volumes_from" => "--volumes-from",
                        _ => continue,
                    };
                    let fault = self.as_argument(flag, value.text().unwrap_or_default());
                    found.extend(fault.and_then(|fault| self.whole(&[key], fault)));
                }
            }
        }
    }

    /// What Docker's own flag of the same meaning comes to.
    fn as_argument(&self, flag: &str, value: &str) -> Option<Fault> {
        let fault = judge(&Argument { flag, value, words: 0..0 }, self.reader)?;
        Some(if fault.effect == Effect::Stopped { self.gpu() } else { fault })
    }

    /// Whatever asks for a GPU.
    fn gpu(&self) -> Fault {
        let fault = Fault::gpu(self.reader);
        if self.compose.own == Some(self.name) || fault.effect != Effect::Stopped {
            return fault;
        }
        Fault {
            why: "asks for a GPU: the container is stopped when that is idle for too long, and after three days"
                .to_owned(),
            ..fault
        }
    }

    /// `deploy.resources.reservations.devices`.
    fn reserved(&self) -> Option<Problem> {
        let devices = DEVICES.iter().try_fold(self.service, |node, key| node.get(key))?;
        let is_gpu = |device: &Node| {
            let named = device.get("capabilities").map(Node::items).unwrap_or_default();
            named.iter().any(|capability| matches!(capability.text(), Some("gpu" | "nvidia")))
        };
        let gpus = devices.items().iter().filter(|device| is_gpu(device)).count();
        if gpus == 0 {
            return None;
        }
        let mut problem = self.whole(&DEVICES, self.gpu())?;
        if gpus < devices.items().len() {
            problem.lines = None;
            problem.finding.fixable = false;
        }
        Some(problem)
    }

    /// A key and all that stands under it; what would be empty then goes with it.
    fn whole(&self, path: &[&str], fault: Fault) -> Option<Problem> {
        let mut outermost = None;
        let mut node = self.service;
        for key in path {
            let alone = node.entries().len() == 1;
            node = node.get(key)?;
            // From the outermost on in which nothing else stands.
            if !alone || outermost.is_none() {
                outermost = Some(node);
            }
        }
        let lines = outermost.and_then(|node| self.lines_of(node, ""));
        Some(self.problem(&path.join("."), fault, lines))
    }

    /// The entries of a list of words. Where all of them are to go, the list does.
    fn each<'s>(
        &'s self,
        key: &'s str,
        list: &'s Node,
        judge: impl Fn(&str) -> Option<Fault> + 's,
    ) -> impl Iterator<Item = Problem> + 's {
        let bad = list.items().iter().filter(|item| item.text().is_some_and(|text| judge(text).is_some()));
        let all = bad.count() == list.items().len();
        list.items().iter().filter_map(move |item| {
            let text = item.text()?;
            let fault = judge(text)?;
            let lines = if all { self.lines_of(list, "") } else { self.lines_of(item, "-") };
            Some(self.problem(&format!("{key}: {text}"), fault, lines))
        })
    }

    fn volumes(&self, list: &Node) -> Vec<Problem> {
        let home =
            |path: &str| path.replace("${HOME}", "${localEnv:HOME}").replace("$HOME", "${localEnv:HOME}");
        let source = |item: &Node| match item.text() {
            Some(text) => text.split(':').next().filter(|source| source.starts_with(['/', '$'])).map(home),
            None if item.get("type").and_then(Node::text) == Some("bind") => item
                .get("source")
                .and_then(Node::text)
                .filter(|source| source.starts_with(['/', '$']))
                .map(home),
            None => None,
        };
        let sources = list.items().iter().filter_map(source);
        let problem = |source: String| {
            let fault = source_of(&source, self.reader)?;
            Some(self.problem(&format!("volumes: {source}"), fault, None))
        };
        sources.filter_map(problem).collect()
    }

    fn problem(&self, at: &str, fault: Fault, lines: Option<RangeInclusive<usize>>) -> Problem {
        let Fault { effect, why, help } = fault;
        let lines = lines.filter(|_| matches!(effect, Effect::Refused | Effect::Stopped));
        let at = format!("{}: {}: {at}", self.compose.name, self.name);
        Problem { finding: Finding { at, effect, why, help, fixable: lines.is_some() }, lines }
    }

    /// The lines of a key, or of an item behind its dash, if nothing else but a comment stands on them.
    fn lines_of(&self, node: &Node, before: &str) -> Option<RangeInclusive<usize>> {
        let line = |at: usize| self.lines.get(at.checked_sub(1)?);
        // A text of several lines ends where the next one begins.
        let last = if node.to.column == 0 { node.to.line.saturating_sub(1) } else { node.to.line };
        let ahead: String = line(node.from.line)?.chars().take(node.from.column).collect();
        let behind: String = match node.to.column {
            0 => String::new(),
            column => line(last)?.chars().skip(column).collect(),
        };
        let behind = behind.trim_start();
        (ahead.trim() == before && (behind.is_empty() || behind.starts_with('#')))
            .then_some(node.from.line..=last.max(node.from.line))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const HERE: Reader<'_> = Reader { home: "/home/alice", directory: "/home/alice/p", exempt: None };

    const FILE: &str = r#"version: "3.8"
services:
  app:   # where I work
    image: python:3.11
    network_mode: host
    volumes:
      - ..:/workspace:cached
      - /srv/data:/data
      - ${HOME}/.cache:/cache
      - {type: bind, source: /etc, target: /x}
    cap_add: [SYS_PTRACE]
    security_opt:
      - seccomp:unconfined
      - apparmor:unconfined   # why not
    # speed
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              count: all
              capabilities: [gpu]
    command: sleep infinity
  worker:
    image: busybox
    privileged: true
    runtime: nvidia
    cap_add: [SYS_ADMIN, SYS_PTRACE]
    devices: [/dev/fuse]
    deploy: {resources: {limits: {cpus: "2"}, reservations: {devices: [{capabilities: [gpu]}]}}}
    ports:
      - "80:80"
      - "8080:80"
  db:
    image: postgres
    gpus: all
"#;

    fn compose<'a>(started: Option<&'a [String]>) -> Compose<'a> {
        Compose { name: "docker-compose.yml", own: Some("app"), started }
    }

    fn told(findings: &[Finding]) -> String {
        let one = |f: &Finding| {
            let by_hand = if f.fixable { "" } else { " (by hand)" };
            format!("{:?} {}{by_hand}\n", f.effect, f.at.strip_prefix("docker-compose.yml: ").unwrap())
        };
        findings.iter().map(one).collect()
    }

    #[test]
    fn every_service_is_looked_at_and_mended_by_whole_lines() {
        let findings = check(FILE, compose(None), &HERE).unwrap();
        expect![[r#"
            Refused app: network_mode
            Doubtful app: volumes: /srv/data (by hand)
            Doubtful app: volumes: /etc (by hand)
            Refused app: security_opt: apparmor:unconfined
            Stopped app: deploy.resources.reservations.devices
            Refused worker: privileged
            Stopped worker: runtime
            Refused worker: cap_add: SYS_ADMIN (by hand)
            Refused worker: devices: /dev/fuse
            Stopped worker: deploy.resources.reservations.devices (by hand)
            Refused worker: ports: 80:80 (by hand)
            Stopped db: gpus
        "#]]
        .assert_eq(&told(&findings));
        let week =
            |name: &str| findings.iter().filter(|f| f.at.contains(name) && f.why.ends_with("a week")).count();
        assert_eq!((week(": app: "), week(": worker: ")), (1, 0), "who works there is in a dev container");
        let (fixed, _) = fix(FILE, compose(None), &HERE).unwrap();
        expect![[r#"
            version: "3.8"
            services:
              app:   # where I work
                image: python:3.11
                volumes:
                  - ..:/workspace:cached
                  - /srv/data:/data
                  - ${HOME}/.cache:/cache
                  - {type: bind, source: /etc, target: /x}
                cap_add: [SYS_PTRACE]
                security_opt:
                  - seccomp:unconfined
                # speed
                command: sleep infinity
              worker:
                image: busybox
                cap_add: [SYS_ADMIN, SYS_PTRACE]
                deploy: {resources: {limits: {cpus: "2"}, reservations: {devices: [{capabilities: [gpu]}]}}}
                ports:
                  - "80:80"
                  - "8080:80"
              db:
                image: postgres
        "#]]
        .assert_eq(&fixed);
        let again = fix(&fixed, compose(None), &HERE).unwrap();
        assert_eq!((again.0, again.1), (fixed, vec![]), "a second time there is nothing to do");
    }

    #[test]
    fn services_that_are_not_started_do_not_matter() {
        let started = ["app".to_owned()];
        let findings = check(FILE, compose(Some(&started)), &HERE).unwrap();
        assert!(findings.iter().all(|finding| finding.at.contains(": app: ")), "{findings:#?}");
        assert!(check("services: [", compose(None), &HERE).is_err());
        assert_eq!(check("services:\n", compose(None), &HERE), Ok(vec![]));
    }

    #[test]
    fn an_exemption_leaves_gpus_where_they_are() {
        let exempt = Reader { exempt: Some("until Tuesday (a paper)"), ..HERE };
        let text = "services:\n  app:\n    gpus: all\n    privileged: true\n";
        let findings = check(text, compose(None), &exempt).unwrap();
        assert_eq!(told(&findings), "Exempt app: gpus (by hand)\nRefused app: privileged\n");
        assert!(findings[0].why.contains("until Tuesday (a paper)"));
        assert_eq!(fix(text, compose(None), &exempt).unwrap().0, "services:\n  app:\n    gpus: all\n");
    }
}
