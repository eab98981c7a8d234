//! Archives that are well-formed, and many that are not.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::*;

/// Lets everything pass, and keeps what it saw.
#[derive(Default)]
struct Watch {
    seen: Vec<Entry>,
    whole: Vec<Vec<u8>>,
    read_whole: bool,
    leave_out: Option<&'static [u8]>,
    refuse_the_end: bool,
}

impl Judge for Watch {
    fn entry(&mut self, entry: &mut Entry) -> Result<Content, Refusal> {
        self.seen.push(entry.clone());
        if self.leave_out == Some(&entry.path[..]) {
            return Ok(Content::LeftOut);
        }
        Ok(if self.read_whole { Content::Whole(1 << 20) } else { Content::Stream })
    }

    fn content(&mut self, _entry: &Entry, content: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        self.whole.push(content.clone());
        Ok(content.to_ascii_uppercase())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        if self.refuse_the_end { Err(Refusal::bad("no end")) } else { Ok(()) }
    }
}

/// A watch that can be looked at when the thread is done with it.
#[derive(Clone)]
struct Shared(Arc<Mutex<Watch>>);

impl Judge for Shared {
    fn entry(&mut self, entry: &mut Entry) -> Result<Content, Refusal> {
        self.0.lock().unwrap().entry(entry)
    }

    fn content(&mut self, entry: &Entry, content: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        self.0.lock().unwrap().content(entry, content)
    }

    fn end(&mut self) -> Result<(), Refusal> {
        self.0.lock().unwrap().end()
    }
}

fn header(kind: u8, name: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_uid(1000);
    header.set_gid(1000);
    header.set_mtime(7);
    header.set_size(size);
    header.set_cksum();
    header
}

