"""Looks at the Engine and the host that always.py takes by the kind of a request, and two that one given case's
`check` asks for beside them.

A check gets the try and returns its faults. It must never be satisfied by a status alone where there is something
to look at.
"""

import os
import re

import invariants

ID = re.compile(r"^[0-9a-f]{64}$")


def own_ids(attempt):
    listed = attempt.response.json()
    if not isinstance(listed, list):
        return ["the reply is no list"]
    mine = {e["Id"] for e in attempt.world.containers() if (e.get("Labels") or {}).get("ds01.owner") == str(attempt.world.alice.uid)}
    return [f"the list shows {entry['Id'][:12]}" for entry in listed if entry["Id"] not in mine]


def empty_list(attempt):
    return [] if attempt.response.json() == [] else ["the list is not empty"]


def bridge(attempt):
    """Both have a container on the bridge; she sees hers."""
    world = attempt.world
    mine = {e["Id"] for e in world.containers() if (e.get("Labels") or {}).get("ds01.owner") == str(world.alice.uid)}
    shown = set((attempt.response.json() or {}).get("Containers") or {})
    return [f"the network shows {one[:12]}" for one in shown - mine]


def exec_is_harmless(attempt):
    """An exec as root in a container with a bind makes a file of alice's."""
    world = attempt.world
    made = (attempt.response.json() or {}).get("Id", "")
    if not ID.match(made):
        return []
    found = world.engine("GET", f"/exec/{made}/json")
    faults = ["the exec is privileged"] if found["ProcessConfig"].get("privileged") else []
    world.exec("alice-cpu", "/bin/sh", "-c", "cp /bin/busybox /w/made-by-root; chmod 4755 /w/made-by-root; mknod /w/node b 8 0", user="0")
    faults += invariants.of_home(world)
    for name in ("made-by-root", "node"):
        if os.path.lexists(f"{world.alice.home}/{name}"):
            os.unlink(f"{world.alice.home}/{name}")
    return faults


def passwd_is_harmless(attempt):
    """Whatever the container's passwd says of her number, files that it makes are hers."""
    world = attempt.world
    made = world.create(world.alice, "alice-passwd", {
        "Image": "base:latest", "Cmd": ["/bin/sh", "-c", "id > /w/who; sleep 600"], "User": str(world.alice.uid),
        "StopTimeout": 0, "HostConfig": {"Binds": [f"{world.alice.home}:/w"]}}, start=False)
    world.ask(world.alice, "PUT", f"/v1.41/containers/{made}/archive?path=/", attempt.body, {"Content-Type": "application/x-tar"})
    world.must(world.alice, "POST", f"/v1.41/containers/{made}/start")
    path = f"{world.alice.home}/who"
    world.wait(lambda: os.path.exists(path) and os.path.getsize(path), "nobody wrote")
    with open(path, encoding="utf-8") as source:
        who = source.read()
    owner = os.stat(path).st_uid
    os.unlink(path)
    faults = [] if f"uid={world.alice.uid}" in who else [f"inside it is {who!r}"]
    faults += [f"inside it has {group}" for group in re.findall(r"\b(?:6|999)\([a-z]+\)", who)]
    return faults + ([] if owner == world.alice.uid else [f"the file belongs to {owner}"])


def never_two(attempt):
    """Whatever came of the start, no unit can be opened by two."""
    world, held, faults = attempt.world, {}, []
    for entry in world.containers():
        if entry["State"] == "running" and "ds01.owner" in (entry.get("Labels") or {}):
            for node in invariants.devices_of(world, entry["Id"]):
                held.setdefault(node, []).append(entry["Names"][0])
    faults += [f"{node} can be opened by {names}" for node, names in held.items() if len(names) > 1]
    return faults


def build_is_bounded(attempt):
    if attempt.response.status >= 400:
        return []
    said, world = attempt.response.text, attempt.world
    faults = [] if world.values["ALICE_SLICE"].strip("/") in said else ["the RUN step is not in alice's cgroup"]
    host = {name for name in os.listdir("/sys/class/net") if name not in ("lo", "eth0")}
    return faults + [f"the RUN step sees {name}" for name in host if name in said]


GIVEN = {"own-15": empty_list, "cp-02": passwd_is_harmless}
