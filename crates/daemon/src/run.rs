//! The daemon's life: what is opened in which order, what stops when it is told to.
//!
//! The hinge opens after the ledger is replayed and before the Engine is asked anything: at boot the Engine waits for
//! its containers, and they wait for us.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, RwLock};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::activity::Watch;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::coordinator::{self, Coordinator};
use crate::enforcer::Enforcer;
use crate::engine::Engine;
use crate::gateway::terminals::Terminals;
use crate::gateway::{Door, Records, Turns, bound_everybody, serve};
use crate::hinge;
use crate::identity::{Identity, SystemDirectory};
use crate::inventory::Inventory;
use crate::ledger::{Ledger, LedgerError};
use crate::service;
use crate::staging::Stage;

/// The ledger's file in the state directory.
pub const LEDGER_FILE: &str = "ledger.db";
/// The receipts' directory in the run directory.
pub const RECEIPTS: &str = "receipts";

/// Reads the configuration, or takes the defaults where no file was named and none is there.
///
/// # Errors
/// Every mistake in the file, in one text.
pub fn configuration(path: Option<&Path>) -> anyhow::Result<Config> {
    match configuration_file(path) {
        Some(path) => config::load(path).map_err(|mistakes| anyhow::anyhow!("{mistakes}")),
        None => Ok(Config::default()),
    }
}

/// The file that is read: the one that was named, else the usual one where it is there.
#[must_use]
pub fn configuration_file(named: Option<&Path>) -> Option<&Path> {
    const DEFAULT: &str = "/etc/ds01/ds01.yaml";
    named.or_else(|| Some(Path::new(DEFAULT)).filter(|path| path.exists()))
}

