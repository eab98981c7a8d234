//! What `ds01-runtime` and `ds01d` must agree on: the words exchanged at the hinge, the receipt of a binding, and how
//! a binding is written into an OCI bundle. Nothing here talks to the Engine, waits, or decides who gets what; all but
//! [`receipt`] is pure.

pub mod argv;
pub mod bundle;
pub mod protocol;
pub mod receipt;
