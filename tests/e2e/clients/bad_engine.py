#!/usr/bin/python3
"""What clients hear while the Engine is down, slow or answers rubbish: a clear sentence, soon.

    bad_engine.py WHAT SECONDS    WHAT: what is wrong with the Engine; SECONDS: how soon an answer must come
"""
import sys
import time

import door

checks = door.Checks()
what, seconds = sys.argv[1], float(sys.argv[2])
BUSYBOX = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"DeviceRequests": [{"Count": 1, "Capabilities": [["gpu"]]}]}}
for method, target, body in (
    ("GET", "/v1.41/containers/json", None),
    ("GET", "/v1.41/containers/steady/json", None),
    ("GET", "/v1.41/info", None),
    ("GET", "/v1.41/images/json", None),
    ("GET", "/v1.41/volumes", None),
    ("POST", "/v1.41/containers/create?name=never", BUSYBOX),
    ("POST", "/v1.41/containers/steady/exec", {"Cmd": ["true"]}),
    ("POST", "/v1.41/containers/waiting/start", None),
    ("POST", "/v1.41/volumes/create", {"Name": "never"}),
):
    name = f"{what}: {method} {target.split('/', 2)[2].split('?')[0]}"
    began = time.monotonic()
    try:
        reply = door.ask(method, target, body, timeout=seconds + 5)
    except (OSError, EOFError) as error:
        checks.holds(name, False, f"no answer: {error!r}")
        continue
    took = time.monotonic() - began
    if what in ("nonsense", "text") and reply.status < 500:
        # A reply is a reply: what the door does not have to understand it hands on.
        continue
    checks.holds(f"{name}: an error", reply.status in (500, 502, 503, 504), f"{reply.status} {reply.body[:120]}")
    checks.holds(f"{name}: a sentence that says what to do", any(
        words in (reply.message or "") for words in ("tell an admin", "look with `docker ps -a`")), reply.message)
    checks.holds(f"{name}: within {seconds} s", took < seconds, took)
    checks.holds(f"{name}: nothing of its insides", not any(
        inside in (reply.message or "") for inside in ("hyper", "serde", "engine/docker.sock", "os error", "channel")), reply.message)
# DS01's own answers need no Engine, or say that they do.
began = time.monotonic()
checks.equal(f"{what}: who am I", door.ask("GET", "/ds01/v1/whoami").json["name"], "alice")
limits = door.ask("GET", "/ds01/v1/limits")
checks.holds(f"{what}: my limits", limits.status == 200 or "admin" in limits.message, limits.body)
checks.equal(f"{what}: the machine", door.ask("GET", "/ds01/v1/machine").status, 200)
checks.holds(f"{what}: at once", time.monotonic() - began < 2)
checks.end(f"an Engine that is {what}")
