"""What no container of a user ever is, whatever was asked: read from the Engine and from the kernel.

It answers for the list. It must never read what the door says of a container.
"""

import json
import os
import re

ADDABLE = {"SYS_PTRACE", "IPC_LOCK", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID",
           "SETPCAP", "SETUID", "SYS_CHROOT"}
# Bits of capability sets that no container of a user has: by number, as in linux/capability.h.
FORBIDDEN_BITS = {2: "DAC_READ_SEARCH", 12: "NET_ADMIN", 13: "NET_RAW", 16: "SYS_MODULE", 17: "SYS_RAWIO",
                  21: "SYS_ADMIN", 27: "MKNOD", 29: "AUDIT_WRITE", 31: "SETFCAP", 38: "PERFMON", 39: "BPF"}
PIDS_MAX = 2048
SHM_MAX = 1 << 30
STOP_SECONDS_MAX = 120
HEALTH_NANOSECONDS_MIN = 1_000_000_000
NOFILE_MAX = 1 << 20


def capability(name):
    name = name.upper()
    return name[4:] if name.startswith("CAP_") else name


def of_container(world, found):
    """The faults of a container as the Engine has it."""
    host, config = found["HostConfig"], found["Config"]
    return [fault for fault in (*_powers(world, host), *_sharing(world, host), *_limits(world, host, config),
                                *_mounts(world, found), *_identity(world, host, config)) if fault]


def _powers(world, host):
    yield host["Privileged"] and "it is privileged"
    added = {capability(name) for name in host["CapAdd"] or []}
    yield added - ADDABLE and f"it has the capabilities {sorted(added - ADDABLE)}"
    dropped = {capability(name) for name in host["CapDrop"] or []}
    yield not {"MKNOD", "NET_RAW", "SETFCAP", "AUDIT_WRITE"} <= dropped and "ALL" not in dropped and f"it keeps MKNOD and the like: {sorted(dropped)}"
    for option in host["SecurityOpt"] or []:
        yield not re.fullmatch("no-new-privileges(:true|=true)?", option) and f"its security options have {option}"
    yield host["MaskedPaths"] == [] and "nothing of /proc is masked"
    yield host["ReadonlyPaths"] == [] and "nothing of /proc is read-only"
    for field in ("Devices", "DeviceCgroupRules", "DeviceRequests", "Annotations", "Links", "BlkioDeviceReadBps"):
        yield host.get(field) and f"{field} reached the Engine: {host[field]}"
    yield host["LogConfig"]["Type"] not in ("json-file", "local", "none") and f"it logs to {host['LogConfig']['Type']}"
    for group in host["GroupAdd"] or []:
        yield not (group.isdigit() and int(group) in world.alice.groups) and f"it is in the group {group}"
    for name in host.get("Sysctls") or {}:
        yield name in ("net.ipv4.ip_forward", "kernel.core_pattern") and f"it sets {name}"


def _sharing(world, host):
    for field in ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode"):
        yield host.get(field) == "host" and field != "CgroupnsMode" and f"{field} is the host's"
    everything = json.dumps(host)
    for mine in ("BOB_CTR", "BOB_NET_ID", "BOB_VOL", "BOB_NET"):
        yield world.values[mine] in everything and f"it is bound to bob's {world.values[mine]}"
    yield host["CgroupParent"] != world.values["ALICE_SLICE"] and f"its cgroup lies in {host['CgroupParent']!r}"
    yield host["Cgroup"] and "it joins a cgroup"
    yield host["Runtime"] not in ("runc", "ds01") and f"its runtime is {host['Runtime']}"


