#!/usr/bin/python3
"""Streams over bare sockets: half-close, early bytes, bodies beside an Upgrade, readers that are slow or vanish.

    streams.py [PART...]     all parts, or those named
"""
import socket
import struct
import sys
import threading
import time

import door

checks = door.Checks()
API = "/v1.41"
made = door.ask("POST", f"{API}/containers/create?name=streams-box", {"Image": "busybox", "Cmd": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]})
BOX = made.json["Id"]
door.ask("POST", f"{API}/containers/{BOX}/start")


def exec_of(script, stdin=True, tty=False):
    body = {"AttachStdin": stdin, "AttachStdout": True, "AttachStderr": True, "Tty": tty, "Cmd": ["sh", "-c", script]}
    return door.ask("POST", f"{API}/containers/{BOX}/exec", body).json["Id"]


def start_request(exec_id, tty=False, headers=door.UPGRADE):
    return door.request("POST", f"{API}/exec/{exec_id}/start", {"Detach": False, "Tty": tty}, headers)


def exit_code(exec_id):
    deadline = time.monotonic() + 10
    while True:
        state = door.ask("GET", f"{API}/exec/{exec_id}/json").json
        if not state["Running"] or time.monotonic() > deadline:
            return state["ExitCode"]
        time.sleep(0.02)


def container(script, **more):
    body = {"Image": "busybox", "Cmd": ["sh", "-c", script], "AttachStdout": True, "AttachStderr": True, **more}
    return door.ask("POST", f"{API}/containers/create", body).json["Id"]


def half_close():
    exec_id = exec_of("cat; sleep 0.2; echo late; echo err >&2; exit 3")
    with door.Connection() as connection:
        connection.send(start_request(exec_id))
        status, headers = connection.head()
        checks.equal("exec: 101", status, 101)
        checks.equal("exec: the type of the stream", headers.get("content-type"), "application/vnd.docker.raw-stream")
        checks.equal("exec: upgraded to", (headers.get("connection"), headers.get("upgrade")), ("Upgrade", "tcp"))
        connection.send(b"one\n")
        connection.send(b"two\n")
        connection.socket.shutdown(socket.SHUT_WR)
        checks.equal("exec: output goes on after a half-close", connection.frames(), (b"one\ntwo\nlate\n", b"err\n"))
    checks.equal("exec: exit status", exit_code(exec_id), 3)


def early_bytes():
    exec_id = exec_of("cat; exit 4")
    with door.Connection() as connection:
        connection.send(start_request(exec_id) + b"early\n" * 1000)
        connection.socket.shutdown(socket.SHUT_WR)
        checks.equal("early bytes: 101", connection.head()[0], 101)
        checks.equal("early bytes: all arrive", connection.frames(), (b"early\n" * 1000, b""))
    exec_id = exec_of("cat; exit 5")
    with door.Connection() as connection:
        connection.send(start_request(exec_id))
        connection.socket.shutdown(socket.SHUT_WR)
        connection.head()
        checks.equal("stdin that ends at once", connection.frames(), (b"", b""))
    checks.equal("stdin that ends at once: exit status", exit_code(exec_id), 5)


def upgrade_with_body():
    # Head and body in pieces, and in chunks.
    exec_id = exec_of("cat")
    data = start_request(exec_id)
    with door.Connection() as connection:
        for position in range(0, len(data), 7):
            connection.send(data[position:position + 7])
        connection.head()
        connection.send(b"in pieces\n")
        connection.socket.shutdown(socket.SHUT_WR)
        checks.equal("an Upgrade whose body comes in pieces", connection.frames()[0], b"in pieces\n")
    exec_id = exec_of("cat")
    body = b'{"Detach": false, "Tty": false}'
    head = door.request("POST", f"{API}/exec/{exec_id}/start", None, ("Content-Type: application/json", "Transfer-Encoding: chunked", *door.UPGRADE))
    with door.Connection() as connection:
        connection.send(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) + b"after chunks\n")
        connection.head()
        connection.socket.shutdown(socket.SHUT_WR)
        checks.equal("an Upgrade whose body comes in chunks", connection.frames()[0], b"after chunks\n")


def without_upgrade():
    exec_id = exec_of("echo out; echo err >&2; exit 6", stdin=False)
    with door.Connection() as connection:
        reply = connection.ask("POST", f"{API}/exec/{exec_id}/start", {"Detach": False, "Tty": False})
        checks.equal("exec without an Upgrade: 200", reply.status, 200)
        checks.holds("exec without an Upgrade: output", b"out\n" in reply.body and b"err\n" in reply.body, reply.body)
    checks.equal("exec without an Upgrade: exit status", exit_code(exec_id), 6)
    for target in ("/_ping", f"{API}/containers/json"):
        with door.Connection() as connection:
            reply = connection.ask("GET", target, None, door.UPGRADE)
            checks.equal(f"an Upgrade where there is none to have: {target}", reply.status, 200)
            checks.equal("the same connection afterwards", connection.ask("GET", "/_ping").body, b"OK")
    with door.Connection() as connection:
        absent = connection.ask("POST", f"{API}/containers/nobodys/attach?stream=1&stdin=1", None, door.UPGRADE)
        checks.equal("an Upgrade that is refused", absent.status, 404)
        checks.equal("the same connection afterwards", connection.ask("GET", "/_ping").body, b"OK")


