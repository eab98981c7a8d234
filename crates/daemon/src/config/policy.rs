//! Groups, users and their limits, and whether they can all be true of one machine.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::{Cap, Group, Kind, KindTimes, Mode, Policy, Settings};

use super::limits::{self, Layer};
use super::machine::Machine;
use super::mistake::{Findings, Place, shorten};
use super::read;
use super::units::{self, Bare};
use super::yaml::{Entry, Node};

/// The group of those whom no group claims, where the file names none.
pub(super) const DEFAULT_GROUP: &str = "student";

/// Groups as they are written, before they are settled.
#[derive(Debug, Default)]
pub(super) struct Draft {
    defaults: Layer,
    groups: BTreeMap<String, (Group, Layer)>,
    users: BTreeMap<String, Layer>,
    default_group: Option<(String, Place)>,
    rules: ds01_domain::Rules,
    /// Who is claimed by which group, and where that is written.
    members: BTreeMap<String, (String, Place)>,
    unix_groups: BTreeMap<String, (String, Place)>,
    /// The group that a user's own entry names.
    assigned: Vec<(String, String, Place)>,
    groups_place: Option<Place>,
}

/// The kinds of containers, as files call them.
const KINDS: &[&str] = &["ds01", "devcontainer", "compose", "docker"];

fn kind_times(kind: &Entry, findings: &mut Findings) -> KindTimes {
    let mut layer = Layer::default();
    for entry in read::map(&kind.value, &kind.key, findings).unwrap_or(&[]) {
        let key = entry.key.trim_end_matches("_h");
        if matches!(key, "idle_timeout" | "max_runtime") && layer.take(entry, findings) {
            continue;
        }
        let reason = format!("`{}` has no effect: a kind of containers has times alone", shorten(&entry.key));
        findings.note(entry.place, reason);
    }
    KindTimes { idle_timeout: layer.settings.idle_timeout, max_runtime: layer.settings.max_runtime }
}

impl Draft {
    /// Reads `defaults`.
    pub(super) fn defaults(&mut self, node: &Node, findings: &mut Findings) {
        for entry in read::map(node, "defaults", findings).unwrap_or(&[]) {
            if !self.defaults.take(entry, findings) {
                read::unknown(entry, "in `defaults`", limits::KEYS, findings);
            }
        }
    }

    /// Reads `start_wait` where it stands by itself: it is everybody's default.
    pub(super) fn start_wait(&mut self, entry: &Entry, findings: &mut Findings) {
        self.defaults.take(entry, findings);
    }

    /// Reads `default_group`.
    pub(super) fn default_group(&mut self, entry: &Entry, findings: &mut Findings) {
        self.default_group = read::word(entry, findings).map(|name| (name, entry.value.place));
    }

    /// Reads `groups`.
    pub(super) fn groups(&mut self, entry: &Entry, findings: &mut Findings) {
        self.groups_place = Some(entry.place);
        for group in read::map(&entry.value, "groups", findings).unwrap_or(&[]) {
            if !read::is_name(&group.key) {
                let problem = format!("`{}` is not a name for a group", shorten(&group.key));
                findings.mistake(group.place, problem);
                continue;
            }
            self.group(group, findings);
        }
    }

    fn group(&mut self, group: &Entry, findings: &mut Findings) {
        let place = format!("in group `{}`", group.key);
        let mut layer = Layer::default();
        let mut keys = vec!["members", "unix_groups"];
        keys.extend(limits::KEYS);
        let mut found = Group::default();
        for entry in read::map(&group.value, &group.key, findings).unwrap_or(&[]) {
            let claims = match entry.key.as_str() {
                "members" => &mut self.members,
                "unix_groups" => &mut self.unix_groups,
                _ if layer.take(entry, findings) => continue,
                _ => {
                    read::unknown(entry, &place, &keys, findings);
                    continue;
                }
            };
            let names = read::names(entry, findings);
            for (name, at) in &names {
                claim(claims, name, &group.key, *at, findings);
            }
            let names = super::sections::plain(names);
            match entry.key.as_str() {
                "members" => found.members = names,
                _ => found.unix_groups = names,
            }
        }
        self.groups.insert(group.key.clone(), (found, layer));
    }

