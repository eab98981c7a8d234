//! The terminals attached to containers that have not started yet: who is told that a start waits, and who may
//! cancel it with Ctrl-C.
//!
//! A terminal that goes away leaves by itself; nothing here keeps a connection alive.

use std::collections::HashMap;
use std::sync::Mutex;

use ds01_domain::ContainerId;
use tokio::sync::{mpsc, watch};

use super::tunnel::Terminal;

/// Notices that may pile up at one slow terminal before new ones are dropped.
const NOTICES_MAX: usize = 16;

#[derive(Debug)]
struct Room {
    notices: Vec<mpsc::Sender<String>>,
    interrupt: mpsc::Sender<()>,
    interrupted: Option<mpsc::Receiver<()>>,
    waiting: watch::Sender<bool>,
}

impl Room {
    fn new() -> Self {
        let (interrupt, interrupted) = mpsc::channel(1);
        Self {
            notices: Vec::new(),
            interrupt,
            interrupted: Some(interrupted),
            waiting: watch::Sender::new(false),
        }
    }

    fn is_unused(&self) -> bool {
        self.notices.iter().all(mpsc::Sender::is_closed) && self.interrupted.is_some()
    }
}

/// All attached terminals by container.
#[derive(Debug, Default)]
pub struct Terminals {
    rooms: Mutex<HashMap<ContainerId, Room>>,
}

impl Terminals {
    fn rooms(&self) -> std::sync::MutexGuard<'_, HashMap<ContainerId, Room>> {
        // A panic while the map was held left it whole: every change is one insertion or removal.
        self.rooms.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A terminal attaches to a container.
    #[must_use]
    pub fn attach(&self, container: &ContainerId, tty: bool) -> Terminal {
        let mut rooms = self.rooms();
        rooms.retain(|_, room| !room.is_unused());
        let room = rooms.entry(container.clone()).or_insert_with(Room::new);
        let (sender, notices) = mpsc::channel(NOTICES_MAX);
        room.notices.push(sender);
        Terminal { notices, interrupt: room.interrupt.clone(), tty, waiting: room.waiting.subscribe() }
    }

    /// A start begins to wait: from now on Ctrl-C at any attached terminal reaches it.
    #[must_use]
    pub fn wait_begins(&self, container: &ContainerId) -> Waiting<'_> {
        let mut rooms = self.rooms();
        let room = rooms.entry(container.clone()).or_insert_with(Room::new);
        room.waiting.send_replace(true);
        let interrupted = room.interrupted.take().unwrap_or_else(|| {
            let (interrupt, interrupted) = mpsc::channel(1);
            room.interrupt = interrupt;
            interrupted
        });
        Waiting { terminals: self, container: container.clone(), interrupted }
    }

    /// Tells every terminal of a container something; a full or closed terminal misses it.
    pub fn tell(&self, container: &ContainerId, text: &str) {
        if let Some(room) = self.rooms().get_mut(container) {
            room.notices.retain(|sender| {
                !matches!(sender.try_send(text.to_owned()), Err(mpsc::error::TrySendError::Closed(_)))
            });
        }
    }

    /// Whether anybody is attached.
    #[must_use]
    pub fn anybody(&self, container: &ContainerId) -> bool {
        self.rooms().get(container).is_some_and(|room| room.notices.iter().any(|n| !n.is_closed()))
    }
}

/// A start that waits; dropping it ends the wait for the terminals.
#[derive(Debug)]
pub struct Waiting<'t> {
    terminals: &'t Terminals,
    container: ContainerId,
    interrupted: mpsc::Receiver<()>,
}

impl Waiting<'_> {
    /// Resolves when somebody presses Ctrl-C at an attached terminal.
    pub async fn interrupted(&mut self) {
        if self.interrupted.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Tells the attached terminals something.
    pub fn tell(&self, text: &str) {
        self.terminals.tell(&self.container, text);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(room) = self.terminals.rooms().remove(&self.container) {
            room.waiting.send_replace(false);
        }
    }
}
