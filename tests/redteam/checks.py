"""What each case of the given corpus says in its `check`, in code: by id, looked at on the host.

A check gets the try and returns its faults. It must never be satisfied by a status alone where there is something
to look at.
"""

import json
import os
import re
import subprocess

import invariants

ID = re.compile(r"^[0-9a-f]{64}$")


def lacks(attempt, *texts):
    """Nothing of bob's in what came back."""
    values = attempt.world.values
    secrets = [values["SECRET"], "database-of-bob", *texts]
    return [f"the reply shows {text!r}" for text in secrets if text in attempt.response.text]


def own_ids(attempt):
    listed = attempt.response.json()
    if not isinstance(listed, list):
        return ["the reply is no list"]
    mine = {e["Id"] for e in attempt.world.containers() if (e.get("Labels") or {}).get("ds01.owner") == str(attempt.world.alice.uid)}
    return [f"the list shows {entry['Id'][:12]}" for entry in listed if entry["Id"] not in mine]


def empty_list(attempt):
    return [] if attempt.response.json() == [] else ["the list is not empty"]


def exec_of_bob(attempt):
    world = attempt.world
    _, code = world.exec("bob-db", "/bin/ls", "/tmp/foreign-exec-ran")
    return ["bob's command ran"] if code == 0 else []


def no_new_exec(attempt):
    ids = attempt.world.inspect("bob-db")["ExecIDs"] or []
    return [f"bob's container has a new exec {one}" for one in ids if one != attempt.world.values["BOB_EXEC"]]


def no_image(attempt):
    reply = attempt.world.engine("GET", "/images/alice/x/json", raw=True)
    return [] if reply.status == 404 else ["an image was made"]


def big_body(attempt):
    with open(os.path.join(attempt.world.directory, "lab/ds01d.pid"), encoding="utf-8") as source:
        pid = source.read().strip()
    with open(f"/proc/{pid}/status", encoding="utf-8") as source:
        high = int(re.search(r"VmHWM:\s+(\d+)", source.read()).group(1)) >> 10
    faults = [] if attempt.response.status == 413 else [f"the status is {attempt.response.status}"]
    return faults + ([f"the daemon grew to {high} MiB"] if high > 256 else [])


def shadowing(attempt):
    """alice's name equals the prefix of bob's id while she deletes by it, again and again."""
    world, name = attempt.world, attempt.world.values["BOB_CTR_PREFIX6"]
    body = {"Image": "base:latest", "Cmd": ["/bin/true"]}
    if os.fork() == 0:
        for _ in range(8):
            world.ask(world.alice, "POST", f"/v1.41/containers/create?name={name}", body)
        os._exit(0)
    for _ in range(24):
        world.ask(world.alice, "DELETE", f"/v1.41/containers/{name}?force=1")
    os.wait()
    return [] if world.inspect(world.values["BOB_CTR"]) else ["bob's container is gone"]


def events(attempt):
    """While alice listens, bob and she do the same."""
    world = attempt.world
    for who, name in ((world.bob, world.values["BOB_CTR"]), (world.alice, world.values["ALICE_CTR"])):
        command = {"Cmd": ["/bin/echo", f"marked-{who.name}"]}
        world.must(who, "POST", f"/v1.41/containers/{name}/exec", command)
    path = f"/v1.41/events?since={attempt.started:.0f}"
    mark = f"marked-{world.alice.name}".encode()
    attempt.response = world.ask(world.alice, "GET", path, until=lambda got: mark in got, seconds=10)
    faults = [] if mark.decode() in attempt.response.text else ["alice does not see her own event"]
    return faults + lacks(attempt, f"marked-{world.bob.name}", world.values["BOB_CTR"])


def bridge(attempt):
    """Both have a container on the bridge; she sees hers."""
    world = attempt.world
    mine = {e["Id"] for e in world.containers() if (e.get("Labels") or {}).get("ds01.owner") == str(world.alice.uid)}
    shown = set((attempt.response.json() or {}).get("Containers") or {})
    return [f"the network shows {one[:12]}" for one in shown - mine]


