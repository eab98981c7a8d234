//! Reads a story and plays it in a small lab. What happens stands beside each line.
//!
//! ```text
//! card A100 80g [mig 3/4 2/2 1/1]      a card, whole or in slices of compute/memory parts
//! person alice [quota=1] [slots=2] [full=no] [priority=5] [wait=60s] [hold=15min] [containers=3] [admin]
//! rules [overtakes=2]
//! alice creates train 1|full|0:1,0:2|none [min=40g] [model=h100] [restart=always|on-failure:2] [rm]
//! train starts [patience=10s]          train exits 1      train stops      train is removed
//! train hangs                          its starts are sent and never answered
//! train fails                          the Engine refuses the start that hangs
//! train cgroup occupied|empty|unknown  train runs 0:1 [epoch=9] [owner=root]   (past the door)
//! train is told to end                 a signal that it may not heed
//! train is restarting | is unanswered    the Engine is asked to start it; nobody waits for the answer any more
//! train dies unseen       nobody hears of it          train is bound anew   the hinge asks once more
//! train cancels                        whoever waited for it hangs up
//! unit 0:1 busy|clean|unknown|gone
//! look      remember      late look    crash     +5min     show     next
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_domain::*;

use crate::world::{Real, World};

/// Plays a story and compares what happened.
pub(crate) fn check(story: &str, expected: &expect_test::Expect) {
    let mut world = World::new();
    let mut told = String::new();
    let mut remembered = None;
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        play(&mut world, line, &mut remembered);
        world.check();
        let news: Vec<String> = std::mem::take(&mut world.news);
        told += &tell(line, &news);
    }
    expected.assert_eq(&told);
}

fn tell(line: &str, news: &[String]) -> String {
    let mut told = line.to_owned();
    match news {
        [one] if !one.contains('\n') => {
            told += &format!("{:pad$} -> {one}", "", pad = 28_usize.saturating_sub(line.len()))
        }
        _ => {
            for item in news {
                for (number, part) in item.lines().enumerate() {
                    let mark = if number == 0 { "->" } else { "  " };
                    told += format!("\n    {mark} {part}").trim_end();
                }
            }
        }
    }
    told + "\n"
}

fn play(world: &mut World, line: &str, remembered: &mut Option<Observed>) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let options: BTreeMap<&str, &str> =
        words.iter().map(|word| word.split_once('=').unwrap_or((word, ""))).collect();
    match words.as_slice() {
        ["card", model, memory, slices @ ..] => card(world, model, memory, slices),
        ["person", name, ..] => person(world, name, &options),
        ["rules", ..] => world.policy.rules.overtakes_max = options["overtakes"].parse().unwrap(),
        ["look"] => world.look(),
        ["remember"] => *remembered = Some(world.observe()),
        ["late", "look"] => {
            let late = remembered.clone().expect("something is remembered");
            world.follow(&late);
        }
        ["crash"] => {
            world.crash();
            world.look();
        }
        ["show"] => show(world),
        ["next"] => {
            let next = world
                .state
                .next_due(world.now)
                .map_or("never".to_owned(), |due| format!("in {} ms", due.since(world.now).as_millis()));
            world.tell(next);
        }
        ["unit", label, state] => unit(world, label, state),
        [time] if time.starts_with('+') => world.pass(duration(&time[1..])),
        [who, "creates", name, want, ..] => {
            let want = (*want != "none").then(|| self::want(world, want, &options));
            let restart = match options.get("restart").copied() {
                None => RestartPolicy::No,
                Some("always") => RestartPolicy::Always,
                Some("unless-stopped") => RestartPolicy::UnlessStopped,
                Some(other) => RestartPolicy::OnFailure {
                    max: other.strip_prefix("on-failure:").unwrap().parse().unwrap(),
                },
            };
            world.create(who, name, want.as_ref(), restart, words.contains(&"rm"));
        }
        [name, rest @ ..] => container(world, name, rest, &options),
        [] => {}
    }
}

