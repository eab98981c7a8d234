//! The names that a client gives to GPUs: index, `card:slice`, UUID, and the CDI spellings of them.
//! Must never: know which units the machine has.

use std::fmt;

use super::GpuRefusal;

/// A GPU as a request names it; whether there is such a unit is for others to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GpuId {
    /// A card by its index (`0`).
    Index(u32),
    /// A MIG instance by card and ordinal (`0:1`).
    Slice(u32, u32),
    /// A card or instance by its UUID (`GPU-…`, `MIG-…`), spelt as sent.
    Uuid(String),
}

impl fmt::Display for GpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Slice(card, ordinal) => write!(f, "{card}:{ordinal}"),
            Self::Uuid(uuid) => f.write_str(uuid),
        }
    }
}

/// A text that names no GPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no GPU")]
pub struct GpuIdError(pub String);

impl std::str::FromStr for GpuId {
    type Err = GpuIdError;

    fn from_str(text: &str) -> Result<Self, GpuIdError> {
        let wrong = || GpuIdError(text.chars().take(SHOWN_CHARS_MAX).collect());
        if is_uuid(text) {
            return Ok(Self::Uuid(text.to_owned()));
        }
        match text.split_once(':') {
            Some((card, ordinal)) => number(card)
                .zip(number(ordinal))
                .map(|(card, ordinal)| Self::Slice(card, ordinal))
                .ok_or_else(wrong),
            None => number(text).map(Self::Index).ok_or_else(wrong),
        }
    }
}

/// The most characters of a wrong name that a refusal repeats.
const SHOWN_CHARS_MAX: usize = 80;
/// The most digits of an index: a machine has fewer than ten thousand cards.
const INDEX_DIGITS_MAX: usize = 4;
/// The longest UUID spelling, the old `MIG-GPU-<uuid>/<gi>/<ci>` included.
const UUID_CHARS_MAX: usize = 64;

fn number(text: &str) -> Option<u32> {
    let plain = (1..=INDEX_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn is_uuid(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("GPU-").or_else(|| text.strip_prefix("MIG-")) else { return false };
    let rest = rest.strip_prefix("GPU-").unwrap_or(rest);
    !rest.is_empty()
        && text.len() <= UUID_CHARS_MAX
        && rest.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'-' | b'/'))
}

/// One word of a device list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    All,
    /// `none`, `void`: deliberately nothing.
    Nothing,
    Id(GpuId),
}

/// Reads one word of a device list, plain (`0`, `all`, UUID) or as a CDI name (`nvidia.com/gpu=0`).
pub(super) fn word(text: &str) -> Result<Word, GpuRefusal> {
    let name = match text.split_once('=') {
        Some((kind, name)) => cdi_gpu_name(kind, name, text)?,
        None => text,
    };
    match name {
        "all" => Ok(Word::All),
        "none" | "void" if name.len() == text.len() => Ok(Word::Nothing),
        _ => name.parse().map(Word::Id).map_err(|wrong: GpuIdError| {
            GpuRefusal::new(format!(
                "{wrong}. Ask by number (`--gpus 1`), index (`device=0`), MIG instance (`device=0:1`) or UUID; \
                 `gpu-status` lists them."
            ))
        }),
    }
}

/// Whether a text has the shape `vendor/class=name` of a CDI device rather than that of a path.
pub(super) fn is_cdi_name(text: &str) -> bool {
    !text.starts_with('/') && text.split_once('=').is_some_and(|(kind, _)| kind.contains('/'))
}

/// The device's name within NVIDIA's CDI kind; `gpu0` and `mig0:1` are the type-index spellings of `0` and `0:1`.
fn cdi_gpu_name<'a>(kind: &str, name: &'a str, whole: &str) -> Result<&'a str, GpuRefusal> {
    if !matches!(kind, "nvidia.com/gpu" | "runtime.nvidia.com/gpu") {
        let shown: String = whole.chars().take(SHOWN_CHARS_MAX).collect();
        return Err(GpuRefusal::new(format!(
            "The device `{shown}` cannot be lent out here, only NVIDIA GPUs (`nvidia.com/gpu=…`). \
             Ask with `--gpus` instead."
        )));
    }
    let bare = match name.strip_prefix("gpu") {
        Some(index) if number(index).is_some() => index,
        _ => match name.strip_prefix("mig") {
            Some(slice) if slice.contains(':') => slice,
            _ => name,
        },
    };
    Ok(bare)
}
