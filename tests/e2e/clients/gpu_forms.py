#!/usr/bin/python3
"""Every way in which a client can ask for a GPU ends in exactly the units that were granted, or in a refusal.

    gpu_forms.py DEVICES     DEVICES: ds01d's own list of the devices that it made (JSON), unit by unit
"""
import json
import sys

import door

checks = door.Checks()
numbers = {d["unit"]: f"{d['major']}:{d['minor']}" for d in json.loads(sys.argv[1])["devices"]}
machine = door.ask("GET", "/ds01/v1/machine").json
units = {unit["address"]: unit["id"] for card in machine["cards"] for unit in card["units"]}
GPU, BIG, SMALL = units["0"], units["1:0"], units["1:2"]

# What a process sees: the variable, the nodes, those of them that it can open. Hexadecimal from stat.
LOOK = r'''
echo "variable ${NVIDIA_VISIBLE_DEVICES-unset}"
for node in /dev/nvidia* /dev/nvidia-caps/*; do
    [ -e "$node" ] || continue
    number=$(printf '%d:%d' $(stat -c '0x%t 0x%T' "$node"))
    if : <"$node"; then echo "opens $number"; else echo "shut $number"; fi 2>/dev/null
done
for key in DOCKER_RESOURCE_GPU NVIDIA_IMEX_CHANNELS; do [ -z "$(printenv $key)" ] || echo "leaks $key"; done
'''


def requests(*asked):
    return {"HostConfig": {"DeviceRequests": list(asked)}}


def gpu(count=0, ids=None, capabilities=(("gpu",),), driver=""):
    return {"Driver": driver, "Count": count, "DeviceIDs": ids, "Capabilities": capabilities, "Options": None}


def cdi(*names, driver="cdi"):
    return gpu(ids=list(names), capabilities=None, driver=driver)


def runtime(value, **more):
    return {"Env": [f"NVIDIA_VISIBLE_DEVICES={value}"], "HostConfig": {"Runtime": "nvidia"}, **more}


