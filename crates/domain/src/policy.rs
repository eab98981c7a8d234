//! The rules of a lab, and the one resolver that says what they mean for a person.
//!
//! Settings are layered: built in, defaults, the person's group, the person; each key on its own. Nothing here
//! reads a file or asks the system who is in a group.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::container::Kind;
use crate::course::Mode;
use crate::demand;
use crate::ids::{Uid, Weight};

/// Somebody who asks, as the door knows him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The Unix user.
    pub uid: Uid,
    /// His login name.
    pub name: String,
    /// The Unix groups that he is in.
    pub unix_groups: Vec<String>,
    /// Whether the lab calls him an administrator: no quota, but units stay exclusive.
    pub admin: bool,
}

/// Everything that a lab decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// For everybody, unless a group or a user says otherwise.
    pub defaults: Settings,
    /// The group of those whom no group claims; it need not be in `groups`.
    pub default_group: String,
    /// By name.
    pub groups: BTreeMap<String, Group>,
    /// For one user, by login name.
    pub users: BTreeMap<String, Settings>,
    /// For the machine as a whole.
    pub rules: Rules,
}

/// Some people and what holds for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Login names.
    pub members: Vec<String>,
    /// Unix groups whose members belong to it.
    pub unix_groups: Vec<String>,
    /// What holds for them.
    pub settings: Settings,
}

/// A ceiling that can be taken away on purpose, which is not the same as being left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cap<T> {
    /// No ceiling.
    Unlimited,
    /// This much and no more.
    At(T),
}

impl<T> Cap<T> {
    /// The ceiling, if there is one.
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Unlimited => None,
            Self::At(value) => Some(value),
        }
    }
}

/// What root means inside a person's containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Root inside, the person outside: programs can be installed in a running container.
    #[default]
    Lab,
    /// Nobody inside but the person, without a way to any other right.
    Strict,
}

/// One layer of settings: an absent key inherits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Weight of all units that one user holds at a time.
    pub max_gpu_equivalents: Option<Cap<Weight>>,
    /// Units in one container.
    pub max_gpu_slots_per_container: Option<Cap<u32>>,
    /// Running containers of one user.
    pub max_containers_per_user: Option<Cap<u32>>,
    /// Whether whole cards may be taken.
    pub allow_full_gpu: Option<bool>,
    /// Place in the line: higher goes first.
    pub priority: Option<i32>,
    /// CPUs of one container, in thousandths.
    pub max_cpus_milli: Option<Cap<u64>>,
    /// Memory of one container.
    pub memory_bytes: Option<Cap<u64>>,
    /// Memory and swap of one container.
    pub memory_swap_bytes: Option<Cap<u64>>,
    /// Shared memory of one container.
    pub shm_bytes: Option<Cap<u64>>,
    /// Processes and threads of one container.
    pub pids_limit: Option<Cap<u64>>,
    /// Idle time after which a GPU container is stopped.
    pub idle_timeout: Option<Cap<Duration>>,
    /// Running time, summed over restarts, after which a GPU container is stopped.
    pub max_runtime: Option<Cap<Duration>>,
    /// How long a stopped container's units are given to others last.
    pub gpu_hold_after_stop: Option<Duration>,
    /// How long a stopped GPU container is kept.
    pub container_hold_after_stop: Option<Cap<Duration>>,
    /// How long idleness may be passed over for one user's containers, in seven days.
    pub keep_budget: Option<Cap<Duration>>,
    /// How long a start waits in line.
    pub start_wait: Option<Duration>,
    /// CPUs of all containers of one user, in thousandths.
    pub aggregate_cpus_milli: Option<Cap<u64>>,
    /// Memory of all containers of one user.
    pub aggregate_memory_bytes: Option<Cap<u64>>,
    /// Processes and threads of all containers of one user.
    pub aggregate_pids: Option<Cap<u64>>,
    /// What root means inside.
    pub profile: Option<Profile>,
    /// Whether containers may be on the host's own network.
    pub host_network: Option<bool>,
}

/// Ceilings for all containers of one user together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aggregate {
    /// CPUs, in thousandths.
    pub cpus_milli: Option<u64>,
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// What holds for the machine as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Time in which past use counts half in the order of the line.
    pub usage_half_life: Duration,
    /// How many later waiters may take units that an earlier one could have used, before they are held back.
    pub overtakes_max: u32,
    /// Whether stops are carried out; `None` leaves it to how long the lab has been there.
    pub mode: Option<Mode>,
    /// Times that hold for a kind of container, whoever made it.
    pub kinds: BTreeMap<Kind, KindTimes>,
    /// How long a container has to end by itself before it is killed.
    pub stop_grace: Duration,
    /// What part of its idle timeout, in thousandths, a container has while somebody waits for a unit that it holds;
    /// `None` is all of it.
    pub hurried_milli: Option<u32>,
    /// How long a program of a container may compute on a unit that the container was not granted, until the container is
    /// stopped; `None` is for ever.
    pub stop_ungranted_after: Option<Duration>,
}

