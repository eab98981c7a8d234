//! `ds01 doctor`: whether this machine is set up as DS01 needs it, and what to do where it is not.
//!
//! `gather` looks and holds back its opinion, `judge` holds the opinions and looks at nothing. Root sees everything; a user
//! sees what he may, and is told what he did not. Nothing is changed, ever, and no program is run that others than root
//! could have put there.

mod advisories;
mod facts;
mod finding;
mod gather;
mod judge;
mod version;

pub(crate) use finding::{Entry, Report, Verdict};

use crate::args::DoctorArgs;

/// Looks at this machine and judges it.
pub(crate) async fn examine(args: &DoctorArgs) -> Report {
    judge::judge(&gather::gather(args).await)
}