def attaching():
    reader = container("read line; echo got $line; cat; exit 7", OpenStdin=True, StdinOnce=True, AttachStdin=True)
    with door.Connection() as first, door.Connection() as second:
        for connection, stdin in ((first, 1), (second, 0)):
            connection.send(door.request("POST", f"{API}/containers/{reader}/attach?stream=1&stdout=1&stderr=1&stdin={stdin}", None, door.UPGRADE))
            checks.equal("attach: 101", connection.head()[0], 101)
        door.ask("POST", f"{API}/containers/{reader}/start")
        first.send(b"word\nrest\n")
        first.socket.shutdown(socket.SHUT_WR)
        checks.equal("attach: half-close ends stdin", first.frames(), (b"got word\nrest\n", b""))
        checks.equal("attach: a second one sees the same", second.frames(), (b"got word\nrest\n", b""))
    checks.equal("attach: exit status", door.ask("POST", f"{API}/containers/{reader}/wait").json["StatusCode"], 7)
    door.ask("DELETE", f"{API}/containers/{reader}")
    terminal = container("read line; stty size; echo got $line", OpenStdin=True, Tty=True, AttachStdin=True)
    with door.Connection() as connection:
        connection.send(door.request("POST", f"{API}/containers/{terminal}/attach?stream=1&stdout=1&stdin=1", None, door.UPGRADE))
        connection.head()
        door.ask("POST", f"{API}/containers/{terminal}/start")
        checks.equal("a terminal's size is set", door.ask("POST", f"{API}/containers/{terminal}/resize?h=33&w=99").status, 200)
        connection.send(b"word\n")
        text = connection.rest()
        checks.holds("a terminal: raw bytes", b"33 99" in text and b"got word\r\n" in text, text)
    door.ask("DELETE", f"{API}/containers/{terminal}")
    with door.Connection() as connection:
        connection.send(door.request("GET", f"{API}/containers/{BOX}/attach/ws?stream=1&stdout=1", None, (
            "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: http://door")))
        status, headers = connection.head()
        checks.equal("a web socket: 101", status, 101)
        checks.equal("a web socket: accepted", headers.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")


def ends_with_the_container():
    short = container("echo up; sleep 1000")
    with door.Connection() as connection:
        connection.send(door.request("POST", f"{API}/containers/{short}/attach?stream=1&stdout=1&logs=1", None, door.UPGRADE))
        connection.head()
        door.ask("POST", f"{API}/containers/{short}/start")
        door.ask("POST", f"{API}/containers/{short}/kill")
        checks.holds("an attach ends with its container", connection.rest() is not None)
    door.ask("DELETE", f"{API}/containers/{short}?force=1")


def large():
    exec_id = exec_of("cat")
    sent = bytes(range(256)) * 32000
    with door.Connection(timeout=60) as connection:
        connection.send(start_request(exec_id))
        connection.head()

        def feed():
            connection.socket.sendall(sent)
            connection.socket.shutdown(socket.SHUT_WR)

        feeder = threading.Thread(target=feed)
        feeder.start()
        got, _ = connection.frames()
        feeder.join()
    checks.holds("8 MB both ways at once", got == sent, len(got))


def vanishing():
    """Clients that go away in the middle of everything; what they leave is counted by the script."""
    noisy = container("while :; do echo noise; done")
    door.ask("POST", f"{API}/containers/{noisy}/start")
    for _ in range(10):
        opened = []
        for request in (
            door.request("GET", f"{API}/events"),
            door.request("GET", f"{API}/containers/{noisy}/logs?follow=1&stdout=1"),
            door.request("GET", f"{API}/containers/{BOX}/logs?follow=1&stdout=1"),
            door.request("GET", f"{API}/containers/{BOX}/stats"),
            door.request("POST", f"{API}/containers/{BOX}/wait"),
            door.request("POST", f"{API}/containers/{noisy}/attach?stream=1&stdout=1", None, door.UPGRADE),
            door.request("POST", f"{API}/containers/{BOX}/attach?stream=1&stdout=1&stdin=1", None, door.UPGRADE),
            start_request(exec_of("while :; do echo noise; sleep 0.01; done")),
            start_request(exec_of("exec cat >/dev/null")),
            # Half a head, half a body, half an upload.
            b"GET /v1.41/inf",
            door.request("POST", f"{API}/containers/create", None, ("Content-Type: application/json", "Content-Length: 4000")) + b'{"Ima',
            door.request("PUT", f"{API}/containers/{BOX}/archive?path=/tmp", None, ("Content-Type: application/x-tar", "Content-Length: 40000")) + b"\0" * 512,
            door.request("POST", f"{API}/build?t=vanished", None, ("Content-Type: application/x-tar", "Transfer-Encoding: chunked")) + b"200\r\n" + b"\0" * 512 + b"\r\n",
        ):
            connection = door.Connection()
            connection.send(request)
            opened.append(connection)
        # One reads a little and then no more; one has closed half before it goes.
        opened[1].more()
        opened[5].more()
        opened[6].socket.shutdown(socket.SHUT_WR)
        for connection in opened:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.socket.close()
    door.ask("DELETE", f"{API}/containers/{noisy}?force=1")
    checks.equal("the door answers as before", door.ask("GET", "/_ping").body, b"OK")


parts = (half_close, early_bytes, upgrade_with_body, without_upgrade, attaching, ends_with_the_container, large, vanishing)
for part in parts:
    if len(sys.argv) == 1 or part.__name__ in sys.argv:
        part()
door.ask("DELETE", f"{API}/containers/{BOX}?force=1")
checks.end("streams")
