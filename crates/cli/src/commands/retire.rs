//! `container retire`: end it, remove it, free its GPU; say what is still there.

use ds01_api::{RetireRequest, Retired, paths};
use serde::Serialize;

use super::for_each;
use crate::args::RetireArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &RetireArgs, ui: Ui) -> Result<u8, Failure> {
    let (retired, exit) = for_each(&args.names, ui, async |name| {
        let request = RetireRequest { name: name.to_owned(), force: args.force };
        let retired: Retired = door.post(paths::RETIRE, &request).await?;
        if !ui.json {
            ui.say(&render::retired(&retired));
        }
        Ok(retired)
    })
    .await;
    if ui.json {
        ui.answer(&Report { retired }, |_| String::new());
    }
    Ok(exit)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    retired: Vec<Retired>,
}
