//! `GET exemptions` and `POST exemptions`: administrators let containers run on until a day, for a reason, or take that
//! back.

use ds01_api::{Exempt, Exemption, ExemptionList, codes};
use ds01_domain::{self as domain, Event, Uid};
use hyper::{Response, StatusCode};

use super::{Ask, Fault};
use crate::clock;
use crate::gateway::http::{self, Body};

/// The longest reason, in bytes.
const REASON_BYTES_MAX: usize = 500;

fn only_administrators(ask: &Ask) -> Result<(), Fault> {
    if ask.caller.admin {
        return Ok(());
    }
    let message = "only an administrator may exempt containers from being stopped";
    Err(Fault::new(StatusCode::FORBIDDEN, codes::NOT_PERMITTED, message)
        .hint("ds01 keep gives an idle container time; ask an administrator for more"))
}

/// `GET exemptions`: all of them for administrators, one's own for everybody.
pub(super) async fn list(ask: Ask) -> Result<Response<Body>, Fault> {
    let own = (!ask.caller.admin).then(|| ask.caller.name.clone());
    let read = move |state: &domain::State, now| {
        let theirs =
            state.exemptions(now).filter(|one| own.as_ref().is_none_or(|own| *own == one.owner_name));
        theirs.map(|one| shown(one, now)).collect::<Vec<_>>()
    };
    let exemptions = ask.door.coordinator.read(move |state, _, now| read(state, now)).await?;
    Ok(http::json(StatusCode::OK, &ExemptionList { exemptions }))
}

/// `POST exemptions`: with an end and a reason to give one, without to take it back.
pub(super) async fn exempt(mut ask: Ask) -> Result<Response<Body>, Fault> {
    only_administrators(&ask)?;
    let wanted: Exempt = ask.read().await?;
    let now = ask.door.coordinator.now().await?;
    let (of, owner_name, name) = target(&ask, &wanted).await?;
    let by = ask.caller.name.clone();
    let event = match wanted.until {
        Some(until) => {
            let until = clock::at_wall(until, now);
            let reason = wanted.reason.unwrap_or_default().trim().to_owned();
            if until <= now || reason.is_empty() || reason.len() > REASON_BYTES_MAX {
                let message = "an exemption has an end that is to come, and a reason of at most 500 bytes";
                return Err(Fault::new(StatusCode::BAD_REQUEST, codes::REQUEST_INVALID, message));
            }
            Event::Exempted(domain::Exemption { of, owner_name, name, until, reason, by, at: now })
        }
        None => Event::ExemptionOver { of, by, at: now },
    };
    let key = match &event {
        Event::Exempted(exemption) => exemption.of.clone(),
        Event::ExemptionOver { of, .. } => of.clone(),
        _ => return Err(crate::coordinator::Fault::Confused.into()),
    };
    let find = move |state: &domain::State, now| {
        state.exemptions(now).find(|one| one.of == key).map(|one| shown(one, now))
    };
    let before = ask.door.coordinator.read({
        let find = find.clone();
        move |state, _, now| find(state, now)
    });
    let before = before.await?;
    if before.is_none() && matches!(event, Event::ExemptionOver { .. }) {
        let message = "there is no such exemption";
        return Err(Fault::new(StatusCode::NOT_FOUND, codes::EXEMPTION_NOT_FOUND, message)
            .hint("ds01 exempt --list shows those that hold"));
    }
    ask.door.coordinator.record(vec![event]).await?;
    let after = ask.door.coordinator.read(move |state, _, now| find(state, now)).await?;
    // What holds now; of one that was taken back, what held.
    let exemptions = after.or(before).into_iter().collect();
    Ok(http::json(StatusCode::OK, &ExemptionList { exemptions }))
}

/// What is meant, with its owner's name and its own.
async fn target(ask: &Ask, wanted: &Exempt) -> Result<(domain::Exempt, String, String), Fault> {
    match (&wanted.container, &wanted.user) {
        (Some(name), None) => {
            let own = ask.container(name).await?;
            let container = own.container.as_ref().filter(|container| container.want.is_some());
            let container = container.ok_or_else(|| {
                let message = format!("{name} has no GPU, so nothing stops it");
                Fault::new(StatusCode::CONFLICT, codes::CONTAINER_CONFLICT, message)
            })?;
            let of = domain::Exempt::Container(own.id.clone());
            Ok((of, container.owner_name.clone(), container.name.clone()))
        }
        (None, Some(user)) => {
            let (name, lookup) = (user.clone(), user.clone());
            let uid = tokio::task::spawn_blocking(move || nix::unistd::User::from_name(&lookup)).await;
            let uid = uid.ok().and_then(Result::ok).flatten().map(|user| Uid(user.uid.as_raw()));
            let uid = uid.ok_or_else(|| {
                let message = format!("this machine knows no user {name}");
                Fault::new(StatusCode::NOT_FOUND, codes::USER_NOT_FOUND, message)
            })?;
            Ok((domain::Exempt::Person(uid), user.clone(), String::new()))
        }
        _ => {
            let message = "name a container or a user, and not both";
            Err(Fault::new(StatusCode::BAD_REQUEST, codes::REQUEST_INVALID, message))
        }
    }
}

fn shown(exemption: &domain::Exemption, now: domain::Time) -> Exemption {
    let name = || {
        let project = ds01_api::names::project_of(&exemption.name, &exemption.owner_name);
        project.map_or_else(|| exemption.name.clone(), |project| project.to_string())
    };
    Exemption {
        user: exemption.owner_name.clone(),
        container: matches!(exemption.of, domain::Exempt::Container(_)).then(name),
        until: clock::wall_at(exemption.until, now),
        left_seconds: exemption.until.since(now).as_secs(),
        reason: exemption.reason.clone(),
        by: exemption.by.clone(),
    }
}
