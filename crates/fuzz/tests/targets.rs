//! Every target with its seeds and a bounded number of inputs made of them: the same ones each time, so that what fails
//! fails again. Longer and other runs: `cargo run -p ds01-fuzz --bin ds01-fuzz`, and `cargo fuzz`.

use ds01_fuzz::runner::{self, Run};
use ds01_fuzz::targets;

/// Inputs per target; an archive costs a thread.
fn rounds(name: &str) -> u64 {
    match name {
        "archive" => 3_000,
        "create" => 6_000,
        _ => 8_000,
    }
}

fn holds(name: &str) {
    let target = targets::named(name).expect("a target");
    match runner::run(target, Run { rounds: rounds(name), time_max: None, seed: 1 }) {
        Ok(report) => {
            // A target that accepts nothing, or goes one way only, tries nothing.
            assert!(report.accepted > 20 && report.ways > 3, "{name}: {report:?}");
        }
        Err(failure) => panic!(
            "{name}: {}\nthe input: {}\nagain: {}",
            failure.message,
            failure.file.display(),
            failure.command
        ),
    }
}

macro_rules! targets {
    ($($function:ident: $name:literal,)*) => {
        $(#[test]
        fn $function() {
            holds($name);
        })*

        #[test]
        fn every_target_has_a_test() {
            let named = [$($name),*];
            assert_eq!(targets::ALL.iter().map(|target| target.name).collect::<Vec<_>>(), named);
        }
    };
}

targets! {
    create: "create",
    update: "update",
    exec: "exec",
    exec_start: "exec-start",
    commit: "commit",
    volume: "volume",
    network: "network",
    connect: "connect",
    disconnect: "disconnect",
    auth: "auth",
    json: "json",
    filters: "filters",
    route: "route",
    reference: "reference",
    dockerfile: "dockerfile",
    archive: "archive",
}
