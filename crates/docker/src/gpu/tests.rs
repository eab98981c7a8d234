//! Forms of asking, and what is understood.

use proptest::prelude::*;

use super::*;

fn request(count: i64, ids: &[&str]) -> DeviceRequest {
    DeviceRequest {
        count,
        device_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        capabilities: vec![vec!["gpu".to_owned()]],
        ..DeviceRequest::default()
    }
}

fn requests(requests: impl IntoIterator<Item = DeviceRequest>) -> GpuInputs {
    GpuInputs { device_requests: requests.into_iter().collect(), ..GpuInputs::default() }
}

fn cdi(ids: &[&str]) -> DeviceRequest {
    DeviceRequest { driver: "cdi".to_owned(), capabilities: Vec::new(), ..request(0, ids) }
}

fn env(runtime: &str, env: &[&str]) -> GpuInputs {
    GpuInputs {
        runtime: runtime.to_owned(),
        env: env.iter().map(|variable| (*variable).to_owned()).collect(),
        ..GpuInputs::default()
    }
}

fn devices(paths: &[&str]) -> GpuInputs {
    let node = |path: &&str| DeviceNode { path_on_host: (*path).to_owned(), ..DeviceNode::default() };
    GpuInputs { devices: paths.iter().map(node).collect(), ..GpuInputs::default() }
}

fn binds(binds: &[&str]) -> GpuInputs {
    GpuInputs { binds: binds.iter().map(|bind| (*bind).to_owned()).collect(), ..GpuInputs::default() }
}

fn mount(source: &str, target: &str) -> GpuInputs {
    let mount = MountPoint { kind: "bind".into(), source: source.into(), target: target.into() };
    GpuInputs { mounts: vec![mount], ..GpuInputs::default() }
}

fn annotation(key: &str, value: &str) -> GpuInputs {
    GpuInputs { annotations: vec![(key.into(), value.into())], ..GpuInputs::default() }
}

/// The ask in short: `none`, `2`, `all`, `0,0:1`, or the refusal.
fn told(inputs: &GpuInputs) -> String {
    match read(inputs) {
        Err(refusal) => format!("refused: {refusal}"),
        Ok(GpuReading { ask: None, .. }) => "none".to_owned(),
        Ok(GpuReading { ask: Some(ask), .. }) => match ask.count {
            Some(1) if ask.all => "all".to_owned(),
            Some(count) => count.to_string(),
            None => ask.ids.iter().map(GpuId::to_string).collect::<Vec<_>>().join(","),
        },
    }
}

const UUID: &str = "GPU-8f6a2c1e-0000-4000-8000-000000000001";

#[test]
fn device_requests_read_as_one_ask() {
    for (asked, expected) in [
        (vec![request(-1, &[])], "all"),
        (vec![request(2, &[])], "2"),
        (vec![request(0, &[])], "none"),
        (vec![request(0, &["0", "1", "0"])], "0,1"),
        (vec![request(0, &["0:1", UUID])], "0:1,GPU-8f6a2c1e-0000-4000-8000-000000000001"),
        (vec![request(0, &["all"])], "all"),
        (vec![request(0, &["none"])], "none"),
        (vec![request(1, &[]), request(2, &[])], "3"),
        (vec![request(2, &[]), request(-1, &[])], "2"),
        (vec![request(0, &["0"]), request(0, &["1"])], "0,1"),
        (vec![cdi(&["nvidia.com/gpu=0", "nvidia.com/gpu=mig0:1"])], "0,0:1"),
        (vec![cdi(&["nvidia.com/gpu=all"])], "all"),
        (vec![cdi(&["nvidia.com/gpu=gpu1"])], "1"),
        (vec![], "none"),
    ] {
        assert_eq!(told(&requests(asked.clone())), expected, "{asked:?}");
    }
    assert!(read(&requests([request(1, &[])])).unwrap().strip.device_requests);
}

