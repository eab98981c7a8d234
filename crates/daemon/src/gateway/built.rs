//! What a build without a name has made: its reply tells the image's id, and whoever built it owns it before he reads so.
//!
//! Only the Engine's own lines count. What a step prints stands inside of a string, with its quotes escaped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::task::JoinHandle;

/// The longest line that can tell an id; longer ones are something else.
const LINE_BYTES_MAX: usize = 256;
/// How an image's id begins.
const DIGEST: &str = "sha256:";

/// A build's reply on its way to the client.
pub(super) struct Built<F> {
    reply: Incoming,
    /// Whether the reply is nothing but the id.
    quiet: bool,
    line: Vec<u8>,
    own: F,
    /// What has to be written down before the frame that waits with it goes on.
    waiting: Option<(JoinHandle<()>, Frame<Bytes>)>,
}

impl<F> Built<F> {
    /// Calls `own` with the id of an image that the reply tells of.
    pub(super) fn new(reply: Incoming, quiet: bool, own: F) -> Self {
        Self { reply, quiet, line: Vec::new(), own, waiting: None }
    }

    /// The id in a piece of the reply, if a line that tells one ends in it.
    fn find(&mut self, piece: &[u8]) -> Option<String> {
        let mut found = None;
        for byte in piece {
            match byte {
                b'\n' => {
                    found = id_in(&self.line, self.quiet).or(found);
                    self.line.clear();
                }
                _ if self.line.len() <= LINE_BYTES_MAX => self.line.push(*byte),
                _ => {}
            }
        }
        found
    }
}

/// `{"aux":{"ID":"sha256:…"}}`; of a quiet build `{"stream":"sha256:…\n"}`.
fn id_in(line: &[u8], quiet: bool) -> Option<String> {
    let told: serde_json::Value = serde_json::from_slice(line).ok()?;
    let id = match told.pointer("/aux/ID") {
        Some(id) => id.as_str()?,
        None if quiet => told.get("stream")?.as_str()?.trim_end(),
        None => return None,
    };
    let digits = id.strip_prefix(DIGEST)?;
    (digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
}

impl<F> Body for Built<F>
where
    F: FnMut(String) -> JoinHandle<()> + Unpin,
{
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        if let Some((owning, _)) = &mut this.waiting {
            // A task that failed has told the log; the build is done all the same.
            let _ = ready!(Pin::new(owning).poll(context));
            return Poll::Ready(this.waiting.take().map(|(_, frame)| Ok(frame)));
        }
        let Some(frame) = ready!(Pin::new(&mut this.reply).poll_frame(context)?) else {
            return Poll::Ready(None);
        };
        let told = frame.data_ref().cloned().and_then(|piece| this.find(&piece));
        match told {
            None => Poll::Ready(Some(Ok(frame))),
            Some(id) => {
                this.waiting = Some(((this.own)(id), frame));
                Pin::new(this).poll_frame(context)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "sha256:87b2b551303bc59ca0781968428dcaa8b165abdbc1947782a1e350a03835e1d0";

    #[test]
    fn only_the_engine_tells_what_was_built() {
        let told = |line: &str, quiet| id_in(line.as_bytes(), quiet).is_some();
        assert!(told(&format!("{{\"aux\":{{\"ID\":\"{ID}\"}}}}\r"), false));
        assert!(told(&format!("{{\"stream\":\"{ID}\\n\"}}"), true));
        // A step that prints an id, or the line itself.
        assert!(!told(&format!("{{\"stream\":\"{ID}\\n\"}}"), false));
        assert!(!told(&format!("{{\"stream\":\"{{\\\"aux\\\":{{\\\"ID\\\":\\\"{ID}\\\"}}}}\\n\"}}"), false));
        assert!(!told("{\"aux\":{\"ID\":\"sha256:87b2\"}}", false));
        assert!(!told("Successfully built", false));
    }
}
