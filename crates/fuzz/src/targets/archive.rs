//! What holds of every archive that was let through: another reader finds nothing in it that a user may not bring.
//!
//! It must never read an archive with the reader that judged it.

use std::io::Read;

use super::Outcome;

/// The caller's ids, which everything that goes into a bind gets.
const OWNER: u64 = 20001;

/// An archive that is copied into a container with binds.
pub(super) fn holds(bytes: &[u8]) -> Outcome {
    let filtered = match ds01_daemon::gateway::copied(bytes, (20001, 20001)) {
        Ok(filtered) => filtered,
        Err(sentence) => return Outcome::refused(&sentence),
    };
    let mut kinds = Vec::new();
    let mut archive = tar::Archive::new(&filtered[..]);
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry that another reader understands");
        let kind = entry.header().entry_type();
        let known = kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link();
        assert!(known, "an entry of the type {kind:?}");
        let header = entry.header();
        assert_eq!(header.mode().expect("a mode") & 0o6000, 0, "set-id bits");
        let ids = (header.uid().expect("a uid"), header.gid().expect("a gid"));
        assert_eq!(ids, (OWNER, OWNER));
        let path = entry.path_bytes().into_owned();
        let upwards = path.split(|byte| *byte == b'/').any(|part| part == b"..");
        assert!(!upwards && path.first() != Some(&b'/') && !path.contains(&0), "{path:?}");
        for extension in entry.pax_extensions().expect("extensions").into_iter().flatten() {
            let extension = extension.expect("an extension");
            let key = extension.key().unwrap_or_default().to_owned();
            let plain =
                matches!(key.as_str(), "path" | "linkpath" | "size") || key.starts_with("SCHILY.xattr.user.");
            assert!(plain, "the extension {key}");
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("a content");
        assert_eq!(content.len() as u64, entry.size(), "a content of another length");
        kinds.push(kind);
    }
    // Judged again it is the same archive.
    assert_eq!(ds01_daemon::gateway::copied(&filtered, (20001, 20001)).as_deref(), Ok(&filtered[..]));
    kinds.sort_by_key(|kind| kind.as_byte());
    kinds.dedup();
    let kinds: Vec<u8> = kinds.iter().map(tar::EntryType::as_byte).collect();
    Outcome::accepted(kinds)
}
