//! Names from a directory service that is quick, slow, down or lying.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::names::Patience;
use super::super::{Account, Directory, Known, Names, SystemDirectory};

/// What the service does when it is asked the next time.
#[derive(Debug)]
enum Next {
    Knows,
    KnowsNobody,
    Fails,
    /// Hangs until the sender is dropped, then knows.
    Hangs(Receiver<()>),
}

#[derive(Debug)]
struct Service {
    next: Mutex<Vec<Next>>,
    asked: AtomicU32,
}

impl Directory for Service {
    fn account(&self, uid: u32) -> io::Result<Option<Account>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let next = self.next.lock().unwrap().pop().expect("asked more often than the test expects");
        match next {
            Next::Knows => {}
            Next::KnowsNobody => return Ok(None),
            Next::Fails => return Err(io::Error::other("the server is down")),
            Next::Hangs(until) => drop(until.recv()),
        }
        let asked = self.asked.load(Ordering::SeqCst);
        let name = format!("user{uid}v{asked}");
        Ok(Some(Account {
            name,
            gid: uid,
            home: PathBuf::from("/home"),
            groups: vec![],
            unix_groups: vec![],
        }))
    }

    fn subordinate_of(&self, uid: u32) -> Option<String> {
        (uid >= 100_000).then(|| "alice".to_owned())
    }
}

fn hang() -> (Sender<()>, Next) {
    let (release, until) = channel();
    (release, Next::Hangs(until))
}

/// Long enough for a service that answers, on a machine that is busy.
const LONG: Duration = Duration::from_secs(20);
/// What is waited for one that does not.
const SHORT: Duration = Duration::from_millis(300);

/// A cache before a service that does these things in this order.
fn names(next: Vec<Next>, fresh: Duration, answer_wait: Duration) -> (Arc<Service>, Names) {
    let next = Mutex::new(next.into_iter().rev().collect());
    let service = Arc::new(Service { next, asked: AtomicU32::new(0) });
    let patience = Patience { answer_wait, fresh, fresh_nothing: fresh, ..Patience::default() };
    (Arc::clone(&service), Names::with_patience(service, patience))
}

fn name(known: &Known) -> &str {
    known.account().map_or("nobody", |account| &account.name)
}

#[tokio::test]
async fn a_fresh_answer_is_asked_for_once() {
    let (service, names) = names(vec![Next::Knows], Duration::from_mins(1), LONG);
    for _ in 0..3 {
        assert_eq!(name(&names.lookup(7).await), "user7v1");
    }
    assert_eq!(service.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let (release, hanging) = hang();
    let (service, names) = names(vec![hanging], Duration::from_mins(1), LONG);
    let names = Arc::new(names);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let names = Arc::clone(&names);
            tokio::spawn(async move { names.lookup(7).await })
        })
        .collect();
    tokio::task::yield_now().await;
    drop(release);
    for task in waiting {
        assert_eq!(name(&task.await.unwrap()), "user7v1");
    }
    assert_eq!(service.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn when_it_hangs_the_first_waits_a_little_and_the_rest_not_at_all() {
    let (release, hanging) = hang();
    let (service, names) = names(vec![Next::Knows, hanging], Duration::ZERO, SHORT);
    assert_eq!(name(&names.lookup(7).await), "user7v1");
    let start = Instant::now();
    assert_eq!(name(&names.lookup(7).await), "user7v1", "what it knew before");
    assert!(start.elapsed() >= SHORT);
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(name(&names.lookup(7).await), "user7v1");
    }
    assert!(start.elapsed() < SHORT * 20, "nobody waits a second time");
    assert_eq!(service.asked.load(Ordering::SeqCst), 2);
    drop(release);
}

#[tokio::test]
async fn who_was_never_known_is_a_number_while_it_hangs() {
    let (_release, hanging) = hang();
    let (_service, names) = names(vec![hanging], Duration::ZERO, SHORT);
    assert_eq!(names.lookup(7).await, Known::Nothing);
}

#[tokio::test]
async fn who_recalls_never_waits_and_what_he_asked_is_known_later() {
    let (release, hangs) = hang();
    let next = Mutex::new(vec![hangs, Next::Knows]);
    let service = Arc::new(Service { next, asked: AtomicU32::new(0) });
    let patience = Patience { recalled: Duration::ZERO, answer_wait: LONG, ..Patience::default() };
    let names = Names::with_patience(service, patience);
    assert_eq!(name(&names.lookup(7).await), "user7v1");
    let began = Instant::now();
    assert_eq!(name(&names.recall(7)), "user7v1", "what was known before");
    assert_eq!(name(&names.recall(7)), "user7v1", "the question is under way");
    assert!(began.elapsed() < LONG, "it waited");
    drop(release);
    while name(&names.lookup(7).await) != "user7v2" {
        assert!(began.elapsed() < LONG, "what was asked is never known");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nobody_is_believed_after_a_while_without_a_word_of_failure() {
    let answers = [Next::KnowsNobody, Next::Fails, Next::KnowsNobody, Next::KnowsNobody];
    let next = Mutex::new(answers.into_iter().rev().collect());
    let service = Arc::new(Service { next, asked: AtomicU32::new(0) });
    let patience = Patience { believed: SHORT, fresh_nothing: Duration::ZERO, ..Patience::default() };
    let names = Names::with_patience(service, patience);
    let mut found = Vec::new();
    for _ in 0..4 {
        names.lookup(7).await;
        found.push(names.is_nobody(7));
        tokio::time::sleep(SHORT * 2).await;
    }
    assert_eq!((found[1], found[3]), (false, true), "{found:?}");
    assert!(!names.is_known(7) && !names.is_nobody(8));
}

#[tokio::test]
async fn an_error_or_a_sudden_nobody_does_not_make_a_user_unknown() {
    let (_service, names) =
        names(vec![Next::Knows, Next::Fails, Next::KnowsNobody, Next::Knows], Duration::ZERO, LONG);
    for expected in ["user7v1", "user7v1", "user7v1", "user7v4"] {
        assert_eq!(name(&names.lookup(7).await), expected);
    }
}

#[tokio::test]
async fn a_subordinate_id_is_its_owner_s_unless_it_is_a_person() {
    let (_release, hanging) = hang();
    let (_service, names) = names(vec![Next::KnowsNobody, hanging, Next::Knows], Duration::ZERO, SHORT);
    assert_eq!(names.lookup(100_000).await.subordinate_of(), Some("alice"));
    assert_eq!(names.lookup(100_001).await.subordinate_of(), Some("alice"), "while it hangs as well");
    assert_eq!(name(&names.lookup(100_002).await), "user100002v3");
}

#[tokio::test]
async fn the_machine_knows_root() {
    let names = Names::new(Arc::new(SystemDirectory));
    let root = names.lookup(0).await;
    let account = root.account().expect("there is a root");
    assert_eq!((account.name.as_str(), account.gid), ("root", 0));
    assert!(account.unix_groups.contains(&"root".to_owned()) && account.groups.contains(&0));
    assert_eq!(names.lookup(4_294_000_000).await, Known::Nothing);
}
