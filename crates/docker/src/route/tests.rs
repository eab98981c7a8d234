//! Request lines and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const ID: &str = "61bda9fae94a0eca13573b1f0e7c1e3ee0fad15f65bbd9bd3d0a62737928895c";

fn status(method: &str, target: &str) -> u16 {
    match find(method, target) {
        Ok(route) => panic!("{method} {target} was accepted as {:?}", route.op),
        Err(refusal) => refusal.status(),
    }
}

fn accepted(method: &str, target: &str) -> Route {
    match find(method, target) {
        Ok(route) => route,
        Err(refusal) => panic!("{method} {target}: {} {refusal}", refusal.status()),
    }
}

/// A pattern with every placeholder spelt alike, to compare it with the API's description.
fn shape(pattern: &str) -> String {
    let mut shape = String::new();
    let mut inside = false;
    for c in pattern.chars() {
        match c {
            '{' => {
                inside = true;
                shape.push_str("{}");
            }
            '}' => inside = false,
            c if !inside => shape.push(c),
            _ => {}
        }
    }
    shape
}

#[test]
fn every_documented_operation_has_one_row() {
    let api: Value = serde_json::from_str(include_str!("../../tests/data/engine-api.json")).unwrap();
    let mut rows: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in ROWS {
        rows.entry(format!("{} {}", row.method.as_str(), shape(row.pattern))).or_default().push(row);
    }
    let mut documented = BTreeSet::new();
    for (name, described) in api["operations"].as_object().unwrap() {
        let key = shape(name);
        let found = rows.get(&key).unwrap_or_else(|| panic!("{name} has no row"));
        assert_eq!(found.len(), 1, "{name} has several rows");
        let since = described.get("since").and_then(Value::as_u64).unwrap_or(40);
        assert_eq!(u64::from(found[0].since), since, "{name}");
        let has_body = !described["body"].is_null();
        assert_eq!(
            found[0].body != BodyRule::None || found[0].op == Op::Session,
            has_body || key == "POST /session",
            "{name}"
        );
        documented.insert(key);
    }
    let undocumented: Vec<&String> = rows.keys().filter(|key| !documented.contains(*key)).collect();
    assert_eq!(
        undocumented,
        [
            "DELETE /containers/{}/checkpoints/{}",
            "GET /containers/{}/checkpoints",
            "GET /debug/{}",
            "OPTIONS /{}",
            "POST /build/cancel",
            "POST /containers/{}/checkpoints",
            "POST /containers/{}/copy",
            "POST /debug/{}",
            "POST /grpc",
        ]
    );
}

#[test]
fn every_operation_is_one_row_and_can_be_reached() {
    let ops: BTreeSet<Op> = ROWS.iter().map(|row| row.op).collect();
    assert_eq!(ops.len(), ROWS.len());
    for row in ROWS {
        let mut path = row.pattern.to_owned();
        for kind in ["container", "exec", "network", "volume", "image", "other", "any"] {
            path = path.replace(&format!("{{{kind}}}"), "some.thing");
        }
        let query = match row.op {
            Op::ContainerRename => "?name=other",
            Op::ArchiveGet | Op::ArchiveHead | Op::ArchivePut => "?path=/tmp",
            Op::Commit => "?container=x",
            Op::ImageTag => "?repo=alice/x",
            Op::ImageCreate => "?fromImage=busybox",
            Op::ImagesExport => "?names=busybox",
            _ => "",
        };
        match find(row.method.as_str(), &format!("/v1.55{path}{query}")) {
            Ok(route) => assert_eq!(route.op, row.op, "{path}"),
            Err(refusal) => {
                assert_eq!(refusal.op(), Some(row.op), "{path}: {refusal}");
                assert_eq!(refusal.status(), if row.op == Op::SwarmLeave { 503 } else { 403 });
                assert!(matches!(row.class, Class::Refused(_)));
            }
        }
    }
}

#[test]
fn the_list_of_networks_has_two_spellings() {
    let listed = find("GET", "/v1.41/networks/?filters=%7B%7D").unwrap();
    assert_eq!(listed.op, Op::NetworkList);
    assert!(find("GET", "/v1.41/volumes/").is_err());
    assert!(find("GET", "/v1.41/networks//").is_err());
}

#[test]
fn refusals_tell_what_to_do() {
    for row in ROWS {
        if let Class::Refused(sentence) = row.class {
            assert!(sentence.ends_with('.') && sentence.len() > 40, "{sentence}");
        }
    }
    let grpc = find("POST", "/v1.41/grpc").unwrap_err();
    assert_eq!(grpc.status(), 403);
    assert!(grpc.message().contains("DOCKER_BUILDKIT=0 docker build"));
    assert_eq!(RouteRefusal::admin_only(Op::PluginInspect).status(), 404);
    assert_eq!(RouteRefusal::admin_only(Op::PluginPrivileges).status(), 403);
    let leave = find("POST", "/v1.41/swarm/leave?force=1").unwrap_err();
    assert_eq!((leave.status(), leave.message()), (503, "This node is not part of a swarm"));
}

