//! Images: shared by all in the Engine's store, shown by the names that the caller may see.

use serde_json::Value;

use super::{Unreadable, array, hide_labels, object, text};

/// The name of an image that has none, in lists of older Engines.
const UNTAGGED: &str = "<none>:<none>";
/// What the door says in the environment of a container that asked for no GPU.
const NO_DEVICES: &str = "NVIDIA_VISIBLE_DEVICES=void";

/// The reply of `GET /images/json`: images with a name that the caller may see, or that he may see by id; of their
/// names, those that he may see.
///
/// `sees_tag` is asked with `repository:tag` as the Engine spells it, `sees_id` with `sha256:…`.
///
/// # Errors
/// A reply that is no list.
pub fn image_list(
    mut reply: Value,
    sees_tag: impl Fn(&str) -> bool,
    sees_id: impl Fn(&str) -> bool,
) -> Result<Value, Unreadable> {
    let list = array(&mut reply, "the list of images")?;
    list.retain_mut(|image| {
        let by_id = text(image, "Id").is_some_and(&sees_id);
        let by_tag = cut_tags(image, &sees_tag);
        hide_labels(image.get_mut("Labels"));
        by_id || by_tag
    });
    Ok(reply)
}

/// The reply of `GET /images/{name}/json`, with only the names that the caller may see. Whether he may see the image
/// at all was settled before the Engine was asked.
///
/// # Errors
/// A reply that is no object.
pub fn image_inspect(mut reply: Value, sees_tag: impl Fn(&str) -> bool) -> Result<Value, Unreadable> {
    object(&mut reply, "an image")?;
    cut_tags(&mut reply, &sees_tag);
    for config in ["Config", "ContainerConfig"] {
        hide_labels(reply.get_mut(config).and_then(|config| config.get_mut("Labels")));
        // A container without a GPU has it from the door, and a commit takes it along.
        if let Some(env) = reply.get_mut(config).and_then(|config| config.get_mut("Env")?.as_array_mut()) {
            env.retain(|variable| variable.as_str() != Some(NO_DEVICES));
        }
    }
    Ok(reply)
}

/// The reply of `GET /images/{name}/history`, each step with only the names that the caller may see.
///
/// # Errors
/// A reply that is no list.
pub fn image_history(mut reply: Value, sees_tag: impl Fn(&str) -> bool) -> Result<Value, Unreadable> {
    for step in array(&mut reply, "the history of an image")? {
        if let Some(tags) = step.get_mut("Tags").and_then(Value::as_array_mut) {
            tags.retain(|tag| tag.as_str().is_some_and(&sees_tag));
            if tags.is_empty() {
                // As the Engine says that there are none.
                step["Tags"] = Value::Null;
            }
        }
    }
    Ok(reply)
}

/// Cuts `RepoTags` down and says whether a real name is left. Digests go with the repository of a name that is left.
fn cut_tags(image: &mut Value, sees_tag: impl Fn(&str) -> bool) -> bool {
    let Some(tags) = image.get_mut("RepoTags").and_then(Value::as_array_mut) else { return false };
    tags.retain(|tag| tag.as_str().is_some_and(|tag| tag == UNTAGGED || sees_tag(tag)));
    let seen: Vec<String> = tags
        .iter()
        .filter_map(Value::as_str)
        .filter(|tag| *tag != UNTAGGED)
        .filter_map(|tag| Some(tag.rsplit_once(':')?.0.to_owned()))
        .collect();
    let any_tag_left = !seen.is_empty();
    if let Some(digests) = image.get_mut("RepoDigests").and_then(Value::as_array_mut) {
        digests.retain(|digest| {
            let repository = digest.as_str().and_then(|digest| digest.split('@').next());
            // Of an image without a name nobody's name is given away by its digest but `<none>`.
            repository.is_some_and(|name| name == "<none>" || seen.iter().any(|seen| seen == name))
        });
    }
    any_tag_left
}
