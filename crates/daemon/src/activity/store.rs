//! When containers last worked, and who was told of for being on a unit without a grant: written down beside the ledger,
//! so that a new daemon neither forgets nor makes up idleness, and tells nothing twice.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;

use ds01_domain::{Activity, ContainerId, Epoch, Time};
use serde::{Deserialize, Serialize};

use super::outsiders::Told;
use crate::clock;

const FILE: &str = "activity.json";

/// What is written of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    /// The grant by which it ran.
    pub(super) epoch: u64,
    units_worked: u64,
    worked: u64,
    /// Up to when it is known what it did: not when this was written.
    #[serde(alias = "written")]
    measured: u64,
}

impl Stored {
    pub(super) fn of(epoch: Epoch, activity: &Activity) -> Self {
        Self {
            epoch: epoch.0,
            units_worked: activity.units_worked().0,
            worked: activity.worked().0,
            measured: activity.measured().0,
        }
    }

    /// What is known of the run that began then.
    pub(super) fn activity(&self, began: Time) -> Activity {
        Activity::resumed(began, Time(self.units_worked), Time(self.worked), Time(self.measured))
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    begun: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Page {
    /// When this lab was first watched: wall time, in milliseconds.
    begun: u64,
    runs: BTreeMap<String, Stored>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    outsiders: Vec<Told>,
}

/// What an earlier daemon had written down.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) runs: BTreeMap<ContainerId, Stored>,
    pub(super) outsiders: Vec<Told>,
}

impl Store {
    /// Opens what lies there; what is damaged is as good as nothing, and everything counts from now on.
    pub(super) fn open(directory: PathBuf) -> (Self, Known) {
        let page: Option<Page> = match std::fs::read(directory.join(FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .inspect_err(|error| tracing::warn!(%error, "{FILE} is damaged: idle times begin anew"))
                .ok(),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, "{FILE} cannot be read: idle times begin anew");
                }
                None
            }
        };
        let Some(Page { begun, runs, outsiders }) = page else {
            return (Self { directory, begun: clock::wall_ms() }, Known::default());
        };
        let runs = runs.into_iter().filter_map(|(id, stored)| Some((ContainerId::new(&id)?, stored)));
        (Self { directory, begun }, Known { runs: runs.collect(), outsiders })
    }

    /// When this lab was first watched: wall time, in milliseconds.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// Writes the whole file anew, in one step.
    pub(super) fn write(&self, runs: BTreeMap<ContainerId, Stored>, outsiders: Vec<Told>) -> io::Result<()> {
        let runs = runs.into_iter().map(|(id, stored)| (id.to_string(), stored)).collect();
        let bytes = serde_json::to_vec(&Page { begun: self.begun, runs, outsiders })?;
        let draft = self.directory.join(format!("{FILE}.new"));
        let mut file = std::fs::File::create(&draft)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        std::fs::rename(draft, self.directory.join(FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_damage_is_nothing() {
        let directory = std::env::temp_dir().join(format!("ds01-activity-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let (store, known) = Store::open(directory.clone());
        assert!(known.runs.is_empty());
        let id = ContainerId::new(&"a".repeat(64)).unwrap();
        let stored = Stored::of(Epoch(3), &Activity::of_run(Time(5)));
        store.write(BTreeMap::from([(id.clone(), stored.clone())]), Vec::new()).unwrap();
        let (again, known) = Store::open(directory.clone());
        assert_eq!((again.begun(), known.runs), (store.begun(), BTreeMap::from([(id, stored)])));
        std::fs::write(directory.join(FILE), "{").unwrap();
        assert!(Store::open(directory.clone()).1.runs.is_empty());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
