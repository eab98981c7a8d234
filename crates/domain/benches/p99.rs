//! How long one decision takes, at worst: every kind of question, on a machine at a tenth, a third and the whole of
//! 1,000 units with 10,000 starts in line. Prints a table with the exponent of the growth, and fails where the slowest
//! of a hundred takes longer than a millisecond. Processor time is what is measured: a decision waits for nothing, and
//! how often others take its processor away says nothing about it.
//!
//! `cargo bench -p ds01-domain --bench p99`, with `-- --json` for machines.

mod machine;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use ds01_domain::*;
use machine::{Machine, NOW, Size};
use nix::time::{ClockId, clock_gettime};

const BOUND: Duration = Duration::from_millis(1);
/// Questions of each kind at each size.
const ROUNDS: u32 = 1500;
const SIZES: [Size; 3] = [
    Size { units: 100, waiting: 1_000, people: 40 },
    Size { units: 333, waiting: 3_333, people: 133 },
    Size { units: 1_000, waiting: 10_000, people: 400 },
];

/// A machine in the few states that questions are asked in.
struct Scene {
    full: Machine,
    spare: Machine,
    /// The state after the end of one run with a small and with a large unit: its release is to be planned.
    small: Observed,
    large: Observed,
}

type Question = (&'static str, fn(&Scene, u32) -> Duration);

const QUESTIONS: [Question; 8] = [
    ("admit that waits", admit_that_waits),
    ("admit that is granted", admit_that_is_granted),
    ("a small unit is freed", |scene, _| freed(scene, &scene.small)),
    ("a whole card is freed", |scene, _| freed(scene, &scene.large)),
    ("create", create),
    ("a wait is cancelled", cancelled),
    ("a plan of time alone", |scene, _| planned(scene, NOW)),
    ("one wait is over", |scene, _| planned(scene, first_deadline(scene))),
];

fn timed<T>(question: impl FnOnce() -> T) -> Duration {
    let began = processor_time();
    let answer = black_box(question());
    let took = processor_time() - began;
    drop(answer);
    took
}

/// What this thread has computed so far.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock that every kernel has").into()
}

fn admit_that_waits(scene: &Scene, round: u32) -> Duration {
    let owner = round as usize % scene.full.people.len();
    let mut state = scene.full.state.clone();
    timed(|| {
        let Decision::Wait(wait) = scene.full.start(&scene.full.idle[owner], owner, NOW) else {
            panic!("it does not wait");
        };
        state.apply(&wait.into_event());
        state
    })
}

fn admit_that_is_granted(scene: &Scene, round: u32) -> Duration {
    // The one container that wants what nobody else in line may have.
    let owner = round as usize % scene.spare.people.len();
    let mut state = scene.spare.state.clone();
    timed(|| {
        let Decision::Grant(grant) = scene.spare.start(&scene.spare.idle[owner], owner, NOW) else {
            panic!("it is not granted");
        };
        state.apply(&Event::Reserved(grant));
        state
    })
}

/// The look, the release, the grant to whoever is next, and the state after it.
fn freed(scene: &Scene, observed: &Observed) -> Duration {
    let mut state = scene.full.state.clone();
    timed(|| {
        let actions = plan(&scene.full.policy, &state, observed, NOW);
        assert!(actions.iter().any(|action| matches!(action, Action::Grant { .. })), "nobody is next");
        actions.iter().filter_map(Action::event).for_each(|event| state.apply(&event));
        state
    })
}

fn create(scene: &Scene, round: u32) -> Duration {
    let person = &scene.full.people[round as usize % scene.full.people.len()];
    let want = Want { min_memory_mib: Some(u64::from(round % 40) * 1024), ..Want::count(1 + round % 3) };
    let request = Request::Create { person, want: Some(&want), running_containers: 3 };
    timed(|| decide(&scene.full.policy, &scene.full.state, &request, NOW))
}

fn cancelled(scene: &Scene, round: u32) -> Duration {
    let mut state = scene.full.state.clone();
    let waiting = u32::try_from(state.waiting()).expect("so many wait");
    let ticket = Ticket(u64::from(round * 7919 % waiting));
    timed(|| {
        state.apply(&Event::Left { ticket, why: LeftWhy::Cancelled });
        let actions = plan(&scene.full.policy, &state, &Observed::default(), NOW);
        assert!(actions.is_empty());
        state
    })
}

fn planned(scene: &Scene, now: Time) -> Duration {
    timed(|| plan(&scene.full.policy, &scene.full.state, &Observed::default(), now))
}

fn first_deadline(scene: &Scene) -> Time {
    scene.full.state.next_due(NOW).expect("somebody gives up some time")
}

impl Scene {
    fn new(size: Size) -> Self {
        let full = Machine::new(size, false);
        let (smallest, largest) = full.extremes();
        let (small, large) = (full.end_of(&smallest), full.end_of(&largest));
        Self { spare: Machine::new(size, true), full, small, large }
    }
}

fn main() -> ExitCode {
    let json = std::env::args().any(|word| word == "--json");
    let scenes: Vec<Scene> = SIZES.into_iter().map(Scene::new).collect();
    let mut good = true;
    let (mut worst, mut growth_most) = (Duration::ZERO, f64::MIN);
    if !json {
        println!(
            "{:24} {:>9} {:>9} {:>9}  {:>9} {:>7}",
            "p99 of one decision", "1/10", "1/3", "1", "median", "growth"
        );
    }
    for (name, question) in QUESTIONS {
        let mut p99 = Vec::new();
        let mut median = Duration::ZERO;
        for scene in &scenes {
            let mut took: Vec<Duration> =
                (0..ROUNDS + ROUNDS / 10).map(|round| question(scene, round)).collect();
            took.drain(..took.len() - ROUNDS as usize);
            took.sort_unstable();
            p99.push(took[took.len() * 99 / 100]);
            median = took[took.len() / 2];
        }
        let ratio = p99[2].as_secs_f64() / p99[0].as_secs_f64();
        let growth = ratio.log10();
        if p99[2] > worst {
            (worst, growth_most) = (p99[2], growth);
        }
        let kept = p99[2] <= BOUND;
        good &= kept;
        if !json {
            let us = |took: Duration| format!("{:.0} µs", took.as_secs_f64() * 1e6);
            let verdict = if kept { "" } else { "  MISS" };
            println!(
                "{name:24} {:>9} {:>9} {:>9}  {:>9} {growth:>7.2}{verdict}",
                us(p99[0]),
                us(p99[1]),
                us(p99[2]),
                us(median)
            );
        }
    }
    if json {
        let worst_ms = worst.as_secs_f64() * 1e3;
        println!("{{\"worst_p99_ms\": {worst_ms:.4}, \"growth\": {growth_most:.3}, \"kept\": {good}}}");
        return ExitCode::SUCCESS;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