    /// Reads `users`, or `user_overrides`: the same under another name.
    pub(super) fn users(&mut self, section: &Entry, findings: &mut Findings) {
        let mut keys = vec!["group"];
        keys.extend(limits::KEYS);
        for user in read::map(&section.value, &section.key, findings).unwrap_or(&[]) {
            if !read::is_name(&user.key) {
                findings.mistake(user.place, format!("`{}` is not a user's name", shorten(&user.key)));
                continue;
            }
            let place = format!("for user `{}`", user.key);
            let mut layer = Layer::default();
            for entry in read::map(&user.value, &user.key, findings).unwrap_or(&[]) {
                match entry.key.as_str() {
                    "group" => {
                        if let Some(group) = read::word(entry, findings) {
                            self.assigned.push((user.key.clone(), group, entry.value.place));
                        }
                    }
                    _ if layer.take(entry, findings) => {}
                    _ => read::unknown(entry, &place, &keys, findings),
                }
            }
            if self.users.insert(user.key.clone(), layer).is_some() {
                let problem = format!("{} stands in `users` and in `user_overrides`; keep one", user.key);
                findings.mistake(user.place, problem);
            }
        }
    }

    /// Reads `lifecycle`.
    pub(super) fn lifecycle(&mut self, entry: &Entry, findings: &mut Findings) {
        self.rules.mode = read::one(entry, findings, |text| match text {
            "enforce" => Ok(Mode::Enforce),
            "observe" => Ok(Mode::Observe),
            other => Err(format!("{other} is neither `enforce` nor `observe`")),
        });
    }

    /// Reads `container_types`.
    pub(super) fn kinds(&mut self, node: &Node, findings: &mut Findings) {
        for kind in read::map(node, "container_types", findings).unwrap_or(&[]) {
            let of = match kind.key.as_str() {
                "ds01" => Kind::Ds01,
                "devcontainer" => Kind::DevContainer,
                "compose" => Kind::Compose,
                "docker" => Kind::Docker,
                _ => {
                    read::unknown(kind, "in `container_types`", KINDS, findings);
                    continue;
                }
            };
            let times = kind_times(kind, findings);
            self.rules.kinds.insert(of, times);
        }
    }

    /// Reads `policies`.
    pub(super) fn policies(&mut self, node: &Node, findings: &mut Findings) {
        for entry in read::map(node, "policies", findings).unwrap_or(&[]) {
            match entry.key.as_str() {
                "usage_half_life" => {
                    let read = |text: &str| match units::span(text, Bare::Refused)? {
                        span if span.as_secs() < 60 => Err(format!("{text} is less than a minute")),
                        span => Ok(span),
                    };
                    let span = read::one(entry, findings, read);
                    self.rules.usage_half_life = span.unwrap_or(self.rules.usage_half_life);
                }
                "overtakes_max" => {
                    let count = read::one(entry, findings, units::count).and_then(|n| u32::try_from(n).ok());
                    self.rules.overtakes_max = count.unwrap_or(self.rules.overtakes_max);
                }
                "sigterm_grace_seconds" => {
                    let seconds = read::one(entry, findings, units::count);
                    self.rules.stop_grace = seconds.map_or(self.rules.stop_grace, Duration::from_secs);
                }
                "stop_ungranted_after" => {
                    self.rules.stop_ungranted_after =
                        read::one(entry, findings, |text| units::span(text, Bare::Refused));
                }
                "high_demand" => self.high_demand(entry, findings),
                key if POLICIES_WITHOUT_EFFECT.contains(&key) => {
                    findings.note(entry.place, format!("policies: `{key}` has no effect in this version"));
                }
                _ => read::unknown(
                    entry,
                    "in `policies`",
                    &[
                        "usage_half_life",
                        "overtakes_max",
                        "sigterm_grace_seconds",
                        "high_demand",
                        "stop_ungranted_after",
                    ],
                    findings,
                ),
            }
        }
    }

