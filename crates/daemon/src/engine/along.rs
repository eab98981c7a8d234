//! A connection to the Engine that lives in its reply: whoever reads the reply drives it, in the same task.
//!
//! For data sets on their way through the door. A connection with a task of its own hands every piece over from one
//! thread to another; here a piece is read from one socket and written to the other in one go.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::http1::Connection;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Engine, EngineError, send_on};
use crate::wire::Body;

/// How often a reader looks again whether a piece has come, before it waits: asking for one brings it.
const LOOKS: usize = 2;

/// A reply's body with the connection that it comes over.
#[derive(Debug)]
pub struct Along {
    body: Incoming,
    connection: Driven,
}

/// A connection until it ends. The lock is never taken: it makes the body one that threads may share.
#[derive(Debug)]
struct Driven(Mutex<Option<Connection<TokioIo<UnixStream>, Body>>>);

impl Driven {
    fn drive(&mut self, context: &mut Context<'_>) {
        let slot = self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(connection) = slot else { return };
        if let Poll::Ready(ended) = Pin::new(connection).poll(context) {
            // What it still held for the reader is with the reader; dropped, it tells him that no more will come.
            *slot = None;
            if let Err(error) = ended {
                tracing::debug!(%error, "engine connection ended");
            }
        }
    }
}

impl hyper::body::Body for Along {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        for _ in 0..LOOKS {
            this.connection.drive(context);
            if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
                return Poll::Ready(frame);
            }
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Engine {
    /// Sends one request on a connection of its own that is driven by whoever waits for the reply and then reads it.
    ///
    /// What nobody reads does not move: not for requests whose body must arrive while the reply is left unread.
    ///
    /// # Errors
    /// As [`Engine::send`].
    pub async fn send_along(&self, request: Request<Body>) -> Result<Response<Along>, EngineError> {
        let (mut sender, connection) = self.open().await?;
        let mut connection = Driven(Mutex::new(Some(connection)));
        let mut reply = std::pin::pin!(send_on(&mut sender, request));
        let reply = std::future::poll_fn(|context| {
            for _ in 0..LOOKS {
                connection.drive(context);
                if let Poll::Ready(reply) = reply.as_mut().poll(context) {
                    return Poll::Ready(reply);
                }
            }
            Poll::Pending
        })
        .await?;
        Ok(reply.map(|body| Along { body, connection }))
    }
}
