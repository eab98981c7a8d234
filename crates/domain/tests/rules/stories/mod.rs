//! Stories: people, GPUs and hours, beside what comes of them.

mod choosing;
mod demand;
mod idle;
mod keeping;
mod line;
mod looking;
mod outlook;
mod recovery;
mod restarts;