#[test]
fn drivers_and_capabilities_are_matched_as_the_engine_matches_them() {
    let with = |driver: &str, sets: &[&[&str]]| {
        let capabilities = sets.iter().map(|set| set.iter().map(|c| (*c).to_owned()).collect()).collect();
        requests([DeviceRequest { driver: driver.into(), capabilities, ..request(1, &[]) }])
    };
    for fine in [
        with("", &[&["gpu"]]),
        with("", &[&["compute"]]),
        with("", &[&["tpu"], &["nvidia", "video"]]),
        with("nvidia", &[]),
        with("nvidia.cdi", &[&["utility", "gpu"]]),
        with("nvidia.runtime-hook", &[]),
    ] {
        assert_eq!(told(&fine), "1", "{fine:?}");
    }
    for wrong in [with("", &[]), with("", &[&[]]), with("", &[&["tpu"]]), with("nvidia", &[&["tpu"]])] {
        assert!(told(&wrong).contains("could not select device driver"), "{wrong:?}");
    }
    assert!(told(&with("amd", &[&["gpu"]])).contains("device driver `amd`"));
    let ask = read(&with("", &[&["utility", "gpu"]])).unwrap().ask.unwrap();
    assert_eq!(ask.capabilities.into_iter().collect::<Vec<_>>(), ["utility"]);
}

#[test]
fn malformed_requests_are_refused() {
    for (asked, says) in [
        (request(1, &["0"]), "both Count and DeviceIDs"),
        (request(-2, &[]), "not a number of GPUs"),
        (request(2000, &[]), "more than 1024"),
        (request(i64::MAX, &[]), "more than 1024"),
        (request(0, &[""]), "names no GPU"),
        (request(0, &["x"]), "names no GPU"),
        (request(0, &["+1"]), "names no GPU"),
        (request(0, &["0:1:2"]), "names no GPU"),
        (request(0, &["all", "0"]), "mixes names"),
        (request(0, &["GPU-../x"]), "names no GPU"),
        (cdi(&["0"]), "not a CDI device name"),
        (cdi(&["vendor.com/net=0"]), "cannot be lent out"),
        (cdi(&["management.nvidia.com/gpu=all"]), "cannot be lent out"),
        (DeviceRequest { count: 1, ..cdi(&[]) }, "no count"),
    ] {
        let told = told(&requests([asked.clone()]));
        assert!(told.starts_with("refused: ") && told.contains(says), "{asked:?}: {told}");
    }
    let mixed = requests([request(1, &[]), request(0, &["0"])]);
    assert!(told(&mixed).contains("by number and by name"));
}

#[test]
fn options_say_what_the_units_must_be() {
    let with = |count: i64, options: &[(&str, &str)]| DeviceRequest {
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..request(count, &[])
    };
    let kind = |asked: Vec<DeviceRequest>| match read(&requests(asked)) {
        Err(refusal) => format!("refused: {refusal}"),
        Ok(reading) => {
            let GpuKind { memory_mib, model, full } = reading.ask.unwrap().kind;
            format!("{memory_mib:?} {model:?} {full} {}", reading.warnings.concat())
        }
    };
    let one = |options: &[(&str, &str)]| kind(vec![with(1, options)]);
    assert_eq!(one(&[]), "None None false ");
    assert_eq!(
        one(&[("memory", "30g"), ("model", "2g.20gb"), ("full", "true")]),
        "Some(30720) Some(\"2g.20gb\") true "
    );
    assert_eq!(one(&[("memory", "1.5GiB"), ("full", "false")]), "Some(1536) None false ");
    assert_eq!(
        one(&[("mem", "30g")]),
        "None None false the option `mem` of --gpus means nothing here and was ignored: there are memory, model, full"
    );
    for (name, value) in [
        ("memory", "30"),
        ("memory", "much"),
        ("memory", "0g"),
        ("memory", "1k"),
        ("model", ""),
        ("model", "a/b"),
        ("full", "perhaps"),
    ] {
        assert!(one(&[(name, value)]).starts_with("refused: `"), "{name}={value}");
    }
    let large = with(1, &[("memory", "30g")]);
    assert_eq!(kind(vec![large.clone(), large.clone()]), "Some(30720) None false ");
    assert!(kind(vec![large.clone(), request(1, &[])]).contains("of two kinds"));
    let named = DeviceRequest { count: 0, device_ids: vec!["0".to_owned()], ..large.clone() };
    assert!(kind(vec![named]).contains("names GPUs and says what they must be"));
    let runtime =
        GpuInputs { device_requests: vec![large], ..env("nvidia", &["NVIDIA_VISIBLE_DEVICES=all"]) };
    assert_eq!(read(&runtime).unwrap().ask.unwrap().kind.memory_mib, Some(30 * 1024));
}

