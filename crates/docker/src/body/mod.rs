//! Answers for: what a request body may say. Each body is read once, as Go would read it, judged
//! field by field against a table of rows, and written anew from what was judged.
//!
//! A field that has no row is dropped if it says nothing and refused by name if it says something.
//! Must never: send a byte on that no row has looked at, or soften a row for anybody but an admin.

mod commit;
mod create;
mod desk;
mod endpoint;
mod env;
mod exec;
mod fields;
mod limits;
mod load;
mod login;
mod network;
mod paths;
mod refusal;
mod rules;
mod shape;
pub(crate) mod size;
mod table;
pub(crate) mod tables;
mod update;
mod volume;

#[cfg(test)]
mod tests;

pub use commit::{JudgedCommit, judge_commit};
pub use create::{
    BindAsk, BindForm, ContainerRef, ContainerRole, JudgedCreate, KindHint, METADATA_LABEL, Unresolved,
    VolumeAsk, VolumeForm, judge_create,
};
pub use exec::{ExecStart, JudgedExec, judge_exec, judge_exec_start};
pub use load::{JudgedManifest, LoadedImage, MANIFEST_BYTES_MAX, judge_manifest};
pub use login::{JudgedLogin, judge_login};
pub use network::{
    JudgedConnect, JudgedDisconnect, JudgedNetwork, judge_connect, judge_disconnect, judge_network,
};
pub use refusal::Refusal;
pub use rules::{LimitValues, Profile, Restart, Rules};
pub use update::{JudgedUpdate, judge_update};
pub use volume::{JudgedVolume, judge_volume};
