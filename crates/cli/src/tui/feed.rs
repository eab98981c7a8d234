//! What the dashboard shows, from the door: what ds01d knows by itself every two seconds, what it has to ask the Engine for
//! five times as seldom, what happened as it happens, and answers to what is asked. Forty people may look at once: it must
//! never ask for what nobody sees, and it must never draw.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ds01_api::{ContainerList, Keep, Kept, Why, paths};
use jiff::{Timestamp, Zoned};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinError, JoinSet};

use super::model::{Command, News, Snapshot};
use crate::client::{ClientError, Door};
use crate::failure::Failure;
use crate::render;

/// How long after an answer the lists are asked for again.
const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// How many times the list of containers is shown before it is asked for again, if nothing happened meanwhile: for it ds01d
/// asks the Engine.
const CONTAINERS_SHOWN: u32 = 5;
/// How long after the stream of events broke off it is asked for again.
const EVENTS_AGAIN: Duration = Duration::from_secs(5);
/// How far back what happened is shown at first.
const EVENTS_SECONDS: i64 = 60 * 60;
/// How many containers are asked at the same time what they use: the Engine looks at each for a second or two.
const USES_AT_ONCE: usize = 4;
/// News that nobody has taken yet.
const NEWS_MAX: usize = 64;

/// The door, asked again and again. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Feed {
    door: Door,
    tasks: JoinSet<()>,
    send: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
    /// Tells that the lists are wanted now.
    hurry: Arc<Notify>,
    /// Containers that have been asked what they use and have not answered.
    uses: usize,
}

impl Feed {
    /// Begins to ask.
    pub(crate) fn start(door: &Door) -> Self {
        let (send, news) = mpsc::channel(NEWS_MAX);
        let hurry = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let stale = Arc::new(AtomicBool::new(false));
        tasks.spawn(lists(door.clone(), send.clone(), Arc::clone(&hurry), Arc::clone(&stale)));
        tasks.spawn(events(door.clone(), send.clone(), stale));
        Self { door: door.clone(), tasks, send, news, hurry, uses: 0 }
    }

    /// The next news.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            tokio::select! {
                Some(news) = self.news.recv() => {
                    if let News::Used(..) = news {
                        self.uses = self.uses.saturating_sub(1);
                    }
                    return news;
                }
                Some(ended) = self.tasks.join_next() => resume(ended),
            }
        }
    }

    /// Does what the model wants done at the door.
    pub(crate) fn perform(&mut self, command: Command) {
        let (door, send, hurry) = (self.door.clone(), self.send.clone(), Arc::clone(&self.hurry));
        match command {
            Command::Refresh => hurry.notify_one(),
            Command::Why { id } => drop(self.tasks.spawn(async move {
                let why = door.get::<Why>(&paths::with_name(paths::WHY, &id)).await;
                let _ = send.send(News::Why(why.map_err(Failure::from))).await;
            })),
            Command::Keep { id, name, seconds } => drop(self.tasks.spawn(async move {
                let kept = door.post::<Kept>(&paths::with_name(paths::KEEP, &id), &Keep { seconds }).await;
                let told = kept.map(|kept| render::kept(&name, &kept)).map_err(Failure::from);
                let _ = send.send(News::Done(told)).await;
                hurry.notify_one();
            })),
            Command::Stop { id, name } => drop(self.tasks.spawn(async move {
                let stopped = door.stop(&id, None).await.map_err(Failure::from);
                let told =
                    stopped.map(|()| format!("{name} is stopped: container start {name} starts it again"));
                let _ = send.send(News::Done(told)).await;
                hurry.notify_one();
            })),
            Command::Suspend | Command::Leave(_) => {}
        }
    }

    /// How many more containers may be asked what they use.
    pub(crate) fn uses_free(&self) -> usize {
        USES_AT_ONCE.saturating_sub(self.uses)
    }

    /// Asks containers what they use.
    pub(crate) fn ask_uses(&mut self, ids: Vec<String>) {
        for id in ids {
            let (door, send) = (self.door.clone(), self.send.clone());
            self.uses += 1;
            self.tasks.spawn(async move {
                let usage = door.usage_of(&id).await.ok();
                let _ = send.send(News::Used(id, usage)).await;
            });
        }
    }
}

/// A panic of a task is one of the program.
fn resume(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// All lists; of the containers the one that is known, where it will do.
pub(crate) async fn look(door: &Door, known: Option<&ContainerList>) -> Result<Snapshot, ClientError> {
    let containers = async {
        match known {
            Some(known) => Ok(known.clone()),
            None => door.get(paths::CONTAINERS).await,
        }
    };
    let (machine, containers, queue, stats) = tokio::try_join!(
        door.get(paths::MACHINE),
        containers,
        door.get(paths::QUEUE),
        door.get(paths::STATS),
    )?;
    Ok(Snapshot { at: Zoned::now(), machine, containers, queue, stats })
}

async fn lists(door: Door, send: mpsc::Sender<News>, hurry: Arc<Notify>, stale: Arc<AtomicBool>) {
    let mut containers: Option<ContainerList> = None;
    let mut shown = 0;
    loop {
        // The first look was taken before there was a screen.
        tokio::select! {
            () = tokio::time::sleep(REFRESH_EVERY) => {}
            () = hurry.notified() => containers = None,
        }
        if stale.swap(false, Ordering::Relaxed) || shown >= CONTAINERS_SHOWN {
            containers = None;
        }
        shown = if containers.is_some() { shown + 1 } else { 1 };
        let news = match look(&door, containers.as_ref()).await {
            Ok(snapshot) => {
                containers = Some(snapshot.containers.clone());
                News::Seen(Box::new(snapshot))
            }
            Err(error) => {
                containers = None;
                News::Trouble(Failure::from(error).error.message)
            }
        };
        if send.send(news).await.is_err() {
            return;
        }
    }
}

async fn events(door: Door, send: mpsc::Sender<News>, stale: Arc<AtomicBool>) {
    let mut since = Timestamp::now().as_second() - EVENTS_SECONDS;
    loop {
        // That it broke off is no news: the lists tell of the door.
        if let Ok(mut lines) = door.events(since, None, true).await {
            while let Ok(Some(line)) = lines.next().await {
                since = line.at;
                // Whatever it was, the containers may not be as they were.
                stale.store(true, Ordering::Relaxed);
                if send.send(News::Happened(Box::new(line))).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(EVENTS_AGAIN).await;
    }
}
