#!/usr/bin/python3
"""Bad input, each with a clear error and no change.

    bad_input.py
"""
import json

import door

checks = door.Checks()
API = "/v1.41"
CREATE = f"{API}/containers/create"
BUSYBOX = {"Image": "busybox", "Cmd": ["true"]}


def everything():
    """All that a request could have changed, as its owner sees it."""
    def get(target):
        return door.ask("GET", API + target).json
    return [
        sorted((c["Id"], c["Names"], c["State"]) for c in get("/containers/json?all=1")),
        sorted(v["Name"] for v in get("/volumes")["Volumes"] or []),
        sorted(n["Id"] for n in get("/networks")),
        sorted((i["Id"], sorted(i["RepoTags"] or [])) for i in get("/images/json")),
    ]


before = everything()


def refused(name, reply, statuses, *words):
    wanted = (statuses,) if isinstance(statuses, int) else statuses
    checks.holds(f"{name}: status", reply.status in wanted, f"{reply.status} {reply.body[:200]}")
    message = reply.message
    checks.holds(f"{name}: an error in Docker's shape", message is not None, reply.body[:200])
    for word in words:
        checks.holds(f"{name}: says {word!r}", word.lower() in (message or "").lower(), message)
    checks.holds(f"{name}: one line without insides",
                 not any(inside in (message or "") for inside in ("panicked", "Os {", "\\n", "Error(", "None", "Some(")), message)


def raw(data, wants_reply=True):
    """Bytes as they are: the reply, or None where the connection was closed without one."""
    with door.Connection(timeout=20) as connection:
        connection.send(data)
        try:
            return connection.reply()
        except (EOFError, ConnectionError):
            return None


def names():
    for name in ("-x", "_x", ".x", "a/b", "a%20b", "a%00b", "%C3%BC", "x;rm", "a:b", "x" * 300, "a" * 64, "..", "/"):
        refused(f"the name {name}", door.ask("POST", f"{CREATE}?name={name}", BUSYBOX), 400)
    refused("another's project name", door.ask("POST", f"{CREATE}?name=train._.bob", BUSYBOX), (400, 403), "train._.bob")
    for what in ("a/b", "..", "-x", "a b"):
        refused(f"the volume {what}", door.ask("POST", f"{API}/volumes/create", {"Name": what}), 400)
        refused(f"the network {what}", door.ask("POST", f"{API}/networks/create", {"Name": what}), 400)


def images():
    refused("an image that does not exist", door.ask("POST", CREATE, {"Image": "no-such-image"}), 404, "No such image: no-such-image:latest")
    for image in ("Bad Name", "busybox:bad tag", "/x", "x:", "UPPER", "", "a" * 400):
        refused(f"the image {image[:20]!r}", door.ask("POST", CREATE, {"Image": image}), (400, 404))


def gpus():
    def ask(**request):
        return {**BUSYBOX, "HostConfig": {"DeviceRequests": [{"Capabilities": [["gpu"]], **request}]}}
    refused("more GPUs than the machine has", door.ask("POST", CREATE, ask(Count=99)), 409, "99")
    refused("more GPUs than the quota", door.ask("POST", CREATE, ask(Count=2)), 409, "2", "1")
    refused("a negative count", door.ask("POST", CREATE, ask(Count=-7)), 400)
    refused("a count and ids", door.ask("POST", CREATE, ask(Count=1, DeviceIDs=["0"])), 400)
    refused("a GPU that is not there", door.ask("POST", CREATE, ask(DeviceIDs=["77"])), (400, 404, 409), "77")
    refused("a GPU by an injection", door.ask("POST", CREATE, ask(DeviceIDs=["0,1;x"])), (400, 409))


def binds():
    for path in ("/etc", "/", "/root", "relative/path", "../x", "/var/lib", "/no/such/place", "/proc/1"):
        refused(f"the bind {path}", door.ask("POST", CREATE, {**BUSYBOX, "HostConfig": {"Mounts": [
            {"Type": "bind", "Source": path, "Target": "/w"}]}}), (400, 403, 404), path.split("/")[0] or "/")
    refused("a bind without a target", door.ask("POST", CREATE, {**BUSYBOX, "HostConfig": {"Binds": ["/etc:"]}}), 400)


