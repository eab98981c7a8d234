//! The connection to what a program in a container reads and writes, taken over from HTTP. It must never read or write it.

use hyper::Method;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{ANSWER_MAX, Bytes, ClientError, Door, within};

/// Such a connection.
#[derive(Debug)]
pub(crate) struct Line {
    /// Raw with a terminal, in Docker's frames without.
    pub(crate) stream: UnixStream,
    /// What came in the same packet as the answer's head, before anything of `stream`.
    pub(crate) early: Bytes,
    /// For the terminal at its other end.
    pub(crate) sizer: Sizer,
}

/// Tells a program's terminal its size, on connections of its own.
#[derive(Debug)]
pub(crate) struct Sizer {
    door: Door,
    path: String,
}

impl Door {
    /// Has `path` do what it does and keeps the connection; `resize` is where its terminal's size is told.
    pub(super) async fn take_over(
        &self,
        path: &str,
        body: Bytes,
        resize: String,
    ) -> Result<Line, ClientError> {
        let response = within(ANSWER_MAX, self.send(Method::POST, path, body, Some("tcp"))).await?;
        let upgraded = hyper::upgrade::on(response).await.map_err(ClientError::broken)?;
        let parts = upgraded
            .downcast::<TokioIo<UnixStream>>()
            .map_err(|_| ClientError::broken("the connection is not ours to take over"))?;
        let sizer = Sizer { door: self.clone(), path: resize };
        Ok(Line { stream: parts.io.into_inner(), early: parts.read_buf, sizer })
    }
}

impl Sizer {
    /// Tells the size.
    pub(crate) async fn resize(&self, columns: u16, rows: u16) -> Result<(), ClientError> {
        let path = format!("{}?h={rows}&w={columns}", self.path);
        within(ANSWER_MAX, self.door.send(Method::POST, &path, Bytes::new(), None)).await.map(drop)
    }
}