def inside(attempt):
    """Root of a container that holds the door's socket is its owner, not an admin."""
    world = attempt.world
    source = ("import socket\ns=socket.socket(socket.AF_UNIX)\ns.connect('/var/run/docker.sock')\n"
              "s.sendall(b'GET /v1.41/containers/json?all=1 HTTP/1.1\\r\\nHost: d\\r\\nConnection: close\\r\\n\\r\\n')\n"
              "while (b := s.recv(65536)): print(b.decode(), end='')\n")
    made = world.create(world.alice, "alice-inside", {
        "Image": "ds01-python:latest", "Cmd": ["sleep", "600"], "StopTimeout": 0,
        "HostConfig": {"Binds": ["/var/run/docker.sock:/var/run/docker.sock"]}})
    out, _ = world.exec(made, "python3", "-c", source, user="0")
    faults = [] if re.match(r"HTTP/1.1 (200|403)", out) else [f"the answer inside is {out[:200]!r}"]
    if world.values["BOB_CTR"] in out:
        faults.append("root inside sees bob's container")
    return faults + (["it does not answer as alice"] if " 200" in out[:20] and "alice-cpu" not in out else [])


def swapped(attempt):
    """The directory is swapped for a link after the create; started and restarted, the container sees the original."""
    world, faults = attempt.world, []
    home = world.alice.home
    os.rename(f"{home}/ws", f"{home}/ws.old")
    os.symlink("/etc", f"{home}/ws")
    for act in ("start", "restart"):
        wait = "?t=0" if act == "restart" else ""
        reply = world.ask(world.alice, "POST", f"/v1.41/containers/{attempt.created}/{act}{wait}")
        if reply.status >= 400:
            faults.append(f"{act}: {reply.status} {reply.message()}")
            continue
        out, _ = world.exec(attempt.created, "/bin/ls", "/w")
        if out.split() != ["marker"]:
            faults.append(f"after the {act} it sees {out.split()[:5]}")
    return faults


def user_is_numeric(attempt):
    user = attempt.found["Config"]["User"]
    return [] if re.fullmatch("[0-9]+:[0-9]+", user) else [f"User is {user!r}"]


def group_is_own(attempt):
    group = attempt.found["Config"]["User"].partition(":")[2]
    return [] if group.isdigit() and int(group) in attempt.world.alice.groups else [f"the group is {group!r}"]


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


def home_is_clean(attempt):
    faults = invariants.of_home(attempt.world)
    for name in ("rootsh", "gidsh", "disk", "capable"):
        if os.path.lexists(f"{attempt.world.alice.home}/{name}"):
            os.unlink(f"{attempt.world.alice.home}/{name}")
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


def limits_hold(attempt):
    return invariants.of_container(attempt.world, attempt.world.inspect("alice-cpu"))


def gpu_does_not_restart(attempt):
    policy = attempt.world.inspect("alice-gpu")["HostConfig"]["RestartPolicy"]
    harmless = policy["Name"] in ("", "no") or (policy["Name"] == "on-failure" and 0 < policy["MaximumRetryCount"] <= 3)
    return [] if harmless else [f"the Engine's policy is {policy}"]


def never_two(attempt):
    """Whatever came of the start, no unit can be opened by two."""
    world, held, faults = attempt.world, {}, []
    for entry in world.containers():
        if entry["State"] == "running" and "ds01.owner" in (entry.get("Labels") or {}):
            for node in invariants.devices_of(world, entry["Id"]):
                held.setdefault(node, []).append(entry["Names"][0])
    faults += [f"{node} can be opened by {names}" for node, names in held.items() if len(names) > 1]
    return faults


