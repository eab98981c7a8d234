//! The five families of forms, each read by itself.
//! Must never: agree one form with another; [`super::read`] does that.

use std::collections::BTreeSet;

use super::ids::{Word, is_cdi_name, word};
use super::{
    DeviceRequest, FormAsk, GpuInputs, GpuKind, GpuReading, GpuRefusal, UNITS_MAX, is_gpu_env_key,
    is_nvidia_runtime, options,
};

/// What the NVIDIA device driver of the Engine can be asked for; a set with anything else is not a GPU request.
const CAPABILITIES: [&str; 10] =
    ["all", "compat32", "compute", "display", "gpu", "graphics", "ngx", "nvidia", "utility", "video"];
/// Mounting `/dev/null` beneath this directory asks for a device by the target's name.
const MOUNT_LIST_ROOTS: [&str; 2] = ["/var/run/nvidia-container-devices/", "/run/nvidia-container-devices/"];
const CDI_ANNOTATION_PREFIX: &str = "cdi.k8s.io/";
const VISIBLE_DEVICES: &str = "NVIDIA_VISIBLE_DEVICES";

/// `--gpus …` and `--device nvidia.com/gpu=…`: several requests are summed.
pub(super) fn device_requests(inputs: &GpuInputs, reading: &mut GpuReading) -> Result<FormAsk, GpuRefusal> {
    let mut sum = FormAsk { spelling: "`--gpus` or `--device`", ..FormAsk::default() };
    reading.strip.device_requests = !inputs.device_requests.is_empty();
    let mut kind: Option<GpuKind> = None;
    for request in &inputs.device_requests {
        let one = device_request(request, &mut reading.warnings)?;
        if one.asks() && kind.replace(one.kind.clone()).is_some_and(|before| before != one.kind) {
            return Err(GpuRefusal::new(
                "The request asks for GPUs of two kinds. All GPUs of a container are of one: give each the same options.",
            ));
        }
        sum.count = sum.count.saturating_add(one.count).min(UNITS_MAX + 1);
        sum.all |= one.all;
        sum.capabilities.extend(one.capabilities);
        for id in one.ids {
            if !sum.ids.contains(&id) {
                sum.ids.push(id);
            }
        }
    }
    let by_number = sum.count > 0 || sum.all;
    if by_number && !sum.ids.is_empty() {
        return Err(GpuRefusal::new(
            "The request asks for GPUs both by number and by name. Use either `--gpus 2` or `--gpus device=0,1`.",
        ));
    }
    sum.kind = kind.unwrap_or_default();
    if sum.kind != GpuKind::default() && !sum.ids.is_empty() {
        return Err(GpuRefusal::new(
            "The request names GPUs and says what they must be. Use either `--gpus device=0` or the options memory, \
             model, full.",
        ));
    }
    within_max(sum)
}

fn device_request(request: &DeviceRequest, warnings: &mut Vec<String>) -> Result<FormAsk, GpuRefusal> {
    let cdi = match request.driver.as_str() {
        "" | "nvidia" | "nvidia.runtime-hook" | "nvidia.cdi" => false,
        "cdi" => true,
        other => {
            return Err(GpuRefusal::new(format!(
                "There is no device driver `{}` here; this machine lends out NVIDIA GPUs. Ask with `--gpus 1`.",
                shorten(other)
            )));
        }
    };
    let capabilities = if cdi { BTreeSet::new() } else { matched_capabilities(request)? };
    if request.count != 0 && !request.device_ids.is_empty() {
        return Err(GpuRefusal::new(
            "cannot set both Count and DeviceIDs on device request. \
             Use either `--gpus 2` or `--gpus device=0,1`.",
        ));
    }
    if cdi && (request.count != 0 || !request.options.is_empty()) {
        return Err(GpuRefusal::new(
            "A CDI device request takes device names only, no count and no options. Ask with `--gpus 2` instead.",
        ));
    }
    let mut ask = list(request.device_ids.iter().map(String::as_str), "`--gpus device=`")?;
    if cdi && let Some(bare) = request.device_ids.iter().find(|id| !is_cdi_name(id)) {
        return Err(GpuRefusal::new(format!(
            "`{}` is not a CDI device name; they look like `nvidia.com/gpu=0`.",
            shorten(bare)
        )));
    }
    match request.count {
        -1 => ask.all = true,
        count if count < 0 => {
            return Err(GpuRefusal::new(format!(
                "{count} is not a number of GPUs. Ask with `--gpus 1`, or `--gpus all` for one that fits."
            )));
        }
        count => ask.count = u32::try_from(count).unwrap_or(u32::MAX),
    }
    ask.capabilities = capabilities;
    ask.kind = options::kind(&request.options, warnings)?;
    within_max(ask)
}

