"""Every dangerous field of a request, with dangerous values, in every spelling that Go takes for the same field; and
the same fields with values that harm nobody.

It answers for the two tables, which follow docker's API and not the door's: a new field is a new row. What came of a
request is read from the Engine. It must never take a refusal for one that does not name the field.
"""

import json

import invariants

ROOT = "HostConfig"
SLEEP = {"Image": "base:latest", "Cmd": ["/bin/sleep", "30"]}
GPU = {"Count": 1, "Capabilities": [["gpu"]]}

# Refused, or kept from the Engine: field, then values.
DANGEROUS = [
    ("HostConfig.Privileged", [True]),
    ("HostConfig.CapAdd", [["SYS_ADMIN"], ["cap_sys_admin"], ["ALL"], ["MKNOD"], ["NET_ADMIN"], ["NET_RAW"], ["BPF"],
                           ["SYS_MODULE"], ["DAC_READ_SEARCH"], ["SYS_RAWIO"], ["SYS_NICE"], ["CHOWN", "SETFCAP"]]),
    ("HostConfig.Capabilities", [["CAP_SYS_ADMIN"]]),
    ("HostConfig.SecurityOpt", [["seccomp={}"], ["seccomp:unconfined"], ["apparmor=unconfined"], ["label=type:spc_t"],
                                ["systempaths=unconfined"], ["no-new-privileges", "apparmor:unconfined"]]),
    ("HostConfig.MaskedPaths", [[], ["/proc/kcore"]]),
    ("HostConfig.ReadonlyPaths", [[], ["/proc/bus"]]),
    ("HostConfig.GroupAdd", [["0"], ["disk"], ["999"], ["+0"], ["{BOB_UID}"]]),
    ("HostConfig.Sysctls", [{"net.ipv4.ip_forward": "1"}, {"kernel.core_pattern": "|/x"}, {"kernel/core_pattern": "|/x"},
                            {"net.ipv4.conf.all.route_localnet": "1"}]),
    ("HostConfig.Annotations", [{"org.criu.config": "/x"}, {"org.systemd.property.DeviceAllow": "[]"},
                                {"run.oci.keep_original_groups": "1"}]),
    ("HostConfig.NetworkMode", ["host", "container:{BOB_CTR}", "container:/bob-db", "{BOB_NET}", "{BOB_NET_ID}"]),
    ("HostConfig.PidMode", ["host", "container:{BOB_CTR}", "container:bob-db"]),
    ("HostConfig.IpcMode", ["host", "container:{BOB_CTR}"]),
    ("HostConfig.UTSMode", ["host"]),
    ("HostConfig.UsernsMode", ["host"]),
    ("HostConfig.CgroupnsMode", ["host"]),
    ("HostConfig.Cgroup", ["container:{BOB_CTR}"]),
    ("HostConfig.CgroupParent", ["/", "/../..", "/system.slice", "{ALICE_SLICE}/../u{BOB_UID}"]),
    ("HostConfig.Links", [["bob-db:x"], ["/bob-db:/rt/x"], ["{BOB_CTR_PREFIX6}:x"]]),
    ("HostConfig.VolumeDriver", ["rclone", "local/../x"]),
    ("HostConfig.Binds", [["/:/h"], ["/etc:/h"], ["//etc/../etc:/h"], ["/proc:/h"], ["/sys:/h"], ["/dev:/h"],
                          ["/var/run/../../etc:/h"], ["{BOB_HOME}:/h"], ["{ALICE_HOME}/../{BOB}:/h"],
                          ["{DIR}/engine:/h"], ["{DIR}/run:/h"], ["{BOB_VOL}:/h"], ["{ALICE_HOME}:/h:rshared"],
                          ["{ALICE_HOME}:/h:slave"], ["/proc/self/root:/h"], ["/proc/1/cwd:/h"]]),
    ("HostConfig.Mounts", [[{"Type": "bind", "Source": "/etc", "Target": "/h"}],
                           [{"type": "bind", "source": "/etc", "target": "/h"}],
                           [{"Type": "Bind", "Source": "/etc", "Target": "/h"}],
                           [{"Type": "volume", "Source": "{BOB_VOL}", "Target": "/h"}],
                           [{"Type": "volume", "Target": "/h", "VolumeOptions": {"DriverConfig": {
                               "Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}}],
                           [{"Type": "volume", "Target": "/h", "VolumeOptions": {"driverconfig": {"name": "rclone"}}}],
                           [{"Type": "bind", "Source": "{ALICE_HOME}", "Target": "/h",
                             "BindOptions": {"Propagation": "rshared"}}],
                           [{"Type": "tmpfs", "Target": "/h", "TmpfsOptions": {"Options": [["suid"]]}}],
                           [{"Type": "image", "Source": "{BOB_IMAGE}", "Target": "/h"}],
                           [{"Type": "npipe", "Source": "/x", "Target": "/h"}],
                           [{"Type": "cluster", "Source": "x", "Target": "/h"}]]),
    ("HostConfig.VolumesFrom", [["bob-db"], ["{BOB_CTR}:ro"], ["{BOB_CTR_PREFIX4}"], ["/bob-db"]]),
    ("HostConfig.Tmpfs", [{"/t": "suid,dev"}, {"/t": "mpol=bind:0"}, {"/t": "size=100%"}, {"/t": "size=900g"},
                          {f"/t{n}": "" for n in range(100)}]),
    ("HostConfig.Devices", [[{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}],
                            [{"PathOnHost": "/dev"}], [{"PathOnHost": "/dev/nvidia0/../mem"}],
                            [{"PathOnHost": "/dev/fuse"}], [{"PathOnHost": "vendor.com/net=all"}]]),
    ("HostConfig.DeviceCgroupRules", [["a *:* rwm"], ["c 195:* rwm"]]),
    ("HostConfig.DeviceRequests", [[{"Driver": "evil", "Count": 1}], [{"Driver": "cdi", "DeviceIDs": ["vendor.com/x=all"]}],
                                   [{"Count": 9, "Capabilities": [["gpu"]]}], [{"Count": -2, "Capabilities": [["gpu"]]}],
                                   [{"DeviceIDs": ["all", "0"], "Capabilities": [["gpu"]]}]]),
    ("HostConfig.Runtime", ["io.containerd.kata.v2", "/bin/sh", "crun", "ds01/x"]),
    ("HostConfig.MemorySwap", [-1, 1 << 50]),
    ("HostConfig.Memory", [1 << 50]),
    ("HostConfig.PidsLimit", [-1, 0, 1 << 30]),
    ("HostConfig.ShmSize", [1 << 50]),
    ("HostConfig.NanoCpus", [10**14]),
    ("HostConfig.CpuRealtimePeriod", [100000]),
    ("HostConfig.CpuRealtimeRuntime", [95000]),
    ("HostConfig.OomScoreAdj", [-1000]),
    ("HostConfig.OomKillDisable", [True]),
    ("HostConfig.BlkioWeightDevice", [[{"Path": "/dev/sda", "Weight": 10}]]),
    ("HostConfig.BlkioDeviceReadBps", [[{"Path": "/dev/sda", "Rate": 1}]]),
    ("HostConfig.BlkioDeviceWriteIOps", [[{"Path": "/dev/sda", "Rate": 1}]]),
    ("HostConfig.Ulimits", [[{"Name": "rtprio", "Soft": 99, "Hard": 99}], [{"Name": "nofile", "Soft": -1, "Hard": -1}]]),
    ("HostConfig.StorageOpt", [{"size": "9t"}, {"overlay2.override_kernel_check": "1"}]),
    ("HostConfig.LogConfig", [{"Type": "syslog", "Config": {"syslog-address": "unix:///x"}}, {"Type": "journald"},
                              {"Type": "gelf", "Config": {"gelf-address": "udp://127.0.0.1:9"}},
                              {"Type": "json-file", "Config": {"tag": "{{pad \"x\" 300000000 0}}"}},
                              {"Type": "json-file", "Config": {"max-size": "900g", "max-file": "900000"}},
                              {"Type": "json-file", "Config": {"mode": "non-blocking", "max-buffer-size": "900g"}},
                              {"Type": "local", "Config": {"syslog-tls-ca-cert": "/etc/shadow"}}]),
    ("HostConfig.PortBindings", [{"80/tcp": [{"HostPort": "22"}]}, {"80/tcp": [{"HostPort": "1000-2000"}]},
                                 {f"{n}/tcp": [{"HostPort": ""}] for n in range(1, 200)}]),
    ("Image", ["{BOB_IMAGE}", "sha256:{BOB_IMAGE_ID}", "{BOB_IMAGE_ID}"]),
    ("Env", [["NVIDIA_VISIBLE_DEVICES=all"], ["NVIDIA_MIG_CONFIG_DEVICES=all"], ["DOCKER_RESOURCE_GPU=all"],
             ["CUDA_MPS_PIPE_DIRECTORY=/x"]]),
    ("Labels", [{"ds01.owner": "{BOB_UID}"}, {"ds01.token": "x"}, {"ds01.anything": "x"}, {"fat": "x" * 300_000}]),
    ("Cmd", [["x" * 300_000]]),
    ("WorkingDir", ["/proc/self/fd/7", "/proc", "/sys/x", "proc/1", "/x/../proc/1", "/dev/fd/8"]),
    ("Healthcheck", [{"Test": ["CMD", "true"], "Interval": 1000000}]),
    ("StopTimeout", [2147483647, -1]),
    ("MacAddress", ["02:42:ac:11:00:99"]),
    ("Volumes", [{f"/v{n}": {} for n in range(100)}]),
    ("NetworkingConfig.EndpointsConfig", [{"{BOB_NET}": {}}, {"{BOB_NET_ID}": {}}, {"host": {}},
                                          {"bridge": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}}}]),
]

# Taken as they are.
HARMLESS = [
    ("HostConfig.Privileged", [False, None]),
    ("HostConfig.CapAdd", [None, [], ["SYS_PTRACE"], ["cap_ipc_lock"], ["chown"]]),
    ("HostConfig.SecurityOpt", [None, ["no-new-privileges"], ["no-new-privileges=true"], ["seccomp=builtin"]]),
    ("HostConfig.MaskedPaths", [None]),
    ("HostConfig.GroupAdd", [None, ["{ALICE_GID}"]]),
    ("HostConfig.Sysctls", [{}, {"net.core.somaxconn": "1024"}]),
    ("HostConfig.NetworkMode", ["", "default", "bridge", "none", "container:{ALICE_CTR}"]),
    ("HostConfig.PidMode", ["", "container:alice-cpu"]),
    ("HostConfig.IpcMode", ["", "private", "shareable", "none"]),
    ("HostConfig.Binds", [None, ["{ALICE_HOME}/project:/w"], ["{ALICE_HOME}/data:/d:ro"], ["alice-own:/v"], ["/anonymous"]]),
    ("HostConfig.Mounts", [None, [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20}}],
                           [{"Type": "volume", "Target": "/v", "VolumeOptions": {"NoCopy": True}}]]),
    ("HostConfig.VolumesFrom", [["alice-cpu:ro"]]),
    ("HostConfig.Tmpfs", [{"/t": ""}, {"/t": "size=1m,mode=1777"}]),
    ("HostConfig.DeviceRequests", [None, [], [GPU]]),
    ("HostConfig.Runtime", ["", "runc"]),
    ("HostConfig.MemorySwappiness", [-1, None, 10]),
    ("HostConfig.LogConfig", [{"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3", "tag": "{{.Name}}/{{.ID}}"}},
                              {"Type": "local"}, {"Type": "none"}]),
    ("HostConfig.PortBindings", [{"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}, {f"{n}/tcp": [{}] for n in range(1, 9)}]),
    ("HostConfig.RestartPolicy", [{"Name": "on-failure", "MaximumRetryCount": 3}, {"Name": ""}]),
    ("Env", [["A=b", "NVIDIA_DRIVER_CAPABILITIES=compute"], None]),
    ("Labels", [{"com.example": "x", "Ds01": "not ours"}, {"long": "x" * 100_000}]),
    ("WorkingDir", ["", "/w", "/process", "/srv/../w"]),
    ("Healthcheck", [{"Test": ["CMD", "true"], "Interval": 30_000_000_000}, {"Test": ["NONE"]}]),
    ("StopTimeout", [0, 30]),
    ("Volumes", [{}, {"/a": {}, "/b": {}}]),
]


def body_of(field, value, spelling=None):
    """A create body with one field of it."""
    first, _, inner = field.partition(".")
    body = json.loads(json.dumps(SLEEP))
    if not inner:
        body.pop(first, None) if spelling else None
        body[spelling or first] = value
    else:
        body[first] = {spelling or inner: value}
    return body


def spellings(name):
    """The other ways in which Go's decoder reads this name."""
    folded = name.lower()
    yield folded
    for letter, other in (("s", "\u017f"), ("k", "\u212a")):
        if letter in folded:
            yield folded.replace(letter, other, 1)


def field_of(found, field):
    value = found["HostConfig"] if field.startswith(ROOT) else found["Config"]
    last = field.rpartition(".")[2]
    if field.startswith("NetworkingConfig"):
        return found["NetworkSettings"]["Networks"]
    return value.get(last)


def ask(attempt, body):
    """The reply to a create, and what the Engine has of it; nothing of it is left behind."""
    world = attempt.world
    reply = world.ask(world.alice, "POST", "/v1.41/containers/create?name=rt", body)
    found = world.inspect("rt")
    if found:
        world.ask(world.alice, "DELETE", "/v1.41/containers/rt?force=1&v=1")
    return reply, found


# A refusal may name the thing itself instead of the field.
THINGS = {"Image": "image", "NetworkMode": "network|container", "EndpointsConfig": "network", "Links": "container",
          "VolumesFrom": "container", "PidMode": "container", "IpcMode": "container", "Binds": "/|volume",
          "Mounts": "/|volume|image", "DeviceRequests": "GPU|--gpus", "Devices": "device", "Volumes": "volumes",
          "PortBindings": "port", "Labels": "labels", "Cmd": "command", "Tmpfs": "file systems in memory"}


def names_it(field, reply):
    """Whether a refusal says which thing it refuses."""
    name = field.rpartition(".")[2]
    return name in reply.message() or any(thing in reply.message() for thing in THINGS.get(name, name).split("|"))


def dangerous(attempt):
    """No dangerous value reaches the Engine, however its field is spelt."""
    world, faults = attempt.world, []
    for field, values in DANGEROUS:
        name = field.rpartition(".")[2]
        for number, value in enumerate(world.fill(values)):
            for spelling in (name, *(spellings(name) if number == 0 else ())):
                reply, found = ask(attempt, body_of(field, value, spelling))
                shown = f"{field} as {spelling} = {json.dumps(value)[:80]}"
                if reply.status >= 500 or reply.status == 0:
                    faults.append(f"{shown}: {reply.status} {reply.message()}")
                elif reply.status >= 400:
                    faults += [f"{shown}: denied, and there"] if found else []
                    faults += [] if names_it(field, reply) else [f"{shown}: the refusal names nothing: {reply.message()}"]
                elif found is None:
                    faults.append(f"{shown}: {reply.status}, and nothing is there")
                else:
                    kept = field_of(found, field)
                    faults += [f"{shown}: reached the Engine"] if kept == value else []
                    faults += [f"{shown}: {fault}" for fault in invariants.of_container(world, found)]
            if number:
                continue
            # Said harmlessly first, then again in another spelling: Go would take the last.
            reply, found = ask(attempt, {**SLEEP, "HostConfig": {name: None, name.lower(): value}}
                               if field.startswith(ROOT) else {**SLEEP, name: None, name.lower(): value})
            if reply.status != 400 or found:
                faults.append(f"{field} twice in two spellings: {reply.status}")
            if field.startswith(ROOT) and value:
                # Engines up to 26.1 obeyed these at the top.
                reply, found = ask(attempt, {**SLEEP, name: value})
                if reply.status != 400 or name not in reply.message() or found:
                    faults.append(f"{name} at the top of the body: {reply.status} {reply.message()}")
    return faults


def harmless(attempt):
    """Values that harm nobody are taken, and reach the Engine."""
    world, faults = attempt.world, []
    for field, values in HARMLESS:
        for value in world.fill(values):
            reply, found = ask(attempt, body_of(field, value))
            if reply.status != 201 or not found:
                faults.append(f"{field} = {json.dumps(value)[:80]}: {reply.status} {reply.message()}")
    world.ask(world.alice, "DELETE", "/v1.41/volumes/alice-own")
    return faults


INSTEAD = {"own-f01": dangerous, "own-f02": harmless}