/// Times of one kind of container; what is absent is the group's, or built in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindTimes {
    /// Idle time after which it is stopped.
    pub idle_timeout: Option<Cap<Duration>>,
    /// Running time, summed over restarts, after which it is stopped.
    pub max_runtime: Option<Cap<Duration>>,
}

/// How long a container may be idle, and run; `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLimits {
    /// Idle time after which it is stopped.
    pub idle_timeout: Option<Duration>,
    /// Running time, summed over restarts, after which it is stopped.
    pub max_runtime: Option<Duration>,
}

impl TimeLimits {
    /// The longer of each: for somebody of whom it is not known which hold.
    #[must_use]
    pub fn or_longer(self, other: Self) -> Self {
        let longer =
            |one: Option<Duration>, two: Option<Duration>| one.zip(two).map(|(one, two)| one.max(two));
        Self {
            idle_timeout: longer(self.idle_timeout, other.idle_timeout),
            max_runtime: longer(self.max_runtime, other.max_runtime),
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            usage_half_life: Duration::from_secs(24 * HOUR),
            overtakes_max: 8,
            mode: None,
            kinds: BTreeMap::new(),
            stop_grace: STOP_GRACE,
            hurried_milli: None,
            stop_ungranted_after: None,
        }
    }
}

/// Where a limit comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody said anything.
    BuiltIn,
    /// The lab's defaults.
    Defaults,
    /// The settings of this group.
    Group(String),
    /// The settings of this user.
    User(String),
    /// What holds for containers of this kind.
    Kind(Kind),
    /// He is an administrator.
    Admin,
}

/// What the rules mean for one person; `None` is unlimited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The group that he counts as.
    pub group: String,
    /// Weight of all units that he holds at a time.
    pub max_gpu_equivalents: Option<Weight>,
    /// Units in one container.
    pub max_gpu_slots_per_container: Option<u32>,
    /// Running containers.
    pub max_containers_per_user: Option<u32>,
    /// Whether whole cards may be taken.
    pub allow_full_gpu: bool,
    /// Place in the line: higher goes first.
    pub priority: i32,
    /// CPUs of one container, in thousandths.
    pub max_cpus_milli: Option<u64>,
    /// Memory of one container.
    pub memory_bytes: Option<u64>,
    /// Memory and swap of one container.
    pub memory_swap_bytes: Option<u64>,
    /// Shared memory of one container.
    pub shm_bytes: Option<u64>,
    /// Processes and threads of one container.
    pub pids_limit: Option<u64>,
    /// Idle time after which a GPU container is stopped.
    pub idle_timeout: Option<Duration>,
    /// Running time, summed over restarts, after which a GPU container is stopped.
    pub max_runtime: Option<Duration>,
    /// How long a stopped container's units are given to others last.
    pub gpu_hold_after_stop: Duration,
    /// How long a stopped GPU container is kept.
    pub container_hold_after_stop: Option<Duration>,
    /// How long idleness may be passed over for his containers, in seven days.
    pub keep_budget: Option<Duration>,
    /// How long a start waits in line.
    pub start_wait: Duration,
    /// Ceilings for all his containers together.
    pub aggregate: Aggregate,
    /// What root means inside.
    pub profile: Profile,
    /// Whether containers may be on the host's own network.
    pub host_network: bool,
    /// Whence each key comes, by its configuration name.
    pub sources: BTreeMap<&'static str, Source>,
}

impl Limits {
    /// Where the value of this key comes from.
    #[must_use]
    pub fn source(&self, key: &str) -> &Source {
        self.sources.get(key).unwrap_or(&Source::BuiltIn)
    }
}

