//! What holds of the readers of texts: JSON, filters, request lines, references of images, Dockerfiles.
//!
//! It must never take two spellings for two things where what is written anew is one.

use std::collections::BTreeMap;

use ds01_docker::dockerfile;
use ds01_docker::json as reader;
use ds01_docker::object::ObjectRef;
use ds01_docker::query::Filters;
use ds01_docker::query::build::build_args;
use ds01_docker::reference::ImageRef;
use ds01_docker::registry;
use ds01_docker::route::{self, Class};
use ds01_docker::version::ApiVersion;
use serde_json::Value;

use super::Outcome;
use crate::judged::CONTAINER_ID;

/// The JSON reader: what it accepts it writes so that it and another reader read the same again.
pub(super) fn json(bytes: &[u8]) -> Outcome {
    match reader::parse(bytes) {
        Ok(tree) => {
            let written = tree.to_bytes();
            assert_eq!(reader::parse(&written).as_ref(), Ok(&tree));
            let theirs: Result<serde_json::Value, _> = serde_json::from_slice(&written);
            // Numbers beyond every float are text to this reader and nothing to the other.
            match theirs {
                Ok(theirs) => {
                    let ours = Value::from(&tree);
                    assert!(same(&theirs, &ours), "{theirs} is not {ours}");
                }
                Err(wrong) => assert!(wrong.to_string().contains("number out of range"), "{wrong}"),
            }
            Outcome::accepted((tree.kind(), tree.is_neutral()))
        }
        Err(wrong) => Outcome::refused(&wrong.to_string()),
    }
}

/// Whether two trees are the same, fractions as far as floats go.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap_or_default(), other.as_f64().unwrap_or_default());
            (one - other).abs() <= one.abs() * 1e-12
        }
        _ => one == other,
    }
}

/// Filters: what is written anew reads as the same filters.
pub(super) fn filters(bytes: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(bytes) else { return Outcome::refused("not UTF-8") };
    match Filters::parse(text) {
        Ok(filters) => {
            assert_eq!(Filters::parse(&filters.to_string()), Ok(filters.clone()));
            let names: Vec<String> = filters.iter().map(|(name, _)| name.to_owned()).collect();
            Outcome::accepted(names)
        }
        Err(wrong) => Outcome::refused(&wrong.to_string()),
    }
}

/// The route table: what goes upstream is made of the row and of checked parts, and is the same route again.
pub(super) fn route(bytes: &[u8]) -> Outcome {
    let Ok(line) = std::str::from_utf8(bytes) else { return Outcome::refused("not UTF-8") };
    let (method, target) = line.split_once(' ').unwrap_or((line, ""));
    let route = match route::find(method, target) {
        Ok(route) => route,
        Err(refusal) => {
            assert!((400..600).contains(&refusal.status()));
            return Outcome::refused(&refusal.to_string());
        }
    };
    assert!(!matches!(route.class, Class::Refused(_)));
    let version = ApiVersion::upstream(route.version, ApiVersion::NEWEST);
    let upstream = route.upstream_target(version, None);
    let sent = upstream.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'"'));
    assert!(sent && upstream.starts_with(&format!("/v{version}/")), "{upstream}");
    let path = upstream.split('?').next().unwrap_or_default();
    let dots = path.split('/').any(|part| matches!(part, "." | ".."));
    assert!(!dots && !path.contains("//"), "{path}");
    let again = route::find(route.method().as_str(), &upstream)
        .unwrap_or_else(|refusal| panic!("{upstream} would be refused: {refusal}"));
    assert_eq!((again.op, &again.object), (route.op, &route.object), "{upstream}");
    assert_eq!(again.upstream_target(version, None), upstream);
    if let (Some(_), Some(id)) = (route.container(), ObjectRef::new(CONTAINER_ID)) {
        let resolved = route.upstream_path(version, Some(&id));
        assert_eq!(
            resolved,
            route.pattern().replace("{container}", CONTAINER_ID).replacen('/', &format!("/v{version}/"), 1)
        );
    }
    let _ = build_args(&route.query);
    Outcome::accepted((route.op, route.query.to_string().split('=').count()))
}

/// References of images and addresses of registries.
pub(super) fn reference(bytes: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(bytes) else { return Outcome::refused("not UTF-8") };
    if let Some(host) = registry::of_address(text) {
        assert!(registry::is_registry(&host) || registry::PUBLIC.contains(&host.as_str()), "{host}");
    }
    let image = match ImageRef::parse(text) {
        Ok(image) => image,
        Err(wrong) => return Outcome::refused(&wrong.to_string()),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    assert!(
        text.bytes().all(plain) && !text.split('/').any(|part| matches!(part, "" | "." | "..")),
        "{text}"
    );
    assert_eq!(ImageRef::parse(image.as_str()).as_ref(), Ok(&image));
    if let Some(familiar) = image.familiar_tagged() {
        let again = ImageRef::parse(&familiar).expect("what is shown can be typed");
        assert_eq!((again.domain(), again.path()), (image.domain(), image.path()), "{familiar}");
    }
    Outcome::accepted((image.tag().is_some(), image.digest().is_some(), image.domain() == "docker.io"))
}

/// Dockerfiles: an instruction put in behind every `FROM` changes nothing else.
pub(super) fn dockerfile(bytes: &[u8]) -> Outcome {
    let arguments = BTreeMap::from([("VERSION".to_owned(), Some("1".to_owned())), ("NONE".to_owned(), None)]);
    let reading = match dockerfile::read(bytes, &arguments) {
        Ok(reading) => reading,
        Err(wrong) => return Outcome::refused(&wrong.to_string()),
    };
    let line = "LABEL ds01.build=x";
    let written = reading.with_line_after_from(bytes, line);
    let again = dockerfile::read(&written, &arguments).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(again.images().eq(reading.images()) && again.bases().eq(reading.bases()));
    for image in reading.images() {
        assert!(!image.as_str().contains('$'), "{image}");
    }
    Outcome::accepted((reading.images().count(), reading.bases().count()))
}
