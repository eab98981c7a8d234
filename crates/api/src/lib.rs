//! The `/ds01/v1/` API: every request and response that passes between `ds01d` and the command line, and the names
//! that both must spell alike.
//!
//! This crate answers for the shape of the wire, for [`names`] (the one place that maps a project and a user to Docker
//! names) and for the [`Exit`] code that each answer ends in. It must never decide anything, do I/O, or know the types
//! of the domain or of the Docker Engine.
//!
//! Conventions: requests refuse unknown fields, responses may grow new ones. Durations are whole seconds in fields that
//! end in `_seconds`; instants are Unix seconds; sizes end in `_mib` or `_bytes`; shares of a card are thousandths and
//! end in `_milli`.

mod catalogue;
pub mod codes;
mod containers;
mod deploy;
mod doctor;
mod error;
mod journal;
mod limits;
mod machine;
pub mod names;
pub mod paths;
mod person;
mod queue;
mod sharing;
mod start;
mod stats;
mod using;

pub use catalogue::{Framework, FrameworkList, UseCase, is_package};
pub use containers::{
    Container, ContainerKind, ContainerList, ContainerState, GRACE_SECONDS_MAX, RetireRequest, Retired,
};
pub use deploy::{DataMount, DeployRequest, Deployed};
pub use doctor::{Configuration, GpuSource, Probed};
pub use error::{ApiError, Exit};
pub use journal::{Ending, EventLine, History, Stint, Total};
pub use limits::{Limit, LimitUnit, Limits, Source};
pub use machine::{Card, Figures, GpuRelease, Health, Holder, Machine, Process, Unit, UnitRef};
pub use person::{Via, WhoAmI};
pub use queue::{Fact, Outlook, Queue, Waiter, Why};
pub use sharing::{RepairRequest, Repaired, Share, ShareKind, ShareList, ShareRequest};
pub use start::{Refusal, StartEvent, Waiting};
pub use stats::{ContainerGpus, GpuStats, UnitStats};
pub use using::{Exempt, Exemption, ExemptionList, Keep, Kept, Stop, StopCause};
