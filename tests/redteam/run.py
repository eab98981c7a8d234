#!/usr/bin/env python3
"""Runs the red-team cases against the door of a lab, as one of its users, and looks at the host for what came of it.

    run.py --lab DIR --alice NAME --bob NAME --share DIR [--cases DIR] [--only ID,…]

One row per case, and at the end `N passed, M failed`; the exit status says whether any failed. README.md describes
the form of the cases.
"""

import argparse
import glob
import json
import os
import re
import sys
import time

import checks
import fields
import invariants
import legitimate
import steps
import wire
from world import World

HERE = os.path.dirname(os.path.abspath(__file__))
CREATE = re.compile(r"^/(v1\.\d+/)?containers/create")
BIG_LABEL_BYTES = 20 << 20
HTTP_VERSION_NOT_SUPPORTED = 505
# What our labels are called is not what the corpus calls them; the invariants look at ours.
OTHER_LABELS = ("ds01.user", "ds01.protected")


class Try:
    """One case while it runs: what was sent, what came back, what there is now."""

    def __init__(self, world, case):
        self.world, self.case = world, case
        self.started = time.time() - 1
        self.body, self.response = b"", wire.Response(b"")
        self.created, self.found = None, None

    def send(self):
        world, case = self.world, self.case
        if "raw" in case:
            self.response = world.send(world.alice, world.fill(case["raw"]).encode("utf-8"), whole=False, seconds=2)
            return
        self.body, headers = steps.body_of(world, case)
        if case["id"] == "json-20":
            label = "x" * BIG_LABEL_BYTES
            self.body = json.dumps({"Image": "base:latest", "Labels": {"big": label}, "HostConfig": {"Privileged": True}}).encode()
        data = wire.request_bytes(case["method"], world.fill(case["path"]), headers, self.body)
        person = world.bob if case.get("as") == "bob" else world.alice
        self.response = world.send(person, data, seconds=case.get("seconds", wire.EXCHANGE_SECONDS_MAX))

    def look(self):
        """What a create made; started, where that shows more."""
        world, case = self.world, self.case
        if not CREATE.match(case.get("path", "")) or self.response.status != 201:
            return
        self.created = (self.response.json() or {}).get("Id")
        if case.get("start", True) and case["id"] != "root-33":
            reply = world.ask(world.alice, "POST", f"/v1.41/containers/{self.created}/start")
            if reply.status >= 500 and not case.get("start_may_fail"):
                print(f"      start of {case['id']}: {reply.status} {reply.message()}", file=sys.stderr)
        self.found = world.inspect(self.created)

    def verdict(self):
        """The faults of what was answered, by `expect` and `also_ok`."""
        status, case = self.response.status, self.case
        accepted, denied = 100 < status < 400, 400 <= status < 500 or status == HTTP_VERSION_NOT_SUPPORTED
        words = {case["expect"], case.get("also_ok", "")}
        message = self.response.message() or self.response.text[-300:].strip()
        if case["id"] == "img-08" and not message.startswith("the image"):
            return []  # the Engine's own answer where no registry can be reached
        if case["id"] == "bld-04":
            return []  # either, as its check says
        if accepted and not words & {"rewrite", "allow"}:
            return [f"accepted with {status}"]
        if denied and "deny" not in words:
            return [f"denied with {status}: {message}"]
        return [] if accepted or denied else [f"answered with {status}: {message}"]

    def asserted(self):
        faults = []
        for path, op, wanted in self.case.get("assert", []):
            if any(word in path for word in OTHER_LABELS) or path == "upstream.path":
                continue
            found = self.found if self.created else None
            if self.case["id"].startswith("upd"):
                found = self.world.inspect("alice-cpu")
            if found is not None and not holds(field(found, path), op, self.world.fill(wanted)):
                faults.append(f"{path} is {field(found, path)}")
        return faults


def field(found, path):
    """A field of what the Engine has, for a path that begins with `upstream` or `inspect`."""
    root, *parts = path.split(".")
    value = found
    if root == "upstream" and parts[0] not in ("HostConfig",):
        value = found["Config"]
    for part in parts:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def holds(value, op, wanted):
    if op == "absent":
        return value is None
    if op == "<=":
        return isinstance(value, int) and 0 < value <= int(wanted)
    if op == "matches":
        return re.search(wanted, str(value)) is not None
    inside = str(wanted) in json.dumps(value)
    return {"!=": value != wanted, "==": value == wanted, "contains": inside, "not-contains": not inside}[op]


def run(world, case, verbose=False):
    """The faults of one case; none: it passed."""
    attempt = Try(world, case)
    number = case["id"]
    faults = steps.before(world, case)
    instead = checks.INSTEAD.get(number) or legitimate.INSTEAD.get(number) or fields.INSTEAD.get(number)
    if instead:
        faults += instead(attempt)
    else:
        attempt.send()
        faults += attempt.verdict()
        attempt.look()
        faults += attempt.asserted()
        check = checks.GIVEN.get(number) or legitimate.GIVEN.get(number)
        needs_container = CREATE.match(case.get("path", "")) and number not in ("root-37",)
        if attempt.created:
            if not case.get("no_invariants"):
                faults += invariants.of_container(world, attempt.found)
            if attempt.found["State"]["Running"]:
                faults += invariants.of_process(world, attempt.found) + invariants.of_units(world, attempt.created, attempt.found["HostConfig"]["Runtime"] == "ds01")
        if check and (attempt.created or not needs_container) and not faults:
            faults += check(attempt)
        elif attempt.response.status >= 400 and needs_container and world.inspect("rt"):
            faults.append("it was denied, and is there")
    faults += steps.after(world, case, attempt)
    if number == "st-01":
        steps.gpu_is_given_back(world)
    faults += world.changes()
    if verbose:
        print(f"      {attempt.response.status} {(attempt.response.message() or attempt.response.text[:200])!r}")
    return faults


def load(directory, only):
    cases = []
    for path in sorted(glob.glob(os.path.join(directory, "*.json"))):
        with open(path, encoding="utf-8") as source:
            found = json.load(source)
        if isinstance(found, list):
            cases += found
    return [case for case in cases if not only or case["id"] in only]


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--lab", required=True)
    options.add_argument("--alice", required=True)
    options.add_argument("--bob", required=True)
    options.add_argument("--share", required=True)
    options.add_argument("--cases", default=os.path.join(HERE, "cases"))
    options.add_argument("--only", default="")
    options.add_argument("--verbose", action="store_true", help="say what was answered, too")
    given = options.parse_args()
    cases = load(given.cases, set(filter(None, given.only.split(","))))
    world = World(given.lab, f"{given.lab}/docker.sock", f"{given.lab}/engine/docker.sock", given.alice, given.bob, given.share)
    failed = 0
    try:
        world.make()
        for case in cases:
            begun = time.monotonic()
            try:
                faults = run(world, case, given.verbose)
            except Exception as error:  # a case that breaks the runner is a case that failed
                faults = [f"the runner met {type(error).__name__}: {error}"]
            failed += bool(faults)
            print(f"{'FAIL' if faults else 'pass'}  {case['id']:<10} {time.monotonic() - begun:5.2f} s  {case['title']}", flush=True)
            for fault in faults:
                print(f"        {fault}", flush=True)
            world.repair()
            if faults:
                world.remember()
    finally:
        world.close()
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
