"""One user's attempts to keep everybody else out: connections that say nothing, or say it slowly, or do not listen.

    siege.py idle|heads|bodies|readers N [CONTAINER]

Opens N connections, says `standing K` for how many of them the door kept, and holds them until its standard input ends.
Then it says `left K`: how many are open still. Python's own library only.
"""
import os
import select
import socket
import sys
import time

HOST = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
HEAD = b"GET /v1.41/version HTTP/1.1\r\nHost: d\r\n"
CREATE = b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n"
BODY_FIRST_BYTES = 3_900_000
SETTLE_SECONDS = 3.0
TRICKLE_SECONDS = 0.5


def connect():
    link = socket.socket(socket.AF_UNIX)
    link.setblocking(False)
    while True:
        try:
            link.connect(HOST)
            return link
        except BlockingIOError:
            time.sleep(0.001)  # the queue of the listening socket is full: others come in between


def send_some(link, data):
    """As much as the other side takes now."""
    try:
        return link.send(data)
    except BlockingIOError:
        return 0
    except OSError:
        return None


def is_open(link, listens):
    """Whether the door has not closed it; what it says is read only by those who listen."""
    try:
        if not listens:
            return not select.select([], [], [link], 0)[2] and link.send(b"") == 0
        while True:
            if not link.recv(65536):
                return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def begin(kind, link, container):
    """The first words of a connection; what follows bit by bit."""
    if kind == "heads":
        send_some(link, HEAD)
        return b"X-Slow: " + b"a" * 100_000
    if kind == "bodies":
        send_some(link, CREATE)
        return b" " * BODY_FIRST_BYTES
    if kind == "readers":
        send_some(link, b"GET /v1.41/containers/%s/logs?stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n" % container.encode())
    return b""


def main():
    kind, number = sys.argv[1], int(sys.argv[2])
    container = sys.argv[3] if len(sys.argv) > 3 else ""
    links = [connect() for _ in range(number)]
    rest = {link: begin(kind, link, container) for link in links}
    listens = kind != "readers"
    said, ends = False, time.monotonic() + SETTLE_SECONDS
    while True:
        for link, data in list(rest.items()):
            # Of a body as much as is taken at once, of a head a byte at a time: the sender is alive, and slow.
            sent = send_some(link, data[: 1 if kind == "heads" else 1 << 20]) if data else 0
            if sent is None:
                rest[link] = b""
            elif sent:
                rest[link] = data[sent:]
        if not said and time.monotonic() > ends:
            said = True
            print("standing", sum(is_open(link, listens) for link in links), flush=True)
        if select.select([sys.stdin], [], [], TRICKLE_SECONDS if kind == "heads" else 0.02)[0] and not sys.stdin.read(1):
            break
    print("left", sum(is_open(link, listens) for link in links), flush=True)


main()
