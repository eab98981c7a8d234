//! The rules of the line said plainly: every unit and every start looked at, one by one. What the indexes give must be
//! the same, in any history.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use crate::choose::Wanted;
use crate::decide::doubtful;
use crate::line::{Line, next_grant};
use crate::unit::weigh;
use crate::usage;
use crate::*;

/// How often each was passed, counted one by one.
type Passed = BTreeMap<Ticket, u32>;

fn sufficient<'a>(state: &'a State, waiter: &Waiter) -> Vec<&'a Unit> {
    let wanted = Wanted::new(&waiter.want, waiter.limits.allow_full_gpu);
    let present = state.units().filter(|view| view.health != Health::Lost).map(|view| view.unit);
    let mut units: Vec<&Unit> = present.filter(|unit| wanted.takes(unit)).collect();
    units.sort_by_key(|unit| (unit.weight, unit.memory_mib, unit.place()));
    units
}

/// The units of an owner's other containers.
fn others<'a>(state: &'a State, waiter: &Waiter, which: impl Fn(Phase) -> bool) -> Vec<&'a Unit> {
    let holdings = state.holdings().filter(|holding| {
        holding.owner == waiter.owner && holding.container != waiter.container && which(holding.phase)
    });
    let units = holdings.flat_map(|holding| &holding.units);
    units.filter_map(|id| state.unit(id)).map(|view| view.unit).collect()
}

fn within(state: &State, waiter: &Waiter, units: &[&Unit]) -> bool {
    let all = others(state, waiter, |_| true);
    let weight = weigh(all.into_iter().chain(units.iter().copied()));
    waiter.limits.max_gpu_equivalents.is_none_or(|max| weight <= max)
}

fn could_use(state: &State, waiter: &Waiter, unit: &Unit) -> bool {
    let (sufficient, others) = (sufficient(state, waiter), others(state, waiter, |_| true));
    if !sufficient.contains(&unit) || others.contains(&unit) {
        return false;
    }
    let rest = sufficient.into_iter().filter(|other| *other != unit && !others.contains(other));
    let units: Vec<&Unit> = std::iter::once(unit).chain(rest).take(waiter.want.units()).collect();
    units.len() == waiter.want.units() && within(state, waiter, &units)
}

fn choose(state: &State, waiter: &Waiter, pool: &[UnitView<'_>], now: Time) -> Option<Vec<UnitId>> {
    let sufficient = sufficient(state, waiter);
    let mut pool: Vec<&UnitView<'_>> = pool.iter().filter(|view| sufficient.contains(&view.unit)).collect();
    let mut take = |by_preference: bool| {
        pool.sort_by_key(|view| {
            let kept = view.preferred.filter(|preference| preference.until > now);
            let own = by_preference && kept.is_some_and(|kept| kept.container == waiter.container);
            let kept_for = match kept {
                Some(preference) if preference.owner == waiter.owner => 0,
                None => 1,
                Some(_) => 2,
            };
            (Reverse(own), view.unit.weight, view.unit.memory_mib, kept_for, view.unit.place())
        });
        let units: Vec<&Unit> = pool.iter().take(waiter.want.units()).map(|view| view.unit).collect();
        (units.len() == waiter.want.units() && within(state, waiter, &units)).then_some(units)
    };
    let mut units = take(true).or_else(|| take(false))?;
    units.sort_by_key(|unit| unit.place());
    Some(units.into_iter().map(|unit| unit.id.clone()).collect())
}

fn order<'a>(policy: &Policy, state: &'a State, passed: &Passed, now: Time) -> Vec<&'a Waiter> {
    let mut line: Vec<&Waiter> = state.waiters().collect();
    line.sort_by_key(|waiter| {
        let enough = passed.get(&waiter.ticket).copied().unwrap_or(0) >= policy.rules.overtakes_max;
        let used = usage::steps(state.recent_use(waiter.owner, now, policy.rules.usage_half_life));
        let used = if enough { 0 } else { used };
        (Reverse(waiter.limits.priority), Reverse(enough), used, waiter.arrived, waiter.ticket)
    });
    line
}