def _limits(world, host, config):
    quota = world.values["QUOTA_MEM"]
    yield not 0 < host["Memory"] <= quota and f"its memory is {host['Memory']}"
    yield not 0 < host["MemorySwap"] <= 2 * quota and f"its memory and swap are {host['MemorySwap']}"
    yield not 0 < (host["PidsLimit"] or 0) <= PIDS_MAX and f"its processes are {host['PidsLimit']}"
    yield not 0 < host["ShmSize"] <= SHM_MAX and f"its /dev/shm is {host['ShmSize']}"
    yield not 0 < host["NanoCpus"] <= 4_000_000_000 and not host["CpuQuota"] and f"its CPUs are {host['NanoCpus']}"
    yield host["OomScoreAdj"] < 0 and "it is spared before the system"
    yield host["OomKillDisable"] and "it hangs at its limit"
    yield host.get("StorageOpt") and f"its storage options are {host['StorageOpt']}"
    for limit in host["Ulimits"] or []:
        yield limit["Name"] in ("rtprio", "nice") and f"its ulimits have {limit['Name']}"
        yield limit["Name"] == "nofile" and limit["Hard"] > NOFILE_MAX and f"its nofile is {limit['Hard']}"
    for path, options in (host.get("Tmpfs") or {}).items():
        sizes = [int(n) for n in re.findall(r"size=(\d+)", options)]
        yield not {"nosuid", "nodev"} <= set(options.split(",")) and f"tmpfs {path} has {options}"
        yield any(size > quota for size in sizes) and f"tmpfs {path} has {options}"
    yield (config.get("StopTimeout") or 0) > STOP_SECONDS_MAX and f"a stop waits {config['StopTimeout']} s"
    health = config.get("Healthcheck") or {}
    yield 0 < health.get("Interval", 0) < HEALTH_NANOSECONDS_MIN and f"it is checked every {health['Interval']} ns"


def _mounts(world, found):
    for mount in found["Mounts"]:
        if mount["Type"] == "bind":
            yield not mount["Source"].startswith(world.values["STAGE"] + "/") and f"{mount['Source']} of the host is mounted"
            yield mount["Propagation"] not in ("rprivate", "private") and f"mounts pass at {mount['Destination']}"
        elif mount["Type"] == "volume":
            volume = world.engine("GET", "/volumes/" + mount["Name"])
            yield (volume["Driver"] != "local" or volume["Options"]) and f"volume {mount['Name']} has {volume['Options']}"


def _identity(world, host, config):
    labels = {key: value for key, value in (config["Labels"] or {}).items() if key.startswith("ds01.")}
    yield labels.get("ds01.owner") != str(world.alice.uid) and f"its owner is {labels.get('ds01.owner')}"
    yield set(labels) - {"ds01.owner", "ds01.token"} and f"it bears forged labels: {sorted(labels)}"
    chosen = [value for value in config["Env"] or [] if value.startswith("NVIDIA_VISIBLE_DEVICES")]
    yield chosen != ["NVIDIA_VISIBLE_DEVICES=void"] and f"at create it is told {chosen}"
    steering = ("NVIDIA_MIG_CONFIG_DEVICES", "NVIDIA_MIG_MONITOR_DEVICES", "NVIDIA_IMEX_CHANNELS", "DOCKER_RESOURCE_", "CUDA_MPS_PIPE")
    for value in config["Env"] or []:
        yield value.startswith(steering) and f"it is told {value}"
    directory = config.get("WorkingDir") or "/"
    yield re.match("/(proc|sys)(/|$)", os.path.normpath(directory)) and f"it works in {directory}"
    yield host["Runtime"] == "ds01" and host["RestartPolicy"]["Name"] not in ("", "no") and "the Engine would restart it with its GPU"


def of_process(world, found):
    """The faults of its first process, if it runs."""
    pid = found["State"]["Pid"]
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as source:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in source if ":\t" in line)
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as source:
            cgroups = source.read()
    except (FileNotFoundError, ProcessLookupError):
        return []
    faults = _forbidden(status, "process 1")
    if world.values["ALICE_SLICE"].strip("/") not in cgroups:
        faults.append(f"process 1 is not under {world.values['ALICE_SLICE']}")
    for kind in ("pid", "net", "ipc", "uts", "mnt"):
        inner = os.readlink(f"/proc/{pid}/ns/{kind}")
        if inner in (os.readlink(f"/proc/self/ns/{kind}"), os.readlink(f"/proc/{world.engine_pid()}/ns/{kind}")):
            faults.append(f"process 1 is in the host's {kind} namespace")
    return faults


