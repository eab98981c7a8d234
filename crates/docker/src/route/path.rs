//! The raw path: its shape, its version, and whether it is a row's.
//! Must never: decode anything but the name of an image.

use percent_encoding::percent_decode_str;

use super::{Object, RouteRefusal};
use crate::object::ObjectRef;
use crate::reference::ImageRef;
use crate::version::ApiVersion;

/// Refuses every spelling of a path on which two readers could differ.
pub(super) fn check_shape(path: &str) -> Result<(), RouteRefusal> {
    if !path.starts_with('/') {
        return Err(RouteRefusal::malformed("the request target must be a path that begins with `/`"));
    }
    if path.bytes().any(|b| b <= b' ' || b == 0x7f || b == b'\\' || b == b'#' || !b.is_ascii()) {
        return Err(RouteRefusal::malformed("the path holds a character that no Docker route has"));
    }
    if path.split('/').skip(1).any(|segment| matches!(segment, "." | "..")) || path.contains("//") {
        return Err(RouteRefusal::malformed("the path holds `//`, `/./` or `/../`"));
    }
    Ok(())
}

/// Splits `/v1.NN` off. Only the canonical spelling is a version; what else begins with `v` is no route.
pub(super) fn split_version(path: &str) -> Result<(Option<ApiVersion>, &str), RouteRefusal> {
    let first = path[1..].split('/').next().unwrap_or_default();
    let looks_like_version =
        first.strip_prefix('v').is_some_and(|rest| rest.bytes().next().is_some_and(|b| b.is_ascii_digit()));
    if !looks_like_version {
        return Ok((None, path));
    }
    let rest = &path[1 + first.len()..];
    match ApiVersion::parse(&first[1..]) {
        Some(version) if !rest.is_empty() => Ok((Some(version), rest)),
        _ => Err(RouteRefusal::not_found()),
    }
}

/// What stood in the place of a pattern's `{…}`, still raw.
pub(super) struct Matched<'a> {
    kind: &'static str,
    raw: &'a str,
}

/// Matches a path without version against a pattern. `{image}` and `{any}` take slashes, others one segment.
pub(super) fn matches<'a>(pattern: &'static str, path: &'a str) -> Option<Matched<'a>> {
    let Some((before, kind, after)) = placeholder(pattern) else {
        return (path == pattern).then_some(Matched { kind: "", raw: "" });
    };
    let rest = path.strip_prefix(before)?;
    // A second placeholder (a checkpoint's name) stands at the end and is one segment of anything.
    let raw = match placeholder(after) {
        Some((between, _, "")) => {
            let (raw, last) = rest.split_once(between)?;
            (!last.is_empty() && !last.contains('/')).then_some(raw)?
        }
        _ => rest.strip_suffix(after)?,
    };
    let one_segment = !matches!(kind, "image" | "any");
    let fits = !(raw.is_empty() || one_segment && raw.contains('/'));
    (fits || kind == "any").then_some(Matched { kind, raw })
}

/// Splits a pattern at its first `{kind}`.
fn placeholder(pattern: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let (before, rest) = pattern.split_once('{')?;
    let (kind, after) = rest.split_once('}')?;
    Some((before, kind, after))
}

impl Matched<'_> {
    /// Checks what was matched against its kind's grammar.
    pub(super) fn into_object(self) -> Result<Object, RouteRefusal> {
        let plain = || ObjectRef::new(self.raw).ok_or_else(|| RouteRefusal::bad_name(self.raw));
        Ok(match self.kind {
            "" => Object::None,
            "container" => Object::Container(plain()?),
            "exec" => Object::Exec(plain()?),
            "network" => Object::Network(plain()?),
            "volume" => Object::Volume(plain()?),
            "image" => Object::Image(image(self.raw)?),
            _ => Object::Other,
        })
    }
}

/// The one place where a path is decoded: once, and what comes out must be an image reference.
fn image(raw: &str) -> Result<ImageRef, RouteRefusal> {
    let well_formed = raw
        .split('%')
        .skip(1)
        .all(|rest| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    if !well_formed {
        return Err(RouteRefusal::malformed("the path holds a `%` that is no percent-encoding"));
    }
    let name = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| RouteRefusal::malformed("the image name is not UTF-8"))?;
    ImageRef::parse(&name).map_err(|wrong| RouteRefusal::bad_request(wrong.to_string()))
}

/// The path upstream of a pattern with one placeholder at most.
pub(super) fn fill(version: ApiVersion, pattern: &'static str, object: &str) -> String {
    match placeholder(pattern) {
        Some((before, _, after)) => format!("/v{version}{before}{object}{after}"),
        None => format!("/v{version}{pattern}"),
    }
}
