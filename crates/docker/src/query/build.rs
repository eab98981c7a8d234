//! The query of a classic build: judged, read as types, and bounded.
//!
//! Answers for: refusing what a build must not do (fetch an address as root, join other networks, leave its limits),
//! and naming what the daemon must still judge: tags, the network, cache sources.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Query, QueryRefusal};
use crate::BUILDKIT;
use crate::object::ObjectRef;
use crate::reference::ImageRef;

/// The network of a build's RUN steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildNetwork {
    /// The default bridge.
    Default,
    /// No network.
    None,
    /// A network by name or id: the daemon checks whose it is.
    Named(ObjectRef),
}

/// What the daemon sets on every build, whatever the client asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildBounds {
    /// The cgroup beneath which RUN steps run.
    pub cgroup_parent: String,
    /// The most memory of a RUN step in bytes; `None` leaves it unbounded.
    pub memory_bytes: Option<i64>,
    /// The most memory and swap in bytes.
    pub memory_swap_bytes: Option<i64>,
    /// The most CPU time, in thousandths of a CPU.
    pub cpus_milli: Option<i64>,
    /// The most shared memory in bytes.
    pub shm_bytes: Option<i64>,
    /// Labels put on the image beside the client's own.
    pub labels: BTreeMap<String, String>,
}

/// The period that CPU limits are written in, in microseconds; the kernel's default.
const CPU_PERIOD_US: i64 = 100_000;
/// The longest name of a build, which the client chooses.
const BUILD_ID_BYTES_MAX: usize = 128;

/// Judges a build's query and brings it into the form that may go upstream once bounded.
pub(super) fn judge(query: &mut Query) -> Result<(), QueryRefusal> {
    if query.text("version").is_some_and(|version| version != "1") || query.text("session").is_some() {
        return Err(QueryRefusal::new(BUILDKIT));
    }
    query.refuse_unless_empty(
        &["remote"],
        "Building from an address is refused, because the Engine would fetch it as root. Clone it first and build \
         the directory: `git clone URL && docker build DIR`.",
    )?;
    if query.text("outputs").is_some_and(|outputs| !matches!(outputs, "[]" | "null" | "{}")) {
        return Err(QueryRefusal::new("A build's output is its image here; leave `--output` out."));
    }
    if query.all("securityopt").any(|option| !option.is_empty()) {
        return Err(QueryRefusal::new(
            "Security options of a build are refused; leave `--security-opt` out.",
        ));
    }
    let build_id_fits = |id: &str| id.len() <= BUILD_ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_graphic());
    if query.text("buildid").is_some_and(|id| !build_id_fits(id)) {
        return Err(QueryRefusal::new("The build id must be short and printable."));
    }
    for key in ["session", "outputs", "securityopt", "cgroupparent"] {
        query.remove(key);
    }
    tags(query)?;
    cache_sources(query)?;
    let labels = string_map(query, "labels")?;
    query.set_map(
        "labels",
        labels.into_iter().filter(|(key, _)| !key.to_ascii_lowercase().starts_with("ds01")),
    );
    judge_build_args(query)?;
    judge_ulimits(query)?;
    if network(query)? == BuildNetwork::Default {
        // Asked for the host's network too: it is not to be had, and `default` serves the same RUN steps.
        query.remove("networkmode");
    }
    Ok(())
}

/// The names that the image gets.
///
/// # Errors
/// A malformed name, or one with a digest.
pub fn tags(query: &Query) -> Result<Vec<ImageRef>, QueryRefusal> {
    query
        .all("t")
        .filter(|name| !name.is_empty())
        .map(|name| match ImageRef::parse(name) {
            Ok(image) if image.digest().is_none() => Ok(image),
            Ok(_) => Err(QueryRefusal::new("refusing to create a tag with a digest reference; use NAME:TAG")),
            Err(wrong) => Err(QueryRefusal::new(wrong.to_string())),
        })
        .collect()
}

