//! Prunes: what the caller needs no more, one by one: his own, and nobody else's.
//!
//! `docker system prune` asks for containers, networks, volumes, images and the build cache in turn and ends at the first
//! refusal, so each of them has an answer for everybody. An object must never be removed on the Engine's own judgement of
//! a filter: whose it is, is looked up here.

use std::collections::{BTreeSet, HashMap, HashSet};

use ds01_docker::query::Filters;
use hyper::{Method, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::http::{self, Body, Refusal};
use super::{Call, containers, forward, images, networks, own, volumes};

/// Which objects of a list a prune means, beside those that are nobody's concern.
struct Chosen {
    labels: BTreeSet<String>,
    labels_not: BTreeSet<String>,
    /// In Unix seconds.
    made_before: Option<i64>,
}

impl Chosen {
    /// Takes what is common to all prunes out of the filters; what is left then is unknown.
    fn read(mut filters: Filters, now: Timestamp) -> Result<Self, Refusal> {
        let labels = filters.remove("label");
        let labels_not = filters.remove("label!");
        let mut made_before = None;
        for text in filters.remove("until") {
            let at = until(&text, now).ok_or_else(|| {
                Refusal::bad(format!(
                    "invalid filter 'until={text}': write a time span such as 24h, or a time such as 2026-01-31T12:00:00Z"
                ))
            })?;
            made_before = Some(made_before.map_or(at, |before: i64| before.min(at)));
        }
        match filters.iter().next() {
            Some((name, _)) => Err(Refusal::bad(format!("invalid filter '{name}'"))),
            None => Ok(Self { labels, labels_not, made_before }),
        }
    }

    fn has(&self, object: &Value) -> bool {
        let carries = |wanted: &String| {
            let (key, value) = match wanted.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (wanted.as_str(), None),
            };
            let found = object.get("Labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
            found.is_some_and(|found| value.is_none_or(|value| value == found))
        };
        self.labels.iter().all(carries)
            && (self.labels_not.is_empty() || !self.labels_not.iter().all(carries))
            && self.made_before.is_none_or(|before| made_at(object).is_some_and(|made| made < before))
    }
}

/// When an object of a list was made: the Engine says it in seconds or as a time.
fn made_at(object: &Value) -> Option<i64> {
    let made = object.get("Created").or_else(|| object.get("CreatedAt"))?;
    made.as_i64().or_else(|| made.as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_second))
}

/// A time as Docker's `until` has it: a span before now (`1h30m`), Unix seconds, or a time.
fn until(text: &str, now: Timestamp) -> Option<i64> {
    if let Some(span) = go_span(text) {
        return now.as_second().checked_sub(span);
    }
    let seconds = text.split_once('.').map_or(text, |(seconds, _)| seconds);
    if let Ok(seconds) = seconds.parse() {
        return Some(seconds);
    }
    let zone = jiff::tz::TimeZone::system();
    let civil = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(zone).ok();
    text.parse::<Timestamp>().ok().or_else(|| Some(civil()?.timestamp())).map(Timestamp::as_second)
}

/// A span of time as Go writes it, in whole seconds.
fn go_span(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest[..number].parse().ok()?;
        rest = &rest[number..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let factor = match &rest[..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" | "us" | "µs" | "ns" => 0.0,
            _ => return None,
        };
        seconds += amount * factor;
        rest = &rest[unit..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "a span beyond all times is as good as the longest")]
    (!text.is_empty()).then_some(seconds as i64)
}

/// The list behind a `GET` of the Engine's.
async fn listed(call: &Call, path: &str, filters: Filters) -> Result<Value, Refusal> {
    let version = call.upstream_version().await?;
    let mut list = ds01_docker::route::find("GET", &format!("/v{version}{path}"))?;
    list.query.set_filters(filters);
    Ok(call.door.engine.ask(Method::GET, &list.upstream_target(version, None), None).await?)
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn text<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.get(key).and_then(Value::as_str)
}

async fn removed(call: &Call, path: &str) -> Option<Value> {
    // What is in use is kept; so is what the Engine cannot remove just now.
    call.door.engine.ask(Method::DELETE, path, None).await.ok()
}

/// What the Engine says of the room that images and volumes take; nothing where it does not say.
async fn sizes(call: &Call) -> HashMap<String, u64> {
    let reply = call.door.engine.ask(Method::GET, "/v1.40/system/df", None).await.unwrap_or_default();
    let size = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let mut sizes = HashMap::new();
    for image in reply.get("Images").into_iter().flat_map(entries) {
        let own = size(image, "/Size") - size(image, "/SharedSize").max(0);
        sizes.extend(text(image, "Id").map(|id| (id.to_owned(), u64::try_from(own).unwrap_or(0))));
    }
    for volume in reply.get("Volumes").into_iter().flat_map(entries) {
        let own = u64::try_from(size(volume, "/UsageData/Size")).unwrap_or(0);
        sizes.extend(text(volume, "Name").map(|name| (name.to_owned(), own)));
    }
    sizes
}

