//! Which registries the Engine, which is root and stands on the machine's own network, may be sent to.
//! Must never: look a name up.

use crate::reference::ImageRef;

/// Public registries that everybody may use. Nobody can make these answer with an address of his own choice.
pub const PUBLIC: [&str; 13] = [
    "docker.io",
    "gcr.io",
    "ghcr.io",
    "index.docker.io",
    "lscr.io",
    "mcr.microsoft.com",
    "nvcr.io",
    "public.ecr.aws",
    "quay.io",
    "registry-1.docker.io",
    "registry.gitlab.com",
    "registry.hub.docker.com",
    "registry.k8s.io",
];

/// Whether a registry, with its port if it has one, is public or among `more`, the machine's own.
#[must_use]
pub fn is_allowed(domain: &str, more: &[String]) -> bool {
    let domain = domain.to_ascii_lowercase();
    PUBLIC.binary_search(&domain.as_str()).is_ok() || more.iter().any(|own| own.eq_ignore_ascii_case(&domain))
}

/// Whether a text is the name of a registry as it stands in front of an image: `registry.lab.example:5000`.
#[must_use]
pub fn is_registry(text: &str) -> bool {
    ImageRef::parse(&format!("{text}/image")).is_ok_and(|image| image.domain() == text)
}

/// The registry in the address that a login names: `https://index.docker.io/v1/`, `ghcr.io`. Empty is Docker Hub.
///
/// `None` for what no client of Docker's sends.
#[must_use]
pub fn of_address(address: &str) -> Option<String> {
    if address.is_empty() {
        return Some("docker.io".to_owned());
    }
    let rest =
        address.strip_prefix("https://").or_else(|| address.strip_prefix("http://")).unwrap_or(address);
    let host = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    (is_registry(&host) || PUBLIC.contains(&host.as_str())).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(PUBLIC.is_sorted());
        assert!(is_allowed("docker.io", &[]));
        assert!(is_allowed("GHCR.io", &[]));
        for wrong in
            ["169.254.169.254", "localhost:5000", "docker.io.evil.example", "xdocker.io", "docker.io:80", ""]
        {
            assert!(!is_allowed(wrong, &[]), "{wrong}");
        }
        assert!(is_allowed("registry.lab:5000", &["registry.lab:5000".to_owned()]));
    }

    #[test]
    fn logins_name_a_registry() {
        for (address, host) in [
            ("", "docker.io"),
            ("https://index.docker.io/v1/", "index.docker.io"),
            ("ghcr.io", "ghcr.io"),
            ("http://10.0.0.1:5000/x", "10.0.0.1:5000"),
            ("https://Quay.io", "quay.io"),
        ] {
            assert_eq!(of_address(address).as_deref(), Some(host), "{address}");
        }
        for wrong in
            ["https://user@ghcr.io/", "ghcr.io@evil", "ftp://ghcr.io", "//ghcr.io", "a b", "https://[::1]/"]
        {
            assert_eq!(of_address(wrong), None, "{wrong}");
        }
    }
}
