//! The look at the machine: files, `/proc`, sockets, a few programs. It must never judge, never change anything, and never
//! take a wrong turn for an absence: what it may not see, it says so.

mod accounts;
mod engine;
mod files;
mod host;
mod nvidia;
mod own;
mod parts;
mod program;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ds01_api::{Configuration, GpuSource};
use nix::unistd::geteuid;

use super::facts::{Facts, because};
use super::finding::{Seen, Unseen};
use crate::args::DoctorArgs;
use files::Root;

/// Where the programs of DS01 are, beside that of this one.
const PLACES: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin"];

/// What the parts of the look share.
struct Look {
    root: Root,
    is_root: bool,
    /// What holds, with the defaults where `ds01d` could not be asked.
    paths: Configuration,
    /// `ds01d`, where it was found.
    daemon: Seen<PathBuf>,
    /// The names of all processes.
    processes: BTreeSet<String>,
}

/// Looks at everything.
pub(crate) async fn gather(args: &DoctorArgs) -> Facts {
    let root = Root::new(args.root.clone());
    let daemon = find_daemon();
    let configuration = configuration(daemon.as_deref(), args.config.as_deref()).await;
    let look = Look {
        processes: processes(&root),
        root,
        is_root: geteuid().is_root(),
        paths: configuration.clone().unwrap_or_else(|_| defaults()),
        daemon,
    };
    let (engine, components) = engine::look(&look).await;
    let accounts = accounts::look(&look);
    let nvidia = nvidia::look(&look, &engine);
    Facts {
        parts: parts::look(&look, components, nvidia.is_there()).await,
        host: host::look(&look, &accounts, &engine).await,
        own: own::look(&look, &engine).await,
        configuration,
        accounts: accounts.facts,
        engine,
        nvidia,
    }
}

impl Look {
    /// A fact that only root can see.
    fn as_root<T>(&self, fact: impl FnOnce() -> Seen<T>) -> Seen<T> {
        if self.is_root { fact() } else { Err(Unseen::NeedsRoot) }
    }
}

fn find_daemon() -> Seen<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned()));
    let places = beside.into_iter().chain(PLACES.map(PathBuf::from));
    let found = places.map(|place| place.join("ds01d")).find(|path| path.exists());
    found.map_or_else(|| because(format!("it is not in {}", PLACES.join(", "))), Ok)
}

/// What `ds01d` would take.
async fn configuration(daemon: Result<&Path, &Unseen>, file: Option<&Path>) -> Seen<Configuration> {
    let daemon = daemon.map_err(Clone::clone)?;
    let mut args = vec!["check".as_ref(), "--json".as_ref()];
    args.extend(file.map(Path::as_os_str));
    let said = program::output(daemon, &args).await?;
    serde_json::from_str(&said).or_else(|_| because(format!("{} is of another version", daemon.display())))
}

/// Where things are where nobody says otherwise.
fn defaults() -> Configuration {
    Configuration {
        file: None,
        mistakes: Vec::new(),
        notes: Vec::new(),
        door: "/run/ds01/docker.sock".into(),
        engine: "/var/run/docker.sock".into(),
        hinge: "/run/ds01/hinge.sock".into(),
        receipts: "/run/ds01/receipts".into(),
        ledger: "/var/lib/ds01/ledger.db".into(),
        runtime: "ds01".to_owned(),
        gpus: GpuSource::Nvidia,
        binds_homes: true,
        binds: Vec::new(),
    }
}

fn processes(root: &Root) -> BTreeSet<String> {
    let name = |path: PathBuf| Some(std::fs::read_to_string(path.join("comm")).ok()?.trim().to_owned());
    root.list("/proc").into_iter().filter_map(name).collect()
}