/// `POST /containers/prune`: the caller's stopped containers.
pub(super) async fn containers(call: Call) -> Result<Response<Body>, Refusal> {
    let chosen = Chosen::read(call.route.query.filters().clone(), Timestamp::now())?;
    let mut filters = Filters::default();
    filters.set("status", ["exited", "created", "dead"].map(str::to_owned));
    if !call.caller.admin {
        filters.add("label", format!("{}={}", super::create::OWNER_LABEL, call.caller.uid));
    }
    let list = listed(&call, "/containers/json?all=1&size=1", filters).await?;
    let visible = own::visible_ids(&call.door, &call.caller).await?;
    let mut deleted = Vec::new();
    let mut space = 0;
    for container in entries(&list).filter(|container| chosen.has(container)) {
        let Some(id) = text(container, "Id") else { continue };
        if visible.as_ref().is_some_and(|ids| !ids.contains(id)) {
            continue;
        }
        let Ok(own) = own::find_own(&call.door, &call.caller, id).await else { continue };
        if call.door.coordinator.is_starting(&own.id).await? {
            continue;
        }
        if removed(&call, &format!("/v1.40/containers/{id}")).await.is_some() {
            containers::forget(&call.door, &own).await;
            space += container.get("SizeRw").and_then(Value::as_u64).unwrap_or(0);
            deleted.push(id.to_owned());
        }
    }
    Ok(http::json(StatusCode::OK, &json!({ "ContainersDeleted": deleted, "SpaceReclaimed": space })))
}

/// `POST /networks/prune`: the caller's networks that nothing is connected to; for an administrator everybody's.
pub(super) async fn networks(call: Call) -> Result<Response<Body>, Refusal> {
    let chosen = Chosen::read(call.route.query.filters().clone(), Timestamp::now())?;
    let owners = networks::owners(&call.door).await?;
    let mut filters = Filters::default();
    filters.add("type", "custom");
    let list = listed(&call, "/networks", filters).await?;
    let mut deleted = Vec::new();
    for network in entries(&list).filter(|network| chosen.has(network)) {
        let Some(id) = text(network, "Id") else { continue };
        if !call.caller.admin && owners.get(id) != Some(&call.caller.uid) {
            continue;
        }
        // The list does not say who is connected.
        let path = format!("/v1.40/networks/{id}");
        let Ok(reply) = call.door.engine.ask(Method::GET, &path, None).await else { continue };
        if reply.get("Containers").and_then(Value::as_object).is_some_and(|c| !c.is_empty()) {
            continue;
        }
        if removed(&call, &path).await.is_some() {
            networks::disown(&call.door, id).await?;
            deleted.extend(text(network, "Name").map(str::to_owned));
        }
    }
    Ok(http::json(StatusCode::OK, &json!({ "NetworksDeleted": deleted })))
}

/// `POST /volumes/prune`: the caller's volumes that no container has; for an administrator everybody's.
pub(super) async fn volumes(call: Call) -> Result<Response<Body>, Refusal> {
    let mut filters = call.route.query.filters().clone();
    let all = filters.remove("all").iter().any(|v| v == "1" || v == "true");
    // Before 1.42 a prune took named volumes as well; since then only with `all`.
    let named_too = all || call.upstream_version().await?.minor() < 42;
    let chosen = Chosen::read(filters, Timestamp::now())?;
    let owners = volumes::owners(&call.door).await?;
    let mut unused = Filters::default();
    unused.add("dangling", "true");
    let list = listed(&call, "/volumes", unused).await?;
    let mine = |name: &str| call.caller.admin || owners.get(name) == Some(&call.caller.uid);
    let names: Vec<&str> = list
        .get("Volumes")
        .into_iter()
        .flat_map(entries)
        .filter(|volume| chosen.has(volume))
        .filter_map(|volume| text(volume, "Name"))
        .filter(|name| mine(name) && (named_too || volumes::is_anonymous(name)))
        .collect();
    let sizes = if names.is_empty() { HashMap::new() } else { sizes(&call).await };
    let mut deleted = Vec::new();
    let mut space = 0;
    for name in names {
        if removed(&call, &format!("/v1.40/volumes/{name}")).await.is_some() {
            volumes::disown(&call.door, name).await?;
            space += sizes.get(name).copied().unwrap_or(0);
            deleted.push(name);
        }
    }
    Ok(http::json(StatusCode::OK, &json!({ "VolumesDeleted": deleted, "SpaceReclaimed": space })))
}

