"""The fields of a case that say what is done around its request: before, after, and what must hold on the host.

It answers for the fields that cases of our own have beside the given form, and for carrying out what words.py read
in a `setup`. README.md describes the fields.
"""

import base64
import json
import os
import subprocess

import bodies
import wire
import words

SHELL_SECONDS_MAX = 60


def body_of(world, case, cases=None):
    """The bytes of a request's body, and the headers that a case of words gets."""
    headers = dict(case.get("headers", {}))
    if "tar" in case:
        headers.setdefault("Content-Type", "application/x-tar")
        return bodies.archive(world.fill({"tar": case["tar"], "compress": case.get("compress", "")})), headers
    body = case.get("body")
    if isinstance(body, str) and body.startswith("{TAR"):
        return bodies.archive(world.fill(words.archive(case, cases or {}))), headers
    if body is None:
        return b"", headers
    if isinstance(body, str) and case.get("body_encoding") == "base64":
        return base64.b64decode(body), headers
    if isinstance(body, str):
        return world.fill(body).encode("utf-8"), headers
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    return json.dumps(world.fill(body)).encode("utf-8"), headers


def step(world, one):
    """One request of `before` or `after`; what it must answer is in `status`, what is kept of it in `save`."""
    people = {"alice": world.alice, "bob": world.bob}
    who = one.get("as", "alice")
    for _ in range(one.get("times", 1)):
        body, headers = body_of(world, one)
        path = world.fill(one["path"])
        if who == "engine":
            data = wire.request_bytes(one["method"], path, headers, body)
            reply = wire.Response(wire.exchange(world.engine_path, data))
        else:
            reply = world.ask(people[who], one["method"], path, body or None, headers)
    wanted = str(one.get("status", "2"))
    if not any(str(reply.status).startswith(word) for word in wanted.split("|")):
        return [f"{who} {one['method']} {path}: {reply.status} {reply.message() or reply.text[-200:]}"]
    if "save" in one:
        value = reply.json()
        for part in one.get("take", "Id").split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        world.values[one["save"]] = value
    faults = [f"{path} answers without {text!r}" for text in world.fill(one.get("has", [])) if text not in reply.text]
    return faults + [f"{path} answers with {text!r}" for text in world.fill(one.get("lacks", [])) if text in reply.text]


def shell(world, script, container=None):
    """A script on the host; its failure is a fault, with its last words."""
    values = {key: str(value) for key, value in world.values.items()}
    environment = {**os.environ, **values, "CTR": container or ""}
    done = subprocess.run(["/bin/bash", "-euc", world.fill(script)], env=environment, capture_output=True, text=True,
                          timeout=SHELL_SECONDS_MAX, check=False)
    said = (done.stdout + done.stderr).strip().splitlines()
    return [f"on the host: {script}: {' '.join(said[-3:])}"] if done.returncode else []


def as_alice(world, command):
    """A command of a `setup`, in her home and with her rights."""
    run = ["setpriv", f"--reuid={world.alice.uid}", f"--regid={world.alice.gid}", "--clear-groups", "/bin/sh", "-c", world.fill(command)]
    done = subprocess.run(run, cwd=world.alice.home, capture_output=True, text=True, timeout=SHELL_SECONDS_MAX, check=False)
    return [f"setup: {command}: {done.stderr.strip()}"] if done.returncode else []


def before(world, case, setup):
    faults = []
    for one in case.get("before", []):
        faults += step(world, one)
    for name, (source, begin, end) in case.get("prefix", {}).items():
        world.values[name] = str(world.values[source])[begin:end]
    if "before_host" in case:
        faults += shell(world, case["before_host"])
    for command in setup.before:
        faults += as_alice(world, command)
    if setup.gpu_to_bob:
        faults += gpu_is_taken(world)
    return faults


def after(world, case, attempt):
    """What follows in a case of our own, and what must hold."""
    faults = []
    world.values["CTR"] = attempt.created or ""
    if "save" in case and attempt.response.status < 400:
        world.values[case["save"]] = attempt.response.json()[case.get("take", "Id")]
    for one in case.get("after", []):
        faults += step(world, one)
    if "host" in case and not (case.get("host_if_accepted") and attempt.response.status >= 400):
        faults += shell(world, case["host"], attempt.created)
    faults += [f"the reply lacks {text!r}" for text in world.fill(case.get("has", [])) if text not in attempt.response.text]
    faults += [f"the reply shows {text!r}" for text in world.fill(case.get("lacks", [])) if text in attempt.response.text]
    for one in case.get("cleanup", []):
        step(world, {**one, "status": "|".join("12345")})
    return faults


def gpu_is_taken(world):
    """alice's container stops, and bob takes every unit there is."""
    world.must(world.alice, "POST", "/v1.41/containers/alice-gpu/stop?t=0")
    body = {"Image": "base:latest", "Cmd": ["/bin/sleep", "600"], "StopTimeout": 0,
            "HostConfig": {"DeviceRequests": [{"Count": 1, "Capabilities": [["gpu"]]}]}}
    for number in range(2):
        world.create(world.bob, f"bob-gpu-{number}", body)
    return []


def gpu_is_given_back(world):
    for number in range(2):
        world.ask(world.bob, "DELETE", f"/v1.41/containers/bob-gpu-{number}?force=1")
    world.must(world.alice, "POST", "/v1.41/containers/alice-gpu/start")