def no_new_volume(attempt):
    found = attempt.world.engine("GET", "/volumes")["Volumes"] or []
    return [f"volume {v['Name']} has {v['Options']}" for v in found if v["Options"] or v["Name"] == "rtv"]


def no_new_network(attempt):
    found = attempt.world.engine("GET", "/networks")
    return [f"network {n['Name']} was made" for n in found if n["Name"] == "rtn"]


def build_is_bounded(attempt):
    if attempt.response.status >= 400:
        return []
    said, world = attempt.response.text, attempt.world
    faults = [] if world.values["ALICE_SLICE"].strip("/") in said else ["the RUN step is not in alice's cgroup"]
    host = {name for name in os.listdir("/sys/class/net") if name not in ("lo", "eth0")}
    return faults + [f"the RUN step sees {name}" for name in host if name in said]


def build_sees_no_gpu(attempt):
    default = attempt.world.engine("GET", "/info")["DefaultRuntime"]
    faults = [] if default == "runc" else [f"the default runtime is {default}"]
    return faults + (["the RUN step saw a GPU"] if re.search(r"^\{\"stream\":\"SAW-A-GPU", attempt.response.text, re.M) else [])


def build_goes_on(attempt):
    return [] if attempt.world.builds() else ["bob's build ended"]


def header_is_secret(attempt):
    path = os.path.join(attempt.world.directory, "log/ds01d.log")
    with open(path, encoding="utf-8") as source:
        said = source.read()
    return ["the credentials are in the log"] if "eyJ1c2VybmFtZSI6" in said or "s3cret" in said else []


def nobody_was_called(attempt):
    """The Engine opened no connection to the address of the case."""
    out = subprocess.run(["ss", "-tanpH"], capture_output=True, text=True, check=False).stdout
    return ["the Engine dials 169.254.169.254"] if "169.254.169.254" in out else []


def name_is_not(name):
    return lambda attempt: [f"a container is called {name}"] if attempt.world.inspect(name) else []


def no_directory(path):
    return lambda attempt: [f"{path} was made"] if os.path.lexists(path) else []


GIVEN = {
    "json-20": big_body, "http-02": lacks, "http-03": lacks, "http-04": lacks, "http-08": name_is_not("ds01-admin"),
    "http-09": nobody_was_called, "http-11": lacks, "http-12": lacks, "http-13": lacks, "http-15": lacks,
    "http-18": lacks, "http-24": lacks, "own-01": lacks, "own-05": exec_of_bob,
    "own-07": no_new_exec, "own-09": lacks, "own-10": lacks, "own-12": no_image, "own-14": own_ids,
    "own-15": empty_list, "own-30": lambda a: lacks(a, a.world.values["BOB_CTR"], "bob-vol", f"ds01-{a.world.bob.name}"),
    "own-31": bridge, "root-33": swapped, "root-37": no_directory("/opt/evil2"),
    "root-40": user_is_numeric, "root-41": group_is_own, "exec-02": exec_is_harmless, "exec-03": exec_is_harmless,
    "cp-01": home_is_clean, "cp-02": passwd_is_harmless, "cp-03": home_is_clean, "cp-04": lacks,
    "upd-01": limits_hold, "upd-02": gpu_does_not_restart, "upd-03": limits_hold, "st-01": never_two,
    "st-03": no_directory("/etc/cron.d/c"), "vol-02": no_new_volume, "vol-03": no_new_volume, "vol-05": no_new_volume,
    "vol-06": no_new_volume, "vol-07": no_new_volume, "vol-08": no_new_volume, "net-02": no_new_network,
    "net-04": no_new_network, "bld-01": build_is_bounded, "bld-03": nobody_was_called, "bld-04": build_sees_no_gpu,
    "bld-08": build_goes_on, "img-08": header_is_secret, "sys-10": nobody_was_called,
}
# The whole case is in the code: nothing is sent before it.
INSTEAD = {"own-03": shadowing, "own-29": events, "own-34": inside}
