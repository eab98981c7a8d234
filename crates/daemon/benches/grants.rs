//! Durable grants a second: many starters at once, each asking for a unit, binding it, running and ending, over a real
//! ledger on a real disk. What the disk gives is measured beside it: commits of one fact each, and bare syncs.
//!
//! `cargo bench -p ds01-daemon --bench grants -- [--starters N] [--seconds N] [--directory DIR] [--json]`. The directory
//! must be on the disk that is meant. The binding is recorded as the hinge's question records it; there are no devices.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ds01_daemon::clock::Clock;
use ds01_daemon::coordinator::{self, Admitted, Cause, Coordinator, Planned, StartOutcome};
use ds01_daemon::inventory::Inventory;
use ds01_daemon::ledger::Ledger;
use ds01_domain::*;

/// Slices of 143 cards.
const UNITS: u32 = 1_001;
/// Grants a second that are promised.
const BOUND: f64 = 2_000.0;
/// How long the disk alone is measured.
const DISK_TIME: Duration = Duration::from_secs(2);

struct Settings {
    starters: u32,
    time: Duration,
    directory: PathBuf,
    json: bool,
}

fn main() -> Result<ExitCode> {
    let settings = settings()?;
    let scratch = settings.directory.join(format!("ds01-grants-{}", std::process::id()));
    std::fs::create_dir_all(&scratch)?;
    let measured = measure(&settings, &scratch);
    std::fs::remove_dir_all(&scratch)?;
    measured
}

