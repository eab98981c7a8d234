//! `ds01d`: the command line of the daemon. Only here does the process exit.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ds01_daemon::{config, run, staging};

/// The door in front of the Docker Engine: it decides who gets which GPU, and for how long.
#[derive(Debug, Parser)]
#[command(name = "ds01d", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground. SIGHUP reads the configuration again, all or nothing.
    Run {
        /// The configuration; without it /etc/ds01/ds01.yaml, or defaults where that is missing.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Check a configuration file, say everything that is wrong with it, and change nothing.
    Check {
        /// The file; without it what `run` would take.
        file: Option<PathBuf>,
        /// Print JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Print what becomes of every route and every field of a request.
    Policy,
    /// Tell whether directories can be mounted into containers; mounts nothing.
    #[command(hide = true)]
    Probe {
        /// The directories.
        directories: Vec<PathBuf>,
    },
    /// Remove the device nodes of a simulated machine, after ds01d was stopped for good.
    ReleaseDevices {
        /// The configuration that the daemon ran with.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command {
        Command::Run { config } => serve(config.as_deref()),
        Command::Check { file, json } => {
            let (report, sound) = config::check_report(run::configuration_file(file.as_deref()), json);
            return print(&report, sound, json);
        }
        Command::Policy => return print(&ds01_docker::policy::page(), true, false),
        Command::Probe { directories } => {
            let answer = serde_json::to_string(&staging::probe(&directories));
            return print(&answer.expect("paths and sentences are JSON"), true, true);
        }
        Command::ReleaseDevices { config } => run::release_devices(config.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(std::io::stderr(), "ds01d: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A refusal is for people and goes to standard error; a script's answer goes to standard output in any case.
fn print(report: &str, sound: bool, json: bool) -> ExitCode {
    let mut out: Box<dyn Write> =
        if sound || json { Box::new(std::io::stdout()) } else { Box::new(std::io::stderr()) };
    // A closed pipe is the reader's choice.
    let _ = writeln!(out, "{}", report.trim_end());
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve(path: Option<&Path>) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("DS01_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run::run(path))
}