/// The first alternative that the NVIDIA driver could satisfy, as the Engine chooses it.
fn matched_capabilities(request: &DeviceRequest) -> Result<BTreeSet<String>, GpuRefusal> {
    if request.capabilities.is_empty() && !request.driver.is_empty() {
        return Ok(BTreeSet::new());
    }
    let fits = |set: &&Vec<String>| {
        !set.is_empty() && set.iter().all(|asked| CAPABILITIES.binary_search(&asked.as_str()).is_ok())
    };
    let Some(set) = request.capabilities.iter().find(fits) else {
        return Err(GpuRefusal::new(format!(
            "could not select device driver \"{}\" with capabilities: [{}]. Ask with `--gpus 1`.",
            request.driver,
            shorten(
                &request.capabilities.iter().map(|set| format!("[{}]", set.join(" "))).collect::<String>()
            )
        )));
    };
    Ok(set.iter().filter(|name| !matches!(name.as_str(), "gpu" | "nvidia")).cloned().collect())
}

/// `--runtime=nvidia` with `NVIDIA_VISIBLE_DEVICES` in the request.
pub(super) fn runtime_and_env(inputs: &GpuInputs, reading: &mut GpuReading) -> Result<FormAsk, GpuRefusal> {
    let mut visible = None;
    for (position, variable) in inputs.env.iter().enumerate() {
        let (key, value) = variable.split_once('=').unwrap_or((variable, ""));
        if is_gpu_env_key(key) {
            reading.strip.env.insert(position);
        }
        if key == VISIBLE_DEVICES {
            // The last one counts, as it does for the toolkit.
            visible = Some(value);
        }
    }
    reading.strip.runtime = is_nvidia_runtime(&inputs.runtime);
    let form = FormAsk { spelling: "`--runtime=nvidia` with NVIDIA_VISIBLE_DEVICES", ..FormAsk::default() };
    let otherwise_asked = !inputs.device_requests.is_empty();
    match (reading.strip.runtime, visible) {
        (true, Some(value)) if !value.is_empty() => list(value.split(','), form.spelling),
        (true, None) if !otherwise_asked => {
            reading.warnings.push(
                "--runtime=nvidia without NVIDIA_VISIBLE_DEVICES asks for no GPU here, whatever the image sets: \
                 use --gpus 1"
                    .to_owned(),
            );
            Ok(form)
        }
        (false, Some(value)) if !otherwise_asked && !matches!(value, "" | "none" | "void") => {
            reading.warnings.push(
                "NVIDIA_VISIBLE_DEVICES by itself asks for no GPU and was ignored: use --gpus 1".to_owned(),
            );
            Ok(form)
        }
        _ => Ok(form),
    }
}

/// `--device /dev/nvidia0`, and CDI names that an older client sends as a device path.
pub(super) fn devices(inputs: &GpuInputs, reading: &mut GpuReading) -> Result<FormAsk, GpuRefusal> {
    const SPELLING: &str = "`--device`";
    let mut words = Vec::new();
    let mut helpers_only = false;
    for (position, device) in inputs.devices.iter().enumerate() {
        if is_cdi_name(&device.path_on_host) {
            words.push(device.path_on_host.clone());
        } else {
            let path = clean(&device.path_on_host);
            let Some(node) = path.strip_prefix("/dev/nvidia") else { continue };
            match node.parse::<u32>() {
                Ok(index) if node.bytes().all(|b| b.is_ascii_digit()) => words.push(index.to_string()),
                // nvidiactl, nvidia-uvm, nvidia-caps/…: they come with a unit, and are none themselves.
                _ if node == "ctl" || node.starts_with('-') => helpers_only = true,
                _ => continue,
            }
        }
        reading.strip.devices.insert(position);
    }
    if words.is_empty() && helpers_only && inputs.device_requests.is_empty() && !reading.strip.runtime {
        reading
            .warnings
            .push("the NVIDIA control devices alone give no GPU and were ignored: use --gpus 1".to_owned());
    }
    list(words.iter().map(String::as_str), SPELLING)
}

