//! What a unit did over the last minutes. Of a bounded length; it must never grow beyond it.

use std::collections::VecDeque;

/// Samples that are kept: ten minutes of one every two seconds, and as wide as screens are.
pub(crate) const SAMPLES_MAX: usize = 300;

/// How busy and how full a unit was, in percent, the newest last. What nobody told is `None`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Curve {
    samples: VecDeque<(Option<u8>, Option<u8>)>,
}

impl Curve {
    pub(super) fn push(&mut self, busy: Option<u8>, memory: Option<u8>) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((busy, memory));
    }

    /// How busy it was, the newest first; how full, where the driver never told how busy.
    pub(crate) fn newest(&self) -> impl Iterator<Item = Option<u8>> {
        let told = self.tells_busy();
        self.samples.iter().rev().map(move |(busy, memory)| if told { *busy } else { *memory })
    }

    /// Whether it was ever told how busy the unit is: of slices it is not.
    pub(crate) fn tells_busy(&self) -> bool {
        self.samples.iter().any(|(busy, _)| busy.is_some())
    }
}
