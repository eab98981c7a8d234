//! `ds01 events` and `ds01 history`: what happened, and who held what.

use ds01_api::{History, paths};
use jiff::tz::TimeZone;

use crate::args::moment;
use crate::args::{EventsArgs, HistoryArgs};
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::signals::Signals;
use crate::ui::Ui;

pub(super) async fn events(door: &Door, args: &EventsArgs, ui: Ui) -> Result<u8, Failure> {
    let mut signals = Signals::new();
    tokio::select! {
        shown = show(door, args, ui) => shown.map(|()| 0),
        code = signals.fatal() => Ok(code),
    }
}

async fn show(door: &Door, args: &EventsArgs, ui: Ui) -> Result<(), Failure> {
    let since = match args.since {
        Some(since) => unix(since)?,
        None if args.follow => unix(moment::NOW)?,
        None => unix(moment::A_DAY_AGO)?,
    };
    let until = args.until.map(unix).transpose()?;
    let mut lines = door.events(since, until, args.follow).await?;
    let zone = TimeZone::system();
    let mut told = false;
    while let Some(line) = lines.next().await? {
        told = true;
        let text = match ui.json {
            true => serde_json::to_string(&line).expect("API types have string keys") + "\n",
            false => render::event(&line, &zone),
        };
        // `| head` has seen enough.
        if !ui.tell(&text) {
            return Ok(());
        }
    }
    if !told && !args.follow {
        ui.note("nothing happened that concerns you; ds01 events --since 30d looks further back");
    }
    Ok(())
}

pub(super) async fn history(door: &Door, args: &HistoryArgs, ui: Ui) -> Result<u8, Failure> {
    let mut path = format!("{}?since={}", paths::HISTORY, unix(args.since)?);
    for (key, value) in [("user", &args.user), ("container", &args.name)] {
        if let Some(value) = value {
            path += &format!("&{key}={}", paths::encode(value));
        }
    }
    if args.all {
        path += "&all=1";
    }
    let history: History = door.get(&path).await?;
    ui.answer(&history, |history| render::history(history, &TimeZone::system(), ui.columns()));
    Ok(0)
}

/// A moment in whole Unix seconds.
fn unix(moment: moment::Moment) -> Result<i64, Failure> {
    super::at(moment).map(|at| at.as_second())
}
