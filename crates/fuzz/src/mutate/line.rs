//! Request lines: paths in other spellings, keys of queries twice and encoded otherwise.

use fastrand::Rng;

use super::plain;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get"];
const PIECES: [&str; 40] = [
    "/",
    "//",
    "/.",
    "/..",
    "/../",
    "%2f",
    "%2F",
    "%2e%2e/",
    "%00",
    "%",
    "%zz",
    "%41",
    "?",
    "&",
    "=",
    ";",
    "#",
    "+",
    " ",
    "json",
    "create",
    "prune",
    "/v1.41",
    "/v1.24",
    "/v1.9999",
    "/v01.41",
    "/v1.41.0",
    "name=web",
    "name=%2Fweb",
    "force=1",
    "filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D",
    "filters={",
    "t=alice%2Fx%3Alatest",
    "remote=http%3A%2F%2Fx%2F",
    "networkmode=host",
    "fromSrc=-",
    "changes=ENV+A%3Db",
    "all=no",
    "limit=-1",
    "x=1",
];

/// Up to three changes.
pub(super) fn mutated(rng: &mut Rng, one: &[u8], other: &[u8]) -> Vec<u8> {
    let line = String::from_utf8_lossy(one).into_owned();
    let (method, target) = line.split_once(' ').unwrap_or(("GET", &line));
    let mut method = method.to_owned();
    let mut target = target.as_bytes().to_vec();
    let other = String::from_utf8_lossy(other).into_owned();
    let other = other.split_once(' ').map_or(other.as_str(), |(_, target)| target).to_owned();
    for _ in 0..rng.usize(1..=3) {
        let at = rng.usize(..=target.len());
        match rng.u8(0..8) {
            0 => METHODS[rng.usize(..METHODS.len())].clone_into(&mut method),
            1 | 2 => {
                let piece = PIECES[rng.usize(..PIECES.len())];
                target.splice(at..at, piece.bytes());
            }
            3 => swap_segment(rng, &mut target, &other),
            4 => encode(rng, &mut target),
            5 => add_pair(rng, &mut target, &other),
            6 => plain::splice(rng, &mut target, other.as_bytes()),
            _ => plain::bytes(rng, &mut target),
        }
    }
    [method.as_bytes(), b" ", &target].concat()
}

/// A segment of another path in the place of one.
fn swap_segment(rng: &mut Rng, target: &mut Vec<u8>, other: &str) {
    let text = String::from_utf8_lossy(target).into_owned();
    let (path, query) =
        text.split_once('?').map_or((text.as_str(), None), |(path, query)| (path, Some(query)));
    let mut segments: Vec<&str> = path.split('/').collect();
    let others: Vec<&str> = other.split('?').next().unwrap_or_default().split('/').collect();
    let (at, from) = (rng.usize(..segments.len()), rng.usize(..others.len()));
    segments[at] = others[from];
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    *target = (segments.join("/") + &query).into_bytes();
}

fn encode(rng: &mut Rng, target: &mut Vec<u8>) {
    if target.is_empty() {
        return;
    }
    let at = rng.usize(..target.len());
    let encoded = format!("%{:02x}", target[at]);
    target.splice(at..=at, encoded.bytes());
}

fn add_pair(rng: &mut Rng, target: &mut Vec<u8>, other: &str) {
    let pairs: Vec<&str> = other.split_once('?').map_or("", |(_, query)| query).split('&').collect();
    let pair = pairs[rng.usize(..pairs.len())];
    target.push(if target.contains(&b'?') { b'&' } else { b'?' });
    target.extend(pair.bytes());
}
