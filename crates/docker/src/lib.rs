//! The Docker Engine API as types and one closed route table.
//!
//! Answers for: what a request line means ([`route`]), what its query asks ([`query`]), what its JSON body asks
//! ([`json`], [`body`]), how every form of asking for a GPU reads as one ask ([`gpu`]), and how the Engine's replies
//! are shown to the person who asked ([`present`]). The words it uses: names and ids ([`object`]), image references
//! ([`reference`](mod@reference)), versions of the API ([`version`]). [`policy`] tells all of it on one page.
//! Must never: do I/O, read a clock, know who the caller is, or let through what it does not know.

pub mod body;
pub mod dockerfile;
pub mod gpu;
pub mod json;
pub mod object;
pub mod policy;
pub mod present;
pub mod query;
pub mod reference;
pub mod registry;
pub mod route;
pub mod version;

/// Why BuildKit's ways are refused, for whoever meets them: buildx, compose 2, or `DOCKER_BUILDKIT=1`.
pub const BUILDKIT: &str = "BuildKit is switched off on this machine: it has one cache for everybody, and its steps know no \
                            limits. The classic builder does it: `DOCKER_BUILDKIT=0 docker build …`, \
                            `DOCKER_BUILDKIT=0 docker compose build`.";