/// What the Docker command line, docker-py and docker-compose send, recorded from them, must pass.
#[test]
fn what_real_clients_send_passes() {
    for line in include_str!("../../tests/data/client-request-lines.txt").lines() {
        let (method, target) = line.split_once(' ').unwrap();
        let route = accepted(method, target);
        assert!(!matches!(route.class, Class::Refused(_)));
        let object = ObjectRef::new(ID).unwrap();
        let resolved = route.container().map(|_| &object);
        let upstream = route.upstream_target(ApiVersion::from_minor(41), resolved);
        let again = accepted(method, &upstream);
        assert_eq!((again.op, again.query.to_string()), (route.op, route.query.to_string()), "{upstream}");
    }
}

#[test]
fn unusual_spellings_of_a_path_are_refused() {
    for (target, expected) in [
        ("/%76%31.41/containers/ID/json", 404),
        ("/v1.41/%63ontainers/ID/%6ason", 404),
        ("/v01.41/containers/ID/json", 404),
        ("/v1.041/containers/ID/json", 404),
        ("/v1.41.0/containers/ID/json", 404),
        ("/v2.41/containers/ID/json", 404),
        ("/V1.41/containers/ID/json", 404),
        ("/v1.41", 404),
        ("/v1.41/", 404),
        ("/", 404),
        ("http://evil/v1.41/containers/ID/json", 400),
        ("//containers/ID/json", 400),
        ("/v1.41//containers/ID/json", 400),
        ("/v1.41/./containers/ID/json", 400),
        ("/v1.41/containers/x/../ID/json", 400),
        ("/v1.41/containers/..", 400),
        ("/v1.41/containers/%2e%2e/ID/json", 404),
        ("/v1.41/containers/x%2fy/json", 404),
        ("/v1.41/containers/x%00/json", 404),
        ("/v1.41/containers/x\\y/json", 400),
        ("/v1.41/containers/x\ty/json", 400),
        ("/v1.41/containers/x y/json", 400),
        ("/v1.41/containers/é/json", 400),
        ("/v1.41/containers/ID/json/", 404),
        ("/v1.41/containers/ID/json;x", 404),
        ("/v1.41/containers/ID;x/json", 404),
        ("/v1.41/Containers/ID/json", 404),
        ("/v1.41/containers/web/db/json", 404),
        ("/v1.41/containers/ID/json#x", 400),
        ("/v1.41/images/../containers/ID/json", 400),
        ("/v1.41/images/%2e%2e/json", 400),
        ("/v1.41/images/a%2f%2fb/json", 400),
        ("/v1.41/images/a%252fb/json", 400),
        ("/v1.41/images/a%/json", 400),
        ("/v1.41/images/a%zz/json", 400),
        ("/v1.41/images/a%00b/json", 400),
        ("/v1.41/images/%ff/json", 400),
        ("/libpod/info", 404),
        ("/metrics", 404),
        ("*", 400),
        ("", 400),
    ] {
        assert_eq!(status("GET", &target.replace("ID", ID)), expected, "{target:?}");
    }
}

#[test]
fn unusual_methods_are_refused() {
    let target = format!("/v1.41/containers/{ID}/json");
    for method in ["POST", "get", "PATCH", "TRACE", "CONNECT", "", "HEAD", "DELETE"] {
        assert_eq!(status(method, &target), 404, "{method}");
    }
}

#[test]
fn versions_beyond_the_table_are_refused_in_dockers_words() {
    let old = find("POST", "/v1.12/containers/create?name=web").unwrap_err();
    assert_eq!(
        (old.status(), old.message()),
        (
            400,
            "client version 1.12 is too old. Minimum supported API version is 1.40, please upgrade your client \
             to a newer version"
        )
    );
    assert_eq!(status("GET", "/v1.39/_ping"), 400);
    assert_eq!(status("POST", "/v1.99/containers/create"), 400);
    assert_eq!(status("GET", "/v1.54/images/busybox/attestations"), 404);
    assert!(find("GET", "/v1.55/images/busybox/attestations").is_ok());
    assert!(find("GET", "/images/busybox/attestations").is_ok());
    assert_eq!(accepted("GET", "/v1.40/_ping").version, Some(ApiVersion::OLDEST));
    assert_eq!(accepted("GET", "/version").version, None);
}

#[test]
fn image_names_keep_their_slashes_and_literal_rows_come_first() {
    let image = |method, target| accepted(method, target).image().map(|image| image.as_str().to_owned());
    assert_eq!(image("GET", "/v1.41/images/alice/x:1/json").as_deref(), Some("alice/x:1"));
    assert_eq!(
        image("GET", "/images/registry.example:5000/a/b/history").as_deref(),
        Some("registry.example:5000/a/b")
    );
    assert_eq!(image("GET", "/images/alice%2Fx%3A1/json").as_deref(), Some("alice/x:1"));
    assert_eq!(image("DELETE", "/images/alice/json").as_deref(), Some("alice/json"));
    assert_eq!(image("GET", "/images/json/json").as_deref(), Some("json"));
    assert_eq!(accepted("GET", "/images/json").op, Op::ImageList);
    let digest = format!("/images/x%40sha256:{ID}/json");
    assert_eq!(
        accepted("GET", &digest).upstream_path(ApiVersion::from_minor(41), None),
        format!("/v1.41/images/x@sha256:{ID}/json")
    );
    assert_eq!(status("GET", "/v1.41/distribution/169.254.169.254%2FX/json"), 400);
}