def _forbidden(status, who):
    bits = int(status["CapBnd"], 16) | int(status["CapEff"], 16) | int(status["CapAmb"], 16)
    return [f"{who} could have {name}" for bit, name in FORBIDDEN_BITS.items() if bits >> bit & 1]


def of_rights(pid, who):
    """The faults of a process in a container, by its number on the host."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as source:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in source if ":\t" in line)
        works_in = os.readlink(f"/proc/{pid}/cwd")
        unconfined = status.get("Seccomp") == "0"
    except (FileNotFoundError, ProcessLookupError):
        return []
    faults = _forbidden(status, who) + ([f"{who} has no seccomp filter"] if unconfined else [])
    return faults + ([f"{who} works in {works_in}"] if works_in.startswith(("/proc", "/sys")) else [])


def of_objects(world):
    """The faults of alice's volumes and networks: neither is a door to a mount or to the machine's network."""
    faults = []
    for volume in world.engine("GET", "/volumes")["Volumes"] or []:
        if volume["Driver"] != "local" or not _in_memory(world, volume["Options"] or {}):
            faults.append(f"volume {volume['Name']} has {volume['Driver']} {volume['Options']}")
    for network in world.engine("GET", "/networks"):
        if network["Name"] in ("bridge", "host", "none"):
            continue
        options = set(network["Options"] or {}) - {"com.docker.network.driver.mtu"}
        if network["Driver"] != "bridge" or options or network["Ingress"] or network["ConfigOnly"]:
            faults.append(f"network {network['Name']} is {network['Driver']} with {sorted(options)}")
    return faults


def _in_memory(world, options):
    """Whether a volume's options are none, or those of a file system in memory with a size and without rights."""
    words = set(options.get("o", "").split(","))
    sizes = [re.fullmatch(r"size=(\d+)([kmg]?)", word) for word in words if word.startswith("size=")]
    bounded = sizes and all(size and int(size[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[size[2]] <= world.values["QUOTA_MEM"] for size in sizes)
    return not options or (options.get("type") == "tmpfs" and {"nosuid", "nodev"} <= words and bounded and set(options) <= {"type", "o", "device"})


def of_units(world, container, asked):
    """A container opens as many units as its owner may have in one: none where none was asked for."""
    mine = devices_of(world, container)
    return [f"it can open {sorted(mine)}"] if len(mine) > (1 if asked else 0) else []


def devices_of(world, container):
    """The GPU nodes that can really be opened inside, by their numbers."""
    script = 'for d in /dev/nvidia[0-9]*; do [ -e "$d" ] && : 2>/dev/null <"$d" && stat -c %t:%T "$d"; done; true'
    out, _ = world.exec(container, "/bin/sh", "-c", script)
    return set(re.findall(r"^[0-9a-f]+:[0-9a-f]+$", out, re.M))


def of_home(world):
    """The faults of what lies in alice's home on the host."""
    faults = []
    for where, directories, files in os.walk(world.alice.home):
        for name in files + directories:
            path = os.path.join(where, name)
            found = os.lstat(path)
            kind = found.st_mode & 0o170000
            if found.st_mode & 0o6000 and found.st_uid != world.alice.uid:
                faults.append(f"{path} is set-id of {found.st_uid}")
            if kind in (0o020000, 0o060000):
                faults.append(f"{path} is a device node")
            if found.st_uid == 0 and not path.endswith(".keep"):
                faults.append(f"{path} belongs to root")
            if kind == 0o100000 and any(name.startswith(("security.cap", "trusted.")) for name in os.listxattr(path)):
                faults.append(f"{path} has {os.listxattr(path)}")
    return faults
