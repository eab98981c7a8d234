//! Containers as their owner asked for them.

use serde_json::{Map, Value, json};

use crate::gpu::clean_path;

use super::{Original, Unreadable, hide_labels, object};

/// The variable that the door sets itself on every container.
const VISIBLE_DEVICES: &str = "NVIDIA_VISIBLE_DEVICES";

/// The reply of `GET /containers/{id}/json` in the user's own words.
///
/// `original` is `None` for a container that the door did not create; then only the system's labels are hidden.
///
/// # Errors
/// A reply that is no object.
pub fn container_inspect(mut reply: Value, original: Option<&Original>) -> Result<Value, Unreadable> {
    let container = object(&mut reply, "a container")?;
    if let Some(config) = container.get_mut("Config").and_then(Value::as_object_mut) {
        hide_labels(config.get_mut("Labels"));
        if let Some(original) = original {
            show_env(config, original);
        }
    }
    let Some(original) = original else { return Ok(reply) };
    if let Some(host_config) = container.get_mut("HostConfig").and_then(Value::as_object_mut) {
        for (field, asked) in original.fields() {
            match asked {
                // The Engine leaves these out where none were asked.
                None => drop(host_config.shift_remove(field)),
                Some(asked) => drop(host_config.insert(field.to_owned(), asked.clone())),
            }
        }
        show_staged_binds(host_config, original);
    }
    show_mounts(container.get_mut("Mounts"), original);
    if let Some(Value::String(error)) = container.get_mut("State").and_then(|state| state.get_mut("Error")) {
        *error = original.in_users_words(error.as_str());
    }
    Ok(reply)
}

/// The same reply with the number of restarts that the door made: the Engine does not count another's.
///
/// # Errors
/// A reply that is no object.
pub fn with_restart_count(mut reply: Value, restarts: u32) -> Result<Value, Unreadable> {
    object(&mut reply, "a container")?.insert("RestartCount".into(), json!(restarts));
    Ok(reply)
}

/// An error message of the Engine with staged paths told as the user's own.
pub fn engine_message(message: &str, original: &Original) -> String {
    original.in_users_words(message)
}

/// A create's reply with the door's warnings after the Engine's own.
///
/// # Errors
/// A reply that is no object.
pub fn with_warnings(
    mut reply: Value,
    warnings: impl IntoIterator<Item = String>,
) -> Result<Value, Unreadable> {
    let created = object(&mut reply, "a new container")?;
    let mut all: Vec<Value> = created.get("Warnings").and_then(Value::as_array).cloned().unwrap_or_default();
    all.extend(warnings.into_iter().map(Value::String));
    created.insert("Warnings".into(), Value::Array(all));
    Ok(reply)
}

/// Puts the variables that were taken out where the door's own stands.
fn show_env(config: &mut Map<String, Value>, original: &Original) {
    let Some(env) = config.get_mut("Env").and_then(Value::as_array_mut) else { return };
    let is_ours = |entry: &Value| {
        entry.as_str().is_some_and(|variable| variable.split('=').next() == Some(VISIBLE_DEVICES))
    };
    let place = env.iter().position(is_ours).unwrap_or(env.len());
    env.retain(|entry| !is_ours(entry));
    let place = place.min(env.len());
    env.splice(place..place, original.env().iter().cloned().map(Value::String));
}

fn show_staged_binds(host_config: &mut Map<String, Value>, original: &Original) {
    for bind in host_config.get_mut("Binds").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::String(bind) = bind
            && let Some((source, rest)) = bind.split_once(':')
            && let Some(asked) = original.source(source)
        {
            *bind = format!("{asked}:{rest}");
        }
    }
    show_mounts(host_config.get_mut("Mounts"), original);
}

pub(super) fn show_mounts(mounts: Option<&mut Value>, original: &Original) {
    for mount in mounts.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(Value::String(source)) = mount.get_mut("Source")
            && let Some(asked) = original.source(source)
        {
            *source = clean_path(&asked);
        }
    }
}