/// Whose turn it is, with what, and whom that passes.
fn turn(
    policy: &Policy,
    state: &State,
    passed: &Passed,
    now: Time,
) -> Option<(Ticket, Vec<UnitId>, BTreeSet<Ticket>)> {
    let mut free: Vec<UnitView<'_>> = state.units().filter(UnitView::is_free).collect();
    let line = order(policy, state, passed, now);
    for waiter in line.iter().filter(|waiter| waiter.can_start(state)) {
        if let Some(units) = choose(state, waiter, &free, now) {
            let overtook = line.iter().filter(|other| {
                other.ticket < waiter.ticket
                    && other.limits.priority >= waiter.limits.priority
                    && other.can_start(state)
                    && units.iter().filter_map(|id| state.unit(id)).any(|v| could_use(state, other, v.unit))
            });
            return Some((waiter.ticket, units.clone(), overtook.map(|other| other.ticket).collect()));
        }
        if passed.get(&waiter.ticket).copied().unwrap_or(0) >= policy.rules.overtakes_max {
            free.retain(|view| !could_use(state, waiter, view.unit));
        }
    }
    None
}

/// Whether somebody in the line has to leave it now.
fn has_to_leave(state: &State, waiter: &Waiter, now: Time) -> bool {
    let held = state.holding(&waiter.container).is_some_and(|holding| holding.phase != Phase::Ending);
    let exists = state.container(&waiter.container).is_some_and(Container::exists);
    let (asked, sufficient) = (waiter.want.units(), sufficient(state, waiter));
    let running = others(state, waiter, |phase| phase != Phase::Ending);
    let rest: Vec<&Unit> =
        sufficient.iter().copied().filter(|unit| !running.contains(unit)).take(asked).collect();
    let least = match rest.len() < asked {
        true => weigh(running.iter().copied()) + weigh(sufficient.iter().copied().take(asked)),
        false => weigh(running.iter().copied().chain(rest)),
    };
    let ever = weigh(sufficient.iter().copied().take(asked));
    let denied = sufficient.len() < asked
        || waiter.limits.max_gpu_slots_per_container.is_some_and(|max| asked > max as usize)
        || waiter.limits.max_gpu_equivalents.is_some_and(|max| least > max || ever > max);
    held || !exists || denied || waiter.deadline <= now
}

/// A small lab, and what happens in it.
struct Lab {
    policy: Policy,
    state: State,
    passed: Passed,
    now: Time,
    next: u64,
}

const PEOPLE: u32 = 4;

impl Lab {
    fn new() -> Self {
        let mut policy = Policy::default();
        policy.rules.overtakes_max = 2;
        for number in 0..PEOPLE {
            let quota = [Some(1000), Some(1700), Some(2500), None][number as usize];
            let settings = Settings {
                max_gpu_equivalents: Some(quota.map_or(Cap::Unlimited, |q| Cap::At(Weight::from_milli(q)))),
                max_gpu_slots_per_container: Some(Cap::At(3)),
                allow_full_gpu: Some(number != 1),
                priority: Some(i32::from(number == 3)),
                start_wait: Some(Duration::from_secs(1000)),
                ..Settings::default()
            };
            policy.users.insert(person(number).name, settings);
        }
        let mut lab =
            Self { policy, state: State::default(), passed: Passed::new(), now: Time(1000), next: 0 };
        for number in 0..UNITS {
            lab.state.apply(&Event::UnitSeen(unit(number)));
        }
        lab
    }

    fn start(&mut self, owner: u32, want: Want) {
        self.next += 1;
        let token = Token::new(&format!("{:032x}", self.next)).unwrap();
        let id = ContainerId::new(&format!("{:064x}", self.next)).unwrap();
        let (owner, at) = (person(owner), self.now);
        self.state.apply(&Event::CreatePlanned {
            token: token.clone(),
            owner: owner.uid,
            owner_name: owner.name.clone(),
            name: format!("c{}", self.next),
            kind: Kind::Docker,
            want: Some(want),
            restart: RestartPolicy::No,
            auto_remove: false,
            at,
        });
        self.state.apply(&Event::Created { token, container: id.clone(), at });
        self.ask(&id, &owner);
    }

