//! Networks and volumes: the caller's own, and the shared networks without other people's containers.

use serde_json::Value;

use super::{Unreadable, array, hide_labels, object, retain_keys, text};

/// The reply of `GET /networks`: those which `sees` accepts (asked with id and name), each with the caller's own
/// containers only.
///
/// # Errors
/// A reply that is no list.
pub fn network_list(
    mut reply: Value,
    sees: impl Fn(&str, &str) -> bool,
    owns_container: impl Fn(&str) -> bool,
) -> Result<Value, Unreadable> {
    let list = array(&mut reply, "the list of networks")?;
    list.retain(|network| match (text(network, "Id"), text(network, "Name")) {
        (Some(id), Some(name)) => sees(id, name),
        _ => false,
    });
    for network in list {
        cut_network(network, &owns_container);
    }
    Ok(reply)
}

/// The reply of `GET /networks/{id}`, with the caller's own containers only.
///
/// # Errors
/// A reply that is no object.
pub fn network_inspect(mut reply: Value, owns_container: impl Fn(&str) -> bool) -> Result<Value, Unreadable> {
    object(&mut reply, "a network")?;
    cut_network(&mut reply, &owns_container);
    Ok(reply)
}

fn cut_network(network: &mut Value, owns_container: &impl Fn(&str) -> bool) {
    retain_keys(network.get_mut("Containers"), owns_container);
    hide_labels(network.get_mut("Labels"));
    if let Some(network) = network.as_object_mut() {
        // Swarm's view of who is attached, and (1.52) how many addresses everybody together uses.
        network.retain(|key, _| !matches!(key.as_str(), "Services" | "Peers" | "Status"));
    }
}

/// The reply of `GET /volumes`: the caller's own by name.
///
/// # Errors
/// A reply that is no object, or whose `Volumes` is neither a list nor `null`.
pub fn volume_list(mut reply: Value, owns: impl Fn(&str) -> bool) -> Result<Value, Unreadable> {
    const WHAT: &str = "the list of volumes";
    let volumes = object(&mut reply, WHAT)?.get_mut("Volumes").ok_or(Unreadable(WHAT))?;
    if volumes.is_null() {
        return Ok(reply);
    }
    let volumes = array(volumes, WHAT)?;
    volumes.retain(|volume| text(volume, "Name").is_some_and(&owns));
    for volume in volumes {
        hide_labels(volume.get_mut("Labels"));
    }
    Ok(reply)
}
