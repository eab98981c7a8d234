//! JSON as Go's encoder writes it, so that a reply printed raw by a client reads as the bare Engine's.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::Formatter;

/// The bytes of a reply: compact, `<`, `>`, `&` and the two line separators escaped, one line end after it.
pub fn write(reply: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, LikeGo);
    reply.serialize(&mut serializer).expect("a JSON value is always written to memory");
    bytes.push(b'\n');
    bytes
}

struct LikeGo;

impl Formatter for LikeGo {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let Some(escaped) = from.chars().next() else { break };
            write!(writer, "\\u{:04x}", u32::from(escaped))?;
            rest = &from[escaped.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}
