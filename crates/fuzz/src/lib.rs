//! What must hold of everything that reads what a user sends, as one function of bytes for each reader.
//!
//! Answers for: the properties ([`targets`]), inputs that look like real ones and are not ([`mutate`]), and trying the
//! one on the other, again and again in the same order ([`runner`]). `tests/fuzz/seeds/TARGET/` holds where it begins; the
//! `fuzz/` folder at the root gives the same functions to `cargo fuzz`. [`judged`] and [`engine`] are what is compared with
//! the Engine's own reading.
//! Must never: know a second way of reading; it looks at what the readers of the product say.

pub mod engine;
pub mod judged;
pub mod mutate;
pub mod runner;
pub mod seeds;
pub mod targets;
