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
import sys
import time

import always
import asserts
import checks
import fields
import invariants
import legitimate
import steps
from judge import CREATE, Try
from world import World

HERE = os.path.dirname(os.path.abspath(__file__))
EXIT_USAGE = 2


def run(world, case, cases, verbose=False):
    """The faults of one case, none: it passed; and what is to be said of it all the same."""
    world.unknown.clear()
    attempt = Try(world, case, cases)
    number = case["id"]
    faults = steps.before(world, case, attempt.setup)
    instead = legitimate.INSTEAD.get(number) or fields.INSTEAD.get(number)
    if instead:
        faults += instead(attempt)
    else:
        faults += judged(attempt)
    faults += steps.after(world, case, attempt)
    if attempt.setup.gpu_to_bob:
        steps.gpu_is_given_back(world)
    faults += world.changes()
    faults += [f"nothing here is called {{{name}}}: the case was not tried" for name in sorted(world.unknown)]
    notes = [f"setup, not carried out: {part}" for part in attempt.setup.left]
    notes += [f"sent as alice, not by {attempt.caller_left}"] if attempt.caller_left else []
    if verbose:
        notes.append(f"{attempt.response.status} {(attempt.response.message() or attempt.response.text[:200])!r}")
    return faults, notes


def judged(attempt):
    """Sent, and held against everything that is known of its kind and of itself."""
    world, number = attempt.world, attempt.case["id"]
    attempt.data()
    pinned = always.sources(attempt)
    watch = always.Watch(attempt)
    attempt.send()
    faults = attempt.verdict()
    faults += watch.faults(attempt)
    faults += attempt.look()
    faults += asserts.faults(attempt)
    if attempt.created and attempt.found:
        if not attempt.case.get("no_invariants"):
            faults += invariants.of_container(world, attempt.found) + always.kept(attempt)
        if attempt.found["State"]["Running"]:
            faults += invariants.of_process(world, attempt.found)
            faults += invariants.of_units(world, attempt.created, attempt.found["HostConfig"]["Runtime"] == "ds01")
        faults += always.mounted(attempt, pinned, "after the start")
        if attempt.setup.restarts and attempt.setup.between:
            faults += attempt.start("restart") + always.mounted(attempt, pinned, "after the restart")
    faults += always.faults(attempt)
    faults += [f"the reply shows {mark!r}" for mark in attempt.marks if mark in attempt.response.text]
    check = checks.GIVEN.get(number) or legitimate.GIVEN.get(number)
    if check and not faults and attempt.accepted() and (attempt.created or not CREATE.match(attempt.case.get("path", ""))):
        faults += check(attempt)
    return faults


def load(directory):
    """The cases of a directory's files, by id and in their order."""
    cases = {}
    for path in sorted(glob.glob(os.path.join(directory, "*.json"))):
        with open(path, encoding="utf-8") as source:
            found = json.load(source)
        for case in found if isinstance(found, list) else []:
            if case["id"] in cases:
                raise ValueError(f"{path}: the id {case['id']} is there twice")
            cases[case["id"]] = case
    return cases


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
    try:
        cases = load(given.cases)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"run.py: {given.cases} cannot be read: {error}", file=sys.stderr)
        return EXIT_USAGE
    only = [number for number in given.only.split(",") if number]
    missing = [number for number in only if number not in cases]
    if missing or not cases:
        print(f"run.py: {given.cases} has no case {', '.join(missing)}".rstrip(), file=sys.stderr)
        return EXIT_USAGE
    world = World(given.lab, f"{given.lab}/docker.sock", f"{given.lab}/engine/docker.sock", given.alice, given.bob, given.share)
    failed = 0
    chosen = [cases[number] for number in only] or list(cases.values())
    try:
        world.make()
        for case in chosen:
            begun = time.monotonic()
            try:
                faults, notes = run(world, case, cases, given.verbose)
            except Exception as error:  # a case that breaks the runner is a case that failed
                faults, notes = [f"the runner met {type(error).__name__}: {error}"], []
            failed += bool(faults)
            print(f"{'FAIL' if faults else 'pass'}  {case['id']:<10} {time.monotonic() - begun:5.2f} s  {case.get('title', '')}", flush=True)
            for line in faults:
                print(f"        {line}", flush=True)
            for line in notes:
                print(f"      ({line})", flush=True)
            world.repair(anew=bool(faults))
            if faults:
                world.remember()
    finally:
        world.close()
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
