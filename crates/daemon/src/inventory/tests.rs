//! Real devices on the machine that runs the tests, told apart by a seed of each test's own.
//!
//! Where the machine has no loop driver, or the tests are not root, the fallback is what is tested.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::*;
use crate::config::check_text;

/// A run directory of its own, whose devices are gone with it.
struct Lab {
    run: PathBuf,
    seed: String,
}

impl Lab {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ds01-inventory-{}-{number}", std::process::id());
        Self { run: std::env::temp_dir().join(&name), seed: name }
    }

    fn open(&self, machine: &Machine) -> Inventory {
        Inventory::open(machine, &self.seed, &self.run).unwrap()
    }
}

impl Inventory {
    fn made(&self) -> &Simulated {
        match &self.source {
            Source::Simulated(made) => made,
            Source::Nvidia(_) => panic!("not simulated"),
        }
    }

    fn units(&self) -> &[Unit] {
        &self.made().units
    }

    fn devices(&self, unit: &UnitId) -> &[DeviceNode] {
        self.made().devices.get(unit).map_or(&[], Vec::as_slice)
    }

    fn warnings(&self) -> &[String] {
        &self.made().warnings
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = Inventory::release(&self.run);
        let _ = std::fs::remove_dir_all(&self.run);
    }
}

fn machine(cards: &str) -> Machine {
    let (config, mistakes) = check_text(&format!("machine: {{simulated: {{cards: [{cards}]}}}}"), "test");
    config.unwrap_or_else(|| panic!("{mistakes:?}")).machine
}

const CUT: &str = "{model: NVIDIA A100-SXM4-80GB, memory: 80g}, \
                   {model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb, 2g.20gb, 1g.10gb, 1g.10gb]}";

/// Opens a node of this device that the test makes for itself, as a container's runtime does.
fn open_node(lab: &Lab, node: &DeviceNode) -> std::io::Result<File> {
    let path = lab.run.join("node");
    let _ = std::fs::remove_file(&path);
    let kind = match node.kind {
        DeviceKind::Block => SFlag::S_IFBLK,
        DeviceKind::Char => SFlag::S_IFCHR,
    };
    mknod(&path, kind, Mode::S_IRUSR, makedev(node.major.into(), node.minor.into()))?;
    OpenOptions::new().read(true).open(&path)
}

/// Whether the device is there. Not asked by opening it: that would make it anew.
fn is_there(node: &DeviceNode) -> bool {
    PathBuf::from(format!("/sys/dev/block/{}:{}", node.major, node.minor)).exists()
}

#[test]
fn units_are_what_the_configuration_says() {
    let lab = Lab::new();
    let inventory = lab.open(&machine(CUT));
    let shown: Vec<String> = inventory
        .units()
        .iter()
        .map(|unit| {
            let slice = unit.slice.as_ref().map_or("-", |slice| &slice.profile);
            format!("{} {slice} {} {}", unit.label(), unit.memory_mib, unit.weight)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "0 - 81920 1",
            "1:0 3g.40gb 40960 0.5",
            "1:1 2g.20gb 20480 0.286",
            "1:2 1g.10gb 10240 0.143",
            "1:3 1g.10gb 10240 0.143"
        ]
    );
    assert!(inventory.units()[0].id.as_str().starts_with("GPU-"));
    assert_eq!(inventory.units()[0].id.as_str(), inventory.units()[0].card.as_str());
    assert!(inventory.units()[1].id.as_str().starts_with("MIG-"));
    assert_eq!(inventory.units()[1].card, inventory.units()[4].card);
    let other = Lab::new();
    assert_ne!(other.open(&machine(CUT)).units()[0].id, inventory.units()[0].id);
}

#[test]
fn every_unit_has_a_device_of_its_own_that_opens_and_is_empty() {
    let lab = Lab::new();
    let inventory = lab.open(&machine(CUT));
    let mut numbers = std::collections::BTreeSet::new();
    for (ordinal, unit) in inventory.units().iter().enumerate() {
        let [node] = inventory.devices(&unit.id) else { panic!("{unit:?}") };
        assert_eq!(node.path_in_container, format!("/dev/nvidia{ordinal}"));
        assert!(numbers.insert((node.major, node.minor)));
        if inventory.warnings().is_empty() {
            assert_eq!((node.kind, node.major, node.mode), (DeviceKind::Block, 7, Access::Read));
            assert!(node.minor >= 1000);
            let mut bytes = Vec::new();
            assert_eq!(open_node(&lab, node).unwrap().read_to_end(&mut bytes).unwrap(), 0);
        }
    }
    let ids: Vec<UnitId> = inventory.units().iter().take(2).map(|unit| unit.id.clone()).collect();
    let bound = inventory.bound(Epoch(7), &ids, &BTreeSet::new()).unwrap();
    assert_eq!((bound.epoch, bound.devices.len(), bound.runtime.as_str()), (7, 2, "runc"));
    assert_eq!(bound.env, [format!("NVIDIA_VISIBLE_DEVICES={},{}", ids[0], ids[1])]);
    let parts = BTreeSet::from(["video".to_owned(), "compute".to_owned()]);
    let with_parts = inventory.bound(Epoch(7), &ids, &parts).unwrap();
    assert_eq!(with_parts.env, [bound.env[0].as_str(), "NVIDIA_DRIVER_CAPABILITIES=compute,video"]);
    let unknown = UnitId::new("GPU-0").unwrap();
    assert!(inventory.bound(Epoch(7), &[unknown], &parts) == Err(Unbound::Gone));
}