const HOUR: u64 = 60 * 60;
/// Use that a lab without rules allows: two cards, so that one user cannot take a big machine.
const BUILT_IN_EQUIVALENTS: Weight = Weight::from_milli(2000);
const BUILT_IN_SLOTS: u32 = 2;
const BUILT_IN_CONTAINERS: u32 = 20;
const BUILT_IN_PIDS: u64 = 4096;
const BUILT_IN_IDLE: Duration = Duration::from_secs(HOUR / 2);
const BUILT_IN_RUNTIME: Duration = Duration::from_secs(48 * HOUR);
/// How long a stopped container's units are given to others last, unless the lab says otherwise.
pub const GPU_HOLD_AFTER_STOP: Duration = Duration::from_secs(HOUR / 4);
/// The documented longest runs of containers that DS01 did not make.
const RUNTIME_DEV_CONTAINER: Duration = Duration::from_secs(7 * 24 * HOUR);
const RUNTIME_COMPOSE: Duration = Duration::from_secs(3 * 24 * HOUR);
const RUNTIME_DOCKER: Duration = Duration::from_secs(2 * 24 * HOUR);
/// Time for a last checkpoint.
const STOP_GRACE: Duration = Duration::from_secs(60);
/// A day in a week: a weekend's notebook, and no way round the clock.
const BUILT_IN_KEEP: Duration = Duration::from_secs(24 * HOUR);
const BUILT_IN_CONTAINER_HOLD: Duration = Duration::from_secs(24 * HOUR);
/// How long a start waits in line, unless the lab says otherwise: the documented three minutes.
pub const START_WAIT: Duration = Duration::from_secs(180);

impl Policy {
    /// What holds for this person.
    #[must_use]
    pub fn resolve(&self, person: &Person) -> Limits {
        let group = self.group_of(person);
        let mut layers = Layers { from: Vec::new(), sources: BTreeMap::new(), admin: person.admin };
        if let Some(user) = self.users.get(&person.name) {
            layers.from.push((user, Source::User(person.name.clone())));
        }
        if let Some(settings) = self.groups.get(&group).map(|g| &g.settings) {
            layers.from.push((settings, Source::Group(group.clone())));
        }
        layers.from.push((&self.defaults, Source::Defaults));
        let hold = Cap::At(BUILT_IN_CONTAINER_HOLD);
        Limits {
            group,
            max_gpu_equivalents: layers
                .quota("max_gpu_equivalents", Cap::At(BUILT_IN_EQUIVALENTS), |s| s.max_gpu_equivalents),
            max_gpu_slots_per_container: layers.quota(
                "max_gpu_slots_per_container",
                Cap::At(BUILT_IN_SLOTS),
                |s| s.max_gpu_slots_per_container,
            ),
            max_containers_per_user: layers.quota(
                "max_containers_per_user",
                Cap::At(BUILT_IN_CONTAINERS),
                |s| s.max_containers_per_user,
            ),
            allow_full_gpu: layers.free("allow_full_gpu", true, true, |s| s.allow_full_gpu),
            priority: layers.take("priority", 0, |s| s.priority),
            max_cpus_milli: layers.quota("max_cpus", Cap::Unlimited, |s| s.max_cpus_milli),
            memory_bytes: layers.quota("memory", Cap::Unlimited, |s| s.memory_bytes),
            memory_swap_bytes: layers.quota("memory_swap", Cap::Unlimited, |s| s.memory_swap_bytes),
            shm_bytes: layers.quota("shm_size", Cap::Unlimited, |s| s.shm_bytes),
            pids_limit: layers.quota("pids_limit", Cap::At(BUILT_IN_PIDS), |s| s.pids_limit),
            idle_timeout: layers
                .take("idle_timeout_h", Cap::At(BUILT_IN_IDLE), |s| s.idle_timeout)
                .into_option(),
            max_runtime: layers
                .take("max_runtime_h", Cap::At(BUILT_IN_RUNTIME), |s| s.max_runtime)
                .into_option(),
            gpu_hold_after_stop: layers
                .take("gpu_hold_after_stop_h", GPU_HOLD_AFTER_STOP, |s| s.gpu_hold_after_stop),
            container_hold_after_stop: layers
                .take("container_hold_after_stop_h", hold, |s| s.container_hold_after_stop)
                .into_option(),
            keep_budget: layers.quota("keep_budget_h", Cap::At(BUILT_IN_KEEP), |s| s.keep_budget),
            start_wait: layers.take("start_wait", START_WAIT, |s| s.start_wait),
            aggregate: Aggregate {
                cpus_milli: layers.quota("aggregate.max_cpus", Cap::Unlimited, |s| s.aggregate_cpus_milli),
                memory_bytes: layers.quota("aggregate.memory", Cap::Unlimited, |s| s.aggregate_memory_bytes),
                pids: layers.quota("aggregate.pids_limit", Cap::Unlimited, |s| s.aggregate_pids),
            },
            profile: layers.free("profile", Profile::Lab, Profile::Lab, |s| s.profile),
            host_network: layers.free("host_network", true, false, |s| s.host_network),
            sources: layers.sources,
        }
    }

