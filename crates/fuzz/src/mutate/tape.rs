//! Archives: blocks moved, headers changed in their fields, with the sum set right again more often than not.

use fastrand::Rng;

use super::plain;

const BLOCK: usize = 512;
/// Begin and length of the fields of a header.
const FIELDS: [(usize, usize); 14] = [
    (0, 100),
    (100, 8),
    (108, 8),
    (116, 8),
    (124, 12),
    (136, 12),
    (156, 1),
    (157, 100),
    (257, 8),
    (265, 32),
    (297, 32),
    (329, 8),
    (337, 8),
    (345, 155),
];
const TYPES: &[u8] = b"\x000123456789xgLKSDMVN ";
const NAMES: [&[u8]; 14] = [
    b"a",
    b"a/",
    b"../x",
    b"/etc/passwd",
    b"a//b",
    b"./a",
    b"a/./b",
    b"dev/null",
    b".",
    b"",
    b"\xff\xfe",
    b"a\0b",
    b"link/x",
    b"////",
];
const NUMBERS: [&[u8]; 12] = [
    b"0000644\0",
    b"0004755\0",
    b"0006777\0",
    b"7777777\0",
    b"0000000\0",
    b"        ",
    b"\x80\0\0\0\0\0\0\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"00000001000\0",
    b"77777777777\0",
    b"-1\0",
    b"12 34\0",
];
const RECORDS: [&str; 14] = [
    "path=../x",
    "path=x\0y",
    "linkpath=/etc/shadow",
    "size=99999999999",
    "size=0",
    "size=-1",
    "uid=0",
    "gid=0",
    "mtime=1.5",
    "SCHILY.xattr.security.capability=x",
    "SCHILY.xattr.user.a=b",
    "SCHILY.xattr.trusted.overlay.opaque=y",
    "GNU.sparse.major=1",
    "LIBARCHIVE.xattr.security.ima=x",
];

/// Up to four changes.
pub(super) fn mutated(rng: &mut Rng, one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut made = one.to_vec();
    for _ in 0..rng.usize(1..=4) {
        let blocks = made.len() / BLOCK;
        let at = BLOCK * if blocks == 0 { 0 } else { rng.usize(..blocks) };
        match rng.u8(0..10) {
            0..=4 if made.len() >= at + BLOCK => field(rng, &mut made[at..at + BLOCK]),
            5 => put_block(rng, &mut made, at, other),
            6 if made.len() >= at + BLOCK => {
                made.drain(at..at + BLOCK);
            }
            7 => {
                let extension = extension(rng);
                made.splice(at..at, extension);
            }
            8 => made.truncate(rng.usize(..=made.len())),
            _ => plain::bytes(rng, &mut made),
        }
    }
    made
}

/// Another value in one field of a header, with its sum.
fn field(rng: &mut Rng, header: &mut [u8]) {
    let (start, length) = FIELDS[rng.usize(..FIELDS.len())];
    let value: &[u8] = match start {
        156 => {
            header[156] = TYPES[rng.usize(..TYPES.len())];
            &[]
        }
        0 | 157 | 345 => NAMES[rng.usize(..NAMES.len())],
        257 => [&b"ustar\x0000"[..], b"ustar  \0", b"\0\0\0\0\0\0\0\0"][rng.usize(..3)],
        _ => NUMBERS[rng.usize(..NUMBERS.len())],
    };
    for (index, byte) in value.iter().take(length).enumerate() {
        header[start + index] = *byte;
    }
    if rng.u8(0..8) > 0 {
        set_sum(header);
    }
}

fn set_sum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn put_block(rng: &mut Rng, made: &mut Vec<u8>, at: usize, other: &[u8]) {
    let count = other.len() / BLOCK;
    if count == 0 {
        return;
    }
    let from = rng.usize(..count);
    let to = (from + rng.usize(1..=4)).min(count);
    made.splice(at..at, other[from * BLOCK..to * BLOCK].iter().copied());
}

/// A PAX header of one or two records, the length of one of them sometimes wrong.
fn extension(rng: &mut Rng) -> Vec<u8> {
    let mut content = Vec::new();
    for _ in 0..rng.usize(1..=2) {
        let record = RECORDS[rng.usize(..RECORDS.len())];
        let mut length = record.len() + 3;
        while length != record.len() + 2 + length.to_string().len() {
            length = record.len() + 2 + length.to_string().len();
        }
        let told = if rng.u8(0..8) == 0 { length + rng.usize(..3) } else { length };
        content.extend(format!("{told} {record}\n").bytes());
    }
    let mut block = vec![0; BLOCK];
    block[..3].copy_from_slice(b"pax");
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    block[156] = if rng.u8(0..4) == 0 { b'g' } else { b'x' };
    block[257..265].copy_from_slice(b"ustar\x0000");
    set_sum(&mut block);
    content.resize(content.len().next_multiple_of(BLOCK), 0);
    block.extend(content);
    block
}
