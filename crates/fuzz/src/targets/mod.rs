//! The targets: what must hold of one reader, whatever bytes it is given. A property that does not hold panics.
//!
//! They must never look away from an input because it is not well-formed: to be refused is an outcome like others.

mod archive;
mod bodies;
mod texts;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::judged::Kind;

/// What an input looks like, so that others like it can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A JSON body.
    Json,
    /// A method, a space, and a request target.
    Line,
    /// A text of lines or words.
    Text,
    /// A tar archive.
    Tar,
}

/// What became of an input: whether it was accepted, and what tells it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// It was accepted.
    pub accepted: bool,
    /// Inputs that go the same way have the same number here.
    pub way: u64,
}

impl Outcome {
    fn refused(sentence: &str) -> Self {
        // Values and places in it are many, and the ways are few.
        let mut within = false;
        let plain: String = sentence
            .chars()
            .filter(|letter| {
                within ^= matches!(letter, '"' | '`');
                !within && !letter.is_ascii_digit()
            })
            .take(120)
            .collect();
        Self { accepted: false, way: hash(&plain) }
    }

    fn accepted(way: impl Hash) -> Self {
        Self { accepted: true, way: hash(way) }
    }
}

fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// One reader with its properties.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its folder of seeds and of its `cargo fuzz` target.
    pub name: &'static str,
    /// What its inputs look like.
    pub shape: Shape,
    /// Gives it an input.
    pub run: fn(&[u8]) -> Outcome,
}

const fn json(name: &'static str, run: fn(&[u8]) -> Outcome) -> Target {
    Target { name, shape: Shape::Json, run }
}

const fn text(name: &'static str, run: fn(&[u8]) -> Outcome) -> Target {
    Target { name, shape: Shape::Text, run }
}

/// Every target.
pub const ALL: &[Target] = &[
    json("create", |bytes| bodies::holds(Kind::Create, bytes)),
    json("update", |bytes| bodies::holds(Kind::Update, bytes)),
    json("exec", |bytes| bodies::holds(Kind::Exec, bytes)),
    json("exec-start", |bytes| bodies::holds(Kind::ExecStart, bytes)),
    json("commit", |bytes| bodies::holds(Kind::Commit, bytes)),
    json("volume", |bytes| bodies::holds(Kind::Volume, bytes)),
    json("network", |bytes| bodies::holds(Kind::Network, bytes)),
    json("connect", |bytes| bodies::holds(Kind::Connect, bytes)),
    json("disconnect", |bytes| bodies::holds(Kind::Disconnect, bytes)),
    json("auth", |bytes| bodies::holds(Kind::Auth, bytes)),
    json("json", texts::json),
    json("filters", texts::filters),
    Target { name: "route", shape: Shape::Line, run: texts::route },
    text("reference", texts::reference),
    text("dockerfile", texts::dockerfile),
    Target { name: "archive", shape: Shape::Tar, run: archive::holds },
];

/// The target of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}

/// One input of libFuzzer's for the target of this name.
///
/// # Panics
/// When a property does not hold, and when there is no such target.
pub fn libfuzzer(name: &str, bytes: &[u8]) {
    let target = named(name).unwrap_or_else(|| panic!("no target {name}"));
    (target.run)(bytes);
}
