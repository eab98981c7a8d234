//! A request body that is read by somebody, whatever becomes of the request.
//!
//! A refusal that closes the connection under a client that still writes is seen as "broken pipe" instead of as its
//! sentence. So what a handler did not read is read and forgotten while the answer is on its way, within bounds.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use super::http::{self, Refusal};

/// How much of a refused upload is read before the connection is closed after all.
const DRAINED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a refused upload is read.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// The body of a request; dropped unread, it is drained.
#[derive(Debug)]
pub(crate) struct Unread(Option<Incoming>);

impl Unread {
    pub(crate) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }

    /// Whether there is nothing to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(Incoming::is_end_stream)
    }

    /// Reads the body whole, up to a limit.
    pub(crate) async fn whole(&mut self, bytes_max: usize) -> Result<Bytes, Refusal> {
        match &mut self.0 {
            Some(body) => http::read_whole(body, bytes_max).await,
            None => Ok(Bytes::new()),
        }
    }

    /// The body itself, for a handler that sends it on.
    pub(crate) fn take(&mut self) -> Option<Incoming> {
        self.0.take()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) {
            tokio::spawn(tokio::time::timeout(DRAIN_TIME_MAX, drain(body)));
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut left = DRAINED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}