#[test]
fn the_runtime_and_its_variable() {
    for (runtime, variables, expected) in [
        ("nvidia", vec!["NVIDIA_VISIBLE_DEVICES=all"], "all"),
        ("nvidia", vec!["NVIDIA_VISIBLE_DEVICES=0,1"], "0,1"),
        ("nvidia", vec!["NVIDIA_VISIBLE_DEVICES=nvidia.com/gpu=0"], "0"),
        ("nvidia", vec!["NVIDIA_VISIBLE_DEVICES=runtime.nvidia.com/gpu=all"], "all"),
        ("nvidia", vec!["NVIDIA_VISIBLE_DEVICES=void"], "none"),
        ("nvidia", vec!["NVIDIA_VISIBLE_DEVICES=none"], "none"),
        ("nvidia", vec!["NVIDIA_VISIBLE_DEVICES="], "none"),
        ("nvidia", vec!["NVIDIA_VISIBLE_DEVICES=void", "NVIDIA_VISIBLE_DEVICES=all"], "all"),
        ("nvidia", vec!["A=b"], "none"),
        ("", vec!["NVIDIA_VISIBLE_DEVICES=all"], "none"),
        ("runc", vec![], "none"),
    ] {
        assert_eq!(told(&env(runtime, &variables)), expected, "{runtime} {variables:?}");
    }
    let reading =
        read(&env("nvidia", &["A=b", "NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_MIG_CONFIG_DEVICES=all"])).unwrap();
    assert!(reading.strip.runtime);
    assert_eq!(reading.strip.env.into_iter().collect::<Vec<_>>(), [1, 2]);
    let lone = read(&env("", &["NVIDIA_VISIBLE_DEVICES=all"])).unwrap();
    assert!(lone.warnings[0].contains("use --gpus 1") && lone.strip.env.contains(&0) && !lone.strip.runtime);
    assert!(!read(&env("nvidia", &[])).unwrap().warnings.is_empty());
    assert!(read(&env("runc", &["NVIDIA_VISIBLE_DEVICES=void"])).unwrap().warnings.is_empty());
    assert!(told(&env("nvidia", &["NVIDIA_VISIBLE_DEVICES=all,0"])).contains("mixes names"));
}

#[test]
fn device_nodes() {
    assert_eq!(told(&devices(&["/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"])), "0");
    assert_eq!(told(&devices(&["/dev/../dev//nvidia1"])), "1");
    assert_eq!(told(&devices(&["nvidia.com/gpu=all"])), "all");
    assert_eq!(told(&devices(&["/dev/fuse", "/dev/nvidiafoo"])), "none");
    assert!(told(&devices(&["vendor.com/net=x"])).contains("cannot be lent out"));
    let reading = read(&devices(&["/dev/fuse", "/dev/nvidiactl"])).unwrap();
    assert_eq!(reading.strip.devices.into_iter().collect::<Vec<_>>(), [1]);
    assert!(!reading.warnings.is_empty());
}

