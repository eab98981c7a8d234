//! `cargo run --release -p redteam -- --cases DIR`: attacks from a folder, run against the door of a lab.
//!
//! It answers for everything before the first case: is the folder what it should be, is there a checkout, are the
//! programs built. Then it becomes `tests/e2e/45-redteam.sh`, which starts the lab, judges the cases and takes the
//! lab away again, also after Ctrl-C. It must never judge a case: `tests/redteam` does.

mod cases;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;

use crate::cases::{Cases, CasesError};

const SCRIPT: &str = "tests/e2e/45-redteam.sh";
const OWN_CASES: &str = "tests/redteam/cases";
/// What a lab takes into its directory.
const PROGRAMS: [&str; 3] = ["ds01d", "ds01-runtime", "ds01"];

/// Run attacks against the door, in a lab of its own, and look at the host for what came of each.
///
/// Prints a row per case and `N passed, M failed`; the exit status is 0 only if none failed.
#[derive(Debug, Parser)]
#[command(name = "redteam", version)]
struct Options {
    /// The folder of cases, in the form that its `00-context.json` or tests/redteam/README.md explains; without it the
    /// project's own
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Only these cases
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    only: Vec<String>,
    /// A directory to offer as the machine's read-only share, in place of one with a single file
    #[arg(long, value_name = "DIR")]
    share: Option<PathBuf>,
    /// Say what was answered, too, and show the lab's logs if a case failed
    #[arg(long)]
    verbose: bool,
}

/// Why no case was run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(
        "it starts a Docker Engine and makes users, so it needs root; try: sudo env \"PATH=$PATH\" cargo run --release -p redteam"
    )]
    NotRoot,
    #[error("{0}")]
    Cases(#[from] CasesError),
    #[error("{} is no directory; name the one to share with --share", .0.display())]
    Share(PathBuf),
    #[error("{} is not there: the checkout that this program was built from has moved; build it anew with cargo run -p redteam", .0.display())]
    Checkout(PathBuf),
    #[error("{what} cannot be run: {source}")]
    Run { what: String, source: io::Error },
    #[error("{0} failed; what it said is above")]
    Step(&'static str),
}

impl Failure {
    fn exit(&self) -> u8 {
        match self {
            Self::NotRoot => 5,
            Self::Cases(error) => error.exit(),
            Self::Share(_) => 4,
            Self::Checkout(_) | Self::Run { .. } | Self::Step(_) => 1,
        }
    }
}

fn main() -> ExitCode {
    let Err(failure) = prepare_and_run(&Options::parse());
    eprintln!("redteam: {failure}");
    ExitCode::from(failure.exit())
}

/// Returns only if no case was run.
fn prepare_and_run(options: &Options) -> Result<std::convert::Infallible, Failure> {
    let root = checkout()?;
    let folder = options.cases.clone().unwrap_or_else(|| root.join(OWN_CASES));
    Cases::read(&folder)?.choose(&options.only)?;
    if let Some(share) = options.share.as_ref().filter(|share| !share.is_dir()) {
        return Err(Failure::Share(share.clone()));
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::NotRoot);
    }
    step("scripts/needs", &mut Command::new(root.join("scripts/needs")))?;
    step("cargo build", build(&root).current_dir(&root))?;
    let mut script = Command::new(root.join(SCRIPT));
    script.env("DS01_ROOT", &root).env("REDTEAM_CASES", absolute(&folder)?);
    let words = [
        ("REDTEAM_ONLY", OsString::from(options.only.join(","))),
        ("REDTEAM_SHARE", options.share.as_deref().map(absolute).transpose()?.unwrap_or_default().into()),
        ("REDTEAM_RELEASE", OsString::from(if cfg!(debug_assertions) { "" } else { "1" })),
        ("REDTEAM_VERBOSE", OsString::from(if options.verbose { "1" } else { "" })),
        // The last line is the sum; logs are for who looks closer.
        ("REDTEAM_QUIET", OsString::from(if options.verbose { "" } else { "1" })),
    ];
    script.envs(words);
    // Becoming the script leaves nobody between a signal and the one that cleans up.
    Err(Failure::Run { what: SCRIPT.to_owned(), source: script.exec() })
}

/// The checkout that this program was built in.
fn checkout() -> Result<PathBuf, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize()
        .ok()
        .filter(|root| root.join(SCRIPT).is_file())
        .ok_or_else(|| Failure::Checkout(root.join(SCRIPT)))
}

/// The programs of the lab, in the profile that this one has.
fn build(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(root.join("Cargo.toml"));
    for program in PROGRAMS {
        command.args(["--bin", program]);
    }
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command
}

fn step(what: &'static str, command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|source| Failure::Run { what: what.to_owned(), source })?;
    if status.success() { Ok(()) } else { Err(Failure::Step(what)) }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|source| Failure::Run { what: path.display().to_string(), source })
}
