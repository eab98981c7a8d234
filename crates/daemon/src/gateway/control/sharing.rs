//! `GET` and `POST shares`: images and volumes that their owner, or an administrator, lets others use.

use std::collections::HashMap;

use ds01_api::{Share, ShareKind, ShareList, ShareRequest, codes};
use ds01_docker::reference::ImageRef;
use hyper::{Response, StatusCode};

use super::{Ask, Fault};
use crate::gateway::http::{self, Body};
use crate::gateway::{images, volumes};
use crate::identity::Known;
use crate::ledger::{ObjectKind, Shared, Taker};

/// Users that one request names.
const USERS_MAX: usize = 256;
/// Shares of one object.
const SHARES_MAX: usize = 1024;

const KINDS: [(ShareKind, ObjectKind); 2] =
    [(ShareKind::Image, ObjectKind::Tag), (ShareKind::Volume, ObjectKind::Volume)];

/// `GET shares`.
pub(super) async fn list(ask: &Ask) -> Result<Response<Body>, Fault> {
    Ok(http::json(StatusCode::OK, &of_caller(ask).await?))
}

/// `POST shares`.
pub(super) async fn change(mut ask: Ask) -> Result<Response<Body>, Fault> {
    let request: ShareRequest = ask.read().await?;
    let takers = takers(&ask, &request).await?;
    let (kind, name) = owned(&ask, &request).await?;
    let key = name.clone();
    let done = ask
        .door
        .coordinator
        .ledger(move |ledger| {
            if request.withdraw {
                return match takers {
                    None => ledger.withdraw(kind, &key, None),
                    Some(takers) => takers
                        .into_iter()
                        .try_fold(0, |sum, taker| Ok(sum + ledger.withdraw(kind, &key, Some(taker))?)),
                };
            }
            let takers = takers.unwrap_or_else(|| vec![Taker::Everybody]);
            let before = ledger.shared(kind)?.iter().filter(|share| share.name == key).count();
            if before + takers.len() > SHARES_MAX {
                return Ok(0);
            }
            takers.iter().try_for_each(|taker| ledger.share(kind, &key, *taker, request.write))?;
            Ok(takers.len())
        })
        .await?
        .map_err(crate::coordinator::Fault::from)?;
    if done == 0 {
        let (message, hint) = if request.withdraw {
            (format!("{name} is not shared so"), "ds01 shares shows what is")
        } else {
            (format!("{name} has {SHARES_MAX} shares, the most there may be"), "share it with everybody")
        };
        return Err(Fault::new(StatusCode::CONFLICT, codes::REQUEST_INVALID, message).hint(hint));
    }
    list(&ask).await
}

/// With whom the request shares; `None` names nobody in particular.
async fn takers(ask: &Ask, request: &ShareRequest) -> Result<Option<Vec<Taker>>, Fault> {
    let Some(users) = &request.users else { return Ok(None) };
    let invalid = |message: String| Fault::new(StatusCode::BAD_REQUEST, codes::REQUEST_INVALID, message);
    if users.is_empty() || users.len() > USERS_MAX {
        return Err(invalid(format!("name 1 to {USERS_MAX} users")));
    }
    for uid in users {
        // A share outlives its taker; a new one is only for somebody who is there.
        let there =
            request.withdraw || matches!(ask.door.identities.names().lookup(*uid).await, Known::Account(_));
        if !there {
            return Err(invalid(format!("there is no user with the number {uid}")));
        }
    }
    Ok(Some(users.iter().map(|uid| Taker::User(*uid)).collect()))
}

/// What the request names, if it is the caller's to share.
async fn owned(ask: &Ask, request: &ShareRequest) -> Result<(ObjectKind, String), Fault> {
    let absent = |what: &str, name: &str| {
        Fault::new(StatusCode::NOT_FOUND, codes::REQUEST_INVALID, format!("you have no {what} {name}"))
            .hint(format!("docker {what} ls shows those you have"))
    };
    match request.kind {
        ShareKind::Image => {
            let image = ImageRef::parse(&request.name).ok();
            let Some(tag) = image.as_ref().and_then(images::tagged) else {
                return Err(absent("image", &request.name));
            };
            let sight = images::Sight::of(&ask.door, &ask.caller).await?;
            let there =
                request.withdraw || ask.door.engine.image(&tag).await.is_ok_and(|f| f.tags.contains(&tag));
            if !there || !sight.sees(&tag) {
                return Err(absent("image", &tag));
            }
            if !sight.owns(&tag) {
                return Err(Fault::new(
                    StatusCode::FORBIDDEN,
                    codes::NOT_PERMITTED,
                    format!("{tag} is not yours to share; what is nobody's is everybody's already"),
                ));
            }
            Ok((ObjectKind::Tag, tag))
        }
        ShareKind::Volume => {
            let owner = volumes::owners(&ask.door).await?.get(&request.name).copied();
            if owner != Some(ask.caller.uid) && !ask.caller.admin {
                return Err(absent("volume", &request.name));
            }
            Ok((ObjectKind::Volume, request.name.clone()))
        }
    }
}

/// What the caller shares, and what is shared with him; all there is for an administrator.
async fn of_caller(ask: &Ask) -> Result<ShareList, Fault> {
    let mut found = ShareList::default();
    let mut names = Names { ask, known: HashMap::new() };
    for (kind, object) in KINDS {
        let read =
            move |ledger: &mut crate::ledger::Ledger| Ok((ledger.shared(object)?, ledger.owned(object)?));
        let read = ask.door.coordinator.ledger(read).await?;
        let (shares, owned) =
            read.map_err(|e: crate::ledger::LedgerError| crate::coordinator::Fault::from(e))?;
        let owners: HashMap<String, u32> = owned.into_iter().map(|o| (o.name, o.uid)).collect();
        for Shared { name, taker, writes } in shares {
            let owner = owners.get(&name).copied();
            let given = owner == Some(ask.caller.uid) || ask.caller.admin;
            if !given && !taker.is(ask.caller.uid) {
                continue;
            }
            let with = match taker {
                Taker::Everybody => None,
                Taker::User(uid) => Some(names.of(uid).await),
            };
            let owner = match owner {
                Some(uid) => Some(names.of(uid).await),
                None => None,
            };
            let share = Share { kind, name, owner, with, write: writes };
            (if given { &mut found.given } else { &mut found.taken }).push(share);
        }
    }
    Ok(found)
}

/// Login names, each looked up once.
struct Names<'a> {
    ask: &'a Ask,
    known: HashMap<u32, String>,
}

impl Names<'_> {
    async fn of(&mut self, uid: u32) -> String {
        if let Some(name) = self.known.get(&uid) {
            return name.clone();
        }
        let found = self.ask.door.identities.names().lookup(uid).await;
        let name = found.account().map_or_else(|| uid.to_string(), |account| account.name.clone());
        self.known.insert(uid, name.clone());
        name
    }
}