    /// Reads `policies.high_demand`; `null` is what goes without saying.
    fn high_demand(&mut self, entry: &Entry, findings: &mut Findings) {
        for entry in read::map(&entry.value, "high_demand", findings).unwrap_or(&[]) {
            if entry.key != "idle_timeout_factor" {
                read::unknown(entry, "in `high_demand`", &["idle_timeout_factor"], findings);
                continue;
            }
            let factor = read::one(entry, findings, units::factor);
            // All of the time is what everybody has anyway.
            self.rules.hurried_milli = factor.filter(|milli| *milli < 1000);
        }
    }

    /// Puts everything together, and says what cannot be.
    pub(super) fn finish(mut self, machine: &Machine, findings: &mut Findings) -> Policy {
        self.assign(findings);
        let default_group = self.settle_default_group(findings);
        let finish = |layer: Layer| layer.finish();
        self.defaults = finish(self.defaults);
        self.groups = self.groups.into_iter().map(|(name, (group, l))| (name, (group, finish(l)))).collect();
        self.users = self.users.into_iter().map(|(name, layer)| (name, finish(layer))).collect();
        let groups = self.groups.values().map(|(_, layer)| layer);
        for layer in groups.chain(self.users.values()).chain([&self.defaults]) {
            against_machine(layer, machine, findings);
        }
        against_itself(&self.defaults, None, findings);
        for (_, layer) in self.groups.values() {
            against_itself(layer, Some(&self.defaults), findings);
        }
        let groups = self
            .groups
            .into_iter()
            .map(|(name, (group, layer))| (name, Group { settings: layer.settings, ..group }));
        Policy {
            defaults: self.defaults.settings,
            default_group,
            groups: groups.collect(),
            users: self.users.into_iter().map(|(name, layer)| (name, layer.settings)).collect(),
            rules: self.rules,
        }
    }

    /// A user's own `group:` makes him a member.
    fn assign(&mut self, findings: &mut Findings) {
        for (user, group, place) in std::mem::take(&mut self.assigned) {
            match self.groups.get_mut(&group) {
                None => findings.mistake(place, unknown_group(&group, self.groups.keys())),
                Some((found, _)) => {
                    if found.members.contains(&user) {
                        continue;
                    }
                    claim(&mut self.members, &user, &group, place, findings);
                    found.members.push(user);
                }
            }
        }
    }

    fn settle_default_group(&self, findings: &mut Findings) -> String {
        match (&self.default_group, self.groups_place) {
            (Some((name, place)), Some(_)) if !self.groups.contains_key(name) => {
                findings
                    .mistake(*place, format!("default_group: {}", unknown_group(name, self.groups.keys())));
            }
            (None, Some(place)) if !self.groups.is_empty() && !self.groups.contains_key(DEFAULT_GROUP) => {
                let names: Vec<&str> = self.groups.keys().map(String::as_str).collect();
                let problem = format!(
                    "default_group is missing; say which of these people belong to whom no group lists: {}",
                    names.join(", ")
                );
                findings.mistake(place, problem);
            }
            _ => {}
        }
        self.default_group.as_ref().map_or_else(|| DEFAULT_GROUP.to_owned(), |(name, _)| name.clone())
    }
}

const POLICIES_WITHOUT_EFFECT: &[&str] = &[
    "high_demand_threshold",
    "high_demand_idle_reduction",
    "gpu_idle_threshold",
    "cpu_idle_threshold",
    "network_idle_threshold",
    "idle_detection_window",
    "grace_period",
    "keepalive_max_duration",
    "gpu_hold_after_manual_stop",
    "created_container_timeout",
    "auto_stop_idle",
    "checkpoint_warning",
    "require_workspace_mount",
    "enforce_storage_quotas",
    "soft_limit_threshold",
    "graceful_errors",
    "suggest_alternatives",
    "max_containers_per_user",
];

fn claim(
    claims: &mut BTreeMap<String, (String, Place)>,
    name: &str,
    group: &str,
    place: Place,
    findings: &mut Findings,
) {
    match claims.get(name) {
        Some((other, at)) if other != group => {
            let line = at.line;
            findings.mistake(
                place,
                format!("{name} is in group `{other}` already (line {line}); a person is in one"),
            );
        }
        _ => {
            claims.insert(name.to_owned(), (group.to_owned(), place));
        }
    }
}