    /// How long a container of this kind may be idle, and run, for somebody whom these limits hold for.
    #[must_use]
    pub fn times(&self, limits: &Limits, kind: Kind) -> TimeLimits {
        let own = self.rules.kinds.get(&kind).copied().unwrap_or_default();
        let built_in = match kind {
            Kind::Infrastructure => return TimeLimits::default(),
            Kind::Ds01 => limits.max_runtime,
            // Whom nothing bounds is not bounded by a kind that nobody wrote about.
            _ if limits.max_runtime.is_none() => None,
            Kind::DevContainer => Some(RUNTIME_DEV_CONTAINER),
            Kind::Compose => Some(RUNTIME_COMPOSE),
            Kind::Docker => Some(RUNTIME_DOCKER),
        };
        TimeLimits {
            idle_timeout: own.idle_timeout.map_or(limits.idle_timeout, Cap::into_option),
            max_runtime: own.max_runtime.map_or(built_in, Cap::into_option),
        }
    }

    /// Everybody that somebody can be of whom only the name is known, because the directory of users does not answer: in
    /// no Unix group, or in any one that a group of the lab's claims. Who is in several counts as one of these.
    #[must_use]
    pub fn who_it_may_be(&self, uid: Uid, name: &str) -> Vec<Person> {
        let claimed = self.groups.values().flat_map(|group| &group.unix_groups);
        std::iter::once(Vec::new())
            .chain(claimed.map(|unix_group| vec![unix_group.clone()]))
            .map(|unix_groups| Person { uid, name: name.to_owned(), unix_groups, admin: false })
            .collect()
    }

    /// The idle time that holds instead of this one while somebody waits for what a container holds, where the lab has
    /// set one.
    #[must_use]
    pub fn hurried(&self, idle_timeout: Duration) -> Option<Duration> {
        self.rules.hurried_milli.map(|milli| demand::shortened(idle_timeout, milli))
    }

    /// Where [`Policy::times`] has the times of a kind from: the idle timeout, and the longest run.
    #[must_use]
    pub fn sources_of_times(&self, limits: &Limits, kind: Kind) -> (Source, Source) {
        let own = self.rules.kinds.get(&kind).copied().unwrap_or_default();
        let idle = match own.idle_timeout {
            Some(_) => Source::Kind(kind),
            None => limits.source("idle_timeout_h").clone(),
        };
        let runtime = match own.max_runtime {
            Some(_) => Source::Kind(kind),
            None if kind == Kind::Ds01 || limits.max_runtime.is_none() => {
                limits.source("max_runtime_h").clone()
            }
            None => Source::BuiltIn,
        };
        (idle, runtime)
    }

    /// The group that a person counts as: one that lists him by name, else one that claims a Unix group of his,
    /// else the default. Where several do, the one with the highest priority, then the first by name.
    #[must_use]
    pub fn group_of(&self, person: &Person) -> String {
        let best = |claims: &dyn Fn(&Group) -> bool| {
            self.groups
                .iter()
                .filter(|(_, group)| claims(group))
                .min_by_key(|(name, group)| (-i64::from(group.settings.priority.unwrap_or(0)), *name))
                .map(|(name, _)| name.clone())
        };
        best(&|group| group.members.contains(&person.name))
            .or_else(|| best(&|group| group.unix_groups.iter().any(|g| person.unix_groups.contains(g))))
            .unwrap_or_else(|| self.default_group.clone())
    }
}

/// The layers that concern one person, the nearest first.
struct Layers<'a> {
    from: Vec<(&'a Settings, Source)>,
    sources: BTreeMap<&'static str, Source>,
    admin: bool,
}

