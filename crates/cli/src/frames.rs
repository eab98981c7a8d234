//! What a container's programs write, as Docker sends it: raw where there is a terminal, in frames that tell the two
//! outputs apart where there is none. It must never change a byte of it.

use std::io::{self, Write, stderr, stdout};

use bytes::{Buf as _, BytesMut};

/// The header of a frame on a stream without a terminal: which output, three zeroes, the length.
const FRAME_HEADER_BYTES: usize = 8;

/// Passes a stream on to our own outputs, in whatever pieces it comes.
#[derive(Debug)]
pub(crate) struct Outputs {
    raw: bool,
    unread: BytesMut,
    wrote: bool,
}

impl Outputs {
    /// Of a stream with a terminal (`raw`) or in frames.
    pub(crate) fn new(raw: bool) -> Self {
        Self { raw, unread: BytesMut::new(), wrote: false }
    }

    /// Passes on what came, and keeps what is not a whole header yet.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unread.extend_from_slice(bytes);
        self.wrote |= !bytes.is_empty();
        if self.raw {
            return write_all(&mut stdout(), &self.unread.split());
        }
        while let Some((output, text)) = next_frame(&mut self.unread) {
            match output {
                // 3: what the Engine itself has to say about the stream.
                2 | 3 => write_all(&mut stderr(), &text)?,
                _ => write_all(&mut stdout(), &text)?,
            }
        }
        Ok(())
    }

    /// Whether anything came at all.
    pub(crate) fn wrote(&self) -> bool {
        self.wrote
    }
}

fn write_all(output: &mut impl Write, text: &[u8]) -> io::Result<()> {
    output.write_all(text)?;
    output.flush()
}

/// The two outputs in a stream of frames that has ended, as text without anything that speaks to a terminal.
pub(crate) fn split(bytes: &[u8]) -> (String, String) {
    let (mut unread, mut out, mut err) = (BytesMut::from(bytes), Vec::new(), Vec::new());
    while let Some((output, text)) = next_frame(&mut unread) {
        if output == 1 { out.extend_from_slice(&text) } else { err.extend_from_slice(&text) }
    }
    let plain = |bytes: Vec<u8>| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
    };
    (plain(out), plain(err))
}

/// Takes what there is of the next frame off `unread`: a frame that is not whole yet is handed on in parts.
fn next_frame(unread: &mut BytesMut) -> Option<(u8, BytesMut)> {
    let header: [u8; FRAME_HEADER_BYTES] = unread.get(..FRAME_HEADER_BYTES)?.try_into().ok()?;
    let [output, _, _, _, a, b, c, d] = header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    let here = (unread.len() - FRAME_HEADER_BYTES).min(length);
    if here == 0 && length > 0 {
        return None;
    }
    unread.advance(FRAME_HEADER_BYTES);
    let text = unread.split_to(here);
    if here < length {
        // The rest becomes a frame of its own.
        let rest = u32::try_from(length - here).unwrap_or(u32::MAX).to_be_bytes();
        let mut header = BytesMut::from(&[output, 0, 0, 0][..]);
        header.extend_from_slice(&rest);
        header.extend_from_slice(unread);
        *unread = header;
    }
    Some((output, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(parts: &[&[u8]]) -> Vec<(u8, String)> {
        let mut unread = BytesMut::new();
        let mut seen: Vec<(u8, String)> = Vec::new();
        for part in parts {
            unread.extend_from_slice(part);
            while let Some((output, text)) = next_frame(&mut unread) {
                let text = String::from_utf8(text.to_vec()).unwrap();
                match seen.last_mut() {
                    Some((last, so_far)) if *last == output => so_far.push_str(&text),
                    _ => seen.push((output, text)),
                }
            }
        }
        seen
    }

    #[test]
    fn two_outputs_apart_and_harmless() {
        let bytes = b"\x01\0\0\0\0\0\0\x06a\x1b[31m\x02\0\0\0\0\0\0\x02e\n\x01\0\0\0\0\0\0\x01b";
        assert_eq!(split(bytes), ("a [31mb".to_owned(), "e\n".to_owned()));
        assert_eq!(split(b""), (String::new(), String::new()));
    }

    #[test]
    fn frames_come_in_any_pieces() {
        let whole =
            b"\x01\0\0\0\0\0\0\x05hello\x02\0\0\0\0\0\0\x03err\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01!";
        let expected = [(1, "hello".to_owned()), (2, "err".to_owned()), (1, "!".to_owned())];
        assert_eq!(frames(&[whole]), expected);
        for cut in 1..whole.len() {
            let (a, b) = whole.split_at(cut);
            assert_eq!(frames(&[a, b]), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(frames(&bytes), expected);
    }
}
