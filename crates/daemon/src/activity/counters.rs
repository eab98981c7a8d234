//! Counters that only grow, as rates: what they were when they were last read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cgroup::Group;
use crate::namespace;

/// What was read of one container last time.
#[derive(Debug, Default)]
pub(super) struct Counters {
    at: Option<Instant>,
    /// Its control group, once that is known.
    pub(super) group: Group,
    /// CPU time of all its processes.
    pub(super) cpu: Option<Duration>,
    /// Bytes to and from disks.
    pub(super) disk: Option<u64>,
    /// One of its processes that was seen to be in a network of its own.
    networked: Option<i32>,
    /// Bytes on its own network.
    pub(super) network: Option<u64>,
    /// CPU time of each process on a unit, by its number and when it began.
    pub(super) processes: BTreeMap<(i32, u64), Duration>,
    /// One of its processes, which sees what it sees.
    pub(super) witness: Option<i32>,
}

impl Counters {
    /// A process whose network is the container's own, if it has one. It is asked until it has: on its way into the
    /// container it is still in the machine's.
    pub(super) fn networked(&mut self) -> Option<i32> {
        let known = self.witness.filter(|pid| self.networked == Some(*pid));
        self.networked = known.or_else(|| self.witness.filter(|pid| namespace::has_own_network(*pid)));
        self.networked
    }

    /// The time since the last reading, which this one is the next of.
    pub(super) fn elapsed(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.at.replace(now).map(|before| now - before).filter(|span| !span.is_zero())
    }
}

/// Time on CPUs over a time, in thousandths of a CPU.
pub(super) fn milli(cpu: Duration, over: Duration) -> u64 {
    let share = cpu.as_nanos().saturating_mul(1000) / over.as_nanos().max(1);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Bytes a second.
pub(super) fn rate(before: Option<u64>, now: Option<u64>, over: Option<Duration>) -> Option<u64> {
    let bytes = u128::from(now?.saturating_sub(before?));
    u64::try_from(bytes * 1000 / over?.as_millis().max(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_two_readings() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(rate(None, Some(5), second), None);
        assert_eq!(rate(Some(5), Some(1005), None), None);
        assert_eq!(rate(Some(5), Some(1005), Some(Duration::from_millis(500))), Some(2000));
        // A counter that began anew.
        assert_eq!(rate(Some(1005), Some(5), second), Some(0));
        assert_eq!(milli(Duration::from_secs(5), Duration::from_secs(10)), 500);
    }
}