/// The network of RUN steps. The host's network counts as [`BuildNetwork::Default`].
///
/// # Errors
/// Another container's network, or what is no name.
pub fn network(query: &Query) -> Result<BuildNetwork, QueryRefusal> {
    match query.text("networkmode") {
        None | Some("default" | "bridge" | "host") => Ok(BuildNetwork::Default),
        Some("none") => Ok(BuildNetwork::None),
        Some(name) => ObjectRef::new(name).map(BuildNetwork::Named).ok_or_else(|| {
            QueryRefusal::new(
                "A build can use the default network, `none`, or a network of your own by name.",
            )
        }),
    }
}

/// The images whose layers may be re-used (`--cache-from`); the daemon checks that the caller may see them.
///
/// # Errors
/// Other JSON than a list of image names.
pub fn cache_sources(query: &Query) -> Result<Vec<ImageRef>, QueryRefusal> {
    let Some(text) = query.text("cachefrom") else { return Ok(Vec::new()) };
    let names: Option<Vec<String>> = serde_json::from_str(text)
        .map_err(|_| QueryRefusal::new("`cachefrom` must be a JSON list of image names."))?;
    if names.as_ref().is_some_and(|names| names.len() > super::VALUES_MAX) {
        return Err(QueryRefusal::new("`cachefrom` names too many images; a few are enough."));
    }
    names
        .unwrap_or_default()
        .iter()
        .map(|name| ImageRef::parse(name).map_err(|wrong| QueryRefusal::new(wrong.to_string())))
        .collect()
}

/// The name of no image.
const NO_IMAGE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Leaves of the images of `--cache-from` those that the caller may see. Where none is left the cache stays unused, as
/// with a name that means nothing to the Engine: an empty list would mean all that was ever built.
pub fn set_cache_sources(query: &mut Query, images: &[String]) {
    if cache_sources(query).is_ok_and(|asked| asked.is_empty()) {
        return;
    }
    let images = if images.is_empty() { &[NO_IMAGE.to_owned()] } else { images };
    query.set("cachefrom", serde_json::json!(images).to_string());
}

/// The arguments of a judged build (`--build-arg`); `null` leaves the Dockerfile's default.
///
/// # Errors
/// Other JSON than an object of texts.
pub fn build_args(query: &Query) -> Result<BTreeMap<String, Option<String>>, QueryRefusal> {
    let Some(text) = query.text("buildargs") else { return Ok(BTreeMap::new()) };
    let read: Option<_> = serde_json::from_str(text)
        .map_err(|_| QueryRefusal::new("`buildargs` must be a JSON object of texts."))?;
    Ok(read.unwrap_or_default())
}

/// Whether RUN steps find another world than those of everybody's builds: what they fetch can be the client's own
/// invention, and what they write can break off where it should not. The builder's cache, which all share, does not
/// tell it from the real thing. Ask before [`bound`], which puts amounts in that nobody asked for.
pub fn has_own_view(query: &Query) -> bool {
    const PROXIES: [&str; 5] = ["all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy"];
    let proxied = build_args(query)
        .unwrap_or_default()
        .iter()
        .any(|(key, value)| value.is_some() && PROXIES.contains(&key.to_ascii_lowercase().as_str()));
    let hosts = query.all("extrahosts").any(|host| !host.is_empty());
    let network = !matches!(network(query), Ok(BuildNetwork::Default));
    const AMOUNTS: [&str; 3] = ["memory", "memswap", "shmsize"];
    let bounded = query.text("ulimits").is_some()
        || AMOUNTS.iter().any(|key| query.text(key).is_some_and(|amount| amount != "0"));
    proxied || hosts || network || bounded
}

