//! Stories: people, GPUs and hours, beside what comes of them.

mod choosing;
mod idle;
mod keeping;
mod line;
mod looking;
mod outlook;
mod recovery;
mod restarts;
