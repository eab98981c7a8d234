//! How much of people's request bodies is in memory at once: a share for each, so that nobody fills it for all.
//!
//! It must never count one person's bytes as another's; a process in a container counts as the container's owner.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use hyper::StatusCode;

use super::http::Refusal;

/// Bytes of one person's bodies that are in memory at once: eight of the largest.
const BYTES_EACH_MAX: usize = 32 * 1024 * 1024;
/// Bodies of ordinary clients are smaller than this, and not counted.
const SMALL_BYTES: usize = 64 * 1024;

static HELD: Mutex<BTreeMap<u32, usize>> = Mutex::new(BTreeMap::new());

/// What one request holds of its sender's share; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    uid: u32,
    bytes: usize,
}

impl Share {
    pub(super) fn of(uid: u32) -> Self {
        Self { uid, bytes: 0 }
    }

    /// Makes room for a body that has grown to so many bytes.
    ///
    /// # Errors
    /// 429 where the person's other requests hold too much already.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= SMALL_BYTES || bytes <= self.bytes {
            return Ok(());
        }
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let all = held.entry(self.uid).or_insert(0);
        let wanted = *all + (bytes - self.bytes);
        if wanted > BYTES_EACH_MAX {
            drop(held);
            return Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!(
                    "your requests under way hold {} MiB of bodies already, the most that one user may; try again when \
                     some have ended",
                    BYTES_EACH_MAX >> 20
                ),
            ));
        }
        *all = wanted;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(all) = held.get_mut(&self.uid) {
            *all = all.saturating_sub(self.bytes);
            if *all == 0 {
                held.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_share_and_no_more() {
        // Numbers that no other test uses: the books are the process's own.
        let (alice, bob) = (4_000_000_001, 4_000_000_002);
        let mut held = Vec::new();
        for _ in 0..8 {
            let mut share = Share::of(alice);
            share.grow(4 << 20).unwrap();
            share.grow(SMALL_BYTES + 1).unwrap();
            held.push(share);
        }
        let mut ninth = Share::of(alice);
        assert_eq!(ninth.grow(4 << 20).unwrap_err().status, StatusCode::TOO_MANY_REQUESTS);
        ninth.grow(SMALL_BYTES).unwrap();
        Share::of(bob).grow(4 << 20).unwrap();
        held.pop();
        ninth.grow(4 << 20).unwrap();
        drop((held, ninth));
        assert!(!HELD.lock().unwrap().contains_key(&alice));
    }
}