fn measure(settings: &Settings, scratch: &Path) -> Result<ExitCode> {
    let syncs = syncs(scratch)?;
    let single = single_commits(scratch)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let alone = runtime.block_on(grants(&scratch.join("alone.db"), 1, settings.time))?;
    let many = runtime.block_on(grants(&scratch.join("many.db"), settings.starters, settings.time))?;
    if settings.json {
        println!(
            "{{\"grants_per_s\": {:.1}, \"commits_per_s\": {single:.1}, \"syncs_per_s\": {syncs:.1}, \
             \"grants_per_commit\": {:.2}, \"p50_ms\": {:.3}, \"p99_ms\": {:.3}, \"alone_p50_ms\": {:.3}}}",
            many.rate, many.per_commit, many.p50, many.p99, alone.p50
        );
    } else {
        println!("the disk alone: {syncs:.0} syncs/s, {single:.0} commits of one fact/s");
        for (name, found) in [("one starter", &alone), (&*format!("{} starters", settings.starters), &many)] {
            println!(
                "{name}: {:.0} durable grants/s ({:.2} for each commit that the disk does alone), admit p50 {:.2} ms, \
                 p99 {:.2} ms, {:.1} grants and {:.1} facts in a commit",
                found.rate,
                found.rate / single,
                found.p50,
                found.p99,
                found.per_commit,
                5.0 * found.per_commit
            );
        }
    }
    Ok(if settings.json || many.rate >= BOUND { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn settings() -> Result<Settings> {
    let mut settings = Settings {
        starters: 128,
        time: Duration::from_secs(5),
        directory: std::env::temp_dir(),
        json: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word}: which?"));
        match word.as_str() {
            "--starters" => settings.starters = value()?.parse()?,
            "--seconds" => settings.time = Duration::from_secs(value()?.parse()?),
            "--directory" => settings.directory = value()?.into(),
            "--json" => settings.json = true,
            // What cargo says to every benchmark.
            "--bench" => {}
            _ => bail!("unknown option {word}"),
        }
    }
    Ok(settings)
}

/// Syncs a second after as much as one small commit appends.
fn syncs(scratch: &Path) -> Result<f64> {
    let mut file = std::fs::File::create(scratch.join("syncs"))?;
    rate(|| {
        file.write_all(&[7; 8192])?;
        Ok(file.sync_data()?)
    })
}

/// Commits a second of one fact each.
fn single_commits(scratch: &Path) -> Result<f64> {
    let (mut ledger, _) = Ledger::open(&scratch.join("single.db"))?;
    let event = [Event::StopAsked { container: container(0), at: Time(1) }];
    rate(|| Ok(ledger.append(&event)?))
}

fn rate(mut act: impl FnMut() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < DISK_TIME {
        act()?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

struct Found {
    /// Grants a second.
    rate: f64,
    /// Milliseconds from the question to the answer.
    p50: f64,
    p99: f64,
    per_commit: f64,
}

async fn grants(path: &Path, starters: u32, time: Duration) -> Result<Found> {
    let (ledger, state) = Ledger::open(path)?;
    let clock = Clock::start_at_least(state.latest())?;
    let receipts = path.with_extension("receipts");
    let inventory = Arc::new(Inventory::default());
    let (coordinator, _errands, thread) =
        coordinator::open(state, Arc::new(Policy::default()), ledger, clock, inventory, receipts)?;
    let units = (0..UNITS).map(|number| {
        let unit = unit(number);
        (unit.id.clone(), UnitSeen { unit, processes: Processes::Unknowable })
    });
    let began = coordinator.begin_look().await?;
    let all = Observed {
        began,
        complete: true,
        units_complete: true,
        units: units.collect(),
        ..Observed::default()
    };
    coordinator.observed(all).await;
    for number in 1..=starters {
        create(&coordinator, number).await?;
    }
    let commits = coordinator.ledger(|ledger| ledger.commits()).await?;
    let began = Instant::now();
    let until = began + time;
    let tasks: Vec<_> =
        (1..=starters).map(|number| tokio::spawn(starter(coordinator.clone(), number, until))).collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.append(&mut task.await??);
    }
    let took = began.elapsed().as_secs_f64();
    let commits = coordinator.ledger(|ledger| ledger.commits()).await? - commits;
    coordinator.close().await;
    thread.join().ok().context("the coordinator panicked")?;
    waits.sort_unstable();
    let grants = f64::from(u32::try_from(waits.len())?);
    let at = |part: usize| waits[waits.len() * part / 100].as_secs_f64() * 1e3;
    let per_commit = grants / f64::from(u32::try_from(commits)?);
    Ok(Found { rate: grants / took, p50: at(50), p99: at(99), per_commit })
}

/// One after the other until the time is over; how long each grant took.
async fn starter(coordinator: Coordinator, number: u32, until: Instant) -> Result<Vec<Duration>> {
    let (id, mut waits) = (container(number), Vec::new());
    while Instant::now() < until {
        let asked = Instant::now();
        let admitted = coordinator.admit(person(number), id.clone(), Cause::Person, None).await?;
        waits.push(asked.elapsed());
        let Admitted::Granted(reservation) = admitted else { bail!("not granted: {admitted:?}") };
        let (reservation, at) = (reservation.forwarding(), coordinator.now().await?);
        let epoch = reservation.epoch();
        coordinator.record(vec![Event::Bound { container: id.clone(), epoch, at }]).await?;
        reservation.settle(StartOutcome::Running);
        let seen = Seen::plain(Run::Exited(0), Occupancy::Empty);
        let began = coordinator.begin_look().await?;
        let containers = BTreeMap::from([(id.clone(), seen)]);
        let units = coordinator.read({
            let id = id.clone();
            move |state, _, _| {
                let held = state.holding(&id).map_or(&[][..], |holding| &holding.units);
                let units = held.iter().filter_map(|unit| state.unit(unit)).map(|view| view.unit.clone());
                units
                    .map(|unit| (unit.id.clone(), UnitSeen { unit, processes: Processes::Unknowable }))
                    .collect()
            }
        });
        let look = Observed { began, containers, units: units.await?, ..Observed::default() };
        coordinator.observed(look).await;
        let id = id.clone();
        let held = coordinator.read(move |state, _, _| state.holding(&id).is_some()).await?;
        ensure!(!held, "what ended is not released");
    }
    Ok(waits)
}

async fn create(coordinator: &Coordinator, number: u32) -> Result<()> {
    let token = Token::new(&format!("{number:032x}")).context("a token")?;
    let event = Event::CreatePlanned {
        token: token.clone(),
        owner: person(number).uid,
        owner_name: person(number).name,
        name: format!("container{number}"),
        kind: Kind::Docker,
        want: Some(Want::count(1)),
        restart: RestartPolicy::No,
        auto_remove: false,
        at: Time(0),
    };
    let planned = Planned { person: person(number), event, running_containers: 0 };
    let permit = coordinator.plan_create(planned).await?;
    ensure!(permit.is_ok(), "a create was denied");
    let at = coordinator.now().await?;
    coordinator.record(vec![Event::Created { token, container: container(number), at }]).await?;
    Ok(())
}

fn person(number: u32) -> Person {
    let uid = 1000 + number % 40;
    Person { uid: Uid(uid), name: format!("person{uid}"), unix_groups: Vec::new(), admin: true }
}

fn container(number: u32) -> ContainerId {
    ContainerId::new(&format!("{number:064x}")).unwrap_or_else(|| unreachable!("64 digits"))
}

fn unit(number: u32) -> Unit {
    let (index, ordinal) = (number / 7, number % 7);
    let id = UnitId::new(&format!("MIG-{index:08x}-{ordinal:04x}-0000-0000-000000000000"));
    let card = CardId::new(&format!("GPU-{index:08x}-0000-0000-0000-000000000000"));
    let (Some(id), Some(card)) = (id, card) else { unreachable!("words of printable ASCII") };
    Unit {
        id,
        card,
        index,
        slice: Some(Slice { ordinal, profile: "1g.10gb".to_owned(), compute: 1, memory: 1 }),
        model: "NVIDIA A100-SXM4-80GB".to_owned(),
        memory_mib: 9728,
        weight: Weight::of_slice(1, 7, 1, 8),
    }
}