/// `POST /images/prune`: the caller's images that lost their name; with `dangling=false` those that no container has,
/// too. An administrator's goes to the Engine as it is.
pub(super) async fn images(call: Call) -> Result<Response<Body>, Refusal> {
    if call.caller.admin {
        return forward::pass(call).await;
    }
    let mut filters = call.route.query.filters().clone();
    let named_too = filters.remove("dangling").iter().any(|v| v == "0" || v.eq_ignore_ascii_case("false"));
    let chosen = Chosen::read(filters, Timestamp::now())?;
    let sight = images::Sight::of(&call.door, &call.caller).await?;
    let list = call.door.engine.ask(Method::GET, "/v1.40/images/json", None).await?;
    let used = if named_too { images_in_use(&call).await? } else { HashSet::new() };
    let mut unused: Vec<(&str, Vec<&str>)> = Vec::new();
    for image in entries(&list).filter(|image| chosen.has(image)) {
        let Some(id) = text(image, "Id") else { continue };
        let tags = image.get("RepoTags").into_iter().flat_map(entries).filter_map(Value::as_str);
        let tags: Vec<&str> = tags.filter(|tag| *tag != images::UNTAGGED).collect();
        if tags.is_empty() && sight.owns_unnamed(id) {
            unused.push((id, vec![id]));
        } else if named_too && !used.contains(id) {
            let own: Vec<&str> = tags.into_iter().filter(|tag| sight.may_change(tag, true)).collect();
            unused.push((id, own));
        }
    }
    unused.retain(|(_, names)| !names.is_empty());
    let sizes = if unused.is_empty() { HashMap::new() } else { sizes(&call).await };
    let mut deleted = Vec::new();
    let mut space = 0;
    for (id, names) in unused {
        for name in names {
            let Some(Value::Array(steps)) = removed(&call, &images::path_of(name)).await else { continue };
            images::disown(&call.door, name).await?;
            if steps.iter().any(|step| text(step, "Deleted") == Some(id)) {
                space += sizes.get(id).copied().unwrap_or(0);
            }
            deleted.extend(steps);
        }
    }
    Ok(http::json(StatusCode::OK, &json!({ "ImagesDeleted": deleted, "SpaceReclaimed": space })))
}

/// The images that containers were made of, everybody's.
async fn images_in_use(call: &Call) -> Result<HashSet<String>, Refusal> {
    let list = call.door.engine.ask(Method::GET, "/v1.40/containers/json?all=1", None).await?;
    Ok(entries(&list).filter_map(|container| text(container, "ImageID")).map(str::to_owned).collect())
}

/// `POST /build/prune`: the cache is BuildKit's, to which only an administrator has access: nobody else has any.
pub(super) async fn build(call: Call) -> Result<Response<Body>, Refusal> {
    if call.caller.admin {
        return forward::pass(call).await;
    }
    Ok(http::json(StatusCode::OK, &json!({ "CachesDeleted": [], "SpaceReclaimed": 0 })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-02-01T00:00:00Z".parse().unwrap()
    }

    fn chosen(filters: &str) -> Result<Chosen, String> {
        Chosen::read(Filters::parse(filters).unwrap(), now()).map_err(|refusal| refusal.message)
    }

    #[test]
    fn a_span_seconds_or_a_time() {
        let today = now().as_second();
        assert_eq!(until("24h", now()), Some(today - 86_400));
        assert_eq!(until("1h30m10s", now()), Some(today - 5410));
        assert_eq!(until("1.5h", now()), Some(today - 5400));
        assert_eq!(until("0s", now()), Some(today));
        assert_eq!(until("1700000000", now()), Some(1_700_000_000));
        assert_eq!(until("1700000000.123456789", now()), Some(1_700_000_000));
        assert_eq!(until("2026-01-31T00:00:00Z", now()), Some(today - 86_400));
        for wrong in ["", "h", "3x", "yesterday", "24", "1h2"].iter().filter(|text| **text != "24") {
            assert_eq!(until(wrong, now()), None, "{wrong}");
        }
    }

    #[test]
    fn labels_narrow_and_spare() {
        let object = json!({ "Labels": { "a": "1", "b": "" }, "Created": 1_000 });
        let has = |filters: &str| chosen(filters).unwrap().has(&object);
        assert!(has("{}"));
        assert!(has(r#"{"label":["a"]}"#) && has(r#"{"label":["a=1","b"]}"#));
        assert!(!has(r#"{"label":["a=2"]}"#) && !has(r#"{"label":["a","c"]}"#));
        assert!(!has(r#"{"label!":["a"]}"#) && has(r#"{"label!":["c"]}"#));
        assert!(has(r#"{"until":["1h"]}"#) && !has(r#"{"until":["500"]}"#));
        // Something that does not say when it was made is not taken for old.
        assert!(!chosen(r#"{"until":["1h"]}"#).unwrap().has(&json!({})));
    }

    #[test]
    fn what_is_not_understood_removes_nothing() {
        assert_eq!(chosen(r#"{"owner":["bob"]}"#).err().as_deref(), Some("invalid filter 'owner'"));
        assert!(chosen(r#"{"until":["soon"]}"#).err().unwrap().contains("until=soon"));
    }
}
