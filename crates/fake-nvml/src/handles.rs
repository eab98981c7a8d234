//! Handles: what the library calls a card or a MIG device. A number that means the same UUID for ever; one whose device
//! is gone is invalid.

use crate::machine::{Gpu, Machine, MigDevice};

const FIRST: usize = 0x4000_0000;
const STEP: usize = 16;

/// All handles that were ever given out.
#[derive(Debug, Default)]
pub(crate) struct Handles(Vec<String>);

/// What a handle stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device<'m> {
    pub(crate) machine: &'m Machine,
    pub(crate) index: usize,
    pub(crate) gpu: &'m Gpu,
    pub(crate) mig: Option<&'m MigDevice>,
}

impl Handles {
    /// The handle of a UUID.
    pub(crate) fn of(&mut self, uuid: &str) -> usize {
        let slot = self.0.iter().position(|known| known == uuid).unwrap_or_else(|| {
            self.0.push(uuid.to_owned());
            self.0.len() - 1
        });
        FIRST + STEP * slot
    }

    /// What a handle stands for, if it is still there.
    pub(crate) fn find<'m>(&self, handle: usize, machine: &'m Machine) -> Option<Device<'m>> {
        let offset = handle.checked_sub(FIRST)?;
        let uuid = self.0.get(offset / STEP).filter(|_| offset.is_multiple_of(STEP))?;
        by_uuid(machine, uuid)
    }
}

/// The card or MIG device of this UUID.
pub(crate) fn by_uuid<'m>(machine: &'m Machine, uuid: &str) -> Option<Device<'m>> {
    machine.gpus.iter().enumerate().find_map(|(index, gpu)| {
        if gpu.uuid == uuid {
            return Some(Device { machine, index, gpu, mig: None });
        }
        let mig = gpu.mig.iter().flat_map(|mig| &mig.devices).find(|device| device.uuid == uuid)?;
        Some(Device { machine, index, gpu, mig: Some(mig) })
    })
}