impl Layers<'_> {
    /// The nearest layer's value of a key, and a note whence it came.
    fn take<T>(&mut self, key: &'static str, built_in: T, read: impl Fn(&Settings) -> Option<T>) -> T {
        let found = self.from.iter().find_map(|(settings, source)| Some((read(settings)?, source.clone())));
        let (value, source) = found.unwrap_or((built_in, Source::BuiltIn));
        self.sources.insert(key, source);
        value
    }

    /// A ceiling that administrators do not have.
    fn quota<T>(
        &mut self,
        key: &'static str,
        built_in: Cap<T>,
        read: impl Fn(&Settings) -> Option<Cap<T>>,
    ) -> Option<T> {
        if self.admin {
            self.sources.insert(key, Source::Admin);
            return None;
        }
        self.take(key, built_in, read).into_option()
    }

    /// A restriction that does not hold for administrators: they have `all`.
    fn free<T>(
        &mut self,
        key: &'static str,
        all: T,
        built_in: T,
        read: impl Fn(&Settings) -> Option<T>,
    ) -> T {
        if self.admin {
            self.sources.insert(key, Source::Admin);
            return all;
        }
        self.take(key, built_in, read)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn person(name: &str, unix_groups: &[&str]) -> Person {
        let unix_groups = unix_groups.iter().map(|&group| group.to_owned()).collect();
        Person { uid: Uid(1000), name: name.to_owned(), unix_groups, admin: false }
    }

    fn group(members: &[&str], unix_groups: &[&str], settings: Settings) -> Group {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Group { members: owned(members), unix_groups: owned(unix_groups), settings }
    }

    fn lab() -> Policy {
        let cards = |milli| Some(Cap::At(Weight::from_milli(milli)));
        let student = Settings { max_gpu_equivalents: cards(1000), ..Settings::default() };
        let staff =
            Settings { max_gpu_equivalents: Some(Cap::Unlimited), priority: Some(10), ..Settings::default() };
        let wait = Some(Duration::from_secs(60));
        Policy {
            defaults: Settings { max_gpu_equivalents: cards(500), start_wait: wait, ..Settings::default() },
            default_group: "student".to_owned(),
            groups: BTreeMap::from([
                ("student".to_owned(), group(&[], &["students"], student)),
                ("staff".to_owned(), group(&["prof"], &["staff"], staff)),
            ]),
            users: BTreeMap::from([(
                "alice".to_owned(),
                Settings { max_gpu_equivalents: cards(3000), ..Settings::default() },
            )]),
            rules: Rules::default(),
        }
    }

    #[test]
    fn each_key_comes_from_the_nearest_layer_and_says_which() {
        let limits = lab().resolve(&person("alice", &["students"]));
        assert_eq!(limits.max_gpu_equivalents, Some(Weight::from_milli(3000)));
        assert_eq!(*limits.source("max_gpu_equivalents"), Source::User("alice".to_owned()));
        assert_eq!(limits.start_wait, Duration::from_secs(60));
        assert_eq!(*limits.source("start_wait"), Source::Defaults);
        assert_eq!(limits.priority, 0);
        assert_eq!(*limits.source("priority"), Source::BuiltIn);
        assert_eq!(lab().resolve(&person("bob", &[])).max_gpu_equivalents, Some(Weight::CARD));
    }

    #[test]
    fn unlimited_is_not_the_same_as_left_out() {
        let limits = lab().resolve(&person("prof", &[]));
        assert_eq!(limits.max_gpu_equivalents, None);
        assert_eq!(*limits.source("max_gpu_equivalents"), Source::Group("staff".to_owned()));
    }

    #[test]
    fn names_claim_before_unix_groups_and_higher_priority_before_lower() {
        assert_eq!(lab().group_of(&person("prof", &["students"])), "staff");
        assert_eq!(lab().group_of(&person("eve", &["students", "staff"])), "staff");
        assert_eq!(lab().group_of(&person("eve", &["students"])), "student");
        assert_eq!(lab().group_of(&person("eve", &["guests"])), "student");
    }

    #[test]
    fn somebody_unknown_may_be_in_any_group_that_claims_a_unix_group_unless_his_name_is_claimed() {
        let mut lab = lab();
        // Whoever is in both is of the staff; in the other alone he is not.
        lab.groups.insert("guest".to_owned(), group(&[], &["staff", "visitors"], Settings::default()));
        let may_be = |name: &str| -> BTreeSet<String> {
            lab.who_it_may_be(Uid(1000), name).iter().map(|person| lab.group_of(person)).collect()
        };
        assert_eq!(may_be("eve"), BTreeSet::from(["guest", "staff", "student"].map(str::to_owned)));
        assert_eq!(may_be("prof"), BTreeSet::from(["staff".to_owned()]));
    }

    #[test]
    fn the_longer_of_two_times_is_for_ever_if_one_is() {
        let hours = |idle: Option<u64>, run: Option<u64>| TimeLimits {
            idle_timeout: idle.map(|hours| Duration::from_secs(hours * HOUR)),
            max_runtime: run.map(|hours| Duration::from_secs(hours * HOUR)),
        };
        assert_eq!(hours(Some(1), Some(9)).or_longer(hours(Some(2), Some(8))), hours(Some(2), Some(9)));
        assert_eq!(hours(Some(1), None).or_longer(hours(None, Some(8))), hours(None, None));
    }

    #[test]
    fn an_administrator_has_no_quota() {
        let limits = lab().resolve(&Person { admin: true, ..person("root", &[]) });
        assert_eq!(limits.max_gpu_equivalents, None);
        assert_eq!(limits.max_containers_per_user, None);
        assert!(limits.allow_full_gpu);
        assert_eq!(*limits.source("max_gpu_equivalents"), Source::Admin);
    }
}