    fn ask(&mut self, id: &ContainerId, owner: &Person) {
        let request = Request::Start { person: owner, container: id, patience: None };
        match decide(&self.policy, &self.state, &request, self.now) {
            Decision::Grant(grant) => {
                let mut with = self.state.clone();
                let ticket = self.state.next_ticket();
                // Plainly: whoever comes is the last of the line, and it is his turn.
                let waiter = crate::decide::newcomer(&self.policy, &self.state, owner, id, self.now);
                with.apply(&Event::Queued(Box::new(waiter)));
                let (mut line, mut passed) = (with, self.passed.clone());
                loop {
                    let (winner, units, overtook) = turn(&self.policy, &line, &passed, self.now).unwrap();
                    if winner == ticket {
                        let mut granted = grant.units().to_vec();
                        granted.sort();
                        let mut plainly = units;
                        plainly.sort();
                        assert_eq!(granted, plainly);
                        overtook.iter().for_each(|one| *self.passed.entry(*one).or_default() += 1);
                        break;
                    }
                    overtook.iter().for_each(|one| *passed.entry(*one).or_default() += 1);
                    let (other, _) = next_grant(&self.policy, &line, self.now).unwrap();
                    line.apply(&Event::Reserved(other));
                }
                self.state.apply(&Event::Reserved(grant));
            }
            Decision::Wait(wait) => self.state.apply(&wait.into_event()),
            _ => {}
        }
    }

    /// Serves the line, and looks that it is served as it is plainly said.
    fn serve(&mut self) {
        loop {
            self.compare();
            let plainly = turn(&self.policy, &self.state, &self.passed, self.now);
            let found = next_grant(&self.policy, &self.state, self.now);
            let Some((grant, ticket)) = found else {
                assert_eq!(plainly, None);
                return;
            };
            let (winner, units, overtook) = plainly.expect("nobody's turn");
            assert_eq!(ticket, winner);
            let mut granted = grant.units().to_vec();
            granted.sort_by_key(|id| self.state.unit(id).map(|view| view.unit.place()));
            assert_eq!(granted, units);
            overtook.iter().for_each(|one| *self.passed.entry(*one).or_default() += 1);
            self.state.apply(&Event::Reserved(grant));
        }
    }

    fn compare(&self) {
        let mut line = Line::new(&self.policy, &self.state, self.now);
        let tickets: Vec<Ticket> = line.order().into_iter().map(|(_, waiter)| waiter.ticket).collect();
        let plainly = order(&self.policy, &self.state, &self.passed, self.now);
        assert_eq!(tickets, plainly.iter().map(|waiter| waiter.ticket).collect::<Vec<_>>());
        let doubted = doubtful(&self.policy, &self.state, self.now);
        for (position, waiter) in plainly.into_iter().enumerate() {
            assert_eq!(line.before(waiter), position);
            let passed = self.passed.get(&waiter.ticket).copied().unwrap_or(0);
            assert_eq!(self.state.overtaken(waiter), passed, "{}", waiter.ticket);
            if has_to_leave(&self.state, waiter, self.now) {
                assert!(doubted.iter().any(|other| other.ticket == waiter.ticket), "{}", waiter.ticket);
            }
        }
        let demanded = in_demand(&self.state);
        for held in self.state.holdings().filter(|held| held.phase != Phase::Ending) {
            let mut units = held.units.iter().filter_map(|id| self.state.unit(id));
            let wanted = units.any(|view| {
                let mut waiters = self.state.waiters().filter(|waiter| waiter.can_start(&self.state));
                waiters.any(|waiter| could_use(&self.state, waiter, view.unit))
            });
            assert_eq!(demanded.contains(&held.container), wanted, "{}", held.container);
        }
        let free: BTreeSet<UnitId> =
            self.state.units().filter(UnitView::is_free).map(|view| view.unit.id.clone()).collect();
        let every = Want::count(1);
        let shelved: BTreeSet<UnitId> = Wanted::new(&every, true)
            .smallest(&self.state, crate::choose::Among::Free)
            .map(|record| record.unit.id.clone())
            .collect();
        assert_eq!(shelved, free);
    }
}

