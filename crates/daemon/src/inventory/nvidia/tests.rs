//! The real library's wrapper over a fake library: every test has a copy of its own, driven by a file beside it.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::*;

/// A fake library in a directory of its own.
struct Fake(PathBuf);

impl Fake {
    fn new(machine: &Value) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("ds01-nvml-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let fake = Self(directory);
        // Cargo puts it beside the tests that depend on it.
        let built = std::env::current_exe().unwrap().with_file_name("libfake_nvml.so");
        std::fs::copy(&built, fake.library()).unwrap();
        fake.becomes(machine);
        fake
    }

    fn library(&self) -> PathBuf {
        self.0.join("libnvidia-ml.so.1")
    }

    fn becomes(&self, machine: &Value) {
        let draft = self.0.join("new");
        std::fs::write(&draft, machine.to_string()).unwrap();
        std::fs::rename(draft, self.0.join("libnvidia-ml.so.1.json")).unwrap();
    }

    fn watch(&self) -> Watcher {
        Watcher::begin(Some(self.library()), true, None, self.0.join("powers")).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn whole(uuid: &str) -> Value {
    json!({"uuid": uuid, "name": "NVIDIA H100 80GB HBM3", "minor": 3, "memory_mib": 81_559})
}

fn slice(uuid: &str, profile: &str, gi: u32, compute: u32, memory_mib: u64) -> Value {
    json!({"uuid": uuid, "profile": profile, "gi": gi, "compute": compute, "memory_mib": memory_mib})
}

fn cut(devices: &[Value]) -> Value {
    json!({"uuid": "GPU-b", "name": "NVIDIA A100-SXM4-80GB", "minor": 0, "memory_mib": 81_920,
           "mig": {"devices": devices}})
}

fn driver(gpus: &[Value]) -> Value {
    json!({"driver": "580.65.06", "gpus": gpus})
}

/// Each unit in a line: its name for people, what it is, what it weighs, who is on it.
fn shown(reading: &Reading) -> Vec<String> {
    let line = |seen: &Seen| {
        let on_it = match seen.processes {
            Processes::Count(count) => count.to_string(),
            other => format!("{other:?}"),
        };
        let unit = &seen.unit;
        format!("{} {} {} MiB {} {on_it}", unit.description(), unit.id, unit.memory_mib, unit.weight)
    };
    reading.units.iter().map(line).collect()
}

#[tokio::test]
async fn cards_and_slices_with_who_is_on_them() {
    let own = std::process::id();
    let mut mixed = cut(&[
        slice("MIG-1", "3g.40gb", 2, 3, 40_192),
        slice("MIG-2", "1g.20gb", 5, 1, 19_968),
        slice("MIG-3", "1g.10gb", 9, 1, 9_856),
    ]);
    mixed["mig"]["devices"][2]["slot"] = json!(6);
    mixed["processes"] = json!([
        {"pid": own, "gi": 5},
        // A process that has ended, and one that only draws.
        {"pid": 4_194_305, "gi": 2},
        {"pid": own, "gi": 9, "graphics": true},
    ]);
    let mut busy = whole("GPU-a");
    busy["processes"] = json!([{"pid": own, "memory_mib": 300}]);
    let fake = Fake::new(&driver(&[busy, mixed]));
    let reading = fake.watch().look().await;
    assert!(reading.complete && reading.is_fresh());
    assert_eq!(reading.problems, [""; 0]);
    assert_eq!(reading.driver.as_deref(), Some("580.65.06"));
    assert_eq!(
        shown(&reading),
        [
            "0 (NVIDIA H100 80GB HBM3) GPU-a 81559 MiB 1 1",
            "1:0 (3g.40gb) MIG-1 40192 MiB 0.5 0",
            "1:1 (1g.20gb) MIG-2 19968 MiB 0.25 1",
            "1:6 (1g.10gb) MIG-3 9856 MiB 0.143 0",
        ]
    );
    assert_eq!(reading.units[1].instance, Some((2, 0)));
    assert_eq!((reading.units[0].minor, reading.units[1].minor), (3, 0));
}

/// Each unit's figures in a line: how busy, how full, and the memory of whoever is on it.
fn figures(reading: &Reading) -> Vec<String> {
    let line = |seen: &Seen| {
        let told = &reading.figures[&seen.unit.id];
        let processes =
            told.processes.as_ref().map(|list| list.iter().map(|on| on.memory_mib).collect::<Vec<_>>());
        format!("{} {:?} {:?} {processes:?}", seen.unit.id, told.utilization_percent, told.memory_used_mib)
    };
    reading.units.iter().map(line).collect()
}

#[tokio::test]
async fn figures_of_cards_and_slices() {
    let own = std::process::id();
    let mut mixed = cut(&[slice("MIG-1", "3g.40gb", 2, 3, 40_192), slice("MIG-2", "2g.20gb", 5, 2, 19_968)]);
    // A card in MIG mode tells nothing of how busy it is, and of one process not what it has.
    mixed["utilization"] = json!(80);
    mixed["processes"] = json!([
        {"pid": own, "gi": 2, "memory_mib": 700},
        {"pid": own, "gi": 5, "memory_mib": null},
    ]);
    let mut busy = whole("GPU-a");
    busy["utilization"] = json!(97);
    busy["processes"] = json!([{"pid": own, "memory_mib": 300}, {"pid": 4_194_305, "memory_mib": 50}]);
    let mut mute = whole("GPU-c");
    mute["errors"] =
        json!({"nvmlDeviceGetUtilizationRates": 3, "nvmlDeviceGetComputeRunningProcesses_v3": 3});
    let fake = Fake::new(&driver(&[busy, mixed, mute]));
    let watcher = fake.watch();
    let reading = watcher.look().await;
    assert_eq!(
        figures(&reading),
        [
            "GPU-a Some(97) Some(350) Some([Some(300)])",
            "MIG-1 None Some(700) Some([Some(700)])",
            "MIG-2 None Some(0) Some([None])",
            "GPU-c None Some(0) None",
        ]
    );
    assert!(watcher.figures().age.is_some_and(|age| age < FIGURES_SHOWN_FOR));
    // They are no news: nobody is woken by them.
    let mut calm = driver(&[whole("GPU-a")]);
    fake.becomes(&calm);
    assert_eq!(watcher.look().await.units.len(), 1);
    // The other units are news, if a look came before ours.
    let _ = tokio::time::timeout(Duration::ZERO, watcher.changed()).await;
    calm["gpus"][0]["utilization"] = json!(12);
    fake.becomes(&calm);
    let deadline = Instant::now() + Duration::from_secs(20);
    while watcher.figures().units.values().all(|told| told.utilization_percent != Some(12)) {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let news = tokio::time::timeout(Duration::ZERO, watcher.changed()).await;
    assert!(news.is_err(), "an unasked look that showed other figures only");
    // What the driver does not tell any more is not shown.
    calm["errors"] = json!({"nvmlDeviceGetCount_v2": 999});
    fake.becomes(&calm);
    watcher.look().await;
    assert!(watcher.figures().age.is_none() && watcher.figures().units.is_empty());
}

#[tokio::test]
async fn compute_instances_share_the_weight_of_their_instance() {
    let part = |uuid: &str, ci: u32, own: u32| {
        let mut device = slice(uuid, &format!("{own}c.3g.40gb"), 2, 3, 40_192);
        device["ci"] = json!(ci);
        device["own_compute"] = json!(own);
        device
    };
    let fake = Fake::new(&driver(&[cut(&[part("MIG-1", 0, 1), part("MIG-2", 1, 2)])]));
    let reading = fake.watch().look().await;
    let weights: Vec<u32> = reading.units.iter().map(|seen| seen.unit.weight.as_milli()).collect();
    assert_eq!(weights, [166, 333]);
}

#[tokio::test]
async fn the_machine_changes_under_a_running_daemon() {
    let fake = Fake::new(&driver(&[whole("GPU-a"), cut(&[slice("MIG-1", "7g.80gb", 0, 7, 80_384)])]));
    let watcher = fake.watch();
    assert_eq!(watcher.look().await.units.len(), 2);
    // Cut anew, and the other card falls off.
    let mut lost = whole("GPU-a");
    lost["lost"] = json!(true);
    fake.becomes(&driver(&[lost, cut(&[slice("MIG-8", "3g.40gb", 1, 3, 40_192)])]));
    let reading = watcher.look().await;
    assert_eq!(shown(&reading), ["1:0 (3g.40gb) MIG-8 40192 MiB 0.5 0"]);
    assert!(reading.complete, "what fell off is known to be gone");
    assert_eq!(reading.problems, ["GPU 0 has fallen off the bus; a reboot brings it back"]);
    // MIG switched on, nothing cut yet: there is nothing to grant.
    fake.becomes(&driver(&[whole("GPU-a"), cut(&[])]));
    let reading = watcher.look().await;
    assert_eq!(shown(&reading), ["0 (NVIDIA H100 80GB HBM3) GPU-a 81559 MiB 1 0"]);
}

#[tokio::test]
async fn what_fails_on_one_card_leaves_the_others_and_concludes_nothing() {
    let mut broken = whole("GPU-a");
    broken["errors"] = json!({"nvmlDeviceGetMemoryInfo_v2": 999});
    let mut other = whole("GPU-b");
    other["errors"] = json!({"nvmlDeviceGetComputeRunningProcesses_v3": 4});
    let fake = Fake::new(&driver(&[broken, other]));
    let reading = fake.watch().look().await;
    assert_eq!(shown(&reading), ["1 (NVIDIA H100 80GB HBM3) GPU-b 81559 MiB 1 Unknown"]);
    assert!(!reading.complete);
    assert!(reading.problems[0].starts_with("GPU 0 cannot be asked: "), "{:?}", reading.problems);
}

#[tokio::test]
async fn drivers_that_write_past_their_lists_are_never_asked_for_them() {
    let own = std::process::id();
    let mut busy = whole("GPU-a");
    busy["processes"] = json!(vec![json!({"pid": own}); 60]);
    let mut machine = driver(&[busy]);
    machine["driver"] = json!("535.86.05");
    machine["process_bytes"] = json!(32);
    let fake = Fake::new(&machine);
    let reading = fake.watch().look().await;
    assert_eq!(reading.units[0].processes, Processes::Unknowable);
    assert!(reading.problems[0].contains("535.104.05"), "{:?}", reading.problems);
}

#[tokio::test]
async fn a_driver_that_hangs_holds_up_nobody_and_is_unknown() {
    let machine = driver(&[whole("GPU-a")]);
    let fake = Fake::new(&machine);
    let watcher = fake.watch();
    assert!(watcher.look().await.complete);
    let mut hangs = machine.clone();
    hangs["sleep_ms"] = json!({"nvmlDeviceGetCount_v2": 4_000});
    fake.becomes(&hangs);
    let began = Instant::now();
    let reading = watcher.look().await;
    assert!(began.elapsed() < Duration::from_millis(3_500), "{:?}", began.elapsed());
    assert!(!reading.complete && reading.units.is_empty() && !reading.is_fresh());
    assert!(reading.problems[0].contains("has not answered for 2 s"), "{:?}", reading.problems);
    assert!(watcher.latest().is_fresh(), "what was seen before the driver hung is still good for a start");
    fake.becomes(&machine);
    // The hanging question ends some time, and then everything is as before.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !watcher.look().await.complete {
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test]
async fn a_driver_that_cannot_be_opened_says_why_and_is_tried_again() {
    for (code, words) in
        [(9, "kernel module is not loaded"), (18, "the driver was upgraded"), (4, "must run as root")]
    {
        let fake = Fake::new(&json!({"driver": "580.65.06", "errors": {"nvmlInit_v2": code}}));
        let reading = fake.watch().look().await;
        assert!(!reading.complete && reading.units.is_empty());
        assert!(reading.problems[0].contains(words), "{code}: {:?}", reading.problems);
    }
}

#[tokio::test]
async fn an_upgraded_driver_is_opened_anew() {
    let machine = driver(&[whole("GPU-a")]);
    let fake = Fake::new(&machine);
    let watcher = fake.watch();
    assert!(watcher.look().await.complete);
    let mut upgraded = machine.clone();
    upgraded["errors"] = json!({"nvmlDeviceGetCount_v2": 18});
    fake.becomes(&upgraded);
    let reading = watcher.look().await;
    assert!(!reading.complete);
    assert!(reading.problems[0].contains("the driver was upgraded"), "{:?}", reading.problems);
    fake.becomes(&machine);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !watcher.look().await.complete {
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test]
async fn without_a_library_there_are_no_gpus_unless_some_were_promised() {
    let nowhere = Some(PathBuf::from("/nowhere/libnvidia-ml.so.1"));
    let reading = Watcher::begin(nowhere.clone(), false, None, PathBuf::new()).unwrap().look().await;
    assert!(reading.complete && reading.units.is_empty() && reading.problems.is_empty());
    let watcher = Watcher::begin(nowhere, true, None, PathBuf::new()).unwrap();
    let reading = watcher.look().await;
    assert!(!reading.complete);
    assert!(reading.problems[0].contains("is the NVIDIA driver installed?"), "{:?}", reading.problems);
    assert!(watcher.expects_some());
}

#[tokio::test]
async fn who_worked_of_late_is_told_and_who_did_not_is_not_made_up() {
    let mut machine = driver(&[whole("GPU-a")]);
    let own = std::process::id();
    machine["gpus"][0]["processes"] = json!([{"pid": own, "busy": 7}, {"pid": 1, "busy": 250}]);
    let fake = Fake::new(&machine);
    let watcher = fake.watch();
    watcher.look().await;
    let figures = watcher.figures();
    let on_it = figures.units.values().next().unwrap().processes.clone().unwrap();
    let busy: Vec<_> = on_it.iter().map(|process| (process.pid == own, process.busy_percent)).collect();
    assert_eq!(busy, [(true, Some(7)), (false, None)], "more than there is counts as nothing");
}

/// Waits until the figures of a slice are so: those of the last span, and the busiest of late.
async fn counted(watcher: &Watcher, slice: &str, busy: Option<(u32, u32)>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let told = || {
        let figures = watcher.figures();
        let of = figures.units.get(&UnitId::new(slice).unwrap())?;
        of.utilization_percent.zip(of.engines_percent)
    };
    while watcher.figures().age.is_none() || told() != busy {
        assert!(Instant::now() < deadline, "{slice}: {:?}, not {busy:?}", told());
        watcher.look().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn cards_that_count_tell_what_each_slice_did() {
    let slices =
        [("MIG-1", 2), ("MIG-2", 5), ("MIG-3", 5)].map(|(id, gi)| slice(id, "1g.10gb", gi, 1, 9_856));
    let mut card = cut(&slices);
    card["gpm"] = json!(true);
    let busy = |share: f64| {
        let mut card = card.clone();
        card["mig"]["devices"][0]["busy"] = json!(share);
        driver(&[card])
    };
    let fake = Fake::new(&busy(41.2));
    let watcher = fake.watch();
    let first = watcher.look().await;
    assert_eq!(
        first.figures[&UnitId::new("MIG-1").unwrap()].utilization_percent,
        None,
        "one sample tells nothing"
    );
    counted(&watcher, "MIG-1", Some((42, 42))).await;
    counted(&watcher, "MIG-2", None).await;
    // A burst is over, and is not forgotten before somebody has read it.
    fake.becomes(&busy(0.3));
    counted(&watcher, "MIG-1", Some((0, 42))).await;
    counted(&watcher, "MIG-1", Some((0, 0))).await;
    // What the card does not tell is not made up, and what it tells afterwards begins anew.
    let mut mute = busy(0.3);
    mute["gpus"][0]["errors"] = json!({"nvmlGpmMigSampleGet": 999});
    fake.becomes(&mute);
    counted(&watcher, "MIG-1", None).await;
    fake.becomes(&busy(7.0));
    counted(&watcher, "MIG-1", Some((7, 7))).await;
    mute["gpus"][0]["gpm"] = json!(false);
    fake.becomes(&mute);
    counted(&watcher, "MIG-1", None).await;
}

#[tokio::test]
async fn cards_that_count_their_energy_tell_what_they_take() {
    let own = std::process::id();
    let mut card = cut(&[slice("MIG-1", "1g.10gb", 2, 1, 9_856), slice("MIG-2", "1g.10gb", 5, 1, 9_856)]);
    card["power_mw"] = json!(250_000);
    card["power_limit_mw"] = json!(400_000);
    card["processes"] = json!([{"pid": own, "gi": 2}]);
    let mute = |symbol: &str| {
        let mut card = card.clone();
        card["errors"] = json!({symbol: 3});
        driver(&[card])
    };
    let fake = Fake::new(&driver(std::slice::from_ref(&card)));
    let watcher = fake.watch();
    let told =
        |slice: &str| watcher.figures().units.get(&UnitId::new(slice).unwrap()).map(|of| of.power.clone());
    let becomes = async |known: bool| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while told("MIG-1").is_none_or(|power| power.is_some() != known) {
            assert!(Instant::now() < deadline, "{:?}", told("MIG-1"));
            watcher.look().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        told("MIG-2").flatten()
    };
    let power = becomes(true).await.expect("all slices of a card are told of it");
    assert!((249_000..=251_000).contains(&power.of_late_mw), "{power:?}");
    assert_eq!((power.limit_mw, power.cold_mw, power.parked_mw), (Some(400_000), None, None));
    assert_eq!(power.processes, BTreeSet::from([own]), "whoever is on any slice of the card");
    // Without the counter, and without knowing who is on it, nothing is said.
    fake.becomes(&mute("nvmlDeviceGetTotalEnergyConsumption"));
    assert_eq!(becomes(false).await, None);
    fake.becomes(&driver(std::slice::from_ref(&card)));
    assert!(becomes(true).await.is_some());
    fake.becomes(&mute("nvmlDeviceGetComputeRunningProcesses_v3"));
    assert_eq!(becomes(false).await, None);
}

#[tokio::test]
async fn memory_errors_are_told_and_the_card_stays() {
    let mut machine = driver(&[whole("GPU-a")]);
    machine["gpus"][0]["uncorrected"] = json!(3);
    let fake = Fake::new(&machine);
    let watcher = fake.watch();
    let reading = watcher.look().await;
    assert!(
        reading.problems[0].contains("could not be corrected: 3 since the driver"),
        "{:?}",
        reading.problems
    );
    assert_eq!((reading.units.len(), reading.complete), (1, true));
}

#[tokio::test]
async fn critical_errors_are_told() {
    let machine = driver(&[whole("GPU-a")]);
    let fake = Fake::new(&machine);
    let watcher = fake.watch();
    assert_eq!(watcher.look().await.problems, [""; 0]);
    let mut failing = machine.clone();
    failing["gpus"][0]["events"] = json!([{"number": 1, "xid": 79}]);
    fake.becomes(&failing);
    let reading = watcher.look().await;
    assert_eq!(reading.problems, ["GPU-a reported error XID 79; NVIDIA's list of XIDs says what it means"]);
    assert_eq!(watcher.look().await.problems.len(), 1, "told once by the driver, shown for a while");
}

#[tokio::test]
async fn an_administrator_gets_the_driver_for_a_while() {
    let fake = Fake::new(&driver(&[whole("GPU-a")]));
    let watcher = fake.watch();
    assert!(watcher.look().await.complete);
    assert!(watcher.let_go(Duration::from_secs(3600)).await);
    let reading = watcher.look().await;
    assert!(!reading.complete && reading.problems[0].contains("ds01 gpu release"), "{:?}", reading.problems);
    // Taken back at once.
    assert!(watcher.let_go(Duration::ZERO).await);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !watcher.look().await.complete {
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn nodes_tell_which_units_a_container_can_open() {
    // Nodes can be made only by root; what cannot be made gives access to nothing.
    let fake = Fake::new(&driver(&[]));
    let dev = fake.0.join("dev");
    std::fs::create_dir_all(dev.join("nvidia-caps")).unwrap();
    let numbers = fake.0.join("mig-minors");
    std::fs::write(&numbers, "config 1\ngpu0/gi5/access 12\ngpu0/gi5/ci0/access 13\ngpu0/gi9/access 21\n")
        .unwrap();
    let node = |path: &str, major: u64, minor: u64| {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        mknod(&dev.join(path), SFlag::S_IFCHR, Mode::S_IRUSR, makedev(major, minor)).is_ok()
    };
    if !node("nvidia3", 195, 3) {
        return;
    }
    assert!(node("nvidia0", 195, 0) && node("nvidiactl", 195, 255));
    assert!(node("nvidia-caps/nvidia-cap12", 510, 12) && node("nvidia-caps/nvidia-cap13", 510, 13));
    let seen = |id: &str, minor, instance| Seen {
        unit: Unit {
            id: UnitId::new(id).unwrap(),
            card: ds01_domain::CardId::new("GPU-x").unwrap(),
            index: 0,
            slice: None,
            model: "x".to_owned(),
            memory_mib: 1,
            weight: ds01_domain::Weight::CARD,
        },
        processes: Processes::Unknowable,
        minor,
        instance,
    };
    let reading = Reading {
        units: vec![
            seen("GPU-a", 3, None),
            seen("GPU-c", 4, None),
            seen("MIG-1", 0, Some((5, 0))),
            seen("MIG-2", 0, Some((9, 0))),
        ],
        ..Reading::default()
    };
    let found = units_in(&reading, &dev, &numbers).unwrap();
    assert_eq!(found.iter().map(UnitId::as_str).collect::<Vec<_>>(), ["GPU-a", "MIG-1"]);
    assert_eq!(units_in(&reading, &fake.0.join("none"), &numbers), None);
}