#[test]
fn a_restarted_daemon_finds_the_same_devices_even_without_its_record() {
    let lab = Lab::new();
    let first = lab.open(&machine(CUT));
    assert_eq!(lab.open(&machine(CUT)).made().devices, first.made().devices);
    if first.warnings().is_empty() {
        std::fs::write(lab.run.join("devices.json"), "{ torn").unwrap();
        let again = lab.open(&machine(CUT));
        assert_eq!(again.made().devices, first.made().devices);
        assert!(again.warnings()[0].contains("devices.json"), "{:?}", again.warnings());
        std::fs::remove_file(lab.run.join("devices.json")).unwrap();
        assert_eq!(lab.open(&machine(CUT)).made().devices, first.made().devices);
    }
}

#[test]
fn labs_side_by_side_share_nothing_and_release_only_their_own() {
    let labs: Vec<Lab> = (0..4).map(|_| Lab::new()).collect();
    let inventories: Vec<Inventory> = std::thread::scope(|scope| {
        let opening: Vec<_> = labs.iter().map(|lab| scope.spawn(|| lab.open(&machine(CUT)))).collect();
        opening.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let numbers = |inventory: &Inventory| -> Vec<(u32, u32)> {
        inventory.made().devices.values().flatten().map(|node| (node.major, node.minor)).collect()
    };
    let all: std::collections::BTreeSet<(u32, u32)> = inventories.iter().flat_map(numbers).collect();
    assert_eq!(all.len(), 20);
    if !inventories.iter().all(|inventory| inventory.warnings().is_empty()) {
        return;
    }
    let released = Inventory::release(&labs[0].run).unwrap();
    assert_eq!(released, Released { removed: 5, in_use: Vec::new() });
    // Its numbers may be another test's by now: that they are its own no more is told by the second release below.
    assert!(
        inventories[1..]
            .iter()
            .flat_map(|inventory| inventory.made().devices.values().flatten())
            .all(is_there)
    );
    // A second release finds nothing to do.
    assert_eq!(Inventory::release(&labs[0].run).unwrap(), Released { removed: 0, in_use: Vec::new() });
}

#[test]
fn a_device_that_is_open_is_left_and_taken_the_next_time() {
    let lab = Lab::new();
    let inventory = lab.open(&machine("{model: NVIDIA A100, memory: 80g}"));
    if !inventory.warnings().is_empty() {
        return;
    }
    let held = open_node(&lab, &inventory.devices(&inventory.units()[0].id)[0]).unwrap();
    let released = Inventory::release(&lab.run).unwrap();
    assert_eq!((released.removed, released.in_use.len()), (0, 1));
    drop(held);
    assert_eq!(Inventory::release(&lab.run).unwrap().removed, 1);
}

#[test]
fn a_device_that_a_container_let_go_of_is_bound_again() {
    let lab = Lab::new();
    let inventory = lab.open(&machine("{model: NVIDIA A100, memory: 80g}"));
    if !inventory.warnings().is_empty() {
        return;
    }
    let node = &inventory.devices(&inventory.units()[0].id)[0];
    let file = PathBuf::from(format!("/sys/dev/block/{}:{}/loop/backing_file", node.major, node.minor));
    let device = open_node(&lab, node).unwrap();
    loops::let_go(&device).unwrap();
    drop(device);
    assert!(!file.exists());
    assert_eq!(
        lab.open(&machine("{model: NVIDIA A100, memory: 80g}")).made().devices,
        inventory.made().devices
    );
    assert!(file.exists());
}

#[test]
fn a_smaller_machine_gives_devices_back() {
    let lab = Lab::new();
    let inventory = lab.open(&machine(CUT));
    if !inventory.warnings().is_empty() {
        return;
    }
    let first = inventory.units()[0].id.clone();
    let smaller = lab.open(&machine("{model: NVIDIA A100-SXM4-80GB, memory: 80g}"));
    assert_eq!(smaller.devices(&first), inventory.devices(&first));
    assert!(!is_there(&inventory.devices(&inventory.units()[1].id)[0]));
}

#[test]
fn another_boot_has_other_devices() {
    let lab = Lab::new();
    let inventory = lab.open(&machine("{model: NVIDIA A100, memory: 80g}"));
    let record = std::fs::read_to_string(lab.run.join("devices.json")).unwrap();
    let boot_id = clock::read_boot_id().unwrap();
    std::fs::write(lab.run.join("devices.json"), record.replace(&boot_id, "another")).unwrap();
    // Numbers of another boot may be anybody's by now.
    assert_eq!(Inventory::release(&lab.run).unwrap(), Released { removed: 0, in_use: Vec::new() });
    // This one is still there, so it is found by its name and released after all.
    assert_eq!(
        lab.open(&machine("{model: NVIDIA A100, memory: 80g}")).made().devices,
        inventory.made().devices
    );
}

#[test]
fn no_gpus_leave_no_trace() {
    let lab = Lab::new();
    let inventory = lab.open(&Machine::None);
    assert!(inventory.units().is_empty() && inventory.warnings().is_empty());
    assert!(!lab.run.exists());
    assert_eq!(Inventory::release(&lab.run).unwrap().removed, 0);
    let bound = inventory.bound(Epoch(1), &[], &BTreeSet::new()).unwrap();
    assert_eq!(bound.env, ["NVIDIA_VISIBLE_DEVICES=void"]);
}
