//! A start seen through: told while it waits, given up with Ctrl-C.

use std::time::Duration;

use ds01_api::{Exit, StartEvent, UnitRef, Waiting, codes};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::client::{ClientError, Door};
use crate::failure::Failure;
use crate::render;
use crate::terminal;
use crate::ui::Ui;

/// How often a countdown on the terminal goes on.
const TICK: Duration = Duration::from_secs(1);

/// A start that succeeded.
#[derive(Debug)]
pub(super) struct Started {
    /// What the container holds.
    pub(super) units: Vec<UnitRef>,
    /// It ran before.
    pub(super) already: bool,
}

/// Starts the container `id`, which the user calls `name`, and stays with it until it runs or is refused.
pub(super) async fn settle(
    door: &Door,
    id: &str,
    name: &str,
    wait: Option<Duration>,
    ui: Ui,
) -> Result<Started, Failure> {
    let mut interrupts = signal(SignalKind::interrupt()).map_err(|error| {
        Failure::new(Exit::Failed, codes::INTERNAL, format!("Ctrl-C cannot be watched: {error}"))
    })?;
    let mut events = events(door.clone(), id.to_owned(), wait);
    let mut teller = Teller {
        ui,
        columns: terminal::error_columns(),
        place: None,
        since: Instant::now(),
        shown: String::new(),
    };
    let mut ticks = tokio::time::interval_at(Instant::now() + TICK, TICK);
    loop {
        let event = tokio::select! {
            // What was done first counts: a start that came through is not given up by a late Ctrl-C.
            biased;
            event = events.recv() => event.unwrap_or_else(|| Err(ClientError::broken("nothing was said")))?,
            _ = interrupts.recv() => {
                teller.end();
                return Err(Failure::new(
                    Exit::Interrupted,
                    codes::GPU_CANCELLED,
                    format!("you gave up: {name} waits no longer and was not started"),
                ));
            }
            _ = ticks.tick() => {
                teller.tick();
                continue;
            }
        };
        match event {
            StartEvent::Waiting(place) => teller.waits(place),
            StartEvent::Started { units, already } => {
                teller.end();
                return Ok(Started { units, already });
            }
            StartEvent::Refused(refusal) => {
                teller.end();
                return Err(refusal.into());
            }
        }
    }
}

/// The events of a start. Dropping the receiver hangs up.
fn events(door: Door, id: String, wait: Option<Duration>) -> mpsc::Receiver<Result<StartEvent, ClientError>> {
    let (sender, events) = mpsc::channel(1);
    tokio::spawn(async move {
        let begin = async {
            let mut stream = door.start(&id, wait).await?;
            loop {
                let event = stream.next().await?;
                let settled = !matches!(event, StartEvent::Waiting(_));
                if sender.send(Ok(event)).await.is_err() || settled {
                    return Ok(());
                }
            }
        };
        let ended = tokio::select! {
            ended = begin => ended,
            () = sender.closed() => Ok(()),
        };
        if let Err(error) = ended {
            let _ = sender.send(Err(error)).await;
        }
    });
    events
}

/// Tells of the place in line: rewritten in place on a terminal, a line a change elsewhere.
struct Teller {
    ui: Ui,
    columns: Option<u16>,
    place: Option<Waiting>,
    since: Instant,
    /// The line that stands on the terminal.
    shown: String,
}

impl Teller {
    fn waits(&mut self, place: Waiting) {
        let told = self.place.as_ref().map(render::waiting_report);
        self.since = Instant::now();
        if self.ui.json {
            self.ui.note_json(&StartEvent::Waiting(place.clone()));
        } else if self.columns.is_none() {
            let report = render::waiting_report(&place);
            if self.place.as_ref().is_none_or(|before| changed(before, &place))
                && told.as_ref() != Some(&report)
            {
                self.ui.note(&report);
            }
        }
        self.place = Some(place);
        self.tick();
    }

    fn tick(&mut self) {
        if let (false, Some(place), Some(_)) = (self.ui.json, &self.place, self.columns) {
            // Asked anew each time: the window may have changed.
            let columns = terminal::error_columns().unwrap_or(80);
            let line = render::waiting_line(place, self.since.elapsed().as_secs(), columns);
            if line != self.shown {
                self.ui.passing(&line);
                self.shown = line;
            }
        }
    }

    fn end(&self) {
        if let (false, Some(_), Some(_)) = (self.ui.json, &self.place, self.columns) {
            self.ui.passing("");
        }
    }
}

/// Whether more has changed than the time.
fn changed(before: &Waiting, now: &Waiting) -> bool {
    let who = |place: &Waiting| -> Vec<_> {
        place
            .holders
            .iter()
            .map(|holder| (holder.owner.clone(), holder.container.clone(), holder.units.clone()))
            .collect()
    };
    (before.position, before.of, &before.reason) != (now.position, now.of, &now.reason)
        || who(before) != who(now)
}
