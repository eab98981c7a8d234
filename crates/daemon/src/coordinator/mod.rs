//! The one owner of the state: a task with a mailbox that decides, writes to the ledger, answers; what came together
//! is written together.
//!
//! It must never call the Engine or NVML, and never wait for anything but its mailbox and the ledger's disk.
//! Whoever wants to start a container gets a [`Reservation`] from here, or the reason why not; nobody else can make one.

mod batch;
mod books;
mod desk;
mod errands;
mod mailbox;
mod place;
mod starts;
mod sweep;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use ds01_domain::{Policy, State};
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::ledger::Ledger;

pub use errands::{Errand, Errands, Waiters};
pub use mailbox::{Coordinator, Creating, Fault, Permit, Planned};
pub use place::{Place, place_of, places};
pub use starts::{Admitted, Cause, InLine, Reservation, StartOutcome, WaitNews};

/// Messages that may wait in the mailbox before senders wait with them.
const MAILBOX_MAX: usize = 1024;

/// Opens the mailbox over a state that the ledger has replayed.
///
/// The errands are what decisions ask of the Engine; whoever holds them carries them out. Nothing is granted before
/// somebody has looked at everything once: what runs may hold units of which the ledger knows nothing.
///
/// # Errors
/// When the coordinator's thread cannot be made.
pub fn open(
    state: State,
    policy: Arc<Policy>,
    ledger: Ledger,
    clock: Clock,
    inventory: Arc<Inventory>,
    receipts: PathBuf,
) -> std::io::Result<(Coordinator, Errands, std::thread::JoinHandle<()>)> {
    let (sender, mailbox) = mpsc::channel(MAILBOX_MAX);
    let (looked, has_looked) = watch::channel(false);
    let (noted, journal) = watch::channel(0);
    let errands = Errands::default();
    let coordinator = Coordinator::new(sender, has_looked, journal);
    let parts = desk::Parts {
        state,
        policy,
        ledger,
        clock,
        inventory,
        receipts,
        handle: coordinator.downgrade(),
        errands: errands.clone(),
        looked,
        noted,
    };
    let desk = desk::Desk::new(parts);
    // A thread of its own: a commit waits for the disk, and nothing else may wait with it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let thread = std::thread::Builder::new()
        .name("coordinator".into())
        .spawn(move || runtime.block_on(desk.run(mailbox)))?;
    Ok((coordinator, errands, thread))
}