fn container(world: &mut World, name: &str, words: &[&str], options: &BTreeMap<&str, &str>) {
    match words {
        ["starts", ..] => {
            world.now = Time(world.now.0 + 1);
            let patience = options.get("patience").map(|text| duration(text));
            world.start(name, patience);
        }
        ["exits", code] => {
            let real = world.engine.get_mut(name).unwrap();
            real.run = Run::Exited(code.parse().unwrap());
            if real.cgroup == Occupancy::Occupied {
                real.cgroup = Occupancy::Empty;
            }
            world.look();
        }
        ["stops"] => {
            let container = world.id(name);
            world.record(Event::StopAsked { container, at: world.now });
            let real = world.engine.get_mut(name).unwrap();
            real.run = Run::Exited(137);
            real.cgroup = Occupancy::Empty;
            world.look();
        }
        ["is", "told", "to", "end"] => {
            let container = world.id(name);
            world.record(Event::StopAsked { container, at: world.now });
        }
        ["is", "removed"] => {
            world.engine.remove(name);
            world.look();
        }
        ["hangs"] => world.engine.get_mut(name).unwrap().hangs = true,
        ["fails"] => {
            let container = world.id(name);
            world.in_flight.remove(&container);
            let epoch = world.state.holding(&container).unwrap().epoch;
            world.record(Event::Ended { container, epoch, at: world.now, exit: None, by_user: false });
            world.look();
        }
        ["dies", "unseen"] => {
            let real = world.engine.get_mut(name).unwrap();
            real.run = Run::Exited(1);
            real.cgroup = Occupancy::Empty;
        }
        ["is", "bound", "anew"] => {
            let container = world.id(name);
            let epoch = world.state.holding(&container).unwrap().epoch;
            world.now = Time(world.now.0 + 1);
            world.record(Event::Bound { container, epoch, at: world.now });
        }
        ["is", "restarting"] => {
            let container = world.id(name);
            world.in_flight.insert(container);
        }
        ["is", "unanswered"] => {
            let container = world.id(name);
            world.in_flight.remove(&container);
            world.look();
        }
        ["cgroup", state] => {
            world.engine.get_mut(name).unwrap().cgroup = match *state {
                "empty" => Occupancy::Empty,
                "occupied" => Occupancy::Occupied,
                _ => Occupancy::Unknown,
            };
        }
        ["cgroup", "stays", "occupied", "exits", code] => {
            world.engine.get_mut(name).unwrap().run = Run::Exited(code.parse().unwrap());
            world.look();
        }
        ["unclear"] => world.engine.get_mut(name).unwrap().run = Run::Unknown,
        ["cancels"] => {
            let container = world.id(name);
            if let Some(ticket) = world.state.waiter_of(&container).map(|waiter| waiter.ticket) {
                world.record(Event::Left { ticket, why: LeftWhy::Cancelled });
            }
            world.follow(&Observed::default());
        }
        ["restart", "policy", "no"] => {
            let container = world.id(name);
            world.record(Event::RestartChanged { container, restart: RestartPolicy::No });
        }
        ["runs", units, ..] => runs(world, name, units, options),
        ["computes", "on", labels @ ..] => {
            let container = world.id(name);
            let units = labels.iter().map(|label| world.unit(label)).collect();
            let ungranted: Vec<UnitId> =
                ungranted(&world.state, Some(&container), &units).into_iter().collect();
            let told = match ungranted.as_slice() {
                [] => "as granted".to_owned(),
                units => format!("without a grant on {}", world.labels(units)),
            };
            world.tell(told);
        }
        other => panic!("cannot read {name} {other:?}"),
    }
}

/// A container runs with units that nobody granted it.
fn runs(world: &mut World, name: &str, units: &str, options: &BTreeMap<&str, &str>) {
    let units: Vec<UnitId> = units.split(',').map(|label| world.unit(label)).collect();
    let number = 0xf000 + world.engine.len();
    let owner = options.get("owner").map(|owner| Identity {
        owner: world.people[*owner].uid,
        owner_name: (*owner).to_owned(),
        name: name.to_owned(),
    });
    let real = world.engine.entry(name.to_owned()).or_insert_with(|| Real {
        id: ContainerId::new(&format!("{number:064x}")).unwrap(),
        run: Run::Running,
        cgroup: Occupancy::Occupied,
        receipt: None,
        devices: None,
        identity: owner,
        hangs: false,
        token: None,
    });
    real.run = Run::Running;
    real.cgroup = Occupancy::Occupied;
    real.receipt = options.get("epoch").map(|epoch| (Epoch(epoch.parse().unwrap()), units.clone()));
    real.devices = Some(units.into_iter().collect());
    world.look();
}

