"""Connections that change hands: whoever sends on one is who connected it, with the rights that he has by then.

    handed.py SOCKET ALICE BOB

Run as root, who can be anybody. Python's own library only.
"""
import array
import json
import os
import pwd
import socket
import sys

DOOR, ALICE, BOB = sys.argv[1:4]
ASK = b"GET /ds01/v1/whoami HTTP/1.1\r\nHost: d\r\n\r\n"


def become(name, gid=None):
    entry = pwd.getpwnam(name)
    gid = entry.pw_gid if gid is None else gid
    os.setgroups([] if gid != entry.pw_gid else os.getgrouplist(name, gid))
    os.setresgid(gid, gid, gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)


def answer(link):
    """Asks on a connection who it is."""
    link.settimeout(10)
    link.sendall(ASK)
    got = b""
    while b"\r\n\r\n" not in got or not got.rstrip().endswith(b"}"):
        part = link.recv(65536)
        if not part:
            break
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1]) if head else 0
    said = json.loads(body[body.index(b"{"):]) if b"{" in body else {}
    return status, said.get("name") or said.get("user"), said.get("admin")


def connected(name, gid=None, stays=True):
    """A connection that a process of this user makes and hands over; the process stays, or has ended."""
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        here.close()
        become(name, gid)
        link = socket.socket(socket.AF_UNIX)
        link.connect(DOOR)
        # Asked once, so that the door has seen its maker alive.
        first = answer(link)
        message = json.dumps(first).encode()
        there.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [link.fileno()]))])
        if stays:
            there.recv(1)
        os._exit(0)
    there.close()
    message, ancillary, _, _ = here.recvmsg(65536, socket.CMSG_SPACE(4))
    descriptor = array.array("i")
    descriptor.frombytes(ancillary[0][2][:4])
    if not stays:
        os.waitpid(child, 0)
    return tuple(json.loads(message)), socket.socket(fileno=descriptor[0]), here


def used_by(name, link):
    """What somebody else is told on it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        become(name)
        os.write(write, json.dumps(answer(link)).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as source:
        return tuple(json.loads(source.read()))


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found}, not {wanted}")
    print("as it should be:", what)


first, link, holder = connected(ALICE)
expect("alice on her own", first, (200, ALICE, False))
expect("root on a connection that alice handed him is alice", answer(link), (200, ALICE, False))
expect("bob on it is alice, who gave it away", used_by(BOB, link), (200, ALICE, False))
holder.close()

_, link, _ = connected(ALICE, stays=False)
expect("alice's connection after her process has ended", used_by(BOB, link), (200, ALICE, False))

first, link, holder = connected("root")
expect("root on his own", first, (200, "root", True))
holder.close()
_, link, _ = connected("root", stays=False)
expect("root's connection after his process has ended administers nothing", used_by(BOB, link)[2], False)

for gid in (0, 4, 27):
    first, link, holder = connected(ALICE, gid=gid)
    expect(f"alice through a program that is setgid {gid}", first, (200, ALICE, False))
    holder.close()
