//! `ds01` as its users meet it: the real program, run under its real names, against a fake `ds01d`.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking, as the tests do")]

mod acts;
mod borrow;
mod commands;
mod dashboard;
mod deploy;
mod devcontainers;
mod greeting;
mod images;
mod listing;
mod logs;
mod projects;
mod pty;
mod rescue;
mod setup;
mod shell;
mod stats;
mod support;
