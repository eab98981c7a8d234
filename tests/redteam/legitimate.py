"""What each legitimate request of the given corpus must come to: what was asked for really works."""

import json
import os
import re
import stat
import urllib.parse


def _wrong(condition, fault):
    return [fault] if condition else []


def terminal_is_kept(attempt):
    config = attempt.found["Config"]
    return _wrong(not (config["Tty"] and config["OpenStdin"]), "Tty or OpenStdin was lost")


def files_are_hers(attempt):
    world = attempt.world
    out, code = world.exec(attempt.created, "/bin/sh", "-c", "echo new > /workspace/new && mkdir /workspace/d")
    faults = _wrong(code, f"nothing can be written: {out}")
    for name in ("new", "d"):
        path = f"{world.alice.home}/project/{name}"
        owner = (os.lstat(path).st_uid, os.lstat(path).st_gid) if os.path.lexists(path) else None
        faults += _wrong(owner != (world.alice.uid, world.alice.gid), f"{name} belongs to {owner}")
        if owner:
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
    return faults


def is_read_only(attempt):
    out, code = attempt.world.exec(attempt.created, "/bin/sh", "-c", "cat /data/numbers && touch /data/x")
    return _wrong(code == 0 or "original" not in out or "Read-only" not in out, f"it says {out!r}")


def share_is_there(attempt):
    out, _ = attempt.world.exec(attempt.created, "/bin/cat", "/datasets/shared.txt")
    return _wrong("shared" not in out, f"it says {out!r}")


def volume_is_hers(attempt):
    world = attempt.world
    mine = world.ask(world.alice, "GET", "/v1.41/volumes/alice-cache").status
    his = world.ask(world.bob, "GET", "/v1.41/volumes/alice-cache").status
    faults = _wrong((mine, his) != (200, 404), f"she gets {mine}, bob {his}")
    world.ask(world.alice, "DELETE", f"/v1.41/containers/{attempt.created}?force=1")
    world.ask(world.alice, "DELETE", "/v1.41/volumes/alice-cache")
    return faults


def shows_what_was_asked(attempt):
    world = attempt.world
    shown = world.ask(world.alice, "GET", f"/v1.41/containers/{attempt.created}/json").json()
    sources = [mount.get("Source") for mount in shown["HostConfig"]["Mounts"]] + [m.get("Source") for m in shown["Mounts"]]
    faults = _wrong(f"{world.alice.home}/project" not in sources, f"inspect shows {sources}")
    faults += _wrong(any(str(s).startswith(world.values["STAGE"]) for s in sources), "inspect shows the stage")
    labels = shown["Config"]["Labels"]
    return faults + _wrong(labels.get("devcontainer.local_folder") != f"{world.alice.home}/project", f"labels are {labels}")


def port_is_published(attempt):
    bound = attempt.world.inspect(attempt.created)["NetworkSettings"]["Ports"].get("8888/tcp") or []
    return _wrong([b["HostPort"] for b in bound] != ["18888"], f"it is published at {bound}")


def restarts(attempt):
    policy = attempt.found["HostConfig"]["RestartPolicy"]["Name"]
    return _wrong(policy != "unless-stopped", f"the policy is {policy}")


def is_tight(attempt):
    host = attempt.found["HostConfig"]
    faults = _wrong("ALL" not in host["CapDrop"] or not host["ReadonlyRootfs"], "the tightening was lost")
    with open(f"/proc/{attempt.found['State']['Pid']}/status", encoding="utf-8") as source:
        said = source.read()
    faults += _wrong(not re.search(r"NoNewPrivs:\t1", said), "no-new-privileges was lost")
    return faults + _wrong(not re.search(r"CapEff:\t0+$", said, re.M), "it has capabilities")


def is_herself(attempt):
    world = attempt.world
    logs = f"/v1.41/containers/{attempt.created}/logs?stdout=1"
    out = world.wait(lambda: re.search("uid=.*", world.ask(world.alice, "GET", logs).text), "id says nothing").group(0)
    wanted = (f"uid={world.alice.uid}", f"gid={world.alice.gid}", str(world.alice.groups[-1]))
    return _wrong(not all(part in out for part in wanted), f"id says {out!r}")


