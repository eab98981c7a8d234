//! Answers for: remembering what the caller asked for where something else is sent on, so that
//! inspect can show it to him again.
//!
//! Must never: remember an environment variable that does not choose GPUs.

use serde_json::{Map, Value};

use super::super::refusal::Refusal;
use super::super::shape::Shape::{self, Bool, Integer, List, Struct, Text, TextMap, Texts};
use super::super::shape::{Part, part};
use super::super::table::same_field;
use super::JudgedCreate;
use super::devices::{DEVICE, DEVICE_REQUEST};
use crate::gpu::Strip;
use crate::json::Object;
use crate::present::{Original, ROUND_TRIP};

const DRIVER_CONFIG: &[Part] = &[part("Name", Text), part("Options", TextMap)];
const BIND_OPTIONS: &[Part] = &[
    part("Propagation", Text),
    part("NonRecursive", Bool),
    part("CreateMountpoint", Bool),
    part("ReadOnlyNonRecursive", Bool),
    part("ReadOnlyForceRecursive", Bool),
];
const VOLUME_OPTIONS: &[Part] = &[
    part("NoCopy", Bool),
    part("Labels", TextMap),
    part("DriverConfig", Struct(DRIVER_CONFIG)),
    part("Subpath", Text),
];
const TMPFS_OPTIONS: &[Part] =
    &[part("SizeBytes", Integer), part("Mode", Integer), part("Options", List(&Texts))];
const MOUNT: &[Part] = &[
    part("Type", Text),
    part("Source", Text),
    part("Target", Text),
    part("ReadOnly", Bool),
    part("Consistency", Text),
    part("BindOptions", Struct(BIND_OPTIONS)),
    part("VolumeOptions", Struct(VOLUME_OPTIONS)),
    part("TmpfsOptions", Struct(TMPFS_OPTIONS)),
    part("ImageOptions", Struct(&[part("Subpath", Text)])),
];
const RESTART: &[Part] = &[part("Name", Text), part("MaximumRetryCount", Integer)];

/// How a remembered field is written in the API's spelling.
pub(crate) fn remembered_shape(field: &str) -> Option<Shape> {
    Some(match field {
        "Annotations" => TextMap,
        "Binds" | "CapDrop" => Texts,
        "CgroupParent" | "Runtime" => Text,
        "DeviceRequests" => List(&Struct(DEVICE_REQUEST)),
        "Devices" => List(&Struct(DEVICE)),
        "Mounts" => List(&Struct(MOUNT)),
        "RestartPolicy" => Struct(RESTART),
        _ => return None,
    })
}

/// What the caller wrote in the fields that are rewritten.
pub(crate) fn given(top: &Object, env: &[String], strip: &Strip) -> Result<Original, Refusal> {
    let host =
        top.iter().find(|(key, _)| same_field(key, "HostConfig")).and_then(|(_, host)| host.as_object());
    let mut asked = Map::new();
    for (key, value) in host.into_iter().flat_map(Object::iter) {
        let field = ROUND_TRIP.iter().find(|field| same_field(key, field));
        if let Some((field, shape)) = field.and_then(|field| Some((field, remembered_shape(field)?)))
            && let Some(read) = shape.read(&format!("HostConfig.{field}"), value)?
        {
            asked.insert((*field).to_owned(), Value::from(&read));
        }
    }
    let mut original = Original::new(&asked);
    for position in &strip.env {
        if let Some(variable) = env.get(*position) {
            original.remember_env(variable);
        }
    }
    Ok(original)
}

impl JudgedCreate {
    /// What inspect shows instead of what is sent on. Ask for it when the binds are answered: it
    /// remembers which staged path stands for which path of the caller's.
    #[must_use]
    pub fn original(&self) -> Original {
        let mut original = self.given.clone();
        for (staged, asked) in self.answered_binds() {
            original.remember_source(staged, asked);
        }
        original
    }
}