#[test]
fn annotations_and_mount_lists() {
    let asks = annotation("cdi.k8s.io/gpu", "nvidia.com/gpu=0,nvidia.com/gpu=1");
    assert_eq!(told(&asks), "0,1");
    assert!(read(&asks).unwrap().strip.annotations.contains("cdi.k8s.io/gpu"));
    assert_eq!(told(&annotation("org.example", "nvidia.com/gpu=all")), "none");
    assert!(told(&annotation("cdi.k8s.io/x", "vendor.com/net=0")).contains("cannot be lent out"));

    assert_eq!(told(&binds(&["/dev/null:/var/run/nvidia-container-devices/all"])), "all");
    assert_eq!(told(&binds(&["/dev/null:/run/nvidia-container-devices/0:ro", "/home/a:/w"])), "0");
    assert_eq!(told(&binds(&["/dev/null:/var/run/nvidia-container-devices/cdi/nvidia.com/gpu/all"])), "all");
    assert!(told(&binds(&["/dev/null:/var/run/nvidia-container-devices/imex/0"])).contains("names no GPU"));
    assert!(told(&binds(&["/dev/null:/var/run/nvidia-container-devices/0:1"])).contains("source:target"));
    assert!(
        told(&binds(&["/home/a:/var/run/nvidia-container-devices/0"])).contains("Nothing can be mounted")
    );
    assert_eq!(told(&binds(&["/home/a:/var/run/other"])), "none");
    let sneaky = mount("/dev/null", "/tmp/../var/run/nvidia-container-devices/cdi/nvidia.com/gpu/all");
    assert_eq!(told(&sneaky), "all");
    assert!(read(&sneaky).unwrap().strip.mounts.contains(&0));
}

#[test]
fn forms_must_agree() {
    let both = |count, ids: &[&str], value: &str| GpuInputs {
        device_requests: vec![request(count, ids)],
        ..env("nvidia", &[&format!("NVIDIA_VISIBLE_DEVICES={value}")])
    };
    assert_eq!(told(&both(-1, &[], "all")), "all");
    assert_eq!(told(&both(2, &[], "all")), "2");
    assert_eq!(told(&both(-1, &[], "0")), "0");
    assert_eq!(told(&both(0, &["0", "1"], "1,0")), "0,1");
    assert_eq!(told(&both(1, &[], "void")), "1");
    assert!(told(&both(2, &[], "0,1")).contains("contradict"));
    assert!(told(&both(0, &["0"], "1")).contains("contradict"));
    let bare_runtime = GpuInputs { device_requests: vec![request(1, &[])], ..env("nvidia", &[]) };
    assert_eq!((told(&bare_runtime).as_str(), read(&bare_runtime).unwrap().warnings.len()), ("1", 0));
}

#[test]
fn steering_variables() {
    for key in [
        "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_IMEX_CHANNELS",
        "NVIDIA_GDS",
        "DOCKER_RESOURCE_GPU",
        "CUDA_MPS_PIPE_DIRECTORY",
    ] {
        assert!(is_gpu_env_key(key), "{key}");
    }
    for key in ["CUDA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "PATH", "nvidia_visible_devices", ""] {
        assert!(!is_gpu_env_key(key), "{key}");
    }
}

proptest! {
    #[test]
    fn an_ask_is_never_empty_and_never_huge(
        counts in proptest::collection::vec(any::<i64>(), 0..4),
        ids in proptest::collection::vec("[0-9a-zA-Z:=/.,-]{0,12}|all|[0-9]", 0..4),
        value in ".{0,16}",
        bind in ".{0,20}",
    ) {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let inputs = GpuInputs {
            device_requests: counts.iter().map(|count| request(*count, &[])).chain([request(0, &ids)]).collect(),
            binds: vec![bind],
            ..env("nvidia", &[&format!("NVIDIA_VISIBLE_DEVICES={value}")])
        };
        if let Ok(GpuReading { ask: Some(ask), .. }) = read(&inputs) {
            prop_assert!((1..=UNITS_MAX).contains(&ask.units()));
            prop_assert_eq!(ask.count.is_some(), ask.ids.is_empty());
        }
    }
}