fn card(world: &mut World, model: &str, memory: &str, slices: &[&str]) {
    let slices: Vec<(u8, u8)> = slices
        .iter()
        .skip(1)
        .map(|slice| {
            let (compute, memory) = slice.split_once('/').unwrap();
            (compute.parse().unwrap(), memory.parse().unwrap())
        })
        .collect();
    world.card(model, mib(memory), &slices);
    world.look();
}

fn person(world: &mut World, name: &str, options: &BTreeMap<&str, &str>) {
    let uid =
        world.people.get(name).map_or(Uid(1000 + u32::try_from(world.people.len()).unwrap()), |p| p.uid);
    let admin = options.contains_key("admin");
    let person = Person { uid, name: name.to_owned(), unix_groups: Vec::new(), admin };
    world.people.insert(name.to_owned(), person);
    let number = |key: &str| options.get(key).map(|text| text.parse::<u32>().unwrap());
    let settings = Settings {
        max_gpu_equivalents: Some(options.get("quota").map_or(Cap::Unlimited, |text| {
            let cards: f64 = text.parse().unwrap();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small numbers of a story"
            )]
            Cap::At(Weight::from_milli((cards * 1000.0).round() as u32))
        })),
        max_gpu_slots_per_container: Some(number("slots").map_or(Cap::Unlimited, Cap::At)),
        max_containers_per_user: Some(number("containers").map_or(Cap::Unlimited, Cap::At)),
        allow_full_gpu: options.get("full").map(|text| *text != "no"),
        priority: options.get("priority").map(|text| text.parse().unwrap()),
        gpu_hold_after_stop: options.get("hold").map(|text| duration(text)),
        start_wait: options.get("wait").map(|text| duration(text)),
        ..Settings::default()
    };
    world.policy.users.insert(name.to_owned(), settings);
}

fn unit(world: &mut World, label: &str, state: &str) {
    let id = world.unit(label);
    let processes = match state {
        "busy" => Processes::Count(2),
        "clean" => Processes::Count(0),
        "unknown" => Processes::Unknown,
        "unknowable" => Processes::Unknowable,
        _ => {
            world.machine.remove(&id);
            world.look();
            return;
        }
    };
    world.machine.get_mut(&id).unwrap().processes = processes;
}

fn want(world: &World, text: &str, options: &BTreeMap<&str, &str>) -> Want {
    let selector = |text: &str| match text.split_once(':') {
        Some((card, ordinal)) => Selector::Slice(card.parse().unwrap(), ordinal.parse().unwrap()),
        None if text.starts_with('#') => Selector::Index(text[1..].parse().unwrap()),
        None => Selector::Uuid(text.to_owned()),
    };
    let _ = world;
    let mut want = match text.parse::<u32>() {
        Ok(count) => Want::count(count),
        Err(_) if text == "full" => Want { full: true, ..Want::count(1) },
        Err(_) => Want::named(text.split(',').map(selector).collect()),
    };
    want.min_memory_mib = options.get("min").map(|text| mib(text));
    want.model = options.get("model").map(|text| (*text).to_owned());
    want
}

fn show(world: &mut World) {
    let mut units: Vec<UnitView<'_>> = world.state.units().collect();
    units.sort_by_key(|view| view.unit.label());
    let mut lines = Vec::new();
    for view in units {
        let holder = view.holder.map_or("free".to_owned(), |holding| {
            format!("{} {}", world.name(&holding.container), holding.phase)
        });
        let kept = view.preferred.filter(|kept| kept.until > world.now);
        let kept = kept.map_or(String::new(), |kept| format!(", kept for {}", world.name(&kept.container)));
        let health =
            if view.health == Health::Available { String::new() } else { format!(", {}", view.health) };
        lines.push(format!("{} {holder}{health}{kept}", view.unit.label()));
    }
    for wait in world.state.waits(&world.policy, world.now) {
        lines.push(format!("{}. {}: {}", wait.position, world.name(wait.container()), wait.reason));
    }
    world.news.extend(lines);
}

fn mib(text: &str) -> u64 {
    text.strip_suffix('g').unwrap().parse::<u64>().unwrap() * 1024
}

fn duration(text: &str) -> Duration {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap();
    let number: u64 = text[..split].parse().unwrap();
    match &text[split..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "min" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3600),
        "d" => Duration::from_secs(number * 86400),
        other => panic!("no unit of time: {other}"),
    }
}
