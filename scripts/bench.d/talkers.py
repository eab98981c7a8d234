#!/usr/bin/python3
"""Processes that talk to a socket as the right user, over connections that stay open: what a command line would add to
each request is not measured.

A talker does its work once for every line on its standard input and answers with a line of JSON. It must never know
which of the two sockets it talks to.
"""

import http.client
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time

import measure

ANSWER_SECONDS_MAX = 60


class Connection(http.client.HTTPConnection):
    """HTTP to a unix socket."""

    def __init__(self, path):
        super().__init__("docker", timeout=ANSWER_SECONDS_MAX)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, method, target, body=None):
        """Sends a request and reads the whole reply."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self.request(method, target, None if body is None else json.dumps(body), headers)
        reply = self.getresponse()
        text = reply.read()
        if reply.status >= 400:
            raise measure.Failed(f"{method} {target}: {reply.status} {text.decode(errors='replace').strip()}")
        return json.loads(text) if text else None


def creator(path, order):
    """Creates a container and removes it; how long the create took, in milliseconds."""
    connection = Connection(path)

    def work():
        began = time.perf_counter()
        made = connection.ask("POST", "/v1.41/containers/create", order["body"])
        took = (time.perf_counter() - began) * 1000
        connection.ask("DELETE", f"/v1.41/containers/{made['Id']}")
        return took

    return work


def keeper(path, order):
    """Creates containers that stay."""
    connection = Connection(path)

    def work():
        for _ in range(order["count"]):
            connection.ask("POST", "/v1.41/containers/create", order["body"])
        return order["count"]

    return work


def lister(path, order):
    """The same question from many connections at once; requests a second, and how many containers an answer has."""
    connections = [Connection(path) for _ in range(order["connections"])]
    for connection in connections:
        connection.connect()
    request = f"GET {order['target']} HTTP/1.1\r\nHost: docker\r\n\r\n".encode()
    one = Connection(path)

    def work():
        listed = len(one.ask("GET", order["target"]))
        waiting = selectors.DefaultSelector()
        for connection in connections:
            waiting.register(connection.sock, selectors.EVENT_READ, bytearray())
        began = time.perf_counter()
        sent = done = 0
        for connection in connections:
            connection.sock.sendall(request)
            sent += 1
        while done < sent:
            for key, _ in waiting.select(ANSWER_SECONDS_MAX):
                more = key.fileobj.recv(1 << 18)
                if not more:
                    raise measure.Failed("a connection was closed")
                key.data.extend(more)
                if not is_whole(key.data):
                    continue
                if not key.data.startswith(b"HTTP/1.1 200"):
                    raise measure.Failed(key.data.decode(errors="replace"))
                key.data.clear()
                done += 1
                if sent < order["requests"]:
                    key.fileobj.sendall(request)
                    sent += 1
        took = time.perf_counter() - began
        waiting.close()
        return {"rate": done / took, "listed": listed}

    return work


def is_whole(reply):
    """Whether a reply has come to its end."""
    head = reply.find(b"\r\n\r\n")
    if head < 0:
        return False
    fields = bytes(reply[:head]).lower()
    length = fields.find(b"content-length:")
    if length < 0:
        return reply.endswith(b"0\r\n\r\n")
    return len(reply) >= head + 4 + int(fields[length + 15:].split(b"\r\n")[0])


def watcher(path, order):
    """Several streams of events, while containers come and go; how late each event came, in milliseconds, and whether
    each stream had all of them and nothing else."""
    heard = [[] for _ in range(order["streams"])]

    def listen(reply, found):
        for line in reply:
            if line.strip():
                event = json.loads(line)
                found.append((event["Actor"]["ID"], event["Action"], time.time() * 1000 - event["timeNano"] / 1e6))

    for found in heard:
        connection = Connection(path)
        connection.timeout = None
        connection.request("GET", order["target"])
        threading.Thread(target=listen, args=(connection.getresponse(), found), daemon=True).start()
    doer = Connection(path)

    def work():
        for found in heard:
            found.clear()
        wanted = []
        for _ in range(order["count"]):
            made = doer.ask("POST", "/v1.41/containers/create", order["body"])["Id"]
            doer.ask("DELETE", f"/v1.41/containers/{made}")
            wanted += [(made, "create"), (made, "destroy")]
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while any(len(found) < len(wanted) for found in heard) and time.monotonic() < deadline:
            time.sleep(0.01)
        for found in heard:
            if [event[:2] for event in found] != wanted:
                raise measure.Failed(f"of {len(wanted)} events a watcher saw {[event[:2] for event in found]}")
        return [event[2] for found in heard for event in found]

    return work


KINDS = {kind.__name__: kind for kind in (creator, keeper, lister, watcher)}


class Talker:
    """A talker seen from the benchmark."""

    def __init__(self, lab, kind, order, who=None, bare=False):
        command = [sys.executable, "-B", os.path.realpath(__file__), kind, lab.engine if bare else lab.door, json.dumps(order)]
        self.process = lab.start(command, who=who, bare=bare, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer()

    def ask(self):
        """Has the work begun."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def answer(self):
        """Waits for what came of it."""
        line = self.process.stdout.readline()
        said = json.loads(line) if line else {"failed": "a talker ended"}
        if isinstance(said, dict) and "failed" in said:
            raise measure.Failed(said["failed"])
        return said

    def work(self):
        self.ask()
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def main():
    kind, path, order = sys.argv[1:]
    try:
        work = KINDS[kind](path, json.loads(order))
        print("null", flush=True)
        for _ in sys.stdin.buffer:
            print(json.dumps(work()), flush=True)
    except (measure.Failed, OSError, http.client.HTTPException) as error:
        print(json.dumps({"failed": f"{kind}: {error}"}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
