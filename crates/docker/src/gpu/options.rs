//! What the units of a device request must be, as its `Options` say: `--gpus '2,"options=memory=30g,model=h100"'`.
//! Must never: know which models there are.

use super::forms::shorten;
use super::{GpuKind, GpuRefusal};
use crate::body::size::parse_size;

const MEMORY: &str = "memory";
const MODEL: &str = "model";
const FULL: &str = "full";
/// The longest part of a model's name that is looked for.
const MODEL_CHARACTERS_MAX: usize = 64;

/// Reads the options of one request. What DS01 does not know the Engine's driver does not know either: it is told of.
pub(super) fn kind(options: &[(String, String)], warnings: &mut Vec<String>) -> Result<GpuKind, GpuRefusal> {
    let mut kind = GpuKind::default();
    for (name, value) in options {
        match name.as_str() {
            MEMORY => kind.memory_mib = Some(memory(value)?),
            MODEL if is_a_model(value) => kind.model = Some(value.clone()),
            MODEL => {
                return Err(GpuRefusal::new(format!(
                    "`{}` is no part of a GPU model's name; write model=h100, or a slice's profile: model=2g.20gb.",
                    shorten(value)
                )));
            }
            FULL => kind.full = truth(value)?,
            _ => warnings.push(format!(
                "the option `{}` of --gpus means nothing here and was ignored: there are memory, model, full",
                shorten(name)
            )),
        }
    }
    Ok(kind)
}

/// Whether a text could be a part of a model's name, or a slice's profile: `h100`, `2g.20gb`.
pub fn is_a_model(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || " .+-_".contains(c);
    (1..=MODEL_CHARACTERS_MAX).contains(&text.len()) && text.chars().all(plain) && !text.trim().is_empty()
}

/// In MiB. A number without a unit would be bytes, and is meant as gigabytes.
fn memory(value: &str) -> Result<u64, GpuRefusal> {
    let has_unit = value.ends_with(|c: char| c.is_ascii_alphabetic());
    let mebibytes = parse_size(value).filter(|_| has_unit).map(|bytes| bytes >> 20).filter(|mib| *mib > 0);
    mebibytes.ok_or_else(|| {
        GpuRefusal::new(format!(
            "`{}` is not the memory of a GPU; write a size with its unit: memory=30g.",
            shorten(value)
        ))
    })
}

fn truth(value: &str) -> Result<bool, GpuRefusal> {
    match value {
        "" | "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => {
            Err(GpuRefusal::new(format!("`{}` is neither true nor false; write full=true.", shorten(value))))
        }
    }
}
