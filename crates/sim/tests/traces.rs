//! The labelled traces of `tests/traces`: what every rule makes of them, and that they would notice a wrong threshold.

use std::path::Path;
use std::time::Duration;

use ds01_domain::Thresholds;
use expect_test::{expect, expect_file};
use sim::traces::{Table, Trace, read_folder};

fn traces() -> Vec<Trace> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/traces");
    read_folder(&folder).unwrap_or_else(|error| panic!("{error}"))
}

fn wrong_with(limits: &Thresholds) -> String {
    Table::of(&traces(), limits).wrong().collect::<Vec<_>>().join(" ")
}

#[test]
fn nobody_at_work_is_stopped() {
    let table = Table::of(&traces(), &Thresholds::default());
    expect_file!["../../../tests/traces/table.txt"].assert_eq(&table.to_string());
    assert_eq!(table.wrong().collect::<Vec<_>>(), Vec::<&str>::new());
}

/// What a look at the card sees of a short request hangs on the second in which it falls.
#[test]
fn nobody_at_work_is_stopped_whenever_the_readings_fall() {
    for seconds in 1..10 {
        let traces: Vec<_> = traces().into_iter().map(|trace| trace.delayed(seconds)).collect();
        let table = Table::of(&traces, &Thresholds::default());
        assert_eq!(table.wrong().collect::<Vec<_>>(), Vec::<&str>::new(), "{seconds} s later");
    }
}

#[test]
fn the_manual_shows_the_table_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (manual, table) = (read("docs/admin/idle.md"), read("tests/traces/table.txt"));
    assert!(manual.contains(&table), "put tests/traces/table.txt into docs/admin/idle.md");
}

/// Each threshold in turn so high that nothing reaches it: somebody at work is stopped.
#[test]
fn a_threshold_that_misses_work_is_caught() {
    let usual = Thresholds::default;
    let caught = [
        ("unit_busy", Thresholds { unit_busy: 101, ..usual() }),
        ("process_busy", Thresholds { process_busy: 101, ..usual() }),
        ("process_cpu_milli", Thresholds { process_cpu_milli: 100, ..usual() }),
        ("cpu_milli", Thresholds { cpu_milli: 10_000, ..usual() }),
        ("disk_bytes", Thresholds { disk_bytes: 100_000_000, ..usual() }),
        ("network_bytes", Thresholds { network_bytes: 20_000_000, disk_bytes: 20_000_000, ..usual() }),
    ]
    .map(|(name, limits)| format!("{name}: {}\n", wrong_with(&limits)));
    expect![[r#"
        unit_busy: ddp-straggler download inference-server notebook-thinking tokenising training training-blocking-sync training-loader-bound
        process_busy: inference-on-slice slice-training-engines
        process_cpu_milli: slice-training
        cpu_milli: tokenising
        disk_bytes: reading-from-disk
        network_bytes: download
    "#]].assert_eq(&caught.concat());
}

/// So low that a parked notebook reaches it: units are kept for nothing.
#[test]
fn a_threshold_that_takes_noise_for_work_is_caught() {
    let wasted = |limits: &Thresholds| -> u64 {
        Table::of(&traces(), limits).rows().iter().map(|row| row.outcomes[0].wasted).sum()
    };
    let usual = wasted(&Thresholds::default());
    for limits in [
        Thresholds { process_cpu_milli: 5, ..Thresholds::default() },
        Thresholds { cpu_milli: 10, ..Thresholds::default() },
    ] {
        assert!(wasted(&limits) > usual + 500, "{limits:?}: {} after {usual}", wasted(&limits));
    }
}

#[test]
fn a_text_that_is_no_trace_is_refused_with_its_line() {
    let refusal = |text: &str| Trace::parse(Path::new("a.trace"), text).unwrap_err().to_string();
    let refusals = [
        "right never\n1h open 1\n",
        "units card\nright never\n1h open\n",
        "units card\nright never\n1h opne 1\n",
        "units card card\nright never\n1h gpu 1,2,3\n",
        "units card\nright never\n  1h gpu 1\n",
        "units gpu\n",
        "units card\nright soon\n",
        "units card\nright never\n90 gpu 1\n",
        "units card\n1h gpu 1\n",
        "units card\nright never\n",
        "units card\nright 2h\n1h gpu 1\n",
    ]
    .map(|text| refusal(text) + "\n");
    expect![[r#"
        a.trace:2: a line `units` comes first
        a.trace:3: `open` wants a number
        a.trace:3: `opne` means nothing in a phase
        a.trace:3: `1,2,3` has 3 values for 2 units
        a.trace:3: an indented phase belongs to a `repeat`, and here is none
        a.trace:1: `gpu` is no kind of unit: card, slice-engines or slice
        a.trace:2: `soon` is no time such as 90s, 25m or 1h30m
        a.trace:3: `90` is no time such as 90s, 25m or 1h30m
        a.trace: no line `right`: from when on is a stop right?
        a.trace: nothing happens in it
        a.trace: it ends before a stop is right: say `right never`
    "#]]
    .assert_eq(&refusals.concat());
}

#[test]
fn what_is_repeated_is_as_long_as_written_out() {
    let trace = |phases: &str| {
        let text = format!("units card\nright never\n{phases}");
        Trace::parse(Path::new("a.trace"), &text).unwrap()
    };
    let repeated = trace("1m cpu 5\nrepeat 3\n  1m gpu 7 # on\n\n  1m30s\n2m\n");
    assert_eq!(repeated.length(), Duration::from_secs(60 + 3 * 150 + 120));
    assert_eq!(repeated, trace("1m cpu 5\n1m gpu 7\n90s\n1m gpu 7\n90s\n1m gpu 7\n90s\n2m\n"));
}
