//! Changes to bytes that know nothing of what they mean, and to texts that know a few words.

use fastrand::Rng;

/// Words on which readers of texts have differed.
const WORDS: [&str; 44] = [
    "\u{17f}",
    "\u{212a}",
    "\u{130}",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
    "\r\n",
    "\\\n",
    "`\n",
    "\t",
    "//",
    "/../",
    "/./",
    "%2e%2e",
    "%2F",
    "%252f",
    "%00",
    "$",
    "${",
    "}",
    "${VERSION}",
    "$$",
    "\\$",
    "#",
    "# escape=`\n",
    "<<EOF\n",
    "EOF\n",
    "@sha256:",
    ":",
    "latest",
    "localhost:5000/",
    "docker.io/",
    "library/",
    "FROM ",
    "COPY --from=",
    "ADD http://x/ /\n",
    "ONBUILD ",
    "RUN --mount=type=bind,from=x ",
    "ARG VERSION=x\n",
    "AS ",
    "scratch",
    "--platform=$X ",
    "[\"a\",",
    "\"",
];

/// Up to four changes of lines, words and bytes.
pub(super) fn mutated(rng: &mut Rng, one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut made = one.to_vec();
    for _ in 0..rng.usize(1..=4) {
        match rng.u8(0..6) {
            0 => {
                let word = WORDS[rng.usize(..WORDS.len())];
                let at = rng.usize(..=made.len());
                made.splice(at..at, word.bytes());
            }
            1 => splice(rng, &mut made, other),
            2 => move_line(rng, &mut made, other),
            3 => change_case(rng, &mut made),
            _ => bytes(rng, &mut made),
        }
    }
    made
}

/// One change of a byte or a few.
pub(super) fn bytes(rng: &mut Rng, made: &mut Vec<u8>) {
    if made.is_empty() {
        made.push(rng.u8(..));
        return;
    }
    let at = rng.usize(..made.len());
    match rng.u8(0..5) {
        0 => made[at] ^= 1 << rng.u8(0..8),
        1 => made[at] = *rng.choice(b"\0 /%\\\"{}[]:,0-9\x7f\xff\xc0\xed").unwrap_or(&0),
        2 => made.insert(at, rng.u8(..)),
        3 => {
            let end = (at + rng.usize(1..=8)).min(made.len());
            made.drain(at..end);
        }
        _ => {
            let end = (at + rng.usize(1..=16)).min(made.len());
            let piece: Vec<u8> = made[at..end].to_vec();
            made.splice(at..at, piece);
        }
    }
}

/// The head of one and the tail of another.
pub(super) fn splice(rng: &mut Rng, made: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=made.len());
    let from = rng.usize(..=other.len());
    made.truncate(at);
    made.extend_from_slice(&other[from..]);
}

fn move_line(rng: &mut Rng, made: &mut Vec<u8>, other: &[u8]) {
    let lines: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
    let Some(line) = rng.choice(lines) else { return };
    let starts: Vec<usize> = std::iter::once(0)
        .chain(made.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1))
        .collect();
    let at = starts[rng.usize(..starts.len())];
    made.splice(at..at, line.iter().copied());
}

fn change_case(rng: &mut Rng, made: &mut [u8]) {
    if made.is_empty() {
        return;
    }
    let at = rng.usize(..made.len());
    for byte in made.iter_mut().skip(at).take(8) {
        *byte = if byte.is_ascii_uppercase() { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() };
    }
}
