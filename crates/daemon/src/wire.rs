//! The bodies of HTTP messages, whole or streaming, as the door and the Engine's client pass them on.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};

/// Any error that a body may end in.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Every body that passes the door.
pub type Body = BoxBody<Bytes, BoxError>;

/// Wraps any body.
pub fn boxed<B>(body: B) -> Body
where
    B: hyper::body::Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed()
}

/// A body without bytes.
#[must_use]
pub fn empty() -> Body {
    boxed(Empty::new())
}
