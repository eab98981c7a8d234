//! Whose is it: callers, their containers, what is remembered of them.
//!
//! Other people's objects do not exist: the refusal is Docker's own "No such container", with the words the caller used.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use ds01_docker::object::ObjectRef;
use ds01_docker::present::Original;
use ds01_domain::{Container, ContainerId, Token, Uid};
use hyper::StatusCode;

use super::http::Refusal;
use super::{Call, Door, Visit};
use crate::engine::EngineError;
use crate::identity::{Admins, Caller, ContainerFacts, Place};
use crate::ledger::Record;

/// What is remembered of containers, by create token, so that the ledger is asked once for each.
#[derive(Debug, Default)]
pub struct Records {
    known: Mutex<HashMap<Token, Arc<Remembered>>>,
}

/// A record as the door uses it.
#[derive(Debug, Default)]
pub struct Remembered {
    /// As the ledger has it.
    pub record: Record,
    /// What the user asked for.
    pub original: Original,
}

impl Remembered {
    fn of(record: Record) -> Self {
        let original = serde_json::from_value(record.original.clone()).unwrap_or_default();
        Self { record, original }
    }
}

impl Records {
    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Token, Arc<Remembered>>> {
        // Every change is one insertion or removal: a panic elsewhere leaves the map whole.
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Remembers a record that was just written.
    pub fn put(&self, token: Token, record: Record) {
        self.known().insert(token, Arc::new(Remembered::of(record)));
    }

    /// Forgets what is remembered of a container that is no more.
    pub fn forget(&self, token: &Token) {
        self.known().remove(token);
    }

    /// The records of some containers, from memory or from the ledger.
    ///
    /// # Errors
    /// When the ledger cannot be asked.
    pub async fn of(
        &self,
        door: &Door,
        tokens: impl IntoIterator<Item = Token>,
    ) -> Result<HashMap<Token, Arc<Remembered>>, Refusal> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let known = self.known();
            for token in tokens {
                match known.get(&token) {
                    Some(record) => drop(found.insert(token, record.clone())),
                    None => missing.push(token),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let fetched = door
            .coordinator
            .ledger(move |ledger| {
                missing
                    .into_iter()
                    .map(|t| ledger.record_of(&t).map(|r| (t, r)))
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?
            .map_err(crate::coordinator::Fault::from)?;
        for (token, record) in fetched {
            let remembered = Arc::new(Remembered::of(record.unwrap_or_default()));
            self.known().insert(token.clone(), remembered.clone());
            found.insert(token, remembered);
        }
        Ok(found)
    }

    /// The record of one container; an empty one where it did not come through the door.
    ///
    /// # Errors
    /// When the ledger cannot be asked.
    pub async fn one(&self, door: &Door, token: Option<&Token>) -> Result<Arc<Remembered>, Refusal> {
        let Some(token) = token else { return Ok(Arc::default()) };
        Ok(self.of(door, [token.clone()]).await?.remove(token).unwrap_or_default())
    }
}

/// Judges who calls, per request; a peer inside a container is its owner.
pub(super) async fn judge_caller(visit: &Visit) -> Result<Caller, Refusal> {
    let door = &visit.door;
    let place = visit.place.get_or_try_init(|| place_of(visit)).await?;
    let owner = match place {
        Place::Container(id) => {
            let key = id.clone();
            door.coordinator.read(move |state, _, _| state.container(&key).map(|c| c.owner.0)).await?
        }
        _ => None,
    };
    let config = door.config();
    let admins = Admins { users: config.admins.users.clone(), groups: config.admins.groups.clone() };
    door.identities
        .judge(&visit.peer, place, |_| owner, &admins)
        .await
        .map_err(|error| Refusal::new(StatusCode::FORBIDDEN, error.to_string()))
}

/// Where a peer runs: what the Engine says of the containers that its cgroup names is compared with what it is in.
async fn place_of(visit: &Visit) -> Result<Place, Refusal> {
    let mut facts = Vec::new();
    for id in visit.peer.candidates() {
        match visit.door.engine.look(id).await {
            Ok(look) if look.pid > 0 => facts.push(ContainerFacts { id: id.clone(), init_pid: look.pid }),
            // Not running, or nobody can say: then nobody in it can be vouched for.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(visit.peer.place(&facts))
}

/// A container that the caller may act on.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) id: ContainerId,
    /// Absent for a container that an admin sees and that did not come through the door.
    pub(super) container: Option<Container>,
}

impl Own {
    pub(super) fn object(&self) -> Result<ObjectRef, Refusal> {
        super::forward::full(self.id.as_str())
    }

    pub(super) fn token(&self) -> Option<&Token> {
        self.container.as_ref().and_then(|c| c.token.as_ref())
    }

    pub(super) fn holds_want(&self) -> bool {
        self.container.as_ref().is_some_and(|c| c.want.is_some())
    }
}

impl Call {
    /// The word by which the path names a container.
    pub(super) fn asked_container(&self) -> &str {
        self.route.container().map_or("", |reference| reference.as_str())
    }

    /// The caller's container that the path names.
    pub(super) async fn own_container(&self) -> Result<Own, Refusal> {
        let reference =
            self.route.container().ok_or_else(|| Refusal::fault("the route names no container"))?;
        find_own(&self.door, &self.caller, reference.as_str()).await
    }
}

/// Finds a container of the caller's by full id, name, or prefix of the id, in Docker's order.
pub(super) async fn find_own(door: &Door, caller: &Caller, reference: &str) -> Result<Own, Refusal> {
    let (uid, admin) = (Uid(caller.uid), caller.admin);
    let wanted = reference.to_owned();
    let found = door
        .coordinator
        .read(move |state, _, _| {
            let visible = || state.containers().filter(|c| c.exists() && (admin || c.owner == uid));
            if let Some(id) = ContainerId::new(&wanted) {
                return visible().find(|c| c.id == id).cloned().into_iter().collect();
            }
            if let Some(named) = visible().find(|c| c.name == wanted) {
                return vec![named.clone()];
            }
            let hex = wanted.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if !hex {
                return Vec::new();
            }
            visible().filter(|c| c.id.as_str().starts_with(&wanted)).take(2).cloned().collect::<Vec<_>>()
        })
        .await?;
    match &found[..] {
        [one] => Ok(Own { id: one.id.clone(), container: Some(one.clone()) }),
        [_, _, ..] => Err(Refusal::bad(format!("more than one of your containers begins with {reference}"))),
        [] if admin => match door.engine.resolve(reference).await {
            Ok((id, _)) => Ok(Own { id, container: None }),
            Err(EngineError::Refused { status, message }) => Err(Refusal::new(status, message)),
            Err(error) => Err(error.into()),
        },
        [] => Err(Refusal::no_such("container", reference)),
    }
}

/// The ids of all containers that a caller may see; `None` means all there are.
pub(super) async fn visible_ids(door: &Door, caller: &Caller) -> Result<Option<BTreeSet<String>>, Refusal> {
    if caller.admin {
        return Ok(None);
    }
    let uid = Uid(caller.uid);
    let ids = door
        .coordinator
        .read(move |state, _, _| {
            state.containers().filter(|c| c.exists() && c.owner == uid).map(|c| c.id.to_string()).collect()
        })
        .await?;
    Ok(Some(ids))
}
