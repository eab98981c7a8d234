//! The rules, tested as stories of people, GPUs and hours, and as properties that hold in every story.

mod properties;
mod script;
mod stories;
mod world;