#[test]
fn what_goes_upstream_is_rebuilt() {
    let route = accepted("POST", "/v1.50/containers/web/start?detachKeys=ctrl-a&checkpoint=");
    let id = ObjectRef::new(ID).unwrap();
    let version = ApiVersion::upstream(route.version, ApiVersion::from_minor(41));
    assert_eq!(
        route.upstream_target(version, Some(&id)),
        format!("/v1.41/containers/{ID}/start?detachKeys=ctrl-a")
    );
    assert_eq!(route.class, Class::Rewritten);
    assert_eq!(route.tunnel, Tunnel::Never);
}

#[test]
fn a_pull_has_no_body_and_an_import_has() {
    assert_eq!(accepted("POST", "/images/create?fromImage=busybox").body, BodyRule::None);
    assert_eq!(accepted("POST", "/images/create?fromSrc=-&repo=x").body, BodyRule::Stream);
    assert_eq!(status("POST", "/images/create?fromSrc=http://169.254.169.254/x.tar&repo=x"), 400);
}

#[test]
fn forms_are_refused() {
    assert!(refuse_form_body("application/x-www-form-urlencoded; charset=utf-8").is_err());
    assert!(refuse_form_body("Multipart/Form-Data; boundary=x").is_err());
    for fine in ["", "application/json", "application/x-tar", "text/plain"] {
        assert!(refuse_form_body(fine).is_ok(), "{fine}");
    }
}

#[test]
fn options_are_answered_for_any_plain_path() {
    assert_eq!(accepted("OPTIONS", "/v1.41/containers/json?x=y").op, Op::Options);
    assert_eq!(status("OPTIONS", "/a/../b"), 400);
}

/// Pieces from which odd request targets are glued.
fn piece() -> impl Strategy<Value = String> {
    let known: Vec<String> = ROWS
        .iter()
        .flat_map(|row| row.pattern.split(['/', '{', '}']))
        .chain([
            "v1.41",
            "v1.55",
            "v1.39",
            "v01.41",
            ID,
            "web",
            "a:b",
            "@sha256:00",
            "%2f",
            "%2e%2e",
            "..",
            "//",
        ])
        .chain([
            "?",
            "&",
            "=",
            "name=x1",
            "filters={}",
            "all=1",
            "t=a/b",
            "+",
            "%",
            ";",
            "\\",
            "\0",
            "é",
            " ",
        ])
        .map(str::to_owned)
        .collect();
    prop_oneof![4 => proptest::sample::select(known), 1 => ".{0,6}", 2 => Just("/".to_owned())]
}

/// Targets made of a row's own pattern with odd names and queries: most are accepted.
fn near_target() -> impl Strategy<Value = (String, String)> {
    (0..ROWS.len(), "[a-zA-Z0-9_.:@/%-]{1,12}", "(\\?[a-z]{1,9}=[a-zA-Z0-9%+/{}:-]{0,9}(&t=[a-z/]{1,5})?)?")
        .prop_map(|(row, name, query)| {
            let row = &ROWS[row];
            let mut path = row.pattern.to_owned();
            while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
                path.replace_range(start..=end, &name);
            }
            (row.method.as_str().to_owned(), format!("/v1.55{path}{query}"))
        })
}

fn check_canonical(method: &str, target: &str) {
    let Ok(route) = find(method, target) else { return };
    let upstream = route.upstream_target(ApiVersion::from_minor(55), None);
    let (path, query) = upstream.split_once('?').unwrap_or((&upstream, ""));
    assert!(path.starts_with("/v1.55/"), "{upstream}");
    assert!(!path.contains("//") && !path.contains('%') && !path.contains("/../"), "{upstream}");
    assert!(upstream.bytes().all(|b| b.is_ascii_graphic()), "{upstream}");
    let keys: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    let repeatable = ["names", "t", "changes", "extrahosts", "type", "platform", "platforms", "securityopt"];
    for (position, key) in keys.iter().enumerate() {
        assert!(repeatable.contains(key) || !keys[..position].contains(key), "{upstream}");
    }
    if route.op == Op::Options {
        return;
    }
    let again = find(method, &upstream).unwrap_or_else(|refusal| panic!("{target} → {upstream}: {refusal}"));
    assert_eq!((again.op, &again.object), (route.op, &route.object));
    assert_eq!(again.upstream_target(ApiVersion::from_minor(55), None), upstream);
}

proptest! {
    #[test]
    fn whatever_is_accepted_has_one_canonical_form(
        method in proptest::sample::select(vec!["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "X"]),
        pieces in proptest::collection::vec(piece(), 0..12),
    ) {
        check_canonical(method, &format!("/{}", pieces.join("/")));
        check_canonical(method, &pieces.concat());
    }

    #[test]
    fn near_misses_have_one_canonical_form((method, target) in near_target()) {
        check_canonical(&method, &target);
    }
}
