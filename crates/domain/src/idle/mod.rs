//! Whether a container uses its units: what was measured, what it shows, since when.
//!
//! Nothing here reads a clock or a device. A reading is what somebody measured over the last few seconds; [`Activity`] is
//! all readings of one run added up; [`Verdict`] is what they show. *Unknown is not idle*: a time over which nobody
//! measured counts as if the container had worked, because it may have.

mod activity;
mod reading;
mod verdict;

pub use activity::{Activity, MINUTES_KEPT, Minute};
pub use reading::{CardPower, Reading, Thresholds, UnitReading, Use};
pub use verdict::{Evidence, Verdict, VerdictState};