def devices(*paths):
    return {"HostConfig": {"Devices": [
        {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"} for path in paths]}}


def binds(*given):
    return {"HostConfig": {"Binds": list(given)}}


# What is asked → how many units, or which ones.
GRANTED = {
    "--gpus all": (requests(gpu(-1)), 1),
    "--gpus 1": (requests(gpu(1)), 1),
    "--gpus 2": (requests(gpu(2)), 2),
    "--gpus device=0": (requests(gpu(ids=["0"])), [GPU]),
    "--gpus device=1:0": (requests(gpu(ids=["1:0"])), [BIG]),
    "--gpus device=GPU-…": (requests(gpu(ids=[GPU])), [GPU]),
    "--gpus device=MIG-…": (requests(gpu(ids=[SMALL])), [SMALL]),
    "--gpus device=0,1:2": (requests(gpu(ids=["0", "1:2"])), [GPU, SMALL]),
    "capabilities utility and gpu": (requests(gpu(1, capabilities=[["utility", "gpu"]])), 1),
    "capability compute alone": (requests(gpu(-1, capabilities=[["compute"]])), 1),
    "capability nvidia alone": (requests(gpu(-1, capabilities=[["nvidia"]])), 1),
    "capability video alone": (requests(gpu(-1, capabilities=[["video"]])), 1),
    "two requests": (requests(gpu(1), gpu(1)), 2),
    "two requests with ids": (requests(gpu(ids=["0"]), gpu(ids=["1:0"])), [GPU, BIG]),
    "driver nvidia": (requests(gpu(1, driver="nvidia")), 1),
    "driver nvidia.runtime-hook": (requests(gpu(1, driver="nvidia.runtime-hook")), 1),
    "driver nvidia.cdi": (requests(cdi("nvidia.com/gpu=0", driver="nvidia.cdi")), [GPU]),
    "CDI by index": (requests(cdi("nvidia.com/gpu=0")), [GPU]),
    "CDI by slice": (requests(cdi("nvidia.com/gpu=1:0")), [BIG]),
    "CDI by UUID": (requests(cdi(f"nvidia.com/gpu={SMALL}")), [SMALL]),
    "CDI all": (requests(cdi("nvidia.com/gpu=all")), 1),
    "runtime nvidia, all": (runtime("all"), 1),
    "runtime nvidia, index": (runtime("0"), [GPU]),
    "runtime nvidia, slice": (runtime("1:0"), [BIG]),
    "runtime nvidia, UUID": (runtime(SMALL), [SMALL]),
    "runtime nvidia, list": (runtime(f"0,{SMALL}"), [GPU, SMALL]),
    "runtime nvidia, CDI name": (runtime("nvidia.com/gpu=0"), [GPU]),
    "runtime nvidia, runtime.nvidia.com": (runtime("runtime.nvidia.com/gpu=all"), 1),
    "runtime nvidia, an image that says all": (runtime("0", Image="rt-nvidia-env:1"), [GPU]),
    "--device /dev/nvidia0": (devices("/dev/nvidia0"), [GPU]),
    "--device with its helpers": (devices("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"), [GPU]),
    "volume mount by index": (binds("/dev/null:/var/run/nvidia-container-devices/0"), [GPU]),
    "volume mount all": (binds("/dev/null:/var/run/nvidia-container-devices/all"), 1),
    "volume mount by CDI name": (binds("/dev/null:/var/run/nvidia-container-devices/cdi/nvidia.com/gpu/0"), [GPU]),
    "annotation": ({"HostConfig": {"Runtime": "nvidia", "Annotations": {"cdi.k8s.io/x": "nvidia.com/gpu=0"}}}, [GPU]),
    # Nobody asked: none, and nothing that could be taken for one.
    "nothing": ({}, 0),
    "nothing, an image that says all": ({"Image": "rt-nvidia-env:1"}, 0),
    "--gpus 0": (requests(gpu(0)), 0),
    "--gpus 0, an image that says all": ({"Image": "rt-nvidia-env:1", **requests(gpu(0))}, 0),
    "the variable without the runtime": ({"Env": ["NVIDIA_VISIBLE_DEVICES=all"]}, 0),
    "the variable twice": ({"Env": ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_VISIBLE_DEVICES=0"]}, 0),
    "a legacy CUDA image": ({"Env": ["CUDA_VERSION=11.0"]}, 0),
    "a Swarm resource": ({"Env": [f"DOCKER_RESOURCE_GPU={GPU}"]}, 0),
    "the hinge by its own name": ({"HostConfig": {"Runtime": "ds01"}}, 0),
    "runtime nvidia, none": (runtime("none"), 0),
    "runtime nvidia, void": (runtime("void"), 0),
    "runtime nvidia, empty": (runtime(""), 0),
}

# What is asked → words of the refusal.
REFUSED = {
    "an index that is not there": (requests(gpu(ids=["7"])), "7"),
    "a slice that is not there": (requests(gpu(ids=["1:9"])), "1:9"),
    "a UUID that is not there": (requests(gpu(ids=["GPU-00000000-0000-0000-0000-000000000000"])), "GPU-0000"),
    "a card that is cut into slices": (requests(gpu(ids=["1"])), "1"),
    "more than the machine has": (requests(gpu(99)), "99"),
    "a device driver of another kind": (requests(gpu(1, driver="evil")), "evil"),
    "CDI of another vendor": (requests(cdi("vendor.com/net=all")), "vendor.com"),
    "privileged": ({"HostConfig": {"Privileged": True}}, "Privileged"),
    "device rules": ({"HostConfig": {"DeviceCgroupRules": ["c 195:* rwm"]}}, "DeviceCgroupRules"),
    "all of /dev": (binds("/dev:/dev"), "/dev"),
    "a bind of a node": (binds("/dev/loop0:/dev/nvidia0"), "/dev/loop0"),
    "another device": (devices("/dev/mem"), "/dev/mem"),
    "an unknown runtime": ({"HostConfig": {"Runtime": "kata"}}, "kata"),
}


def held():
    """What the door's books say is held, by container name."""
    cards = door.ask("GET", "/ds01/v1/machine").json["cards"]
    return [unit["id"] for card in cards for unit in card["units"] if "holder" in unit]


def create(asked):
    body = {"Image": "busybox", "Cmd": ["sh", "-c", LOOK + "echo end; exec sleep 600"], **asked}
    return door.ask("POST", "/v1.41/containers/create", body)


def seen(output):
    """The report of LOOK: (variable, sorted device numbers that open, what else there is)."""
    lines = [line.split(" ", 1) for line in output.decode().split("\n") if line and line != "end"]
    variable = next((value for key, value in lines if key == "variable"), None)
    opens = sorted(value for key, value in lines if key == "opens")
    return variable, opens, [line for line in lines if line[0] not in ("variable", "opens")]


def first_report(container):
    """What process 1 saw when it began."""
    with door.Connection() as connection:
        connection.send(door.request("GET", f"/v1.41/containers/{container}/logs?stdout=1&stderr=1&follow=1"))
        connection.head()
        while b"end\n" not in connection.buffer:
            if not connection.more():
                break
        text = connection.buffer
    lines = []
    for line in text.split(b"\n"):
        # Framed and chunked: what is wanted begins at its word.
        for word in (b"variable ", b"opens ", b"shut ", b"leaks "):
            if word in line:
                lines.append(line[line.index(word):].rstrip(b"\r"))
    return b"\n".join(lines)


def granted(name, asked, wanted):
    made = create(asked)
    if made.status != 201:
        return checks.holds(name, False, f"not created: {made.message}")
    container = made.json["Id"]
    try:
        started = door.ask("POST", f"/v1.41/containers/{container}/start")
        if started.status != 204:
            return checks.holds(name, False, f"not started: {started.message}")
        mine = held()
        if isinstance(wanted, int):
            checks.equal(f"{name}: units in the books", len(mine), wanted)
        else:
            checks.equal(f"{name}: units in the books", sorted(mine), sorted(wanted))
        opens = sorted(numbers[unit] for unit in mine)
        for where, report in (
            ("process 1", first_report(container)),
            ("exec", door.run_exec(container, ["sh", "-c", LOOK])[1]),
            ("exec as another user", door.run_exec(container, ["sh", "-c", LOOK], user="1234")[1]),
        ):
            variable, open_nodes, others = seen(report)
            checks.equal(f"{name}: the variable in {where}",
                         sorted(variable.split(",")) if variable else variable, sorted(mine) or ["void"])
            checks.equal(f"{name}: devices in {where}", open_nodes, opens)
            checks.equal(f"{name}: nothing else in {where}", others, [])
    finally:
        gone = door.ask("DELETE", f"/v1.41/containers/{container}?force=1")
        checks.equal(f"{name}: removed", gone.status, 204)


def refused(name, asked, words):
    made = create(asked)
    if made.status == 201:
        # A want that only the machine of the moment cannot serve may be refused at the start.
        made_id = made.json["Id"]
        made = door.ask("POST", f"/v1.41/containers/{made_id}/start")
        door.ask("DELETE", f"/v1.41/containers/{made_id}?force=1")
    checks.holds(f"{name}: refused", made.status in (400, 403, 404, 409), f"answered {made.status}: {made.body[:200]}")
    checks.contains(f"{name}: says why", made.message, words)


for name, (asked, wanted) in GRANTED.items():
    granted(name, asked, wanted)
for name, (asked, words) in REFUSED.items():
    refused(name, asked, words)
checks.equal("nothing is held in the end", held(), [])
checks.equal("nothing is left", door.ask("GET", "/v1.41/containers/json?all=1").json, [])
checks.end("forms of asking for a GPU")