def has_the_mounts(attempt):
    out, _ = attempt.world.exec(attempt.created, "/bin/cat", "/w/project/readme")
    return _wrong("original" not in out, f"it says {out!r}")


def hijacks(attempt):
    """101, what is typed comes back; without a terminal the end of input is seen inside and the output still comes."""
    world = attempt.world
    started = lambda got: b"101" in got and b"\r\n\r\n" in got
    typed = lambda got: started(got) and got.count(b"typed") >= 2
    reply = world.send(world.alice, upgrade(world.values["ALICE_EXEC"], True) + b"typed\n", until=typed)
    faults = _wrong(reply.status != 101 or not typed(reply.raw), f"at a terminal it says {reply.text!r}")
    command = {"Cmd": ["/bin/sort"], "AttachStdin": True, "AttachStdout": True}
    made = world.must(world.alice, "POST", "/v1.41/containers/alice-cpu/exec", command)["Id"]
    reply = world.send(world.alice, upgrade(made, False), until=started, then=b"last\nfirst\n")
    return faults + _wrong(b"first\nlast\n" not in reply.raw, f"after half-close it says {reply.text!r}")


def upgrade(number, terminal):
    body = json.dumps({"Detach": False, "Tty": terminal}).encode()
    head = (f"POST /v1.41/exec/{number}/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def file_is_there(attempt):
    out, _ = attempt.world.exec("alice-cpu", "/bin/cat", "/tmp/a.txt")
    return _wrong("hello" not in out, f"it says {out!r}")


def copied_file_is_hers(attempt):
    world = attempt.world
    path = f"{world.alice.home}/run.sh"
    if not os.path.exists(path):
        return ["the file is not there"]
    found = os.stat(path)
    os.unlink(path)
    faults = _wrong((found.st_uid, found.st_gid) != (world.alice.uid, world.alice.gid), f"it belongs to {found.st_uid}:{found.st_gid}")
    return faults + _wrong(stat.S_IMODE(found.st_mode) != 0o755, f"its mode is {stat.S_IMODE(found.st_mode):o}")


def image_is_hers(name):
    def check(attempt):
        world, path = attempt.world, f"/v1.41/images/{urllib.parse.quote(name)}/json"
        mine, his = world.ask(world.alice, "GET", path).status, world.ask(world.bob, "GET", path).status
        return _wrong((mine, his) != (200, 404), f"she gets {mine}, bob {his}")
    return check


def life_cycle(attempt):
    world, faults = attempt.world, []
    name = world.values["ALICE_CTR"]
    acts = [("POST", "start", ""), ("GET", "top", "?ps_args=aux"), ("GET", "stats", "?stream=0&one-shot=1"),
            ("POST", "rename", "?name=alice-renamed"), ("POST", "rename", "?name=alice-cpu"), ("POST", "resize", "?h=40&w=80"),
            ("POST", "pause", ""), ("POST", "unpause", ""), ("POST", "restart", "?t=0"), ("POST", "kill", ""),
            ("POST", "wait", ""), ("POST", "start", "")]
    for method, act, query in acts:
        reply = world.ask(world.alice, method, f"/v1.41/containers/{name}/{act}{query}")
        faults += _wrong(not 200 <= reply.status < 300, f"{act}: {reply.status} {reply.message()}")
    return faults


GIVEN = {
    "ok-01": terminal_is_kept, "ok-02": files_are_hers, "ok-03": is_read_only, "ok-04": share_is_there,
    "ok-05": volume_is_hers, "ok-08": shows_what_was_asked, "ok-10": port_is_published, "ok-12": restarts,
    "ok-16": is_tight, "ok-19": is_herself, "ok-21": has_the_mounts, "ok-25": file_is_there,
    "ok-26": copied_file_is_hers, "ok-27": image_is_hers("alice/snap:1"), "ok-28": image_is_hers("alice/x:1"),
    "ok-33": life_cycle,
}
# The whole case is in the code: nothing is sent before it.
INSTEAD = {"ok-24": hijacks}
