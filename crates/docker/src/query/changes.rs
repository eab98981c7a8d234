//! The `changes` of a commit or an import: Dockerfile instructions that alter the image's configuration.
//! Must never: let an instruction through that the Engine could read otherwise than it was judged.

use super::QueryRefusal;

const INSTRUCTIONS: [&str; 10] =
    ["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];

/// Accepts one instruction per line; labels of the system are refused.
pub(super) fn judge<'a>(changes: impl Iterator<Item = &'a str>) -> Result<(), QueryRefusal> {
    for change in changes.flat_map(str::lines).map(str::trim).filter(|change| !change.is_empty()) {
        let word: String = change.chars().take_while(|c| !c.is_whitespace()).take(40).collect();
        let instruction = word.to_ascii_uppercase();
        if INSTRUCTIONS.binary_search(&instruction.as_str()).is_err() {
            return Err(QueryRefusal::new(format!(
                "The change `{word}` is not one of {}. Use a Dockerfile for anything else.",
                INSTRUCTIONS.join(", ")
            )));
        }
        // A backslash at the end would join this line to the next behind our back.
        if change.chars().any(|c| c.is_control() && c != '\t') || change.ends_with(['\\', '`']) {
            return Err(QueryRefusal::new(
                "Write each change on one line of its own: `-c 'ENV A=b' -c 'USER me'`.",
            ));
        }
        if instruction == "LABEL" {
            let plain: String =
                change.to_ascii_lowercase().chars().filter(|c| !"\"'\\".contains(*c)).collect();
            if plain.contains("ds01") || plain.contains('$') {
                return Err(QueryRefusal::new(
                    "Labels that begin with `ds01` belong to the system, and variables in labels are not \
                     supported here. Choose another label.",
                ));
            }
        }
    }
    Ok(())
}