/// Puts the daemon's bounds into a judged query. What the client asked below them is kept.
pub fn bound(query: &mut Query, bounds: &BuildBounds) {
    query.set("cgroupparent", bounds.cgroup_parent.clone());
    // The containers of RUN steps are nobody's: one that stays, after a failed step too, nobody could see or remove.
    query.set("rm", "1");
    query.set("forcerm", "1");
    for (key, max) in [
        ("memory", bounds.memory_bytes),
        ("memswap", bounds.memory_swap_bytes),
        ("shmsize", bounds.shm_bytes),
    ] {
        if let Some(max) = max {
            let asked = query.int(key).filter(|asked| *asked > 0);
            query.set(key, asked.map_or(max, |asked| asked.min(max)).to_string());
        }
    }
    if let Some(milli) = bounds.cpus_milli {
        let max = milli.saturating_mul(CPU_PERIOD_US / 1000);
        let period = query.int("cpuperiod").filter(|period| *period > 0).unwrap_or(CPU_PERIOD_US);
        let asked = query.int("cpuquota").filter(|quota| *quota > 0);
        // The client's share of its own period, in ours. A period of its own is not needed for any RUN step.
        let asked = asked.map(|quota| quota.saturating_mul(CPU_PERIOD_US) / period);
        query.set("cpuperiod", CPU_PERIOD_US.to_string());
        query.set("cpuquota", asked.map_or(max, |asked| asked.clamp(1, max)).to_string());
    }
    let mut labels = string_map(query, "labels").unwrap_or_default();
    labels.extend(bounds.labels.clone());
    query.set_map("labels", labels);
}

impl Query {
    fn set_map(&mut self, key: &'static str, map: impl IntoIterator<Item = (String, String)>) {
        let map: serde_json::Map<String, Value> =
            map.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
        if map.is_empty() { self.remove(key) } else { self.set(key, Value::Object(map).to_string()) }
    }
}

fn string_map(query: &Query, key: &str) -> Result<BTreeMap<String, String>, QueryRefusal> {
    let Some(text) = query.text(key) else { return Ok(BTreeMap::new()) };
    serde_json::from_str::<Option<BTreeMap<String, String>>>(text)
        .map(Option::unwrap_or_default)
        .map_err(|_| QueryRefusal::new(format!("`{key}` must be a JSON object of texts.")))
}

/// Build arguments become variables of RUN steps; `null` takes the client's own value away.
fn judge_build_args(query: &mut Query) -> Result<(), QueryRefusal> {
    if query.text("buildargs").is_none() {
        return Ok(());
    }
    let kept: BTreeMap<String, Option<String>> =
        build_args(query)?.into_iter().filter(|(key, _)| !crate::gpu::is_gpu_env_key(key)).collect();
    match serde_json::to_string(&kept) {
        Ok(text) if !kept.is_empty() => query.set("buildargs", text),
        _ => query.remove("buildargs"),
    }
    Ok(())
}

/// Only what Docker's clients send: a list of `{Name, Soft, Hard}` (docker-py: the same).
fn judge_ulimits(query: &mut Query) -> Result<(), QueryRefusal> {
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(non_snake_case, reason = "the Engine's spelling")]
    struct Ulimit {
        Name: String,
        Hard: i64,
        Soft: i64,
    }
    let Some(text) = query.text("ulimits") else { return Ok(()) };
    // Of an ordinary container they are dropped as well: they take CPU time from everybody.
    const REAL_TIME: [&str; 2] = ["nice", "rtprio"];
    let read: Option<Vec<Ulimit>> = serde_json::from_str(text)
        .map_err(|_| QueryRefusal::new("`ulimits` must be a JSON list of {\"Name\", \"Soft\", \"Hard\"}."))?;
    let read = read.map(|limits| {
        limits.into_iter().filter(|limit| !REAL_TIME.contains(&limit.Name.as_str())).collect::<Vec<_>>()
    });
    match read.filter(|limits| !limits.is_empty()).map(|limits| serde_json::to_string(&limits)) {
        Some(Ok(text)) => query.set("ulimits", text),
        _ => query.remove("ulimits"),
    }
    Ok(())
}
