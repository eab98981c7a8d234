//! Bad files beside what is said about them, and good files beside what they mean.

use std::time::Duration;

use ds01_domain::{Cap, Kind, Mode, Person, Source, Uid, Weight};
use expect_test::{Expect, expect};

use super::*;

fn check(text: &str, expected: &Expect) {
    let (config, mistakes) = check_text(text, "f");
    assert_eq!(config.is_none(), !mistakes.is_empty());
    let said: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    expected.assert_eq(&said.join("\n"));
}

fn good(text: &str) -> Config {
    let (config, mistakes) = check_text(text, "f");
    config.unwrap_or_else(|| panic!("{}", Mistakes(mistakes)))
}

fn person(name: &str, unix_groups: &[&str]) -> Person {
    let unix_groups = unix_groups.iter().map(|group| (*group).to_owned()).collect();
    Person { uid: Uid(20_001), name: name.to_owned(), unix_groups, admin: false }
}

#[test]
fn all_mistakes_are_told_at_once() {
    check(
        "max_cpus: 4\nmashine: none\ndefaults:\n  max_cpu: 16\n  memory: 32x\n  idle_timeout_h: -1\n  max_gpu_equivalents: .inf\n  colour: red\n",
        &expect![[r#"
            f:1:1: unknown key `max_cpus` at the top of the file; it belongs under `defaults`, a group or a user
            f:2:1: unknown key `mashine` at the top of the file; did you mean `machine`?
            f:4:3: unknown key `max_cpu` in `defaults`; did you mean `max_cpus`?
            f:5:11: memory: 32x is not a size; write e.g. 32g (b, k, m, g, t; a bare number is bytes)
            f:6:19: idle_timeout_h: -1 is negative; write null for no limit
            f:7:24: max_gpu_equivalents: .inf is not a number of GPUs; write null for no limit
            f:8:3: unknown key `colour` in `defaults`"#]],
    );
}

#[test]
fn amounts_that_are_none() {
    check(
        "defaults:\n  max_gpu_equivalents: lots\n  max_gpu_slots_per_container: 1.5\n  max_containers_per_user: -3\n  \
         allow_full_gpu: maybe\n  priority: high\n  max_cpus: 1600%\n  memory: 32\n  memory_swap: -1\n  shm_size: 0\n  \
         pids_limit: 010\n",
        &expect![[r#"
            f:2:24: max_gpu_equivalents: lots is not a number of GPUs; write e.g. 2 or 0.5
            f:3:32: max_gpu_slots_per_container: 1.5 is not a whole number
            f:4:28: max_containers_per_user: -3 is negative; write null for no limit
            f:5:19: allow_full_gpu: maybe is neither true nor false
            f:6:13: priority: high is not a whole number from -1000 to 1000
            f:7:13: max_cpus: 1600% is not a number of CPUs; write 16
            f:8:11: memory: 32 (a bare number is bytes) is less than the 6m that the Engine wants; write e.g. 32g
            f:9:16: memory_swap: -1 is negative; write null for no limit
            f:10:13: shm_size: 0 leaves nothing; write null for no limit
            f:11:15: pids_limit: 010 may be read as octal; write 10"#]],
    );
    check(
        "defaults:\n  idle_timeout: 2\n  max_runtime_h: 0\n  gpu_hold_after_stop_h: -15m\n  \
         container_hold_after_stop_h: 1 fortnight\n  start_wait: null\n",
        &expect![[r#"
            f:2:17: idle_timeout: 2 has no unit; write 2s, 2m or 2h
            f:3:18: max_runtime_h: 0 would stop every container at once; write null for no limit
            f:4:26: gpu_hold_after_stop_h: -15m is negative; write null for no limit
            f:5:32: container_hold_after_stop_h: 1 fortnight is not a span of time; write e.g. 30m, 2h or 7d
            f:6:15: start_wait: a value is missing"#]],
    );
    check(
        "start_wait: 2d\ndefaults:\n  aggregate:\n    cpu_quota: 96\n    memory_max: [1g]\n    taks_max: 12\n",
        &expect![[r#"
            f:1:13: start_wait: 2d is longer than a day; clients give up long before
            f:4:16: cpu_quota: 96 has no unit; write 9600% for 96 CPUs, or "96%" for 96 hundredths of one
            f:5:17: memory_max: a list where one value belongs
            f:6:5: unknown key `taks_max` in `aggregate`; did you mean `tasks_max`?"#]],
    );
    check(
        "defaults: 3\ngroups: [a, b]\npolicies: {usage_half_life: 1s, overtakes_max: x}\n",
        &expect![[r#"
        f:1:11: defaults: `3` where `key: value` lines belong
        f:2:9: groups: a list where `key: value` lines belong
        f:3:29: usage_half_life: 1s is less than a minute
        f:3:48: overtakes_max: x is not a number"#]],
    );
}

#[test]
fn quotas_that_the_machine_cannot_fill() {
    let machine =
        "machine: {simulated: {cards: [{model: NVIDIA A100, memory: 80g, mig: [3g.40gb, 3g.40gb]}]}}\n";
    check(
        &format!(
            "{machine}defaults: {{max_gpu_slots_per_container: 3, max_gpu_equivalents: 2}}\ngroups:\n  student:\n    \
             max_mig_per_container: 9\n"
        ),
        &expect![[r#"
            f:2:41: max_gpu_slots_per_container: 3 is more than the machine's 2 units; write 2, or null for no limit
            f:2:65: max_gpu_equivalents: 2 is more than the machine's 1 card; write 1, or null for no limit
            f:5:28: max_mig_per_container: 9 is more than the machine's 2 units; write 2, or null for no limit"#]],
    );
    check(
        &format!("{machine}defaults: {{max_gpu_slots_per_container: null, max_gpu_equivalents: null}}\n"),
        &expect![""],
    );
    check("defaults: {max_gpu_slots_per_container: 99}\n", &expect![""]);
}

#[test]
fn limits_that_contradict_one_another() {
    check(
        "defaults: {memory: 32g, memory_swap: 16g}\ngroups:\n  student:\n    memory: 64g\n    aggregate:\n      \
         memory_max: 48g\n      cpu_quota: 800%\n    max_cpus: 16\n",
        &expect![[r#"
            f:1:38: memory_swap 16g is less than memory 32g (line 1)
            f:4:13: memory 64g is more than memory_swap 16g (line 1)
            f:6:19: aggregate memory_max 48g is less than memory 64g (line 4)
            f:7:18: aggregate cpu_quota 8 CPUs is less than max_cpus 16 CPUs (line 8)"#]],
    );
    check(
        "defaults: {idle_timeout: 1h, idle_timeout_h: 2, max_tasks: 10, pids_limit: 20}\n",
        &expect!["f:1:30: `idle_timeout_h` says again what `idle_timeout` on line 1 says; keep one"],
    );
}

#[test]
fn people_and_groups() {
    check(
        "groups:\n  student: {members: [alice, bob, alice]}\n  researcher:\n    members: [bob, 'x y', null, [a]]\n    \
         unix_groups: staff\n  faculty: {unix_groups: [staff]}\n  visitors: {unix_groups: [staff]}\n",
        &expect![[r#"
            f:2:35: members: alice is listed twice
            f:4:15: bob is in group `student` already (line 2); a person is in one
            f:4:20: members: `x y` is not a name
            f:4:27: members: null is nobody; put a name that YAML reads as nothing in quotes
            f:4:33: members: a list where a name belongs
            f:5:18: unix_groups: write a list: [staff]
            f:7:28: staff is in group `faculty` already (line 6); a person is in one"#]],
    );
    check(
        "default_group: reseacher\ngroups: {researcher: {}}\n",
        &expect!["f:1:16: default_group: there is no group `reseacher`; did you mean `researcher`?"],
    );
    check(
        "groups: {a: {}, b: {}}\n",
        &expect![
            "f:1:1: default_group is missing; say which of these people belong to whom no group lists: a, b"
        ],
    );
    check(
        "groups: {student: {members: [alice]}, staff: {}}\nusers:\n  alice: {group: staff}\n  bob: {group: staf}\n  \
         carol: {}\nuser_overrides:\n  carol: {}\n  dave: {members: [x]}\n",
        &expect![[r#"
            f:3:18: alice is in group `student` already (line 1); a person is in one
            f:4:16: there is no group `staf`; did you mean `staff`?
            f:7:3: carol stands in `users` and in `user_overrides`; keep one
            f:8:10: unknown key `members` for user `dave`"#]],
    );
    check(
        "groups: {student: {members: [alice]}, student: {}}\n",
        &expect!["f:1:39: `student` is already set on line 1; keep one of the two"],
    );
    check(
        "groups: {'a b': {}, student: {}}\nusers: {'': {}}\n",
        &expect![[r#"
        f:1:10: `a b` is not a name for a group
        f:2:9: `` is not a user's name"#]],
    );
}

#[test]
fn machines() {
    let nvidia = |library: Option<&str>, expected| Machine::Nvidia {
        library: library.map(Into::into),
        expected,
        exporter: None,
    };
    for (text, machine) in [
        ("", nvidia(None, false)),
        ("machine:\n", nvidia(None, false)),
        ("machine: nvidia\n", nvidia(None, true)),
        ("machine: {nvidia: {}}\n", nvidia(None, true)),
        (
            "machine: {nvidia: {library: /opt/lib/libnvidia-ml.so.1}}\n",
            nvidia(Some("/opt/lib/libnvidia-ml.so.1"), true),
        ),
        ("machine: none\n", Machine::None),
    ] {
        assert_eq!(good(text).machine, machine, "{text}");
    }
    check(
        "machine: {nvidia: {library: libnvidia-ml.so}}\n",
        &expect![
            "f:1:29: library: libnvidia-ml.so is no absolute path; write e.g. /usr/lib64/libnvidia-ml.so.1"
        ],
    );
    let exporter = Some("127.0.0.1:9400".parse().unwrap());
    assert_eq!(
        good("machine: {nvidia: {dcgm_exporter: '127.0.0.1:9400'}}\n").machine,
        Machine::Nvidia { library: None, expected: true, exporter }
    );
    check(
        "machine: {nvidia: {dcgm_exporter: '10.0.0.1:9400'}}\n",
        &expect!["f:1:35: dcgm_exporter: 10.0.0.1:9400 is not on this machine; write e.g. 127.0.0.1:9400"],
    );
    check(
        "machine: {nvidia: {dcgm_exporter: localhost}}\n",
        &expect!["f:1:35: dcgm_exporter: localhost is no address with a port; write e.g. 127.0.0.1:9400"],
    );
    check(
        "machine: {nvidia: {libary: /x}}\n",
        &expect!["f:1:20: unknown key `libary` in `machine.nvidia`; did you mean `library`?"],
    );
    check(
        "machine: simulatd\n",
        &expect!["f:1:10: machine: `simulatd` is no kind of machine; did you mean `simulated`?"],
    );
    check(
        "machine: simulated\n",
        &expect![[r#"
        f:1:10: machine: simulated needs its cards; write
            machine:
              simulated:
                cards: [{model: NVIDIA A100-SXM4-80GB, memory: 80g}]"#]],
    );
    check(
        "machine: {simulated: {}}\n",
        &expect!["f:1:22: machine.simulated: `cards` is missing or empty; write `machine: none` for no GPU"],
    );
    check(
        "machine: {simulated: {cards: []}, none: x}\n",
        &expect![[r#"
        f:1:22: machine.simulated: `cards` is missing or empty; write `machine: none` for no GPU
        f:1:35: machine: has `simulated` already; keep one"#]],
    );
    check(
        "machine:\n  simulated:\n    cards:\n      - A100\n      - {model: NVIDIA A100}\n      - {memory: 80g, modell: x}\n      \
         - {model: NVIDIA A100, memory: 80, mig: [1g.5gb]}\n      \
         - {model: NVIDIA A100, memory: 80g, mig: [1g.5gb, 5g.50gb, 1c.3g.40gb, [x], 1g]}\n      \
         - {model: NVIDIA A100, memory: 80g, mig: [4g.40gb, 4g.40gb]}\n      \
         - {model: NVIDIA A100, memory: 80g, mig: [3g.40gb, 3g.40gb, 1g.10gb]}\n      \
         - {model: NVIDIA A30, memory: 24g, mig: [2g.12gb, 2g.12gb, 1g.6gb]}\n      \
         - {model: NVIDIA A100, memory: 80g, mig: 1g.10gb}\n",
        &expect![[r#"
            f:4:9: cards: `A100` where {model: …, memory: …} belongs
            f:5:9: cards: `memory` is missing; write e.g. memory: 80g
            f:6:9: cards: `model` is missing; write e.g. model: NVIDIA A100-SXM4-80GB
            f:6:23: unknown key `modell` in a card; did you mean `model`?
            f:7:38: memory: 80 is less than any card has; write e.g. 80g
            f:8:49: mig: 1g.5gb is a slice of another card; on this one of 80 GB write 1g.10gb
            f:8:57: mig: 5g.50gb: no profile of this card has 5 compute slices
            f:8:66: mig: 1c.3g.40gb is a compute instance; a simulated card is cut into whole slices
            f:8:78: mig: a list is not a MIG profile; write e.g. 1g.10gb
            f:8:83: mig: 1g is not a MIG profile; write e.g. 1g.10gb
            f:9:48: mig: these slices have 8 compute slices; the card has 7
            f:10:48: mig: these slices have 9 memory slices; the card has 8
            f:11:47: mig: these slices have 5 compute slices; the card has 4
            f:12:48: mig: write a list: [1g.10gb]"#]],
    );
}

#[test]
fn places_and_names() {
    check(
        "paths: {socket: docker.sock, engine: /a/../b, run: '', sokcet: /x}\nengine: {runtime: 'a b', cgroup_parent: /x}\n",
        &expect![[r#"
            f:1:17: socket: docker.sock is not an absolute path; begin with /
            f:1:38: engine: /a/../b goes up with `..`; write the path itself
            f:1:52: run: a value is missing
            f:1:56: unknown key `sokcet` in `paths`; did you mean `socket`?
            f:2:19: runtime: a b is not a name; use letters, digits, dot, dash and underscore
            f:2:41: cgroup_parent: /x is not a name; use letters, digits, dot, dash and underscore"#]],
    );
    check(
        &format!("paths: {{socket: /{}}}\n", "x".repeat(120)),
        &expect!["f:1:17: socket: 121 bytes is too long for a socket; at most 107"],
    );
    check(
        "paths: {socket: /run/docker.sock, engine: /run//docker.sock}\n",
        &expect!["f:1:43: paths: `engine` and `socket` are both /run/docker.sock"],
    );
    check(
        "binds:\n  roots: ['~bob', /, /etc/x, relative, {}]\n  shares: [/srv, {read_only: true}, {path: /proc}, {path: /a, ro: yes}]\n",
        &expect![[r#"
            f:2:11: roots: ~bob: one person's home is no place for everybody; write ~ for the caller's own
            f:2:19: roots: / is the system's own; nobody may bind it
            f:2:22: roots: /etc/x is the system's own; nobody may bind it
            f:2:30: roots: relative is not an absolute path; begin with /
            f:2:40: roots: a mapping where a path belongs
            f:3:18: shares: `path` is missing
            f:3:44: path: /proc is the system's own; nobody may bind it
            f:3:63: unknown key `ro` in a share; there may be path, read_only"#]],
    );
    check(
        "ports: {range: 2000-1000, address: localhost}\n",
        &expect![[r#"
        f:1:16: range: 2000-1000 is the wrong way round; write 1000-2000
        f:1:36: address: localhost is not an address; write e.g. 127.0.0.1 or 0.0.0.0"#]],
    );
    check(
        "ports: {range: 80}\nadmins: {users: root, group: [x]}\naccess_control: {admin_user: [x]}\n",
        &expect![[r#"
        f:1:16: range: 80 is not a range of ports; write e.g. 20000-29999
        f:2:17: users: write a list: [root]
        f:2:23: unknown key `group` in `admins`; did you mean `groups`?
        f:3:18: unknown key `admin_user` in `access_control`; did you mean `admin_users`?"#]],
    );
}

#[test]
fn files_that_are_no_configuration() {
    check("- a\n- b\n", &expect!["f:1:1: the file: a list where `key: value` lines belong"]);
    check("just words\n", &expect!["f:1:1: the file: `just words` where `key: value` lines belong"]);
    check(
        "defaults:\n\tmemory: 1g\n",
        &expect![
            "f:2:2: not YAML: tabs disallowed within this context (block indentation); indent with spaces"
        ],
    );
    check("defaults: {memory: 1g\n", &expect!["f:1:11: not YAML: unclosed bracket '{'"]);
}

#[test]
fn mistakes_behind_an_alias_are_told_once() {
    check(
        "groups:\n  student: &s {memory: 1x}\n  staff: *s\n  other:\n    <<: *s\n    max_cpus: 4\n",
        &expect!["f:2:24: memory: 1x is not a size; write e.g. 1g (b, k, m, g, t; a bare number is bytes)"],
    );
}

#[test]
fn no_file_and_empty_files_are_the_same() {
    let config = Config::default();
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "defaults:\ngroups:\nusers:\npolicies:\nmachine:\nbinds:\npaths:\n",
        "{}",
    ] {
        assert_eq!(good(text), config, "{text:?}");
    }
    assert_eq!(config.machine.size(), (0, 0));
    let limits = config.policy.resolve(&person("alice", &[]));
    assert_eq!(limits.group, "student");
    assert_eq!(limits.idle_timeout, Some(Duration::from_secs(1800)));
    assert_eq!(limits.start_wait, Duration::from_secs(180));
    assert_eq!(limits.gpu_hold_after_stop, Duration::from_secs(900));
    assert_eq!(limits.container_hold_after_stop, Some(Duration::from_secs(24 * 3600)));
}

#[test]
fn registries_are_names_with_ports() {
    let config = good("registries: [registry.lab.example:5000, localhost:5000]\n");
    assert_eq!(config.registries, ["registry.lab.example:5000", "localhost:5000"]);
    for wrong in
        ["https://registry.lab.example", "registry.lab.example/team", "lab", "a b", "u@registry.lab.example"]
    {
        let (config, mistakes) = check_text(&format!("registries: [\"{wrong}\"]\n"), "f");
        assert!(config.is_none() && mistakes.len() == 1, "{wrong}: {mistakes:?}");
    }
}

#[test]
fn a_catalogue_of_frameworks_replaces_the_built_in_one() {
    assert!(good("").frameworks.contains_key("pytorch"));
    let config = good("frameworks:\n  pytorch: registry.lab.example:5000/torch:2\n  jax: lab/jax\n");
    let images: Vec<&str> = config.frameworks.values().map(String::as_str).collect();
    assert_eq!(images, ["lab/jax", "registry.lab.example:5000/torch:2"]);
    assert!(good("frameworks: {}\n").frameworks.is_empty());
    check(
        "frameworks:\n  PyTorch: lab/torch\n  jax: Lab/JAX\n  tf: [a]\n",
        &expect![[r#"
            f:2:3: frameworks: PyTorch is not a name; use small letters, digits, dot and dash
            f:3:8: jax: invalid reference format: `Lab/JAX` is not an image name; write it as name, name:tag or registry/name:tag
            f:4:7: tf: a list where one value belongs"#]],
    );
}

#[test]
fn packages_by_purpose_replace_the_command_lines_own() {
    assert_eq!(good("").use_cases, None);
    assert_eq!(good("use_cases: {}\n").use_cases, Some(vec![]), "nothing is offered");
    let config = good(
        "use_cases:\n  vision: { title: Computer vision, packages: [timm~=1.0, 'torch[x]>=2'], system: [ffmpeg] }\n  a: { system: [git] }\n",
    );
    let told: Vec<String> = config
        .use_cases
        .unwrap()
        .into_iter()
        .map(|one| format!("{} ({}): {:?} {:?}", one.key, one.title, one.packages, one.system))
        .collect();
    assert_eq!(
        told,
        [r#"vision (Computer vision): ["timm~=1.0", "torch[x]>=2"] ["ffmpeg"]"#, r#"a (a): [] ["git"]"#]
    );
    check(
        "use_cases:\n  CV: { packages: [timm] }\n  cv:\n    package: [timm]\n  nlp:\n    packages: [spacy, 'a; rm -rf /', spacy, {x: 1}]\n    system: ffmpeg\n  rl: []\n",
        &expect![[r#"
            f:2:3: use_cases: CV is not a name; use small letters, digits and dashes
            f:3:3: use_cases: cv has no packages
            f:4:5: unknown key `package` in use_cases: cv; did you mean `packages`?
            f:6:23: packages: `a; rm -rf /` is not a package; write numpy, or numpy>=2
            f:6:38: packages: spacy is listed twice
            f:6:45: packages: a mapping where a package belongs
            f:7:13: system: write a list: [ffmpeg]
            f:8:7: rl: a list where `key: value` lines belong"#]],
    );
}

#[test]
fn a_lab_carries_its_file_over() {
    let config = good(include_str!("real_vocabulary.yaml"));
    let guest = config.policy.resolve(&person("nobody", &[]));
    assert_eq!(guest.group, "guest");
    assert_eq!(guest.max_gpu_equivalents, Some(Weight::from_milli(2000)));
    assert_eq!(guest.max_gpu_slots_per_container, Some(1));
    assert!(!guest.allow_full_gpu);
    assert_eq!(guest.memory_bytes, Some(48 << 30));
    assert_eq!(guest.idle_timeout, Some(Duration::from_secs(45 * 60)));
    assert_eq!(guest.max_runtime, Some(Duration::from_secs(36 * 3600)));
    assert_eq!(guest.aggregate.cpus_milli, Some(48_000));
    assert_eq!(guest.aggregate.memory_bytes, Some(96 << 30));
    assert_eq!(guest.aggregate.pids, Some(8192));
    assert_eq!(guest.source("memory"), &Source::Defaults);

    let lab = config.policy.resolve(&person("104217@lab.example", &[]));
    assert_eq!(lab.group, "lab");
    assert_eq!(lab.max_gpu_equivalents, Some(Weight::from_milli(4000)));
    assert_eq!(lab.max_runtime, Some(Duration::from_secs(96 * 3600)));
    assert_eq!(lab.idle_timeout, None, "his own entry says so");
    assert_eq!(lab.container_hold_after_stop, None);
    assert_eq!(config.policy.groups["admin"].settings.aggregate_pids, Some(Cap::Unlimited));
    assert_eq!(config.admins.users, ["root", "operator"]);
    assert_eq!(config.admins.groups, ["ds01-admin", "gpu-admins"]);

    let notes: Vec<String> = config.notes.iter().map(ToString::to_string).collect();
    expect![[r#"
        lines 3, 65: `max_mig_instances` is read as max_gpu_equivalents, in whole cards; on a machine with slices write the share you mean
        line 6: `gpu_memory` has no effect: a unit's memory is its own
        line 12: `io_read_bps` has no effect: DS01 sets no such limit
        line 13: `io_write_bps` has no effect: DS01 sets no such limit
        line 14: `ulimit_nofile` has no effect: DS01 sets no such limit
        line 15: `storage_workspace` has no effect: disk quotas are the file system's
        line 16: `storage_data` has no effect: disk quotas are the file system's
        line 17: `storage_tmp` has no effect: disk quotas are the file system's
        line 27: `enforcement` has no effect: limits are always enforced
        lines 37, 57: `memory_high` has no effect: DS01 sets the hard limit, memory_max
        lines 39, 59: `gpu_limit` has no effect: max_gpu_equivalents is the quota
        line 40: `policies` has no effect: idleness is judged alike for everybody
        line 74: `reservation_start` has no effect: DS01 has no reservations
        line 75: `reservation_end` has no effect: DS01 has no reservations
        line 76: `reserved_gpus` has no effect: DS01 has no reservations
        line 79: `gpu_allocation` has no effect: units are found on the machine and given out smallest first
        line 86: policies: `high_demand_threshold` has no effect in this version
        line 87: policies: `grace_period` has no effect in this version
        line 94: `default_mig_count` has no effect: a kind of containers has times alone
        line 96: `monitoring` has no effect: monitoring is configured where it runs
        line 100: `bare_metal_access` has no effect: DS01 governs containers only
        line 107: `wrapper` has no effect: the door needs no wrapper"#]].assert_eq(&notes.join("\n"));
}

#[test]
fn spellings() {
    let config = good(
        "defaults: {allow_full_gpu: yes, max_gpu_equivalents: unlimited, idle_timeout_h: 30m, max_runtime: 2d}\n\
         groups: {student: {members: ['null', 204214, h.baker@lab.example]}}\n\
         users: {204214: {max_gpu_equivalents: 0}}\n\
         binds: {roots: [~, '~/workspace', /srv/x/], shares: [/srv/data]}\n\
         paths: {run: /tmp/lab, engine: 'unix:///tmp/lab/e.sock'}\n\
         ports: {range: 20000-29999, address: '::'}\n",
    );
    let settings = &config.policy.defaults;
    assert_eq!(settings.allow_full_gpu, Some(true));
    assert_eq!(settings.max_gpu_equivalents, Some(Cap::Unlimited));
    assert_eq!(settings.idle_timeout, Some(Cap::At(Duration::from_secs(1800))));
    assert_eq!(config.policy.groups["student"].members, ["null", "204214", "h.baker@lab.example"]);
    assert_eq!(config.policy.users["204214"].max_gpu_equivalents, Some(Cap::At(Weight::ZERO)));
    let roots = [Root::Home("".into()), Root::Home("workspace".into()), Root::Path("/srv/x".into())];
    assert_eq!(config.binds.roots, roots);
    assert_eq!(config.binds.shares, [Share { path: "/srv/data".into(), read_only: true }]);
    assert_eq!(config.paths.socket, Path::new("/tmp/lab/docker.sock"));
    assert_eq!(config.paths.hinge, Path::new("/tmp/lab/hinge.sock"));
    assert_eq!(config.paths.engine, Path::new("/tmp/lab/e.sock"));
    assert_eq!((config.ports.lowest, config.ports.highest), (20_000, 29_999));
}

#[test]
fn a_users_own_group() {
    let config =
        good("groups: {student: {}, staff: {memory: 8g}}\nusers: {bob: {group: staff, max_cpus: 2}}\n");
    let limits = config.policy.resolve(&person("bob", &[]));
    assert_eq!((limits.group.as_str(), limits.memory_bytes), ("staff", Some(8 << 30)));
    assert_eq!(limits.source("max_cpus"), &Source::User("bob".into()));
}

/// A file that is gone when the test is.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("ds01-config-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const EXAMPLE: &str = include_str!("../../../../docs/examples/ds01.yaml");
const MANUAL: &str = include_str!("../../../../docs/admin/configuration.md");

#[test]
fn the_example_is_in_order_and_says_what_holds() {
    let file = Scratch::new("example", EXAMPLE.as_bytes());
    let (text, ok) = check_report(Some(&file.0), false);
    assert!(ok, "{text}");
    let text = text.replace(&file.0.display().to_string(), "ds01.yaml");
    expect![[r#"
        ds01.yaml: in order

        machine: simulated, 5 units
          0  NVIDIA A100-SXM4-80GB, 80g: whole
          1  NVIDIA A100-SXM4-80GB, 80g: 3g.40gb, 2g.20gb, 1g.10gb, 1g.10gb

        groups:
                             GPUs  per container  containers  CPUs  memory  together
          faculty            2     4              3           64    128g    no limit
          researcher         2     2              5           32    64g     64 CPUs, 160g, 65536 processes
          student (default)  1     1              3           16    32g     no limit
        idle containers are stopped, after warnings
        limits of their own: dave

        admins: root, group ds01-admin
        door: /run/ds01/docker.sock    engine: /var/run/docker.sock
    "#]]
    .assert_eq(&text);
    assert!(good(EXAMPLE).notes.is_empty());
}

#[test]
fn every_key_is_in_the_manual_and_in_the_example() {
    for key in SECTIONS.iter().chain(limits::KEYS) {
        assert!(MANUAL.contains(&format!("`{key}`")), "{key} is not in the manual");
        let shown = EXAMPLE.lines().any(|line| line.trim_start().starts_with(&format!("{key}:")));
        assert!(shown || *key == "users", "{key} is not in the example");
    }
}

#[test]
fn times_of_kinds_and_whether_stops_are_carried_out() {
    let text = "lifecycle: observe\ncontainer_types: {docker: {max_runtime: 20m}, compose: {idle_timeout: null}}\n\
                policies: {sigterm_grace_seconds: 5}\ndefaults: {idle_timeout: 1h, max_runtime: 24h}\n";
    let policy = good(text).policy;
    assert_eq!((policy.rules.mode, policy.rules.stop_grace), (Some(Mode::Observe), Duration::from_secs(5)));
    let alice = Person { uid: Uid(1000), name: "alice".into(), unix_groups: Vec::new(), admin: false };
    let hours = |kind| {
        let times = policy.times(&policy.resolve(&alice), kind);
        let minutes = |time: Option<Duration>| time.map(|time| time.as_secs() / 60);
        (minutes(times.idle_timeout), minutes(times.max_runtime))
    };
    assert_eq!(hours(Kind::Ds01), (Some(60), Some(24 * 60)));
    assert_eq!(hours(Kind::Docker), (Some(60), Some(20)));
    assert_eq!(hours(Kind::Compose), (None, Some(72 * 60)));
    assert_eq!(hours(Kind::DevContainer), (Some(60), Some(168 * 60)));
    assert_eq!(hours(Kind::Infrastructure), (None, None));
    assert_eq!(policy.rules.stop_ungranted_after, None, "nobody is stopped unless somebody said so");
    let stops = good("policies: {stop_ungranted_after: 10m}\n").policy.rules.stop_ungranted_after;
    assert_eq!(stops, Some(Duration::from_secs(600)));
    assert_eq!(policy.hurried(Duration::from_secs(3600)), None, "nobody said so");
    let hurried = |demand: &str| {
        let policy = good(&format!("policies: {{high_demand: {demand}}}\n")).policy;
        policy.hurried(Duration::from_secs(7200)).map(|time| time.as_secs() / 60)
    };
    assert_eq!(
        ["null", "{idle_timeout_factor: 1}", "{idle_timeout_factor: 0.5}"].map(hurried),
        [None, None, Some(60)]
    );
    assert_eq!(hurried("{idle_timeout_factor: 0.001}"), Some(15), "what the last warning needs");
    for wrong in ["0", "1.5", "-1", "half"] {
        let text = format!("policies: {{high_demand: {{idle_timeout_factor: {wrong}}}}}\n");
        let told = check_text(&text, "f").1;
        assert!(
            told.iter().any(|one| one.to_string().contains("is not a part of a whole")),
            "{wrong}: {told:?}"
        );
    }
    let (_, mistakes) = check_text("lifecycle: maybe\ncontainer_types: {podman: {}}\n", "f");
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("maybe is neither `enforce` nor `observe`"), "{told:?}");
    assert!(told[1].contains("podman"), "{told:?}");
}

fn report(name: &str, bytes: &[u8]) -> String {
    let file = Scratch::new(name, bytes);
    let (text, ok) = check_report(Some(&file.0), false);
    assert!(!ok);
    text.replace(&file.0.display().to_string(), "f")
}

#[test]
fn what_a_program_is_told() {
    let answer = |text: &[u8]| {
        let file = Scratch::new("json", text);
        let (json, sound) = check_report(Some(&file.0), true);
        let told: ds01_api::Configuration = serde_json::from_str(&json).unwrap();
        assert_eq!(sound, told.mistakes.is_empty());
        told
    };
    let told =
        answer(b"paths: {run: /r, state: /s}\nbinds: {roots: [~, /data], shares: [/sets]}\nwizard: 1\n");
    assert_eq!(told.hinge, Path::new("/r/hinge.sock"));
    assert_eq!((told.receipts, told.ledger), ("/r/receipts".into(), "/s/ledger.db".into()));
    assert_eq!((told.binds_homes, told.binds), (true, vec!["/data".into(), "/sets".into()]));
    assert_eq!((told.gpus, told.notes.len()), (ds01_api::GpuSource::Nvidia, 1));
    // A file with mistakes still tells where things are.
    let told = answer(b"paths: {run: r, engine: /e.sock}\ndefaults: {memroy: 1g}\n");
    assert_eq!((told.mistakes.len(), told.engine), (2, "/e.sock".into()));
    assert_eq!(told.hinge, Path::new("/run/ds01/hinge.sock"));
    let defaults: ds01_api::Configuration = serde_json::from_str(&check_report(None, true).0).unwrap();
    assert_eq!((defaults.file, defaults.runtime.as_str()), (None, "ds01"));
}

#[test]
fn files_that_cannot_be_read() {
    let said = [
        report("latin1", b"defaults:\n  # caf\xe9\n"),
        report("long", &vec![b'#'; 2 << 20]),
        report("bad", b"defaults: {max_cpu: 1, memory: 1x}\n"),
        check_report(Some(Path::new("/nonexistent/ds01.yaml")), false).0,
        check_report(Some(Path::new("/")), false).0,
    ];
    expect![[r#"
        f: line 2 is not UTF-8 text

        1 mistake; nothing of this file is used.
        --
        f: is longer than 1024 KiB; is it the right file?

        1 mistake; nothing of this file is used.
        --
        f:1:12: unknown key `max_cpu` in `defaults`; did you mean `max_cpus`?
        f:1:32: memory: 1x is not a size; write e.g. 1g (b, k, m, g, t; a bare number is bytes)

        2 mistakes; nothing of this file is used.
        --
        /nonexistent/ds01.yaml: cannot be read: No such file or directory (os error 2)

        1 mistake; nothing of this file is used.
        --
        /: is not a file

        1 mistake; nothing of this file is used.
    "#]]
    .assert_eq(&said.join("--\n"));
}

#[test]
fn a_program_that_is_to_run_as_root_must_be_roots_alone() {
    let said = report("hook", b"lifecycle: enforce\nlifecycle_hook: /nonexistent/hook\n");
    expect![[r#"
        f:2:17: lifecycle_hook: /nonexistent/hook: No such file or directory (os error 2)

        1 mistake; nothing of this file is used.
    "#]]
    .assert_eq(&said);
    assert!(
        report("hook-passwd", b"lifecycle_hook: /etc/passwd\n")
            .contains("f:1:17: lifecycle_hook: /etc/passwd is not a program")
    );
    assert!(report("hook-relative", b"lifecycle_hook: mail.sh\n").contains("is not an absolute path"));
    assert_eq!(good("lifecycle_hook: null\n").lifecycle_hook, None);
    let file = Scratch::new("hook-good", b"lifecycle_hook: /bin/true\n");
    assert_eq!(load(&file.0).unwrap().lifecycle_hook.as_deref(), Some(Path::new("/bin/true")));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = check_text(&text, "f");
    }

    #[test]
    fn no_nearly_good_text_panics(
        lines in proptest::collection::vec("( {0,6})(- )?(defaults|groups|users|student|members|memory|machine|simulated|cards|mig|binds|roots|aggregate|<<|paths)?(: )?(\\[|\\{|\\*a|&a|~|null|1g|-1|x|\"|\\]|\\})?", 0..14)
    ) {
        let _ = check_text(&lines.join("\n"), "f");
    }
}
