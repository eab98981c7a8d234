//! The stand-in as its caller meets it. The runtime behind it is `echo`, which shows what it was handed.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its stage has failed")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

struct Stage(PathBuf);

impl Stage {
    fn new(mode: &str, visible: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("ds01-nvidia-stand-in-{}-{number}", std::process::id()));
        fs::create_dir_all(dir.join("bundle")).unwrap();
        let stage = Self(dir);
        // Copied by another process: a test that forks meanwhile would inherit our open file.
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_nvidia-container-runtime-stand-in"))
            .arg(stage.0.join("nvidia"))
            .status();
        assert!(copied.unwrap().success());
        stage.write(
            "nvidia.json",
            &json!({"mode": mode, "machine": stage.0.join("machine"), "runtime": "/bin/echo"}),
        );
        let node = json!({"path": "/dev/nvidia0", "type": "b", "major": 7, "minor": 0});
        stage.write("machine", &json!({"cards": [{"uuid": "GPU-aa", "node": node}]}));
        let variable = format!("NVIDIA_VISIBLE_DEVICES={visible}");
        stage.write("bundle/config.json", &json!({"process": {"env": [variable]}, "linux": {}}));
        stage
    }

    fn write(&self, name: &str, value: &Value) {
        fs::write(self.0.join(name), value.to_string()).unwrap();
    }

    fn call(&self, verb: &str) -> Output {
        let mut command = Command::new(self.0.join("nvidia"));
        command.arg("--log").arg(self.0.join("log")).args(["--log-format", "json", verb, "--bundle"]);
        command.arg(self.0.join("bundle")).arg("id").output().unwrap()
    }

    fn spec(&self) -> Value {
        serde_json::from_slice(&fs::read(self.0.join("bundle/config.json")).unwrap()).unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_create_gets_its_nodes_and_is_handed_on() {
    for (mode, variable) in [("legacy", "GPU-aa"), ("jit-cdi", "void"), ("auto", "void"), ("cdi", "void")] {
        let stage = Stage::new(mode, "GPU-aa");
        let output = stage.call("create");
        let handed = String::from_utf8(output.stdout).unwrap();
        assert!(handed.contains("create --bundle") && handed.ends_with(" id\n"), "{handed}");
        let spec = stage.spec();
        assert_eq!(spec["linux"]["devices"][0]["path"], "/dev/nvidia0", "{mode}");
        assert_eq!(spec["process"]["env"], json!([format!("NVIDIA_VISIBLE_DEVICES={variable}")]), "{mode}");
    }
}

#[test]
fn no_gpu_and_no_create_change_nothing() {
    for (verb, visible) in [("create", "void"), ("run", "GPU-aa"), ("start", "GPU-aa")] {
        let stage = Stage::new("auto", visible);
        let before = stage.spec();
        assert!(stage.call(verb).status.success());
        assert_eq!(stage.spec(), before, "{verb} {visible}");
    }
}

#[test]
fn a_unit_that_is_not_there_is_told_in_the_log() {
    for (mode, expected) in [
        ("legacy", "nvidia-container-cli: device error: GPU-zz: unknown device"),
        ("cdi", "unresolvable CDI devices nvidia.com/gpu=GPU-zz"),
        ("jit-cdi", "failed to get NVML device handle for identifier \"GPU-zz\": Not Found"),
    ] {
        let stage = Stage::new(mode, "GPU-zz");
        let output = stage.call("create");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        let line: Value = serde_json::from_slice(&fs::read(stage.0.join("log")).unwrap()).unwrap();
        assert!(line["msg"].as_str().unwrap().ends_with(expected), "{mode}: {line}");
    }
}
