//! Answers for: reading a path inside a container by its text alone.
//!
//! Must never: touch a file system; a link inside an image is not seen here.

/// The path without `.`, `..`, `//` and trailing `/`, as Go's `filepath.Clean` writes an absolute
/// path. `None` if it is not absolute.
pub(crate) fn clean(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

/// Whether the cleaned path is this directory or beneath it.
pub(crate) fn beneath(clean_path: &str, directory: &str) -> bool {
    clean_path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