/// Removes the devices of a simulated machine. Never beside a daemon, which would give them out still.
///
/// # Errors
/// A daemon that runs, devices that containers have, and what the system says.
pub fn release_devices(path: Option<&Path>) -> anyhow::Result<()> {
    let config = configuration(path)?;
    let _kept_out = match Ledger::keep_out(&config.paths.state.join(LEDGER_FILE)) {
        Ok(lock) => lock,
        Err(LedgerError::InUse { path }) => anyhow::bail!(
            "ds01d runs and gives these devices out (it has {}). Nothing was changed; stop it first",
            path.display()
        ),
        Err(error) => return Err(error.into()),
    };
    let released = Inventory::release(&config.paths.run)?;
    anyhow::ensure!(
        released.in_use.is_empty(),
        "devices are still in use and stay: {}; stop the containers that have them, then repeat",
        released.in_use.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// Runs the daemon until SIGTERM or SIGINT. SIGHUP reads the configuration again, all or nothing.
///
/// # Errors
/// What keeps it from starting; once it runs, nothing does.
pub async fn run(path: Option<&Path>) -> anyhow::Result<()> {
    let config = configuration(path)?;
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let paths = config.paths.clone();
    std::fs::create_dir_all(&paths.run).with_context(|| format!("cannot make {}", paths.run.display()))?;
    // What people asked for is nobody else's to read.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&paths.state)
        .with_context(|| format!("cannot make {}", paths.state.display()))?;

    let (ledger, state) = Ledger::open(&paths.state.join(LEDGER_FILE))?;
    let clock = Clock::start_at_least(state.latest()).context("cannot read the clock")?;
    let seed = paths.state.display().to_string();
    let inventory = Arc::new(Inventory::open(&config.machine, &seed, &paths.run)?);
    for problem in inventory.problems() {
        tracing::warn!("{problem}");
    }
    let receipts = paths.run.join(RECEIPTS);
    ds01_runtime::receipt::prepare(&receipts).context("cannot make the receipts' directory")?;
    let policy = Arc::new(config.policy.clone());
    let (coordinator, errands, thread) =
        coordinator::open(state, policy, ledger, clock, inventory.clone(), receipts.clone())?;

    let (stop, stopping) = watch::channel(false);
    let hinge = hinge::bind(&paths.hinge)?;
    tokio::spawn(hinge::serve(hinge, answer(coordinator.clone()), wait_for(stopping.clone())));

    let door = Arc::new(Door {
        engine: Engine::at(&paths.engine),
        coordinator: coordinator.clone(),
        identities: Identity::new(Arc::new(SystemDirectory)),
        terminals: Terminals::default(),
        stage: Arc::new(Stage::open(&paths.run)?),
        turns: Turns::default(),
        records: Records::default(),
        deeds: crate::gateway::deeds::Deeds::default(),
        account_files: crate::gateway::AccountCache::default(),
        config: RwLock::new(Arc::new(config)),
        engine_facts: RwLock::new(None),
        looks: errands.clone(),
        inventory: inventory.clone(),
        board: crate::activity::Board::default(),
    });
    let watch = Watch::new(door.clone(), receipts.clone(), paths.state.clone());
    let enforcer = Enforcer::new(door.clone(), inventory, receipts);
    enforcer.look_at_units().await;
    let everybody = door.clone();
    tokio::spawn(async move { bound_everybody(&everybody).await });
    let listener =
        serve::open(&paths.socket).with_context(|| format!("cannot open {}", paths.socket.display()))?;
    // With the socket there: it may be what is bound.
    enforcer.stage_again().await;
    let mut watching = tokio::spawn(watch.run(stopping.clone()));
    let mut enforcing = tokio::spawn(enforcer.run(errands, stopping.clone()));
    tracing::info!(socket = %paths.socket.display(), engine = %paths.engine.display(), "the door is open");
    let serving = tokio::spawn(serve::serve(door.clone(), listener, stopping.clone()));
    service::ready();
    let telling = tokio::spawn(crate::hook::follow(door.clone(), stopping.clone()));
    let mut coordinating = tokio::task::spawn_blocking(move || thread.join());

    tokio::select! {
        told = until_told_to_stop(&door, &coordinator, path) => told?,
        // Without either nothing would ever be decided or released again: better a new start from the ledger.
        _ = &mut coordinating => anyhow::bail!("the coordinator ended by itself: a defect of ds01d"),
        _ = &mut watching => anyhow::bail!("the watch over the GPUs' use ended by itself: a defect of ds01d"),
        _ = &mut enforcing => anyhow::bail!("the enforcer ended by itself: a defect of ds01d"),
    }
    service::stopping();
    // Ignored: every receiver is a task of ours that ends by itself then.
    let _ = stop.send(true);
    let _ = serving.await;
    let _ = enforcing.await;
    let _ = watching.await;
    telling.abort();
    coordinator.close().await;
    let _ = coordinating.await;
    tracing::info!("stopped; running containers go on");
    Ok(())
}

fn answer(
    coordinator: Coordinator,
) -> impl Fn(
    ds01_runtime::protocol::Request,
) -> std::pin::Pin<Box<dyn Future<Output = ds01_runtime::protocol::Response> + Send>>
+ Clone
+ Send
+ Sync
+ 'static {
    move |request| {
        let coordinator = coordinator.clone();
        Box::pin(async move { coordinator.bind(request).await })
    }
}

async fn wait_for(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|s| *s).await;
}

async fn until_told_to_stop(
    door: &Arc<Door>,
    coordinator: &Coordinator,
    path: Option<&Path>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => reload(door, coordinator, path).await,
        }
    }
}

/// Takes a new configuration as one value, or keeps the old one whole.
async fn reload(door: &Arc<Door>, coordinator: &Coordinator, path: Option<&Path>) {
    match configuration(path) {
        Err(mistakes) => {
            tracing::error!("the configuration was not changed:\n{mistakes}");
        }
        Ok(new) => {
            let old = door.config();
            if new.paths != old.paths || new.engine != old.engine || new.machine != old.machine {
                tracing::error!(
                    "the configuration was not changed: paths, engine and machine need a restart of ds01d \
                     (running containers go on through it)"
                );
                return;
            }
            coordinator.new_policy(Arc::new(new.policy.clone())).await;
            *door.config.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(new);
            bound_everybody(door).await;
            tracing::info!("the configuration was read again");
        }
    }
}
