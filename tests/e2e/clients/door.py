"""The Engine's API over a unix socket with nothing between: requests as bytes, replies as they come.

Used by the tests that look at what no client shows. Python's own library only.
"""
import json
import os
import socket
import struct

HOST = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


class Reply:
    """One reply, read to its end."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body or b"null")

    @property
    def message(self):
        """The sentence of an error in Docker's shape; None where it is no error of that shape."""
        try:
            return self.json["message"]
        except (ValueError, TypeError, KeyError):
            return None


class Connection:
    """A connection on which bytes are sent and replies read."""

    def __init__(self, path=None, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path or HOST)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def until(self, mark):
        while mark not in self.buffer:
            if not self.more():
                raise EOFError(f"the connection ended before {mark!r}: {self.buffer[:300]!r}")
        found, self.buffer = self.buffer.split(mark, 1)
        return found

    def exactly(self, count):
        while len(self.buffer) < count:
            if not self.more():
                raise EOFError("the connection ended early")
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    def rest(self):
        while self.more():
            pass
        found, self.buffer = self.buffer, b""
        return found

    def head(self):
        """Status and headers of the next reply."""
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()}

    def reply(self, method="GET"):
        status, headers = self.head()
        if method == "HEAD" or status in (101, 204, 304):
            return Reply(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.until(b"\r\n").split(b";")[0], 16):
                body += self.exactly(size)
                self.exactly(2)
            self.until(b"\r\n")
        elif "content-length" in headers:
            body = self.exactly(int(headers["content-length"]))
        else:
            body = self.rest()
        return Reply(status, headers, body)

    def ask(self, method, target, body=None, headers=()):
        self.send(request(method, target, body, headers))
        return self.reply(method)

    def frames(self):
        """Docker's framed streams up to the end: (what came on stdout, what came on stderr)."""
        streams = {1: b"", 2: b""}
        while True:
            try:
                stream, length = struct.unpack(">BxxxL", self.exactly(8))
            except EOFError:
                return streams[1], streams[2]
            streams[stream] += self.exactly(length)


def request(method, target, body=None, headers=()):
    """The bytes of a request; `body` is bytes, or anything that becomes JSON."""
    lines = [f"{method} {target} HTTP/1.1", "Host: docker", *headers]
    data = b""
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if not any(line.lower().startswith("content-type:") for line in headers):
            lines.append("Content-Type: application/json")
        lines.append(f"Content-Length: {len(data)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")


def ask(method, target, body=None, headers=(), timeout=60):
    with Connection(timeout=timeout) as connection:
        return connection.ask(method, target, body, headers)


def run_exec(container, command, user=""):
    """Runs a command in a container: (exit status, stdout, stderr)."""
    made = ask("POST", f"/v1.41/containers/{container}/exec",
               {"AttachStdout": True, "AttachStderr": True, "Cmd": command, "User": user})
    if made.status != 201:
        raise OSError(made.message)
    exec_id = made.json["Id"]
    with Connection() as connection:
        connection.send(request("POST", f"/v1.41/exec/{exec_id}/start", {"Detach": False, "Tty": False}, UPGRADE))
        status, _ = connection.head()
        if status != 101:
            raise OSError(f"exec start answered {status}")
        out, err = connection.frames()
    return ask("GET", f"/v1.41/exec/{exec_id}/json").json["ExitCode"], out, err


def shortened(value, characters=400):
    text = repr(value)
    return text if len(text) <= characters else f"{text[:characters]}… ({len(text)} characters)"


class Checks:
    """Named assertions: every one is told, the first that fails ends nothing, the end says how many did."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def equal(self, name, got, wanted):
        self.holds(name, got == wanted, f"expected {shortened(wanted)}, got {shortened(got)}")

    def contains(self, name, text, part):
        self.holds(name, text is not None and part in text, f"{part!r} is not in {text!r}")

    def holds(self, name, true, why=""):
        if true:
            self.passed += 1
        else:
            self.failed += 1
            print(f"    FAILED: {name}: {why}", flush=True)

    def end(self, what):
        print(f"    {what}: {self.passed} hold, {self.failed} do not", flush=True)
        raise SystemExit(1 if self.failed else 0)
