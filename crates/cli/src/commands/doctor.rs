//! `ds01 doctor`: the report, and 1 where there is a problem.

use ds01_api::Exit;

use crate::args::DoctorArgs;
use crate::doctor;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(args: &DoctorArgs, ui: Ui) -> u8 {
    let report = doctor::examine(args).await;
    let exit = if report.problems > 0 { Exit::Failed } else { Exit::Done };
    if args.quiet && report.findings.iter().any(|entry| entry.needs_root) {
        // Silence would say that all is well.
        ui.note("some things only root can look at: sudo ds01 doctor");
    }
    let report = if args.quiet { report.only_wrong() } else { report };
    ui.answer(&report, |report| render::doctor(report, args.quiet, ui.columns()));
    exit.code()
}
