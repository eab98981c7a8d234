//! `container deploy`: what a project's container is made of. The gateway makes it; this says what to make.

pub mod account;
