//! What the coordinator and the door ask of the enforcer: each thing once, however often it is asked before it is
//! done. So the list is never longer than there are containers, and nothing is lost because it is full.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ds01_domain::{Action, ContainerId};
use tokio::sync::{Notify, oneshot};

/// Whoever waits for a look to be over; told by being dropped.
pub type Waiters = Vec<oneshot::Sender<()>>;

/// One thing to do.
#[derive(Debug)]
pub enum Errand {
    /// Carry this out at the Engine.
    Act(Action),
    /// Look at a container: something about it is not known. Those who wait are told when it was looked at.
    Look(ContainerId, Waiters),
    /// Look at everything there is.
    LookAtEverything,
}

/// The list of things to do; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Errands {
    list: Arc<List>,
}

#[derive(Debug, Default)]
struct List {
    pending: Mutex<Pending>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    acts: VecDeque<Action>,
    looks: BTreeMap<ContainerId, Waiters>,
    everything: bool,
}

impl Errands {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Every change is one insertion or removal: a panic elsewhere leaves the list whole.
        self.list.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a look at one container.
    pub fn at(&self, container: &ContainerId) {
        self.pending().looks.entry(container.clone()).or_default();
        self.list.more.notify_one();
    }

    /// Asks for a look at one container, and waits until it was looked at and what follows was decided.
    pub async fn at_and_wait(&self, container: &ContainerId) {
        let (told, looked) = oneshot::channel();
        self.pending().looks.entry(container.clone()).or_default().push(told);
        self.list.more.notify_one();
        // An error means the same: whoever looks is done with it.
        let _ = looked.await;
    }

    /// Asks for a look at everything.
    pub fn everything(&self) {
        self.pending().everything = true;
        self.list.more.notify_one();
    }

    /// Asks for something to be carried out at the Engine.
    pub fn act(&self, action: Action) {
        let mut pending = self.pending();
        if !pending.acts.contains(&action) {
            pending.acts.push_back(action);
        }
        drop(pending);
        self.list.more.notify_one();
    }

    /// The next thing to do; waits until there is one. For one consumer.
    pub async fn next(&self) -> Errand {
        loop {
            if let Some(errand) = self.take() {
                return errand;
            }
            self.list.more.notified().await;
        }
    }

    fn take(&self) -> Option<Errand> {
        let mut pending = self.pending();
        if let Some(action) = pending.acts.pop_front() {
            return Some(Errand::Act(action));
        }
        if let Some((container, waiters)) = pending.looks.pop_first() {
            return Some(Errand::Look(container, waiters));
        }
        std::mem::take(&mut pending.everything).then_some(Errand::LookAtEverything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> ContainerId {
        ContainerId::new(&digit.to_string().repeat(64)).unwrap()
    }

    /// An errand in a word.
    fn told(errand: Option<Errand>) -> String {
        match errand {
            Some(Errand::Act(Action::Restart { container })) => format!("restart {}", container.short()),
            Some(Errand::Look(container, waiters)) => {
                format!("look at {} for {}", container.short(), waiters.len())
            }
            Some(Errand::LookAtEverything) => "look at everything".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_thing_is_done_once_and_acts_come_first() {
        let errands = Errands::default();
        errands.everything();
        errands.at(&id('b'));
        errands.at(&id('a'));
        errands.at(&id('b'));
        errands.act(Action::Restart { container: id('c') });
        errands.act(Action::Restart { container: id('c') });
        errands.everything();
        assert_eq!(told(Some(errands.next().await)), "restart cccccccccccc");
        assert_eq!(told(Some(errands.next().await)), "look at aaaaaaaaaaaa for 0");
        assert_eq!(told(Some(errands.next().await)), "look at bbbbbbbbbbbb for 0");
        assert_eq!(told(Some(errands.next().await)), "look at everything");
        assert_eq!(told(errands.take()), "None");
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let errands = Errands::default();
        let asking = tokio::spawn({
            let errands = errands.clone();
            async move { errands.at_and_wait(&id('a')).await }
        });
        let errand = errands.next().await;
        assert!(!asking.is_finished());
        assert_eq!(told(Some(errand)), "look at aaaaaaaaaaaa for 1");
        asking.await.unwrap();
    }
}
