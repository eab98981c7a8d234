//! The mean of each kind of decision with 1,000 units and 10,000 starts in line, and of a tenth and a third of it, for
//! comparison over time. `p99` says what they take at worst.

mod machine;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ds01_domain::*;
use machine::{Machine, NOW, Size};

const SIZES: [Size; 3] = [
    Size { units: 100, waiting: 1_000, people: 40 },
    Size { units: 333, waiting: 3_333, people: 133 },
    Size { units: 1_000, waiting: 10_000, people: 400 },
];

fn decisions(c: &mut Criterion) {
    let mut group = c.benchmark_group("decision");
    group.sample_size(30).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for size in SIZES {
        let machine = Machine::new(size, false);
        let spare = Machine::new(size, true);
        let (smallest, _) = machine.extremes();
        let end = machine.end_of(&smallest);
        group.throughput(Throughput::Elements(1));
        let name = |what| BenchmarkId::new(what, size.waiting);
        group
            .bench_function(name("waits"), |b| b.iter(|| machine.start(black_box(&machine.idle[0]), 0, NOW)));
        group.bench_function(name("granted"), |b| b.iter(|| spare.start(black_box(&spare.idle[0]), 0, NOW)));
        group.bench_function(name("freed"), |b| {
            b.iter(|| plan(&machine.policy, &machine.state, black_box(&end), NOW))
        });
        group.bench_function(name("time"), |b| {
            b.iter(|| plan(&machine.policy, &machine.state, black_box(&Observed::default()), NOW))
        });
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
