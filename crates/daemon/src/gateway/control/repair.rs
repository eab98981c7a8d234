//! `POST repair`: files that containers left in the caller's subordinate ids become his own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ds01_api::{RepairRequest, Repaired, codes};
use hyper::{Response, StatusCode};

use super::{Ask, Fault};
use crate::gateway::binds;
use crate::gateway::http::{self, Body, Refusal};
use crate::staging::{self, SUBGID, SUBUID, SubIds};

/// Who has a repair under way: one each.
static UNDER_WAY: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// A person's turn. A caller who hangs up ends the work; the turn ends with it.
struct Turn(u32);

impl Turn {
    fn take(uid: u32) -> Option<Self> {
        let mut taken = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(uid).then_some(Self(uid))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Says that nobody waits any more.
struct HangsUp(Arc<AtomicBool>);

impl Drop for HangsUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) async fn repair(mut ask: Ask) -> Result<Response<Body>, Fault> {
    let request: RepairRequest = ask.read().await?;
    let person = ask.caller.credentials();
    let (ranges, _) = SubIds::read(SUBUID.as_ref(), SUBGID.as_ref(), &ask.caller.name, person.uid);
    if ranges == SubIds::default() {
        let why = format!("{} has no subordinate ids, so no file lies in them", ask.caller.name);
        return Err(Fault::new(StatusCode::CONFLICT, codes::REQUEST_INVALID, why)
            .hint("an administrator gives some with usermod --add-subuids and --add-subgids"));
    }
    let Some(turn) = Turn::take(person.uid) else {
        let why = "a repair of yours is under way already";
        return Err(Fault::new(StatusCode::CONFLICT, codes::REQUEST_INVALID, why).hint("wait for its end"));
    };
    let rules = binds::rules(&ask.door.config(), false);
    let ended = Arc::new(AtomicBool::new(false));
    let hangs_up = HangsUp(ended.clone());
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let path = PathBuf::from(request.path);
        staging::repair(&person, ranges, &rules, &path, request.dry_run, &ended)
    });
    let found = work.await.map_err(|_| Refusal::fault("the repair met a fault; tell an admin"))?;
    drop(hangs_up);
    let found = found.map_err(|refusal| {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Refusal::new(status, refusal.to_string())
    })?;
    let repaired = Repaired { seen: found.seen, changed: found.changed, failed: found.failed };
    Ok(http::json(StatusCode::OK, &repaired))
}
