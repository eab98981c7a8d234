//! A request body that is read by somebody, whatever becomes of the request.
//!
//! A refusal that closes the connection under a client that still writes is seen as "broken pipe" instead of as its
//! sentence. So what a handler did not read is read and forgotten while the answer is on its way, within bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};

use super::http::Refusal;
use super::share::Share;

/// How much of a refused upload is read before the connection is closed after all.
const DRAINED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a body that is read whole may take to arrive.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(60);
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

    /// Reads the body whole, up to a limit and within its sender's share.
    pub(crate) async fn whole(&mut self, bytes_max: usize, share: &mut Share) -> Result<Bytes, Refusal> {
        let Some(body) = &mut self.0 else { return Ok(Bytes::new()) };
        match tokio::time::timeout(WHOLE_TIME_MAX, read_whole(body, bytes_max, share)).await {
            Ok(read) => read,
            Err(_) => Err(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("the request body did not arrive within {} s", WHOLE_TIME_MAX.as_secs()),
            )),
        }
    }

    /// The body itself, for a handler that sends it on.
    pub(crate) fn take(&mut self) -> Option<Incoming> {
        self.0.take()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(body) = self.0.take() {
            forget(body);
        }
    }
}

async fn read_whole(body: &mut Incoming, bytes_max: usize, share: &mut Share) -> Result<Bytes, Refusal> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::bad("the request body ended before it was complete"))?;
        let Some(data) = frame.data_ref() else { continue };
        let bytes = read.len() + data.len();
        if bytes > bytes_max {
            return Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the request body is larger than {}, the most that is read here", size(bytes_max)),
            ));
        }
        share.grow(bytes)?;
        read.extend_from_slice(data);
    }
    Ok(read.freeze())
}

fn size(bytes: usize) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        mib => format!("{mib} MiB"),
    }
}

/// Reads the rest of a body and forgets it, within bounds.
pub(super) fn forget(body: impl hyper::body::Body<Data = Bytes> + Send + Unpin + 'static) {
    if !body.is_end_stream() {
        tokio::spawn(tokio::time::timeout(DRAIN_TIME_MAX, drain(body)));
    }
}

async fn drain(mut body: impl hyper::body::Body<Data = Bytes> + Unpin) {
    let mut left = DRAINED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}
