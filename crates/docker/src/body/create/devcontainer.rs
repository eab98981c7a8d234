//! Answers for: which user works in a dev container. Its client makes the container as root and then does everything
//! with `docker exec` as `remoteUser`; only the metadata label says who that is when the container is made.
//!
//! Must never: take a word of the label for more than a user's name inside the container.

use crate::json::{Json, parse};

/// Where dev container clients write down how a container is to be used; images made for them carry it too.
pub const METADATA_LABEL: &str = "devcontainer.metadata";

/// `remoteUser` of the metadata: of several entries the last that names one counts, as for the clients.
pub(super) fn remote_user(metadata: &str) -> Option<String> {
    let tree = parse(metadata.as_bytes()).ok()?;
    let user = |entry: &Json| entry.as_object()?.get("remoteUser")?.as_str().map(str::to_owned);
    let found = match tree.as_array() {
        Some(entries) => entries.iter().rev().find_map(user),
        None => user(&tree),
    };
    found.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::remote_user;

    #[test]
    fn the_last_entry_that_names_a_user_counts() {
        let named = |text: &str| remote_user(text);
        assert_eq!(named(r#"[{"remoteUser":"vscode"}]"#), Some("vscode".to_owned()));
        assert_eq!(named(r#"{"remoteUser":"node"}"#), Some("node".to_owned()));
        assert_eq!(
            named(r#"[{"remoteUser":"a"},{"id":"feature"},{"remoteUser":"b"},{"init":true}]"#),
            Some("b".to_owned())
        );
        for nobody in
            ["", "[]", "[{}]", "[{\"remoteUser\":\"\"}]", "[{\"remoteUser\":1}]", "[\"vscode\"]", "{"]
        {
            assert_eq!(named(nobody), None, "{nobody}");
        }
    }
}
