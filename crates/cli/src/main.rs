//! `ds01`: the command line, under all its names.
//!
//! This file answers for the process: arguments in, exit code out. Everything it does, it does through the door; it has
//! no privilege of its own. Only `ds01 doctor` looks at the machine itself, with the rights of whoever calls it.

mod args;
mod by_hand;
mod carry;
mod catalogue;
mod client;
mod commands;
mod completion;
mod context;
mod devcontainer;
mod dockerfile;
mod doctor;
mod editor;
mod failure;
mod frames;
mod manual;
mod project;
mod prompts;
mod render;
mod shell;
mod signals;
mod terminal;
mod texts;
mod tui;
mod ui;
mod watch;

use std::process::ExitCode;

use ds01_api::Exit;

fn main() -> ExitCode {
    if let Some(words) = completion::answer(std::env::args_os()) {
        ui::Ui { json: false }.say(&words);
        return ExitCode::SUCCESS;
    }
    let asked = || std::env::args_os();
    if let Some(text) = texts::help::answer(asked()).or_else(|| texts::answer(asked())) {
        ui::Ui { json: false }.say(&text);
        return ExitCode::SUCCESS;
    }
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() {
                ui::Ui { json: false }.note(args::mistake::told(&error, std::env::args_os()).trim_end());
                return Exit::Usage.code().into();
            }
            // Help and version are no error.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("error: no runtime: {error}\n"),
            );
            return Exit::Failed.code().into();
        }
    };
    let ui = ui::Ui { json: cli.wants_json() };
    let code = match runtime.block_on(commands::perform(cli, ui)) {
        Ok(code) => code,
        Err(failure) => {
            ui.failure(&failure);
            failure.exit
        }
    };
    runtime.shutdown_background();
    code.into()
}
