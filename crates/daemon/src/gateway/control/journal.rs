//! `GET events` and `GET history`: what happened, to be read by those whom it concerns.
//!
//! Everybody sees his own, administrators everything; of others a user sees who held which unit and when, as he does
//! while they hold it. It is read from the disk beside the coordinator: who reads for long holds up nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ds01_api::{Ending, EventLine, History, Stint, Total, codes};
use ds01_domain as domain;
use ds01_domain::{Cause, Time, Uid};
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::{Ask, Fault};
use crate::clock;
use crate::gateway::Door;
use crate::gateway::http::{self, Body, BoxError};
use crate::ledger::{LedgerError, Line, Reader, STINTS_KEPT, Wanted};
use crate::run::LEDGER_FILE;

/// Lines that are read at once.
const LINES_READ: u32 = 500;
/// Pieces that wait for a slow reader.
const PIECES_MAX: usize = 4;
/// How often somebody who follows hears that there is nothing new: else a reader that went away would not show.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// The most stints that are listed; the totals are of all.
const STINTS_MAX: usize = 1000;

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        tracing::error!(error = %crate::Chain(&error), "the journal cannot be read");
        let message = "the journal cannot be read; ds01d's log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, codes::INTERNAL, message)
    }
}

/// `GET events`: lines of the journal, one JSON value each.
pub(super) async fn events(ask: Ask) -> Result<Response<Body>, Fault> {
    let now = ask.door.coordinator.now().await?;
    let wanted = Wanted {
        owner: (!ask.caller.admin).then_some(Uid(ask.caller.uid)),
        since: moment(&ask, "since", now)?.unwrap_or_default(),
        until: moment(&ask, "until", now)?,
    };
    let follow = ask.query("follow").is_some_and(|value| value != "0" && value != "false");
    let reader = reader(&ask.door).await?;
    let (pieces, stream) = mpsc::channel::<Bytes>(PIECES_MAX);
    let door = ask.door.clone();
    let told = ask.door.coordinator.journal();
    tokio::spawn(async move {
        let read = Reading { reader: Some(reader), wanted, last: 0, pieces };
        if let Err(error) = read.pass_on(&door, told, follow).await {
            tracing::warn!(error = %crate::Chain(&error), "somebody's reading of the journal broke off");
        }
    });
    let frames = ReceiverStream::new(stream).map(|piece| Ok::<_, BoxError>(Frame::data(piece)));
    let mut response = Response::new(http::boxed(StreamBody::new(frames)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(ds01_api::paths::NDJSON));
    Ok(response)
}

/// Somebody who reads the journal.
struct Reading {
    reader: Option<Reader>,
    wanted: Wanted,
    last: u64,
    pieces: mpsc::Sender<Bytes>,
}

impl Reading {
    /// Passes on what there is, then, where he stays, what comes.
    async fn pass_on(
        mut self,
        door: &Door,
        mut told: watch::Receiver<u64>,
        follow: bool,
    ) -> Result<(), LedgerError> {
        loop {
            // Before it is read: what comes meanwhile is seen next.
            told.borrow_and_update();
            let lines = self.next().await?;
            let Ok(now) = door.coordinator.now().await else { return Ok(()) };
            let whole = lines.len() == usize::try_from(LINES_READ).unwrap_or(usize::MAX);
            if !lines.is_empty() && self.pieces.send(written(&lines, now)).await.is_err() {
                return Ok(());
            }
            if whole {
                continue;
            }
            if !follow || self.wanted.until.is_some_and(|until| until < now) {
                return Ok(());
            }
            tokio::select! {
                () = self.pieces.closed() => return Ok(()),
                changed = told.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(SILENCE_MAX) => {
                    if self.pieces.send(Bytes::from_static(b"\n")).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> Result<Vec<Line>, LedgerError> {
        let Some(reader) = self.reader.take() else { return Ok(Vec::new()) };
        let (wanted, last) = (self.wanted.clone(), self.last);
        let read = tokio::task::spawn_blocking(move || {
            let lines = reader.lines(&wanted, last, LINES_READ);
            (reader, lines)
        });
        // It fails only where the runtime goes down.
        let Ok((reader, lines)) = read.await else { return Ok(Vec::new()) };
        self.reader = Some(reader);
        let lines = lines?;
        self.last = lines.last().map_or(self.last, |line| line.seq);
        Ok(lines)
    }
}

async fn reader(door: &Door) -> Result<Reader, Fault> {
    let path = door.config().paths.state.join(LEDGER_FILE);
    let opened = tokio::task::spawn_blocking(move || Reader::open(&path)).await;
    opened.map_err(|_| stopping())?.map_err(Fault::from)
}

fn stopping() -> Fault {
    crate::coordinator::Fault::Stopping.into()
}

/// A moment of a query, in Unix seconds, as ledger time.
fn moment(ask: &Ask, key: &str, now: Time) -> Result<Option<Time>, Fault> {
    let Some(text) = ask.query(key) else { return Ok(None) };
    let seconds: i64 = text.parse().map_err(|_| {
        let message = format!("{key} is a Unix time in seconds");
        Fault::new(StatusCode::BAD_REQUEST, codes::REQUEST_INVALID, message)
    })?;
    Ok(Some(clock::at_wall(seconds, now)))
}

fn written(lines: &[Line], now: Time) -> Bytes {
    let mut text = Vec::new();
    for Line { entry, .. } in lines {
        text.extend(serde_json::to_vec(&event_line(entry, now)).unwrap_or_default());
        text.push(b'\n');
    }
    text.into()
}

/// A line of the journal, as others read it.
pub(crate) fn event_line(entry: &domain::Entry, now: Time) -> EventLine {
    let about = entry.about.as_ref();
    EventLine {
        at: clock::wall_at(entry.at, now),
        event: entry.what.word().to_owned(),
        owner: about.map(|about| about.owner_name.clone()),
        container: about.filter(|about| about.container.is_some()).map(short_name),
        units: entry.units.clone(),
        text: entry.text.clone(),
    }
}

/// The project, where the container is one's.
fn short_name(about: &domain::About) -> String {
    let project = ds01_api::names::project_of(&about.name, &about.owner_name);
    project.map_or_else(|| about.name.clone(), |project| project.to_string())
}

/// `GET history`: who held which units from when to when.
pub(super) async fn history(ask: Ask) -> Result<Response<Body>, Fault> {
    let now = ask.door.coordinator.now().await?;
    let oldest = Time(now.0.saturating_sub(u64::try_from(STINTS_KEPT.as_millis()).unwrap_or(u64::MAX)));
    let since = moment(&ask, "since", now)?.unwrap_or_default().max(oldest);
    let (user, container) = (ask.query("user"), ask.query("container"));
    let all = ask.query("all").is_some_and(|value| value != "0" && value != "false");
    let own_only = user.is_none() && !all && !ask.caller.admin;
    let wanted = Wanted { owner: own_only.then_some(Uid(ask.caller.uid)), since, until: None };
    let reader = reader(&ask.door).await?;
    let past = tokio::task::spawn_blocking(move || reader.stints(&wanted)).await;
    let past = past.map_err(|_| stopping())??;
    let present: Vec<domain::Stint> =
        ask.door.coordinator.read(|state, _, _| domain::stints(state).collect()).await?;
    // One that is being cleared up is in both.
    let over: BTreeSet<_> = past.iter().map(|stint| stint.epoch).collect();
    let mut stints = past;
    stints.extend(present.into_iter().filter(|stint| !over.contains(&stint.epoch)));
    let name = container.as_deref();
    stints.retain(|stint| {
        let mine = stint.about.owner.0 == ask.caller.uid;
        let may_know = mine || ask.caller.admin;
        (mine || !own_only)
            && user.as_ref().is_none_or(|user| *user == stint.about.owner_name)
            && name.is_none_or(|name| may_know && is_called(&stint.about, name))
    });
    if let Some(name) = name.filter(|_| stints.is_empty()) {
        let message = format!("no container {name} of yours has held a GPU since then");
        return Err(Fault::new(StatusCode::NOT_FOUND, codes::CONTAINER_NOT_FOUND, message)
            .hint("ds01 history shows all; what lies back more than 90 days is forgotten"));
    }
    let shown: Vec<Stint> = stints.iter().map(|stint| shown(&ask, stint, since, now)).collect();
    let totals = totals(&shown);
    let earlier = shown.len().saturating_sub(STINTS_MAX);
    let history = History {
        since: clock::wall_at(since, now),
        stints: shown.into_iter().skip(earlier).collect(),
        earlier: u64::try_from(earlier).unwrap_or(u64::MAX),
        totals,
    };
    Ok(http::json(StatusCode::OK, &history))
}

/// Whether a container is meant: by project, name, or the beginning of its id.
fn is_called(about: &domain::About, typed: &str) -> bool {
    let by_name = ds01_api::names::candidates(typed, &about.owner_name).contains(&about.name);
    let id = about.container.as_ref().map_or("", |id| id.as_str());
    by_name || (typed.len() >= 4 && id.starts_with(typed))
}

fn shown(ask: &Ask, stint: &domain::Stint, since: Time, now: Time) -> Stint {
    let mine = stint.about.owner.0 == ask.caller.uid;
    let may_know = mine || ask.caller.admin;
    let until = stint.until.unwrap_or(now);
    Stint {
        owner: stint.about.owner_name.clone(),
        mine,
        container: may_know.then(|| short_name(&stint.about)),
        units: stint.units.clone(),
        weight_milli: stint.weight.as_milli(),
        from: clock::wall_at(stint.from, now),
        until: stint.until.map(|until| clock::wall_at(until, now)),
        held_seconds: until.since(stint.from.max(since)).as_secs(),
        ending: stint.ending.filter(|_| may_know).map(ending),
    }
}

const fn ending(ending: domain::Ending) -> Ending {
    match ending {
        domain::Ending::NotStarted => Ending::NotStarted,
        domain::Ending::Exited(code) => Ending::Exited { code },
        domain::Ending::ByUser => Ending::Stopped,
        domain::Ending::Retired => Ending::Retired,
        domain::Ending::Stopped(Cause::Idle | Cause::Demand) => Ending::Idle,
        domain::Ending::Stopped(Cause::Runtime) => Ending::Runtime,
    }
}

/// Who held how much, the most first; each person before his containers.
fn totals(stints: &[Stint]) -> Vec<Total> {
    let mut people: BTreeMap<&str, (u64, BTreeMap<&str, u64>)> = BTreeMap::new();
    for stint in stints {
        let milli = stint.held_seconds.saturating_mul(stint.weight_milli.into());
        let (sum, containers) = people.entry(&stint.owner).or_default();
        *sum += milli;
        if let Some(container) = &stint.container {
            *containers.entry(container).or_default() += milli;
        }
    }
    let mut people: Vec<_> = people.into_iter().collect();
    people.sort_by_key(|(_, (sum, _))| std::cmp::Reverse(*sum));
    let total = |owner: &str, container: Option<&str>, milli: u64| Total {
        owner: owner.to_owned(),
        container: container.map(str::to_owned),
        gpu_seconds: milli / 1000,
    };
    let of_person = |(owner, (sum, containers)): (&str, (u64, BTreeMap<&str, u64>))| {
        let mut containers: Vec<_> = containers.into_iter().collect();
        containers.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
        let each = containers.into_iter().map(|(name, sum)| total(owner, Some(name), sum));
        std::iter::once(total(owner, None, sum)).chain(each).collect::<Vec<_>>()
    };
    people.into_iter().flat_map(of_person).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_of_whole_cards_the_greatest_first() {
        let stint = |owner: &str, container: Option<&str>, held_seconds, weight_milli| Stint {
            owner: owner.to_owned(),
            mine: false,
            container: container.map(str::to_owned),
            units: Vec::new(),
            weight_milli,
            from: 0,
            until: None,
            held_seconds,
            ending: None,
        };
        let stints = [
            stint("alice", Some("small"), 100, 500),
            stint("bob", None, 200, 1000),
            stint("alice", Some("large"), 100, 1000),
            stint("alice", Some("small"), 10, 500),
        ];
        let said: Vec<String> = totals(&stints)
            .iter()
            .map(|total| format!("{} {:?} {}", total.owner, total.container, total.gpu_seconds))
            .collect();
        let expected =
            ["bob None 200", "alice None 155", "alice Some(\"large\") 100", "alice Some(\"small\") 55"];
        assert_eq!(said, expected);
    }
}
