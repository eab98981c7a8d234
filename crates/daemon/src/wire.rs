//! The bodies of HTTP messages, whole or streaming, as the door and the Engine's client pass them on; and the lines of
//! those that come in lines. It must never know what they say.

use bytes::{Bytes, BytesMut};
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

/// The longest line of a stream that is read; an event is about a KiB.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// One line of a stream, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// As it came.
    Whole(Bytes),
    /// More than is read: what people write on their containers is in it.
    TooLong,
}

/// The lines of a stream that comes in pieces. One that is too long is passed over, and the next is read.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: BytesMut,
    /// How much of the buffer holds no line end.
    looked: usize,
    passing: bool,
}

impl Lines {
    /// Takes a piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next line that is there to its end.
    #[expect(clippy::should_implement_trait, reason = "it goes on after `None`, when there is another piece")]
    pub fn next(&mut self) -> Option<Line> {
        let Some(end) = self.buffer[self.looked..].iter().position(|b| *b == b'\n') else {
            self.looked = self.buffer.len();
            if self.looked > LINE_BYTES_MAX {
                self.buffer.clear();
                self.looked = 0;
                self.passing = true;
            }
            return None;
        };
        let mut line = self.buffer.split_to(self.looked + end + 1);
        self.looked = 0;
        line.truncate(line.len() - 1);
        let is_long = std::mem::take(&mut self.passing) || line.len() > LINE_BYTES_MAX;
        Some(if is_long { Line::TooLong } else { Line::Whole(line.freeze()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_hides_no_other() {
        let mut lines = Lines::default();
        lines.push(b"one\ntw");
        assert_eq!(lines.next(), Some(Line::Whole(Bytes::from("one"))));
        assert_eq!(lines.next(), None);
        lines.push(b"o\n");
        assert_eq!(lines.next(), Some(Line::Whole(Bytes::from("two"))));
        for _ in 0..5 {
            lines.push(&[b'x'; LINE_BYTES_MAX]);
            assert_eq!(lines.next(), None);
        }
        assert!(lines.buffer.capacity() < 4 * LINE_BYTES_MAX);
        lines.push(b"x\nthree\n\n");
        assert_eq!(lines.next(), Some(Line::TooLong));
        assert_eq!(lines.next(), Some(Line::Whole(Bytes::from("three"))));
        assert_eq!(lines.next(), Some(Line::Whole(Bytes::new())));
        assert_eq!(lines.next(), None);
    }
}
