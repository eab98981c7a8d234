"""One exchange of raw bytes with a unix socket, as somebody else: the attacker's client.

It answers for sending exactly the bytes it is given and for reading whatever comes back. It must never help: no
header is added that a case did not ask for, no path is cleaned, nothing is retried.
"""

import json
import os
import pickle
import select
import socket
import time
import traceback

EXCHANGE_SECONDS_MAX = 20.0
READ_BYTES_MAX = 64 << 20


class Response:
    """The first response on a connection, with all bytes that came."""

    def __init__(self, raw):
        self.raw = raw
        self.status, self.headers, self.body = parse(raw)

    @property
    def text(self):
        return self.raw.decode("utf-8", "replace")

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def message(self):
        value = self.json()
        return value.get("message", "") if isinstance(value, dict) else ""


def parse(raw):
    """Status, headers (lower case) and body of the first final response; status 0 where nothing came."""
    while True:
        head, gap, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if not gap or len(words) < 2 or not words[1].isdigit():
            return 0, {}, raw
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if words[1] != "100":
            break
        raw = rest
    if headers.get("transfer-encoding", "").lower() == "chunked":
        rest = unchunked(rest)
    elif headers.get("content-length", "").isdigit():
        rest = rest[: int(headers["content-length"])]
    return int(words[1]), headers, rest


def statuses(raw):
    """The status of every response that a connection carried, as far as their framing tells."""
    found = []
    while raw.startswith(b"HTTP/"):
        status, headers, body = parse(raw)
        if not status:
            break
        found.append(status)
        head, _, rest = raw.partition(b"\r\n\r\n")
        if b" 100 " in head.split(b"\r\n")[0]:
            head, _, rest = rest.partition(b"\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            _, _, raw = rest.partition(b"0\r\n\r\n")
        elif headers.get("content-length", "").isdigit():
            raw = rest[len(body):]
        else:
            break
    return found


def unchunked(data):
    out = b""
    while True:
        size, gap, data = data.partition(b"\r\n")
        try:
            count = int(size.split(b";")[0], 16)
        except ValueError:
            return out
        if not gap or count == 0:
            return out
        out += data[:count]
        data = data[count + 2 :]


def request_bytes(method, path, headers, body):
    """A request as a case describes it; `Transfer-Encoding: chunked` among its headers chunks the body."""
    given = {name.lower() for name in headers}
    lines = [f"{method} {path} HTTP/1.1"]
    for name, value in headers.items():
        lines += [f"{name}: {one}" for one in (value if isinstance(value, list) else [value])]
    if "host" not in given:
        lines.append("Host: d")
    if "connection" not in given:
        lines.append("Connection: close")
    if "transfer-encoding" in given:
        middle = len(body) // 2
        parts = [part for part in (body[:middle], body[middle:]) if part]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    elif "content-length" not in given and (body or method in ("POST", "PUT")):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def complete(raw):
    """Whether the first response is there in full, as far as its own framing tells."""
    head, gap, rest = raw.partition(b"\r\n\r\n")
    if not gap:
        return False
    lower = head.lower()
    if b" 100 " in head.split(b"\r\n")[0]:
        return complete(rest)
    if b"\r\nconnection: close" in lower or b" 101 " in head.split(b"\r\n")[0]:
        return False
    for line in lower.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(rest) >= int(line.split(b":")[1])
    return b"transfer-encoding: chunked" in lower and rest.endswith(b"0\r\n\r\n")


def exchange(path, data, until=None, seconds=EXCHANGE_SECONDS_MAX, then=None, whole=True):
    """Sends `data`, reads until the other side closes, `until(bytes)` holds or the time is over.

    `then` is sent once `until` held for the first time, and the sending half is closed after it."""
    end = time.monotonic() + seconds
    got = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.connect(path)
        link.setblocking(False)
        rest, done = memoryview(data), until is None
        while time.monotonic() < end and len(got) < READ_BYTES_MAX:
            readable, writable, _ = select.select([link], [link] if rest else [], [], 0.2)
            if writable and rest:
                try:
                    rest = rest[link.send(rest[: 1 << 18]) :]
                except (BrokenPipeError, ConnectionResetError):
                    rest = memoryview(b"")
            if readable:
                try:
                    part = link.recv(1 << 18)
                except (ConnectionResetError, BlockingIOError):
                    part = b""
                if not part:
                    break
                got += part
                if not done and until(got):
                    done = True
                    if then is None:
                        break
                    link.setblocking(True)
                    link.sendall(then)
                    link.shutdown(socket.SHUT_WR)
                    link.setblocking(False)
                if until is None and whole and complete(got):
                    break
    return got


def run_as(uid, gid, groups, work):
    """Runs `work` in a child process that is this user, and returns what it returned."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read)
            if uid:
                os.setgroups(groups)
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
            result = pickle.dumps(work())
            with os.fdopen(write, "wb") as out:
                out.write(result)
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as source:
        result = source.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError("the attacker's process failed")
    return pickle.loads(result)
