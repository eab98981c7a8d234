//! `ds01d`: the door in front of the Docker Engine, and everything behind it that does input and output.
//!
//! The rules live in `ds01_domain`, the Engine's language in `ds01_docker`, our own in `ds01_api`; this crate carries
//! questions to the rules and carries out their answers.

pub mod activity;
pub mod cgroup;
pub mod clock;
pub mod config;
pub mod coordinator;
pub mod deploy;
pub mod enforcer;
pub mod engine;
pub mod gateway;
pub mod hinge;
pub mod hook;
pub mod identity;
pub mod inventory;
pub mod ledger;
pub mod namespace;
pub mod run;
pub mod service;
pub mod staging;
mod sys;
pub mod totals;
pub mod wire;
pub mod words;

use std::fmt;
use std::fs::File;
use std::io::Read;

use ds01_domain::Token;

/// An error with its whole chain of causes, printed once, at the edge.
#[derive(Debug)]
pub struct Chain<'e>(pub &'e dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// 32 random hex digits from the kernel.
fn random_hex() -> String {
    let mut bytes = [0_u8; 16];
    // The kernel's own pool; reading it fails on no running Linux.
    File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes)).expect("/dev/urandom is readable");
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A create token that nobody has had before.
pub(crate) fn random_token() -> Token {
    Token::new(&random_hex()).expect("32 hex digits are a token")
}