fn person(number: u32) -> Person {
    Person { uid: Uid(number), name: format!("p{number}"), unix_groups: Vec::new(), admin: false }
}

const UNITS: u32 = 10;

/// Two whole cards of two models, and two that are cut.
fn unit(number: u32) -> Unit {
    let cuts: [(u32, Option<(u8, u8)>); UNITS as usize] = [
        (0, None),
        (1, None),
        (2, Some((3, 4))),
        (2, Some((2, 2))),
        (2, Some((1, 1))),
        (2, Some((1, 1))),
        (3, Some((4, 4))),
        (3, Some((3, 4))),
        (4, Some((1, 2))),
        (4, Some((1, 1))),
    ];
    let (index, cut) = cuts[number as usize];
    let memory = cut.map_or(8, |(_, memory)| memory);
    Unit {
        id: UnitId::new(&format!("GPU-{number}")).unwrap(),
        card: CardId::new(&format!("GPU-card-{index}")).unwrap(),
        index,
        slice: cut.map(|(compute, memory)| Slice {
            ordinal: number,
            profile: format!("{compute}g.{}gb", 10 * memory),
            compute,
            memory,
        }),
        model: if index == 0 { "H100" } else { "A100" }.to_owned(),
        memory_mib: 10 * 1024 * u64::from(memory),
        weight: cut.map_or(Weight::CARD, |(c, m)| Weight::of_slice(c.into(), 7, m.into(), 8)),
    }
}

fn want(number: u32) -> Want {
    let one = Want::count(1);
    match number % 9 {
        0 => Want { full: true, ..one },
        1 => Want { min_memory_mib: Some(20 * 1024), ..one },
        2 => Want { model: Some("a100".to_owned()), ..one },
        3 => Want { model: Some("1g.10gb".to_owned()), ..one },
        4 => Want::count(2),
        5 => Want::count(3),
        6 => Want::named(vec![Selector::Uuid(format!("GPU-{}", number % UNITS))]),
        _ => one,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_line_is_served_as_it_is_plainly_said(
        steps in prop::collection::vec((0..9_u8, 0..1000_u32, 0..400_000_u64), 1..70),
    ) {
        let mut lab = Lab::new();
        for (kind, number, ms) in steps {
            lab.now = Time(lab.now.0 + 1);
            let at = lab.now;
            let some = |count: usize| number as usize % count.max(1);
            let held = lab.state.holdings().nth(some(lab.state.holdings().count())).cloned();
            match kind {
                0..=3 => lab.start(number % PEOPLE, want(number / PEOPLE)),
                4 => if let Some(held) = held {
                    lab.state.apply(&Event::Released { container: held.container, epoch: held.epoch, at });
                },
                5 => if let Some(held) = held {
                    let (container, epoch) = (held.container.clone(), held.epoch);
                    lab.state.apply(&Event::Ended { container, epoch, at, exit: None, by_user: false });
                    // It comes back at once, and is held up until its last run is cleared away.
                    if number % 3 == 0 {
                        lab.ask(&held.container, &person(held.owner.0));
                    }
                },
                6 => {
                    let stopped = lab.state.containers().filter(|c| lab.state.holding(&c.id).is_none());
                    let stopped: Vec<Container> = stopped.cloned().collect();
                    if let Some(container) = stopped.get(some(stopped.len())) {
                        lab.ask(&container.id, &person(container.owner.0));
                    }
                }
                7 => {
                    let ticket = lab.state.waiters().nth(some(lab.state.waiting())).map(|w| w.ticket);
                    if let Some(ticket) = ticket {
                        lab.state.apply(&Event::Left { ticket, why: LeftWhy::Cancelled });
                    }
                    lab.now = Time(lab.now.0 + ms);
                }
                _ => {
                    let unit = unit(number % UNITS);
                    let event = match number % 4 {
                        0 => Event::Health { unit: unit.id, health: Health::Dirty, at },
                        1 => Event::Health { unit: unit.id, health: Health::Available, at },
                        2 => Event::UnitGone { unit: unit.id, at },
                        _ => Event::UnitSeen(unit),
                    };
                    lab.state.apply(&event);
                }
            }
            lab.serve();
        }
    }
}