fn unknown_group<'a>(name: &str, groups: impl Iterator<Item = &'a String>) -> String {
    let groups: Vec<&str> = groups.map(String::as_str).collect();
    let instead = match read::nearest(name, &groups) {
        Some(near) => format!("did you mean `{near}`?"),
        None if groups.is_empty() => "`groups` has none".to_owned(),
        None => format!("there are {}", groups.join(", ")),
    };
    format!("there is no group `{}`; {instead}", shorten(name))
}

/// Quotas that the machine could never fill: a slip, or a file for another machine. Either is better known.
fn against_machine(layer: &Layer, machine: &Machine, findings: &mut Findings) {
    let (units, cards) = machine.size();
    if units == 0 {
        return;
    }
    let place = |key: &str| layer.places.get(key).cloned().unwrap_or_default();
    if let Some(Cap::At(slots)) = layer.settings.max_gpu_slots_per_container
        && usize::try_from(slots).is_ok_and(|slots| slots > units)
    {
        let (key, at) = place("max_gpu_slots_per_container");
        let problem = format!(
            "{key}: {slots} is more than the machine's {units} units; write {units}, or null for no limit"
        );
        findings.mistake(at, problem);
    }
    if let Some(Cap::At(quota)) = layer.settings.max_gpu_equivalents
        && u64::from(quota.as_milli()) > 1000 * u64::try_from(cards).unwrap_or(u64::MAX)
    {
        let (key, at) = place("max_gpu_equivalents");
        let s = if cards == 1 { "" } else { "s" };
        let problem = format!(
            "{key}: {quota} is more than the machine's {cards} card{s}; write {cards}, or null for no limit"
        );
        findings.mistake(at, problem);
    }
}

/// Limits that contradict one another once a group's keys and the defaults are laid together.
fn against_itself(layer: &Layer, below: Option<&Layer>, findings: &mut Findings) {
    for (index, (small, large, amount, show)) in PAIRS.into_iter().enumerate() {
        let look = |key: &str| {
            let here = layer.places.get(key).map(|place| (layer, place));
            here.or_else(|| below.and_then(|below| below.places.get(key).map(|place| (below, place))))
        };
        let (Some((a, (small_key, small_at))), Some((b, (large_key, large_at)))) = (look(small), look(large))
        else {
            continue;
        };
        // Both in the defaults: reported there, once.
        let here = |key: &str| layer.places.contains_key(key);
        if !here(small) && !here(large) {
            continue;
        }
        let (Some(Cap::At(low)), Some(Cap::At(high))) = (amount(&a.settings).0, amount(&b.settings).1) else {
            continue;
        };
        if low > high {
            let scope = if large.starts_with("aggregate.") { "aggregate " } else { "" };
            let (small, large) =
                (format!("{small_key} {}", show(low)), format!("{scope}{large_key} {}", show(high)));
            // Told where the nearer layer says it.
            let (at, problem) = match here(PAIRS[index].1) {
                true => (large_at, format!("{large} is less than {small} (line {})", small_at.line)),
                false => (small_at, format!("{small} is more than {large} (line {})", large_at.line)),
            };
            findings.mistake(*at, problem);
        }
    }
}

type Amounts = fn(&Settings) -> (Option<Cap<u64>>, Option<Cap<u64>>);
type Show = fn(u64) -> String;

/// What must not be larger than what, how both are read, and how they are shown.
const PAIRS: [(&str, &str, Amounts, Show); 4] = [
    ("memory", "memory_swap", |s| (s.memory_bytes, s.memory_swap_bytes), units::show_size),
    ("memory", "aggregate.memory", |s| (s.memory_bytes, s.aggregate_memory_bytes), units::show_size),
    (
        "max_cpus",
        "aggregate.max_cpus",
        |s| (s.max_cpus_milli, s.aggregate_cpus_milli),
        |milli| format!("{} CPUs", units::Weightless(milli)),
    ),
    ("pids_limit", "aggregate.pids_limit", |s| (s.pids_limit, s.aggregate_pids), |n| n.to_string()),
];
