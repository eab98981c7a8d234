//! Answers for: the environment of a request without the variables that choose GPUs.
//!
//! Must never: leave two values of `NVIDIA_VISIBLE_DEVICES`, or none, in what is sent on.

use crate::gpu::is_gpu_env_key;

/// Variable by which the NVIDIA runtime is told what a container may see.
pub(crate) const VISIBLE_DEVICES: &str = "NVIDIA_VISIBLE_DEVICES";
/// Value that means: no device, and do not look at the image either.
pub(crate) const VOID: &str = "void";

/// The part before `=`.
pub(crate) fn key(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(key, _)| key)
}

/// The variables that stay, in their order.
pub(crate) fn without_gpu(variables: impl IntoIterator<Item = String>) -> Vec<String> {
    variables.into_iter().filter(|variable| !is_gpu_env_key(key(variable))).collect()
}

/// Replaces every value of the variable by this one, put last.
pub(crate) fn set(variables: &mut Vec<String>, name: &str, value: &str) {
    variables.retain(|variable| key(variable) != name);
    variables.push(format!("{name}={value}"));
}