def bodies():
    large = json.dumps({**BUSYBOX, "Labels": {"l": "x" * (5 << 20)}}).encode()
    refused("a body of 5 MiB", door.ask("POST", CREATE, large), 413, "4 MiB")
    chunked = door.request("POST", CREATE, None, ("Content-Type: application/json", "Transfer-Encoding: chunked"))
    for _ in range(80):
        chunked += b"10000\r\n" + b" " * 65536 + b"\r\n"
    refused("a chunked body of 5 MiB", raw(chunked + b"0\r\n\r\n"), 413, "4 MiB")
    for name, text, *words in (
        ("the same key twice", '{"Image": "busybox", "Image": "rt"}', "Image"),
        ("keys that Go folds", '{"Image": "busybox", "image": "rt"}', "image"),
        ("keys that Go folds, deeper", '{"Image": "busybox", "HostConfig": {"Privileged": false, "PRIVILEGED": true}}', "PRIVILEGED"),
        ("keys that Unicode folds", '{"Image": "busybox", "HostConfig": {}, "Ho\u017ftConfig": {"Privileged": true}}', "onfig"),
        ("keys that Unicode folds, escaped", '{"Image": "busybox", "HostConfig": {}, "Ho\\u017ftConfig": {}}', "onfig"),
        ("bytes after the end", '{"Image": "busybox"} {"Image": "rt"}'),
        ("bytes after the end, not JSON", '{"Image": "busybox"}x'),
        ("an unknown field", '{"Image": "busybox", "Frobnicate": true}', "Frobnicate"),
        ("an unknown field of HostConfig", '{"Image": "busybox", "HostConfig": {"Frobnicate": {"x": 1}}}', "Frobnicate"),
        ("a field of HostConfig on top", '{"Image": "busybox", "Privileged": true}', "Privileged"),
        ("a privileged container", '{"Image": "busybox", "HostConfig": {"Privileged": true}}', "Privileged"),
        ("no JSON", 'hello'),
        ("half of a JSON", '{"Image": "busy'),
        ("a list", '[1, 2]'),
        ("a text", '"busybox"'),
        ("nothing", ''),
        ("a wrong kind", '{"Image": "busybox", "HostConfig": {"Memory": "lots"}}', "Memory"),
        ("a wrong kind, deeper", '{"Image": "busybox", "HostConfig": {"Binds": [7]}}', "Binds"),
        ("a number beyond all", '{"Image": "busybox", "HostConfig": {"Memory": 1e400}}'),
        ("a deep nest", '{"Image": "busybox", "Labels": ' + "[" * 5000 + "]" * 5000 + "}"),
        ("a comment", '{"Image": "busybox" /* x */}'),
        ("a lone surrogate", '{"Image": "busybox", "Hostname": "\\ud800"}'),
    ):
        refused(name, door.ask("POST", CREATE, text.encode()), (400, 403), *words)
    refused("bytes that are no UTF-8", door.ask("POST", CREATE, b'{"Image": "busy\xff"}'), 400)
    refused("a form", door.ask("POST", CREATE, b"Image=busybox", ("Content-Type: application/x-www-form-urlencoded",)), (400, 415))


def routes():
    for method, target, statuses, *words in (
        ("GET", f"{API}/frobnicate", 404),
        ("GET", "/", 404),
        ("PATCH", f"{API}/containers/json", (404, 405)),
        ("POST", f"{API}/containers/json", (404, 405)),
        ("GET", f"{API}/containers/../images/json", (400, 404)),
        ("GET", f"{API}/containers/%2e%2e/json", (400, 404)),
        ("GET", f"{API}//containers/json", (400, 404)),
        ("GET", f"{API}/containers/a%00b/json", (400, 404)),
        ("GET", f"{API}/containers/a%zzb/json", (400, 404)),
        ("POST", f"{API}/swarm/init", (403, 503), "Swarm"),
        ("GET", f"{API}/services", (403, 503), "Swarm"),
        ("POST", f"{API}/plugins/pull?remote=x", 403, "lugin"),
        ("POST", f"{API}/containers/x/checkpoints", 403, "heckpoint"),
        ("POST", f"{API}/session", 403, "BuildKit"),
        ("GET", f"{API}/debug/vars", (403, 404)),
        ("GET", "/v1.12/containers/json", 400, "1.12", "too old"),
        ("GET", "/v1.39/containers/json", 400, "1.39", "too old"),
        ("GET", "/v1.99/containers/json", 400, "1.99", "too new"),
        ("GET", "/v9.1/containers/json", (400, 404)),
        ("GET", "/v1/containers/json", (400, 404)),
        ("GET", "/ds01/v1/frobnicate", 404),
        ("GET", "/ds01/v9/whoami", 404),
        ("GET", f"{API}/containers/json?filters=nonsense", 400, "filter"),
        ("GET", f"{API}/containers/json?filters=%7B%22frob%22:[%22x%22]%7D", 400, "frob"),
        ("GET", f"{API}/containers/json?limit=many", 400, "limit"),
        ("POST", f"{API}/build?version=2", (400, 403), "DOCKER_BUILDKIT=0"),
        ("POST", f"{API}/build?remote=http://169.254.169.254/", (400, 403), "git clone"),
        ("POST", f"{API}/images/create?fromSrc=http://169.254.169.254/", (400, 403)),
    ):
        body = {"Image": "x"} if method == "POST" else None
        refused(f"{method} {target}", door.ask(method, target, body), statuses, *words)


