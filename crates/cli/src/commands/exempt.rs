//! `ds01 exempt`: an administrator lets containers run on, takes that back, or looks at what holds.

use ds01_api::{Exempt, ExemptionList, paths};
use jiff::tz::TimeZone;

use crate::args::ExemptArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &ExemptArgs, ui: Ui) -> Result<u8, Failure> {
    let zone = TimeZone::system();
    if args.list {
        let list: ExemptionList = door.get(paths::EXEMPTIONS).await?;
        ui.answer(&list, |list| render::exemptions(list, &zone, ui.columns()));
        return Ok(0);
    }
    let until = args.until.map(super::at).transpose()?.map(|at| at.as_second());
    let wanted =
        Exempt { container: args.name.clone(), user: args.user.clone(), until, reason: args.reason.clone() };
    let done: ExemptionList = door.post(paths::EXEMPTIONS, &wanted).await?;
    ui.answer(&done, |done| {
        done.exemptions.iter().map(|one| render::exempted(one, args.remove, &zone)).collect()
    });
    Ok(0)
}