fn block(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = header(kind, name, content.len() as u64).as_bytes().to_vec();
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn link(kind: u8, name: &str, target: &str) -> Vec<u8> {
    let mut header = header(kind, name, 0);
    header.set_link_name_literal(target).unwrap();
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut content = Vec::new();
    for (key, value) in records {
        let body = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
        let mut length = body.len() + 1;
        while length != body.len() + length.to_string().len() {
            length = body.len() + length.to_string().len();
        }
        content.extend_from_slice(length.to_string().as_bytes());
        content.extend_from_slice(&body);
    }
    block(b'x', "pax", &content)
}

fn ended(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = parts.concat();
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn through(archive: Vec<u8>, judge: &mut Watch) -> Result<Vec<u8>, String> {
    in_pieces(archive, 700, judge)
}

/// As it goes between a client and the Engine: the client's pieces are of this size.
fn in_pieces(archive: Vec<u8>, size: usize, judge: &mut Watch) -> Result<Vec<u8>, String> {
    match arrived(archive, size, judge) {
        (_, Some(refusal)) => Err(refusal),
        (arrived, None) => Ok(arrived),
    }
}

/// What the Engine has got when it ended, and why it ended if that was too early.
fn arrived(archive: Vec<u8>, size: usize, judge: &mut Watch) -> (Vec<u8>, Option<String>) {
    static UID: AtomicU32 = AtomicU32::new(0);
    let archive = Bytes::from(archive);
    let count = archive.len().div_ceil(size);
    let pieces = (0..count).map(move |n| archive.slice(n * size..archive.len().min((n + 1) * size)));
    let shared = Shared(Arc::new(Mutex::new(std::mem::take(judge))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (arrived, refusal) = runtime.block_on(async {
        let body = StreamBody::new(tokio_stream::iter(
            pieces.map(|piece| Ok::<_, std::convert::Infallible>(Frame::data(piece))),
        ));
        let filtered = filter(UID.fetch_add(1, Ordering::Relaxed), body, shared.clone()).unwrap();
        let (mut body, mut arrived) = (filtered.body, Vec::new());
        while let Some(Ok(frame)) = body.frame().await {
            arrived.extend_from_slice(frame.data_ref().unwrap());
        }
        (arrived, filtered.refusal.get().map(Refusal::to_string))
    });
    *judge = std::mem::take(&mut *shared.0.lock().unwrap());
    (arrived, refusal)
}

fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect()
}

#[test]
fn entries_come_out_as_they_went_in() {
    let long = "d/".repeat(80) + "name";
    let archive = ended(&[
        block(b'5', "dir/", b""),
        block(b'0', "./dir//file", b"hello"),
        link(b'2', "link", "./to//there/"),
        block(b'K', "x", format!("{long}\0").as_bytes()),
        link(b'1', "hard", "short"),
        block(b'L', "x", format!("{long}\0").as_bytes()),
        block(b'0', "short", b"long name"),
        pax(&[
            ("path", b"by/pax"),
            ("SCHILY.xattr.user.a", b"1\n2"),
            ("mtime", b"12.5"),
            ("uid", b"70000000"),
        ]),
        block(b'0', "ignored", b"x"),
    ]);
    let mut watch = Watch::default();
    let out = through(archive, &mut watch).unwrap();
    assert_eq!(names(&out), ["dir", "dir/file", "link", "hard", &long, "by/pax"]);
    let links: Vec<_> = watch.seen.iter().filter(|e| !e.link.is_empty()).map(|e| e.link.clone()).collect();
    assert_eq!(links, [b"./to//there/".to_vec(), long.into_bytes()]);
    let mut again = Watch::default();
    through(out.clone(), &mut again).unwrap();
    assert_eq!(again.seen, watch.seen);
    let last = watch.seen.last().unwrap();
    assert_eq!((last.uid, last.mtime), (70_000_000, 12));
    assert_eq!(last.attributes, [("user.a".to_owned(), b"1\n2".to_vec())]);
    let mut again = tar::Archive::new(&out[..]);
    let mut content = String::new();
    again.entries().unwrap().nth(1).unwrap().unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "hello");
}

#[test]
fn an_archive_is_the_same_in_whatever_pieces_it_comes() {
    let content = |size: usize| (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<u8>>();
    let sizes = [0, 1, 511, 512, 513, 16 << 10, 100_000, 300_000, 0, 40_000];
    let files: Vec<Vec<u8>> = sizes
        .iter()
        .enumerate()
        .map(|(number, size)| block(b'0', &format!("f{number}"), &content(*size)))
        .collect();
    let archive = ended(&files);
    for size in [7, 512, 20_000, 32 << 10, archive.len()] {
        let out = in_pieces(archive.clone(), size, &mut Watch::default()).unwrap();
        let mut read = tar::Archive::new(&out[..]);
        let mut found = Vec::new();
        for file in read.entries().unwrap() {
            let mut bytes = Vec::new();
            file.unwrap().read_to_end(&mut bytes).unwrap();
            found.push(bytes);
        }
        assert!(found == sizes.map(content), "in pieces of {size}");
    }
}

#[test]
fn a_content_can_be_read_whole_and_changed() {
    let mut watch = Watch { read_whole: true, ..Watch::default() };
    let out = through(ended(&[block(b'0', "a", b"abc"), block(b'0', "b", b"")]), &mut watch).unwrap();
    assert_eq!(watch.whole, [b"abc".to_vec(), Vec::new()]);
    assert!(out.windows(3).any(|w| w == b"ABC"));
    assert_eq!(names(&out), ["a", "b"]);
}

#[test]
fn an_entry_can_be_left_out() {
    for size in [1, 5_000] {
        let archive = ended(&[
            block(b'0', "a", b"abc"),
            pax(&[("path", b"names"), ("SCHILY.xattr.user.a", b"1")]),
            block(b'0', "x", &vec![b'n'; size]),
            block(b'0', "b", b"def"),
        ]);
        let mut watch = Watch { leave_out: Some(b"names"), ..Watch::default() };
        let out = through(archive, &mut watch).unwrap();
        assert_eq!(names(&out), ["a", "b"]);
        assert!(!out.windows(3).any(|w| w == b"nnn" || w == b"xat"), "nothing of it is sent");
        assert_eq!(watch.seen.len(), 3);
    }
    let cut = [block(b'0', "names", &[b'n'; 2_000])[..1_500].to_vec()].concat();
    let mut watch = Watch { leave_out: Some(b"names"), ..Watch::default() };
    assert!(through(cut, &mut watch).unwrap_err().contains("ends within a file"));
}

#[test]
fn an_archive_that_is_refused_has_no_end() {
    // Whatever waits to be sent: the two empty blocks that end an archive must not come to it and go.
    for size in (60_000..66_000).step_by(100) {
        let files: Vec<Vec<u8>> =
            (0..size / 2_000).map(|n| block(b'0', &n.to_string(), &[1; 1_400])).collect();
        let archive = [files.concat(), block(b'0', "last", &vec![1; size % 2_000])].concat();
        let whole = through(archive.clone(), &mut Watch::default()).unwrap();
        let mut watch = Watch { refuse_the_end: true, ..Watch::default() };
        let (sent, refusal) = arrived(archive, 700, &mut watch);
        assert_eq!(refusal.as_deref(), Some("no end"));
        assert!(whole.starts_with(&sent) && sent.len() <= whole.len() - 1024, "{size}: {} bytes", sent.len());
    }
}

#[test]
fn gzip_is_looked_into_and_the_rest_refused() {
    let archive = ended(&[block(b'0', "a", b"abc")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive).unwrap();
    assert_eq!(names(&through(gzip.finish().unwrap(), &mut Watch::default()).unwrap()), ["a"]);
    for magic in [&b"BZh91AY"[..], b"\xfd7zXZ\0\0", b"\x28\xb5\x2f\xfd\0\0\0"] {
        assert!(
            through(magic.to_vec(), &mut Watch::default()).unwrap_err().contains("plain or packed with gzip")
        );
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let mut wrong_sum = block(b'0', "a", b"x");
    wrong_sum[0] = b'z';
    let mut negative = header(b'0', "a", 0);
    negative.as_mut_bytes()[124] = 0xff;
    negative.set_cksum();
    for archive in [
        wrong_sum,
        negative.as_bytes().to_vec(),
        block(b'0', "../a", b"x"),
        block(b'0', "a/../../b", b"x"),
        block(b'S', "sparse", b"x"),
        block(b'M', "odd", b""),
        block(b'2', "link-with-content", b"x"),
        block(b'0', "a", &[1; 200])[..600].to_vec(),
        header(b'0', "short", 10_000).as_bytes().to_vec(),
        [header(b'x', "pax", 1 << 40).as_bytes().to_vec(), vec![0; 2048]].concat(),
        [header(b'L', "name", 1 << 40).as_bytes().to_vec(), vec![0; 2048]].concat(),
        [block(b'x', "pax", b"99 path=a\n"), block(b'0', "a", b"")].concat(),
        [block(b'x', "pax", b"9 path=a\n9 path=b"), block(b'0', "a", b"")].concat(),
        [pax(&[("size", b"nine")]), block(b'0', "a", b"")].concat(),
        [pax(&[("GNU.sparse.major", b"1")]), block(b'0', "a", b"")].concat(),
        b"no archive at all, and longer than nothing".repeat(20),
    ] {
        let shown = String::from_utf8_lossy(&archive[..archive.len().min(60)]).into_owned();
        assert!(through(archive, &mut Watch::default()).is_err(), "{shown:?}");
    }
    // The size that counts is the one that PAX says, for us and for what is written.
    let hidden = block(b'0', "hidden", b"");
    let outer = [pax(&[("size", hidden.len().to_string().as_bytes())]), block(b'0', "outer", b"")].concat();
    let archive = ended(&[outer, hidden]);
    assert_eq!(names(&through(archive, &mut Watch::default()).unwrap()), ["outer"]);
}

#[test]
fn what_is_said_of_one_entry_is_bounded() {
    // Headers that no entry follows: each is small enough, all together would fill the memory.
    let one = pax(&[("SCHILY.xattr.user.a", &[b'x'; 64 * 1024])]);
    for header in [one, block(b'g', "pax", &[b'x'; 64 * 1024]), block(b'L', "name", &[b'x'; 64 * 1024])] {
        let mut archive: Vec<Vec<u8>> = std::iter::repeat_n(header, 17).collect();
        archive.push(block(b'0', "file", b"x"));
        let refusal = through(ended(&archive), &mut Watch::default()).unwrap_err();
        assert!(refusal.contains("headers of an entry are too long"), "{refusal}");
    }
    // As many attributes as a file can have, and then its own header.
    let fine = [pax(&[("SCHILY.xattr.user.a", &[b'x'; 64 * 1024])]), block(b'0', "file", b"x")].concat();
    assert!(through(ended(&[fine.repeat(32)]), &mut Watch::default()).is_ok());
}

#[test]
fn devices_and_pipes_are_never_written() {
    for kind in [b'3', b'4', b'6'] {
        let refused = through(ended(&[block(kind, "node", b"")]), &mut Watch::default()).unwrap_err();
        assert!(refused.contains("cannot be copied here"), "{refused}");
    }
}

#[test]
fn an_archive_may_end_with_its_last_file() {
    let archive = block(b'0', "a", b"abc")[..515].to_vec();
    let mut watch = Watch { read_whole: true, ..Watch::default() };
    assert_eq!(names(&through(archive, &mut watch).unwrap()), ["a"]);
    assert!(
        through(
            block(b'0', "a", b"abc")[..514].to_vec(),
            &mut Watch { read_whole: true, ..Watch::default() }
        )
        .is_err()
    );
}

#[test]
fn nothing_is_an_archive_too() {
    assert_eq!(names(&through(Vec::new(), &mut Watch::default()).unwrap()), [""; 0]);
    assert_eq!(names(&through(vec![0; 10_240], &mut Watch::default()).unwrap()), [""; 0]);
}
