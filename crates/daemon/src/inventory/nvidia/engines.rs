//! How busy the engines of slices were, by the counters that cards have from Hopper on (GPM): means between two samples of a
//! GPU instance. The next span begins where the last one ended, so nothing is missed however short it is.
//!
//! Like everything of the driver it may block; only the watcher's thread calls it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use ds01_domain::UnitId;
use nvml_wrapper::enums::gpm::GpmMetricId;
use nvml_wrapper::gpm::gpm_metrics_get;
use nvml_wrapper::{Device, GpmSample};

/// Whatever works for a program on a slice: kernels of any kind, and decoders that run without one.
const ENGINES: [GpmMetricId; 18] = {
    use GpmMetricId::*;
    [
        GraphicsUtil,
        Nvdec0Util,
        Nvdec1Util,
        Nvdec2Util,
        Nvdec3Util,
        Nvdec4Util,
        Nvdec5Util,
        Nvdec6Util,
        Nvdec7Util,
        Nvjpg0Util,
        Nvjpg1Util,
        Nvjpg2Util,
        Nvjpg3Util,
        Nvjpg4Util,
        Nvjpg5Util,
        Nvjpg6Util,
        Nvjpg7Util,
        Nvofa0Util,
    ]
};
/// The shortest span: the driver needs a tenth of a second, and looks may come one after the other.
const SPAN_MIN: Duration = Duration::from_secs(1);
/// How long a span is remembered: longer than from one reading of containers to the next.
const REMEMBERED: Duration = Duration::from_secs(15);
/// Less than this, in percent, is what the counters show of a slice on which nothing runs.
const NOISE_PERCENT: f64 = 0.5;

/// How busy a slice is, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy {
    /// In the last span.
    pub(super) now: u32,
    /// In the busiest of those that are remembered.
    pub(super) of_late: u32,
}

/// The last sample of each slice, and what the ones before it told.
#[derive(Debug, Default)]
pub(super) struct Engines<'d> {
    slices: BTreeMap<UnitId, Spans<'d>>,
}

#[derive(Debug)]
struct Spans<'d> {
    sample: GpmSample<'d>,
    taken: Instant,
    /// When each ended, and how busy the slice was in it.
    told: VecDeque<(Instant, u32)>,
}

impl<'d> Engines<'d> {
    /// How busy a slice was, the only one of its GPU instance; `None` where the card does not tell, or not yet.
    pub(super) fn read(&mut self, card: &Device<'d>, instance: u32, slice: &UnitId) -> Option<Busy> {
        let before = self.slices.remove(slice);
        let spans = match before {
            Some(before) if before.taken.elapsed() < SPAN_MIN => before,
            before => {
                // What cannot be read is not known, and the next span begins anew.
                let sample = card.gpm_mig_sample(instance).ok()?;
                let taken = Instant::now();
                let mut told = VecDeque::new();
                if let Some(before) = before {
                    told = before.told;
                    told.push_back((taken, mean(&before.sample, &sample)?));
                }
                Spans { sample, taken, told }
            }
        };
        let spans = self.slices.entry(slice.clone()).or_insert(spans);
        spans.told.retain(|(ended, _)| ended.elapsed() < REMEMBERED);
        let of_late = spans.told.iter().map(|(_, busy)| *busy).max()?;
        spans.told.back().map(|(_, now)| Busy { now: *now, of_late })
    }

    /// Forgets the slices that are no more.
    pub(super) fn keep(&mut self, there: &BTreeSet<&UnitId>) {
        self.slices.retain(|slice, _| there.contains(slice));
    }
}

/// The busiest engine between two samples; `None` where not even kernels are told of.
fn mean<'d>(from: &GpmSample<'d>, to: &GpmSample<'d>) -> Option<u32> {
    let told = gpm_metrics_get(from.nvml(), from, to, &ENGINES).ok()?;
    let mut told = told.into_iter().map(|metric| metric.ok().map(|metric| metric.value));
    let kernels = told.next()??;
    percent(told.flatten().chain([kernels]))
}

/// In whole percent, of which the least work is one. What is no share of anything is not believed.
fn percent(mut shares: impl Iterator<Item = f64>) -> Option<u32> {
    shares.try_fold(0, |most: u32, share| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 101")]
        let whole = (0.0..=101.0).contains(&share).then(|| share.ceil() as u32)?;
        Some(most.max(if share < NOISE_PERCENT { 0 } else { whole.min(100) }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_work_is_some_and_nonsense_is_unknown() {
        let of = |shares: &[f64]| percent(shares.iter().copied());
        assert_eq!(of(&[0.0, 0.49]), Some(0));
        assert_eq!(of(&[0.0, 0.5]), Some(1));
        assert_eq!(of(&[97.2, 3.0]), Some(98));
        assert_eq!(of(&[100.3]), Some(100), "a counter that is read a little late");
        assert_eq!(of(&[f64::NAN, 3.0]), None);
        assert_eq!(of(&[-1.0]), None);
        assert_eq!(of(&[4e9, 3.0]), None);
    }
}
