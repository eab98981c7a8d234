#!/usr/bin/python3
"""What is alice's does not exist for bob: everything that he asks of it is answered as for something that is not there.

    strangers.py HERS     HERS: JSON with her container's id and name, its link path, her exec, volume, network, images
"""
import json
import sys
import threading

import door

checks = door.Checks()
hers = json.loads(sys.argv[1])
API = "/v1.41"
ABSENT = {"id": "e" * 64, "volume": "no-such-volume", "image": "ds01-nobody/none:latest"}


def same_as_absent(name, method, target, reference, absent, body=None, headers=()):
    """A request that names hers is answered as the one that names nothing; only the name differs."""
    if isinstance(body, dict):
        body = json.dumps(body)
    twin = door.ask(method, target.replace("REF", absent), body and body.replace("REF", absent).encode(), headers)
    reply = door.ask(method, target.replace("REF", reference), body and body.replace("REF", reference).encode(), headers)
    checks.holds(f"{name}: refused", reply.status in (400, 403, 404, 409), f"{reply.status} {reply.body[:200]}")
    checks.equal(f"{name}: the status of what is absent", reply.status, twin.status)
    told = (reply.message or "").replace(reference, "REF").replace(reference.lstrip("/"), "REF")
    checks.equal(f"{name}: the words of what is absent", told, (twin.message or "").replace(absent, "REF"))


CONTAINER_REQUESTS = [
    *(("GET", f"/containers/REF/{what}") for what in (
        "json", "top", "logs?stdout=1", "changes", "export", "stats?stream=0", "archive?path=/etc/hostname", "attach/ws")),
    *(("POST", f"/containers/REF/{what}") for what in (
        "start", "stop?t=0", "restart?t=0", "kill", "pause", "unpause", "wait", "resize?h=9&w=9", "rename?name=bobs",
        "attach?stream=1&stdout=1&stdin=1&stderr=1")),
    ("DELETE", "/containers/REF?force=1&v=1"),
    ("PUT", "/containers/REF/archive?path=/", "x" * 1024),
    ("POST", "/containers/REF/exec", {"Cmd": ["cat", "/etc/hostname"], "AttachStdout": True}),
    ("POST", "/containers/REF/update", {"Memory": 8 << 20}),
    ("POST", "/commit?container=REF&repo=bobs&tag=copy", {}),
    ("POST", "/networks/bob-net/connect", {"Container": "REF"}),
    ("POST", "/networks/bob-net/disconnect", {"Container": "REF", "Force": True}),
    *(("POST", "/containers/create?name=bob-try", {"Image": "busybox", "HostConfig": host}) for host in (
        {"VolumesFrom": ["REF"]}, {"VolumesFrom": ["REF:ro"]}, {"NetworkMode": "container:REF"},
        {"PidMode": "container:REF"}, {"IpcMode": "container:REF"}, {"Links": ["REF:hers"]})),
]


def containers():
    references = {
        "by name": hers["name"],
        "by name with a slash": "/" + hers["name"],
        "by id": hers["id"],
        "by short id": hers["id"][:12],
        "by prefix": hers["id"][:3],
        "by link path": hers["link"],
        "by link path, encoded": hers["link"].replace("/", "%2F"),
    }
    for how, reference in references.items():
        for method, target, *body in CONTAINER_REQUESTS:
            # A reference of the same shape to nothing: the id's for ids, a name's for names.
            absent = "e" * len(reference) if how.endswith(("id", "prefix")) else reference.replace(hers["name"], "nobodys").replace("child", "nobodys")
            headers = door.UPGRADE if "attach?" in target else ()
            if reference.startswith("/") and body:
                continue
            same_as_absent(f"{method} {target} {how}", method, API + target, reference, absent, *body, headers=headers)
    same_as_absent("HEAD archive", "HEAD", f"{API}/containers/REF/archive?path=/etc", hers["id"], ABSENT["id"])


def execs():
    for method, what, body in (("GET", "json", None), ("POST", "start", {"Detach": False}), ("POST", "resize?h=9&w=9", None)):
        same_as_absent(f"exec {what}", method, f"{API}/exec/REF/{what}", hers["exec"], ABSENT["id"], body)


def volumes():
    for method in ("GET", "DELETE"):
        same_as_absent(f"{method} volume", method, f"{API}/volumes/REF", hers["volume"], ABSENT["volume"])
    made = door.ask("POST", f"{API}/volumes/create", {"Name": hers["volume"]})
    checks.equal("creating a volume of her volume's name", made.status, 409)
    for what, host in (
        ("a bind", {"Binds": [f"{hers['volume']}:/v"]}),
        ("a mount", {"Mounts": [{"Type": "volume", "Source": hers["volume"], "Target": "/v"}]}),
    ):
        made = door.ask("POST", f"{API}/containers/create", {"Image": "busybox", "HostConfig": host})
        checks.equal(f"her volume as {what}", made.status, 409)


def networks():
    for reference in (hers["network"], hers["network_id"], hers["network_id"][:12]):
        absent = "e" * len(reference) if reference in hers["network_id"] else "no-net"
        same_as_absent("GET network", "GET", f"{API}/networks/REF", reference, absent)
        same_as_absent("DELETE network", "DELETE", f"{API}/networks/REF", reference, absent)
        same_as_absent("connecting to her network", "POST", f"{API}/networks/REF/connect", reference, absent, {"Container": "bob-box"})
        for body in (
            {"HostConfig": {"NetworkMode": "REF"}},
            {"NetworkingConfig": {"EndpointsConfig": {"REF": {}}}},
        ):
            same_as_absent("a container on her network", "POST", f"{API}/containers/create", reference, absent, {"Image": "busybox", **body})


