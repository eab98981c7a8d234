//! The one owner of the state: a task with a mailbox that decides, appends to the ledger, applies, answers.
//!
//! It must never call the Engine or NVML, and never wait for anything but its mailbox and the ledger's disk.
//! Whoever wants to start a container gets a [`Reservation`] from here, or the reason why not; nobody else can make one.

mod desk;
mod mailbox;
mod place;
mod starts;

use std::path::PathBuf;
use std::sync::Arc;

use ds01_domain::{Action, ContainerId, Policy, State};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::ledger::Ledger;

pub use mailbox::{Coordinator, Creating, Fault, Permit, Planned};
pub use place::{Place, place_of, places};
pub use starts::{Admitted, InLine, Reservation, StartOutcome, WaitNews};

/// Messages that may wait in the mailbox before senders wait with them.
const MAILBOX_MAX: usize = 1024;

/// What a decision asks the enforcer to do.
#[derive(Debug)]
pub enum Errand {
    /// Look at a container: something about it is not known.
    Look(ContainerId),
    /// Carry this out at the Engine.
    Act(Action),
}

/// Opens the mailbox over a state that the ledger has replayed.
///
/// The errands are what decisions ask of the Engine; whoever holds the receiver carries them out.
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
) -> std::io::Result<(Coordinator, mpsc::UnboundedReceiver<Errand>, std::thread::JoinHandle<()>)> {
    let (sender, mailbox) = mpsc::channel(MAILBOX_MAX);
    // Without a bound of its own, but bounded in fact: one errand for each container and look.
    let (errands, errand_box) = mpsc::unbounded_channel();
    let coordinator = Coordinator::new(sender);
    let desk =
        desk::Desk::new(state, policy, ledger, clock, inventory, receipts, coordinator.downgrade(), errands);
    // A thread of its own: a commit waits for the disk, and nothing else may wait with it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let thread = std::thread::Builder::new()
        .name("coordinator".into())
        .spawn(move || runtime.block_on(desk.run(mailbox)))?;
    Ok((coordinator, errand_box, thread))
}
