//! Image references, read as the Engine reads them.
//! Must never: ask a registry, or say whose an image is.

use std::fmt;

/// The longest repository name with its registry, as the Engine limits it.
const REPOSITORY_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 128;
/// The shortest id prefix that the Engine resolves for images.
const ID_PREFIX_CHARS_MIN: usize = 4;
const DEFAULT_DOMAIN: &str = "docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";

/// An image as a request names it, checked and taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRef {
    text: String,
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// A text that the Engine would not take for an image either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid reference format: `{0}` is not an image name; write it as name, name:tag or registry/name:tag"
)]
pub struct ImageRefError(String);

impl ImageRef {
    /// Reads `[domain/]path[:tag][@digest]`, an id (`sha256:…`) or a bare hex prefix of one.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, ImageRefError> {
        Self::read(text)
            .ok_or_else(|| ImageRefError(text.chars().filter(|c| !c.is_control()).take(80).collect()))
    }

    fn read(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return None;
        }
        // A colon after the last slash begins a tag; before it, it belongs to the domain's port.
        let (repository, tag) = match rest.rfind(':') {
            Some(colon) if !rest[colon..].contains('/') => (&rest[..colon], Some(&rest[colon + 1..])),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return None;
        }
        let (domain, path) = match repository.split_once('/') {
            Some((first, rest)) if is_domain_like(first) => (first, rest.to_owned()),
            _ => (DEFAULT_DOMAIN, repository.to_owned()),
        };
        let domain = if domain == "index.docker.io" { DEFAULT_DOMAIN } else { domain };
        if !is_domain(domain) || !path.split('/').all(is_component) {
            return None;
        }
        // The Engine would show `docker.io/ghcr.io/x` as `ghcr.io/x`, which is another image.
        if domain == DEFAULT_DOMAIN && path.split_once('/').is_some_and(|(first, _)| is_domain_like(first)) {
            return None;
        }
        let path =
            if domain == DEFAULT_DOMAIN && !path.contains('/') { format!("{OFFICIAL}{path}") } else { path };
        if domain.len() + 1 + path.len() > REPOSITORY_BYTES_MAX {
            return None;
        }
        Some(Self {
            text: text.to_owned(),
            domain: domain.to_owned(),
            path,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// The reference as sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The registry, `docker.io` where none is named. A port belongs to it.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within the registry, `library/` included (`library/busybox`, `ds01-alice/thesis`).
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, where one is named.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest (`sha256:…`), where one is named.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The repository as `docker images` shows it: without `docker.io/` and `library/`.
    pub fn familiar_repository(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return format!("{}/{}", self.domain, self.path);
        }
        self.path.strip_prefix(OFFICIAL).filter(|name| !name.contains('/')).unwrap_or(&self.path).to_owned()
    }

    /// `repository:tag` as `RepoTags` shows it, with `latest` where nothing else is said; `None` for a digest without
    /// a tag.
    pub fn familiar_tagged(&self) -> Option<String> {
        match (&self.tag, &self.digest) {
            (None, Some(_)) => None,
            (tag, _) => {
                Some(format!("{}:{}", self.familiar_repository(), tag.as_deref().unwrap_or(DEFAULT_TAG)))
            }
        }
    }

    /// The hex digits, where the whole text may be an id or its prefix (`sha256:…` or bare). The Engine prefers an id
    /// to a name.
    pub fn id_digits(&self) -> Option<&str> {
        let digits = self.text.strip_prefix("sha256:").unwrap_or(&self.text);
        let fits = (ID_PREFIX_CHARS_MIN..=64).contains(&digits.len())
            && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then_some(digits)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a text can be the tag of an image.
pub fn is_tag(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= TAG_BYTES_MAX
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Whether a text is a digest, `algorithm:hex`.
pub fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        matches!((algorithm, hex.len()), ("sha256", 64) | ("sha384", 96) | ("sha512", 128))
            && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Whether the part before the first slash names a registry rather than a namespace.
pub(crate) fn is_domain_like(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label)
        && port.is_none_or(|port| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()))
}

/// `[a-z0-9]+` joined by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let mut separator = String::new();
    let mut started = false;
    for c in text.chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            let joined =
                matches!(separator.as_str(), "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-');
            if !joined || (!started && !separator.is_empty()) {
                return false;
            }
            started = true;
            separator.clear();
        } else if matches!(c, '.' | '_' | '-') {
            separator.push(c);
        } else {
            return false;
        }
    }
    started && separator.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(text: &str) -> Option<String> {
        ImageRef::parse(text).ok()?.familiar_tagged()
    }

    #[test]
    fn names_read_as_the_engine_reads_them() {
        for (text, expected) in [
            ("busybox", "busybox:latest"),
            ("docker.io/library/busybox:1", "busybox:1"),
            ("index.docker.io/busybox", "busybox:latest"),
            ("ds01-alice/thesis:latest", "ds01-alice/thesis:latest"),
            ("localhost:5000/x/y", "localhost:5000/x/y:latest"),
            ("registry.lab:443/a__b/c--d:V1", "registry.lab:443/a__b/c--d:V1"),
            ("library/a/b", "library/a/b:latest"),
        ] {
            assert_eq!(tagged(text).as_deref(), Some(expected), "{text}");
        }
        let digest = format!("x@sha256:{}", "a".repeat(64));
        assert_eq!(tagged(&digest), None);
        assert!(ImageRef::parse(&digest).is_ok());
    }

    #[test]
    fn what_the_engine_refuses_is_refused() {
        for text in [
            "",
            "/",
            "a//b",
            "../x",
            "a/../b",
            "a/.",
            "Upper",
            "a:",
            ":a",
            "a b",
            "a%2fb",
            "a\\b",
            "a\0",
            "a@b",
            "http://x/y",
            "a:b:c",
            "x/-y",
            "a___b",
            "-a/b",
            "[::1]/x",
            "a?b",
            "docker.io/ghcr.io/x",
            "index.docker.io/localhost/x",
            "a#b",
        ] {
            assert!(ImageRef::parse(text).is_err(), "{text:?}");
        }
        // With `docker.io/library/` in front.
        assert!(ImageRef::parse(&"a".repeat(237)).is_ok());
        assert!(ImageRef::parse(&"a".repeat(238)).is_err());
    }

    #[test]
    fn ids_are_told_from_names() {
        let id = format!("sha256:{}", "0".repeat(64));
        assert_eq!(ImageRef::parse(&id).unwrap().id_digits(), Some(&id[7..]));
        assert_eq!(ImageRef::parse("cafe").unwrap().id_digits(), Some("cafe"));
        assert_eq!(ImageRef::parse("busybox").unwrap().id_digits(), None);
    }
}
