//! Every path of the API, for the daemon's table and the command line alike. It must never hold a path that one of the
//! two does not serve.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What every path of this API begins with; a request below it never reaches the Engine.
pub const PREFIX: &str = "/ds01/v1/";

/// `GET` → [`crate::WhoAmI`].
pub const WHOAMI: &str = "/ds01/v1/whoami";
/// `GET` → [`crate::Machine`].
pub const MACHINE: &str = "/ds01/v1/machine";
/// `GET ?all=1` → [`crate::ContainerList`]; without `all` only what runs or waits.
pub const CONTAINERS: &str = "/ds01/v1/containers";
/// `GET` → [`crate::Container`]; `{name}` is a project, a container name, or an id.
pub const CONTAINER: &str = "/ds01/v1/containers/{name}";
/// `POST ?wait=SECONDS` → a stream of [`crate::StartEvent`], one JSON value a line ([`NDJSON`]).
/// Without `wait` the policy's patience holds, `wait=0` does not wait. Hanging up cancels the wait.
pub const START: &str = "/ds01/v1/containers/{name}/start";
/// `POST` [`crate::Keep`] → [`crate::Kept`]: idleness is passed over for a while.
pub const KEEP: &str = "/ds01/v1/containers/{name}/keep";
/// `GET ?since=SECONDS&until=SECONDS&follow=1` → [`crate::EventLine`]s, one JSON value a line ([`NDJSON`]); Unix times.
pub const EVENTS: &str = "/ds01/v1/events";
/// `GET ?since=SECONDS&user=NAME&container=NAME&all=1` → [`crate::History`].
pub const HISTORY: &str = "/ds01/v1/history";
/// `GET` → [`crate::ExemptionList`]; `POST` [`crate::Exempt`] → the one that holds now, or held. For administrators.
pub const EXEMPTIONS: &str = "/ds01/v1/exemptions";
/// `GET` → [`crate::Limits`].
pub const LIMITS: &str = "/ds01/v1/limits";
/// `GET` → [`crate::Queue`].
pub const QUEUE: &str = "/ds01/v1/queue";
/// `GET` → [`crate::Why`].
pub const WHY: &str = "/ds01/v1/why/{name}";
/// `POST` [`crate::DeployRequest`] → [`crate::Deployed`]: creates (or finds) the container and does not start it.
pub const DEPLOY: &str = "/ds01/v1/deploy";
/// `GET` → [`crate::FrameworkList`].
pub const FRAMEWORKS: &str = "/ds01/v1/frameworks";
/// `POST` [`crate::GpuRelease`] → the same: ds01d has let go of the GPU driver. For administrators.
pub const GPU_RELEASE: &str = "/ds01/v1/gpu/release";
/// `GET` → [`crate::GpuStats`].
pub const STATS: &str = "/ds01/v1/stats";
/// `POST` [`crate::RetireRequest`] → [`crate::Retired`].
pub const RETIRE: &str = "/ds01/v1/retire";

/// `GET` → [`crate::ShareList`]; `POST` [`crate::ShareRequest`] → the same, as it is then.
pub const SHARES: &str = "/ds01/v1/shares";
/// `POST` [`crate::RepairRequest`] → [`crate::Repaired`]. It takes as long as it takes; hanging up breaks it off.
pub const REPAIR: &str = "/ds01/v1/repair";

/// The media type of the stream that [`START`] answers with.
pub const NDJSON: &str = "application/x-ndjson";

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Fills the `{name}` of a path such as [`CONTAINER`], with everything that is not plain in a path encoded.
pub fn with_name(template: &str, name: &str) -> String {
    // A lone "." or ".." would be taken for a step in the path, whether encoded or not; no container is called so.
    let name = if name.chars().all(|c| c == '.') { name.replace('.', "%2E") } else { encode(name) };
    template.replace("{name}", &name)
}

/// Percent-encodes one segment of a path or one value of a query.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_segment() {
        assert_eq!(with_name(CONTAINER, "my-project"), "/ds01/v1/containers/my-project");
        assert_eq!(with_name(WHY, "../limits?x=1"), "/ds01/v1/why/..%2Flimits%3Fx%3D1");
        assert_eq!(with_name(WHY, ".."), "/ds01/v1/why/%2E%2E");
        assert_eq!(with_name(START, "p._.alice"), "/ds01/v1/containers/p._.alice/start");
    }

    #[test]
    fn every_path_lies_below_the_prefix() {
        for path in [
            WHOAMI,
            MACHINE,
            CONTAINERS,
            CONTAINER,
            START,
            KEEP,
            EVENTS,
            HISTORY,
            EXEMPTIONS,
            LIMITS,
            QUEUE,
            WHY,
            DEPLOY,
            FRAMEWORKS,
            RETIRE,
            GPU_RELEASE,
            STATS,
            SHARES,
            REPAIR,
        ] {
            assert!(path.starts_with(PREFIX), "{path}");
        }
    }
}