def framing():
    head = f"POST {CREATE} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
    body = json.dumps(BUSYBOX)
    for name, data in (
        ("a length and chunks", f"{head}Content-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n\r\n{body}"),
        ("two lengths", f"{head}Content-Length: {len(body)}\r\nContent-Length: 4\r\n\r\n{body}"),
        ("a length with a sign", f"{head}Content-Length: +{len(body)}\r\n\r\n{body}"),
        ("a negative length", f"{head}Content-Length: -1\r\n\r\n{body}"),
        ("chunks by another name", f"{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("chunks after gzip", f"{head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("a bad chunk size", f"{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n"),
        ("no HTTP", "hello\r\n\r\n"),
        ("HTTP/1.0", f"POST {CREATE} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("a header of 1 MiB", f"{head}X-Large: {'x' * (1 << 20)}\r\n\r\n"),
        ("a folded header", f"{head}X-Folded: a\r\n b\r\nContent-Length: {len(body)}\r\n\r\n{body}"),
        ("a space before the colon", f"{head}Content-Length : {len(body)}\r\n\r\n{body}"),
        ("a bare line feed in the target", f"GET {API}/info\nX: y HTTP/1.1\r\nHost: d\r\n\r\n"),
    ):
        try:
            reply = raw(data.encode())
        except (BrokenPipeError, ConnectionResetError):
            reply = None
        checks.holds(f"framing: {name}", reply is None or 400 <= reply.status < 600, reply and (reply.status, reply.body[:100]))
    # A body that ends early, and one that never comes.
    with door.Connection() as connection:
        connection.send(f"{head}Content-Length: 500\r\n\r\n{body}".encode())
    # Two requests in one write are two requests.
    with door.Connection() as connection:
        connection.send(door.request("GET", "/_ping") + door.request("GET", f"{API}/containers/json"))
        checks.equal("pipelined: the first", connection.reply().body, b"OK")
        checks.equal("pipelined: the second", connection.reply().status, 200)
    # A refused request leaves nothing behind that the next one on the connection would read.
    with door.Connection() as connection:
        checks.equal("refused on a kept connection", connection.ask("POST", CREATE, b'{"Frob": 1}').status, 400)
        checks.equal("the next on the same connection", connection.ask("GET", "/_ping").body, b"OK")
        checks.equal("unasked body of a GET", connection.ask("GET", f"{API}/info", b'{"x": 1}').status, 200)
        checks.equal("the next on the same connection", connection.ask("GET", "/_ping").body, b"OK")


def execs():
    made = door.ask("POST", f"{CREATE}?name=for-execs", {"Image": "busybox", "Cmd": ["sleep", "600"]})
    container = made.json["Id"]
    door.ask("POST", f"{API}/containers/{container}/start")
    target = f"{API}/containers/{container}/exec"
    for name, body, *words in (
        ("a privileged exec", {"Cmd": ["id"], "Privileged": True}, "rivileged"),
        ("an exec of nothing", {"Cmd": []}, "xec"),
        ("an exec in /proc", {"Cmd": ["id"], "WorkingDir": "/proc/self/fd/7"}, "WorkingDir"),
        ("an unknown field of an exec", {"Cmd": ["id"], "Frobnicate": 1}, "Frobnicate"),
    ):
        refused(name, door.ask("POST", target, body), (400, 403), *words)
    for name, method, what, statuses in (
        ("an unknown signal", "POST", "kill?signal=SIGFROB", (400, 500)),
        ("a name that is taken", "POST", "rename?name=for-execs", (400, 409)),
        ("no new name", "POST", "rename", (400, 500)),
        ("a size of nothing", "POST", "resize?h=x&w=y", 400),
        ("an update beyond the limits", "POST", "update", (400, 403)),
        ("an archive without a path", "GET", "archive", 400),
        ("an archive from nowhere", "GET", "archive?path=/no/such", 404),
    ):
        body = {"Frobnicate": 7} if what == "update" else None
        refused(name, door.ask(method, f"{API}/containers/{container}/{what}", body), statuses)
    door.ask("DELETE", f"{API}/containers/{container}?force=1")


for part in (names, images, gpus, binds, bodies, routes, framing, execs):
    part()
    checks.equal(f"nothing changed by bad {part.__name__}", everything(), before)
checks.end("bad input")