def images():
    for reference in (hers["image"], hers["image_id"], hers["image_id"].split(":")[1][:12]):
        absent = {hers["image"]: ABSENT["image"], hers["image_id"]: "sha256:" + ABSENT["id"]}.get(reference, "e" * 12)
        for method, target in (
            ("GET", "/images/REF/json"), ("GET", "/images/REF/history"), ("GET", "/images/REF/get"), ("GET", "/images/get?names=REF"),
            ("POST", "/images/REF/tag?repo=bobs&tag=copy"), ("POST", "/images/REF/push"), ("DELETE", "/images/REF?force=1"),
        ):
            headers = ("X-Registry-Auth: e30=",) if target.endswith("push") else ()
            same_as_absent(f"{method} {target}", method, API + target, reference, absent, headers=headers)
        same_as_absent("a container of her image", "POST", f"{API}/containers/create", reference, absent, {"Image": "REF"})
    for target in (
        f"/images/busybox/tag?repo={hers['image'].split(':')[0]}", "/images/busybox/tag?repo=ds01-alice/new&tag=1",
        f"/commit?container=bob-box&repo={hers['image'].split(':')[0]}", f"/images/create?fromSrc=-&repo={hers['image'].split(':')[0]}",
        f"/build?t={hers['image']}",
    ):
        reply = door.ask("POST", API + target, b"")
        checks.equal(f"a tag in her name space: {target}", reply.status, 403)


def lists():
    secrets = [hers["name"], hers["id"][:12], hers["volume"], hers["network_id"][:12], hers["network"], hers["image"], hers["image_id"], "child"]
    targets = ["/containers/json?all=1", "/containers/json?all=1&size=1", "/volumes", "/networks", "/networks/bridge",
               "/images/json", "/images/json?all=1", "/system/df", "/info"]
    for target in targets:
        text = door.ask("GET", API + target).body.decode()
        for secret in secrets:
            checks.holds(f"{target} says nothing of {secret}", secret not in text, text[:200])
    for key, value in (("name", hers["name"]), ("id", hers["id"]), ("volume", hers["volume"]), ("network", hers["network"]),
                       ("ancestor", hers["image"]), ("label", "secret=yes"), ("before", hers["name"]), ("since", hers["name"])):
        filters = json.dumps({key: [value]}).replace(" ", "").replace('"', "%22").replace("{", "%7B").replace("}", "%7D")
        reply = door.ask("GET", f"{API}/containers/json?all=1&filters={filters}")
        if key in ("before", "since"):
            twin = door.ask("GET", f"{API}/containers/json?all=1&filters={filters.replace(hers['name'], 'nobodys')}")
            checks.equal(f"containers {key} hers", (reply.status, (reply.message or "").replace(hers["name"], "X")),
                         (twin.status, (twin.message or "").replace("nobodys", "X")))
        else:
            checks.holds(f"containers filtered by {key}", reply.status != 200 or all(c["Names"] == ["/bob-box"] for c in reply.json),
                         reply.body[:200])
    for key in ("before", "since", "reference"):
        filters = f"%7B%22{key}%22:[%22{hers['image']}%22]%7D"
        reply = door.ask("GET", f"{API}/images/json?filters={filters}")
        twin = door.ask("GET", f"{API}/images/json?filters={filters.replace(hers['image'], ABSENT['image'])}")
        checks.equal(f"images {key} hers", reply.status, twin.status)
        checks.holds(f"images {key} hers, list", reply.body.replace(hers["image"].encode(), b"X") == twin.body.replace(ABSENT["image"].encode(), b"X"),
                     f"{reply.body[:150]} {twin.body[:150]}")
    for target in ("/ds01/v1/containers", "/ds01/v1/containers?all=true"):
        reply = door.ask("GET", target)
        checks.holds(f"{target}", hers["name"] not in reply.body.decode(), reply.body[:200])
    for method, target, body in (
        ("GET", f"/ds01/v1/why/{hers['name']}", None), ("POST", f"/ds01/v1/containers/{hers['name']}/start?wait=0", None),
        ("POST", "/ds01/v1/retire", {"name": hers["name"], "force": True}),
    ):
        reply = door.ask(method, target, body)
        checks.holds(f"{method} {target}", reply.status in (403, 404, 400), f"{reply.status} {reply.body[:200]}")


def prunes():
    for what in ("containers", "volumes", "networks"):
        reply = door.ask("POST", f"{API}/{what}/prune")
        checks.holds(f"prune of {what}", reply.status == 200 and hers["name"] not in reply.body.decode(), reply.body[:200])
    for filters in ("", "?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D"):
        reply = door.ask("POST", f"{API}/images/prune{filters}")
        checks.holds(f"prune of images {filters}", reply.status == 200 and "ds01-alice" not in reply.body.decode(), reply.body[:200])


def events():
    """What bob hears while alice's containers come and go: nothing but his own."""
    with door.Connection(timeout=30) as connection:
        connection.send(door.request("GET", f"{API}/events"))
        connection.head()
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        sys.stdin.readline()
        threading.Thread(target=lambda: door.ask("POST", f"{API}/containers/bob-box/kill?signal=USR1")).start()
        while b"bob-box" not in connection.buffer:
            if not connection.more():
                break
        text = connection.buffer.decode()
    checks.holds("events: hers are not heard", "alice" not in text and hers["image"] not in text, text[:400])
    past = door.ask("GET", f"{API}/events?since=1&until={hers['until']}").body.decode()
    for secret in (hers["name"], hers["id"], hers["volume"], hers["network_id"], hers["image"]):
        checks.holds("past events: hers are not told", secret not in past, past[:400])


for part in (containers, execs, volumes, networks, images, lists, prunes, events):
    part()
checks.end("what is alice's does not exist for bob")
