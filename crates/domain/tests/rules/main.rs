//! The rules, tested as stories of people, GPUs and hours, and as properties that hold in every story.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed, and the line says where")]

mod layouts;
mod properties;
mod script;
mod stories;
mod world;
