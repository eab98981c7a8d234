//! The rules of DS01: who may have which GPU, and when.
//!
//! Three verbs. [`decide`] answers a request with a grant, a place in the line or a denial. [`plan`] compares what is
//! recorded with what was seen and says what is to be done. [`State::apply`] makes a fact part of the state. Each is a
//! function of its arguments alone: no clock, socket, file, task or log line, so the same questions get the same
//! answers for ever.
//!
//! What holds always: a unit has at most one holder; only a container that was granted units holds any, from the
//! grant until somebody has looked and found them free; replaying the durable events gives the durable state; and a
//! plan that has been carried out leaves nothing to be done.

mod account;
mod choose;
mod container;
mod course;
mod decide;
mod demand;
mod denial;
mod event;
mod exempt;
mod grant;
mod idle;
mod ids;
mod journal;
mod keep;
mod line;
mod observed;
mod outlook;
mod outsiders;
#[cfg(test)]
mod plain;
mod plan;
mod policy;
mod queues;
mod restart;
mod shelf;
mod state;
mod text;
mod unit;
mod usage;
mod want;

pub use choose::fitting;
pub use container::{Container, Kind, PendingCreate, RestartPolicy, Restarts, Standing};
pub use course::{Cause, Course, Deadline, Mode, Stage, Watched, course, deadline, expired};
pub use decide::{Admission, Decision, Request, Wait, WaitReason, decide};
pub use demand::{Hurry, in_demand};
pub use denial::{Denial, Holder, KeepBudget, Quota, Timeout};
pub use event::{Carried, Event, LeftWhy};
pub use exempt::{Exempt, Exemption};
pub use grant::{Grant, Holding, Issuer, Phase};
pub use idle::{
    Activity, CardPower, Evidence, MINUTES_KEPT, Minute, Reading, Thresholds, UnitReading, Use, Verdict,
    VerdictState,
};
pub use ids::{CardId, ContainerId, Epoch, Ticket, Time, Token, Uid, UnitId, Weight};
pub use journal::{About, Ending, Entry, Note, Stint, What, note_of, notes, stints};
pub use keep::{KEEP_WINDOW, keep};
pub use line::Waiter;
pub use observed::{Identity, Observed, Occupancy, Processes, Run, Seen, UnitSeen};
pub use outlook::{GoesBack, Named, OUTLOOKS_MAX, Outlook, outlooks};
pub use outsiders::{Outsider, Outsiders, ProcessId, Turn, ungranted};
pub use plan::{Action, plan};
pub use policy::{
    Aggregate, Cap, GPU_HOLD_AFTER_STOP, Group, KindTimes, Limits, Person, Policy, Profile, Rules,
    START_WAIT, Settings, Source, TimeLimits,
};
pub use state::{CREATE_SETTLE, DIRTY_GRACE, START_SETTLE, State, UnitView};
pub use unit::{Health, Preference, Slice, Unit};
pub use want::{Ask, Selector, Want};
