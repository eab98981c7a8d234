//! `ds01-runtime`: an OCI runtime that stands in front of the real one and binds GPUs when a container starts.
//!
//! `containerd` runs it with runc's command line. For `create` and `run` it asks `ds01d` what the container is bound
//! to, writes that into the bundle, leaves a receipt, and becomes the real runtime. For everything else it becomes the
//! real runtime at once. It decides nothing, waits for nothing longer than the hinge's deadline, and never lets a
//! container start on a question that was not answered.

mod ask;
mod files;
mod real;
mod report;
mod settings;

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ds01_runtime::argv::{self, CommandLine, Unclear, Verb};
use ds01_runtime::bundle::{self, ConfigError};
use ds01_runtime::protocol::{Bound, DEADLINE, Request, Response};
use ds01_runtime::receipt::{self, Receipt};

use crate::ask::AskError;
use crate::real::RealError;
use crate::settings::{Settings, SettingsError};

/// Why the real runtime was not reached. Shown to the user by the Engine, so each is a sentence and says what to do.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Refused(String),
    #[error("the GPU daemon (ds01d) did not say within {} s which GPU this container has; start the container again, and tell an administrator if it happens twice", DEADLINE.as_secs())]
    Silent,
    #[error(
        "the GPU daemon (ds01d) cannot be asked which GPU this container has ({0}); start the container again in a minute, and tell an administrator if it happens twice"
    )]
    Unreachable(AskError),
    #[error(
        "this container cannot be given a GPU, because in its configuration {0}; create it again without that, or ask an administrator"
    )]
    Config(ConfigError),
    #[error("the container's bundle {path} cannot be {action} ({source}); tell an administrator")]
    Bundle { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the GPU binding cannot be recorded ({0}); tell an administrator")]
    Receipt(std::io::Error),
    #[error(
        "a container with a GPU cannot be restored from a checkpoint, because its GPU may be somebody else's by now; start it anew"
    )]
    Restore,
    #[error(
        "ds01-runtime does not understand how it was called ({0}); ask an administrator whether it fits this version of Docker"
    )]
    Unclear(Unclear),
    #[error("{0}; tell an administrator")]
    Settings(#[from] SettingsError),
    #[error("{0}; tell an administrator")]
    Real(#[from] RealError),
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        if matches!(error, AskError::Silent) { Self::Silent } else { Self::Unreachable(error) }
    }
}

fn main() -> ExitCode {
    let began = Instant::now();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    // `--version` is the real runtime's to answer: the Engine asks for it.
    if args == ["--ds01-version"] {
        // A closed pipe is the reader's choice.
        let _ = writeln!(std::io::stdout(), "ds01-runtime {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let line = argv::read(&args);
    match carry_out(&line, &args, began) {
        Ok(never) => match never {},
        Err(failure) => {
            report::error(&line, &failure.to_string());
            ExitCode::FAILURE
        }
    }
}

fn carry_out(line: &CommandLine<'_>, args: &[OsString], began: Instant) -> Result<Infallible, Failure> {
    match &line.verb {
        // Broken settings must not keep anybody from stopping or removing a container.
        Verb::Pass => {
            let settings = Settings::load().unwrap_or_default();
            Ok(real::find(&settings, &settings.runtime)?.become_it(args)?)
        }
        Verb::Create { container, bundle } => {
            let bundle = std::path::absolute(bundle.unwrap_or(".".as_ref()))
                .map_err(|source| Failure::Bundle { action: "found", path: PathBuf::from("."), source })?;
            create(args, container, &bundle, began)
        }
        Verb::Restore => Err(Failure::Restore),
        Verb::Unclear(unclear) => Err(Failure::Unclear(unclear.clone())),
    }
}

fn create(args: &[OsString], container: &str, bundle: &Path, began: Instant) -> Result<Infallible, Failure> {
    let settings = Settings::load()?;
    let path = bundle.join("config.json");
    let failed = |action| {
        let path = path.clone();
        move |source| Failure::Bundle { action, path, source }
    };
    let config = files::Config::read(&path).map_err(failed("read"))?;
    let cgroups_path = bundle::cgroups_path(&config.text).map_err(Failure::Config)?;
    let request = Request {
        container: container.to_owned(),
        cgroups_path: cgroups_path.clone(),
        bundle: bundle.to_string_lossy().into_owned(),
    };
    let bound = match ask::ask(&settings.socket, &request, began + DEADLINE)? {
        Response::Bound(bound) => bound,
        Response::Refused(sentence) => return Err(Failure::Refused(sentence)),
    };
    let real = real::find(&settings, &bound.runtime)?;
    let text = bundle::bind(&config.text, &bound).map_err(Failure::Config)?;

    // The receipt comes first: a binding that may be running must never be without one.
    receipt::write(&settings.receipts, &receipt_of(container, &bound, cgroups_path)?)
        .map_err(Failure::Receipt)?;
    let failure = match config.replace(&text) {
        Ok(()) => match real.become_it(args) {
            Ok(never) => match never {},
            Err(error) => Failure::Real(error),
        },
        Err(source) => failed("written")(source),
    };
    // Nothing was started. A receipt that stays is looked at and removed by the daemon.
    let _ = receipt::remove(&settings.receipts, container, bound.epoch);
    Err(failure)
}

fn receipt_of(container: &str, bound: &Bound, cgroups_path: String) -> Result<Receipt, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Receipt {
        container: container.to_owned(),
        epoch: bound.epoch,
        units: bound.units.clone(),
        cgroups_path,
        boot_id: receipt::boot_id().map_err(Failure::Receipt)?,
        at: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
    })
}