/// `cdi.k8s.io/…` annotations, which the NVIDIA runtime reads before anything else.
pub(super) fn annotations(inputs: &GpuInputs, reading: &mut GpuReading) -> Result<FormAsk, GpuRefusal> {
    let mut words = Vec::new();
    for (key, value) in &inputs.annotations {
        if key.starts_with(CDI_ANNOTATION_PREFIX) {
            reading.strip.annotations.insert(key.clone());
            words.extend(value.split(',').filter(|word| !word.is_empty()));
        }
    }
    list(words, "an annotation `cdi.k8s.io/…`")
}

/// Binds of `/dev/null` onto `/var/run/nvidia-container-devices/<device>`.
pub(super) fn mount_lists(inputs: &GpuInputs, reading: &mut GpuReading) -> Result<FormAsk, GpuRefusal> {
    let mut words = Vec::new();
    for (position, bind) in inputs.binds.iter().enumerate() {
        let mut parts = bind.split(':');
        let (Some(source), Some(target)) = (parts.next(), parts.next()) else { continue };
        let Some(word) = mount_list_word(source, target)? else { continue };
        if parts.clone().count() > 1 || parts.next().is_some_and(|mode| !matches!(mode, "ro" | "rw")) {
            return Err(GpuRefusal::new(format!(
                "The bind `{}` is not of the form source:target. Ask with `--gpus device=0:1` instead.",
                shorten(bind)
            )));
        }
        reading.strip.binds.insert(position);
        words.push(word);
    }
    for (position, mount) in inputs.mounts.iter().enumerate() {
        if !mount.kind.eq_ignore_ascii_case("bind") {
            continue;
        }
        if let Some(word) = mount_list_word(&mount.source, &mount.target)? {
            reading.strip.mounts.insert(position);
            words.push(word);
        }
    }
    list(words.iter().map(String::as_str), "a mount beneath /var/run/nvidia-container-devices")
}

fn mount_list_word(source: &str, target: &str) -> Result<Option<String>, GpuRefusal> {
    let target = clean(target);
    let Some(rest) = MOUNT_LIST_ROOTS.iter().find_map(|root| target.strip_prefix(root)) else {
        return Ok(None);
    };
    if clean(source) != "/dev/null" {
        return Err(GpuRefusal::new(format!(
            "Nothing can be mounted at `{}`: the path is kept for GPU device lists. Use another target.",
            shorten(&target)
        )));
    }
    let word = match rest.strip_prefix("cdi/") {
        // cdi/<vendor>/<class>/<device>
        Some(cdi) => match cdi.rsplit_once('/') {
            Some((kind, name)) => format!("{kind}={name}"),
            None => cdi.to_owned(),
        },
        None => rest.to_owned(),
    };
    Ok(Some(word))
}

/// Reads a device list: `all` alone, deliberate nothing alone, or ids.
fn list<'a>(words: impl IntoIterator<Item = &'a str>, spelling: &'static str) -> Result<FormAsk, GpuRefusal> {
    let mut ask = FormAsk { spelling, ..FormAsk::default() };
    let mut nothing = false;
    for text in words {
        match word(text)? {
            Word::All => ask.all = true,
            Word::Nothing => nothing = true,
            Word::Id(id) if ask.ids.contains(&id) => {}
            Word::Id(id) => ask.ids.push(id),
        }
    }
    if usize::from(ask.all) + usize::from(nothing) + usize::from(!ask.ids.is_empty()) > 1 {
        return Err(GpuRefusal::new(format!(
            "The device list of {spelling} mixes names with `all` or `none`. Keep one of them."
        )));
    }
    within_max(ask)
}

fn within_max(ask: FormAsk) -> Result<FormAsk, GpuRefusal> {
    let named = u32::try_from(ask.ids.len()).unwrap_or(u32::MAX);
    if ask.count.max(named) > UNITS_MAX {
        return Err(GpuRefusal::new(format!(
            "No machine has more than {UNITS_MAX} GPUs. Ask for fewer; `gpu-status` shows what there is."
        )));
    }
    Ok(ask)
}

/// A path with `//`, `/./` and `/../` resolved lexically, as the toolkit and the Engine clean targets.
pub(crate) fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Whether NVIDIA's runtime knows a part of the driver by this name. `gpu` and `nvidia` are Docker's words, not its.
pub(super) fn is_driver_capability(name: &str) -> bool {
    !matches!(name, "gpu" | "nvidia") && CAPABILITIES.binary_search(&name).is_ok()
}

pub(super) fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
