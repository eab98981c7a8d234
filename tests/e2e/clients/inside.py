#!/usr/bin/python3
"""From inside a container that has the door mounted: who one is there, and what one may.

    inside.py OWNER OTHERS...     OTHERS: containers that are not the owner's
"""
import os
import sys

import door

checks = door.Checks()
owner, others = sys.argv[1], sys.argv[2:]
who = door.ask("GET", "/ds01/v1/whoami").json
checks.equal("who I am", who["name"], owner)
checks.equal("no administrator", who["admin"], False)
names = [name for c in door.ask("GET", "/v1.41/containers/json?all=1").json for name in c["Names"]]
checks.holds("my owner's containers", any(name.startswith(f"/{owner}-") for name in names), names)
for other in others:
    checks.holds(f"{other} is not seen", f"/{other}" not in names, names)
    checks.equal(f"{other} cannot be removed", door.ask("DELETE", f"/v1.41/containers/{other}?force=1").status, 404)
    checks.equal(f"{other} cannot be entered", door.ask("POST", f"/v1.41/containers/{other}/exec", {"Cmd": ["id"]}).status, 404)
for what, host in (
    ("privileged", {"Privileged": True}),
    ("the host's processes", {"PidMode": "host"}),
    ("the host's files", {"Binds": ["/:/host"]}),
    ("the host's /etc", {"Binds": ["/etc:/e"]}),
    ("the host's devices", {"Devices": [{"PathOnHost": "/dev/mem", "PathInContainer": "/dev/mem", "CgroupPermissions": "rwm"}]}),
):
    made = door.ask("POST", "/v1.41/containers/create", {"Image": "busybox", "HostConfig": host})
    checks.holds(f"{what}: refused", made.status in (400, 403), f"{made.status} {made.body[:200]}")
checks.equal("administrators' routes", door.ask("GET", "/v1.41/plugins").status, 403)
mine = door.ask("POST", f"/v1.41/containers/create?name={owner}-from-inside-{os.getuid()}", {"Image": "busybox"})
checks.equal("a container of my owner's", mine.status, 201)
checks.end(f"inside a container of {owner}'s, as user {os.getuid()}")
