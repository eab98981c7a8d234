#!/usr/bin/env python3
"""Plays the scenes of the README's picture in a lab and hands what was said to the drawing.

    demo.py LAB-SCRIPT LAB-DIRECTORY OUT

Every command runs on a pseudo-terminal of its own, as the person who types it. It needs nothing but Python's standard
library. A command that fails, or says something else than the scene needs, ends the recording: a picture shows only
what worked.
"""

import fcntl
import os
import pty
import re
import select
import socket
import struct
import sys
import termios
import time

import draw

COLUMNS = 92
COMMAND_SECONDS_MAX = 60
IMAGE = "ds01-python:latest"


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, lab, person, command):
        self.said = b""
        self.command = f"{person}$ {command}"
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # Before it looks how wide its terminal is.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
            os.execvp(lab[0], [*lab, person, "bash", "-c", command])

    def until(self, words=None):
        """Reads until it says the words, or to its end, which must then be a success."""
        deadline = time.monotonic() + COMMAND_SECONDS_MAX
        while words is None or words.encode() not in self.said:
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                sys.exit(f"record: not done in time: {self.command}")
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                piece = b""
            if not piece:
                break
            self.said += piece
        else:
            return self
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if status != 0 or words is not None:
            sys.exit(f"record: ended with {status}: {self.command}\n{self.said.decode(errors='replace')}")
        return self


def steady(text):
    """What differs from one recording to the next, made the same, in the same number of columns."""
    def same(words):
        return lambda found: words.ljust(len(found.group(0)))

    text = re.sub(r"/[a-z0-9/_-]*/home/([a-z]+)\b", r"/home/\1", text)
    text = re.sub(rf"{re.escape(socket.gethostname())}(?=: \d+ of)", "server", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b", "2026-11-23 14:00", text)
    text = re.sub(r"(?<=expected )\d\d:\d\d", "14:12", text)
    text = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", "5f0c1b7a92de", text)
    text = re.sub(r"\b2 min \d+ s(?= left)", "3 min", text)
    text = re.sub(r"\b2 min \d+ s\b|\b3 min\b", same("3 min"), text)
    return re.sub(r"\b\d+ s\b(?! left)", same("2 s"), text)


def lines(said):
    """The lines on a terminal; of a line that is written over and over, the last."""
    kept = []
    for line in re.split(r"\r*\n", steady(said.decode(errors="replace"))):
        # What was erased told of a wait. Its last state is worth keeping: the picture has no time to show it otherwise.
        versions = [version for version in re.split(r"\r?\x1b\[2K\r?", line) if draw.plain(version).strip()]
        said_last = versions[-1:]
        if len(versions) > 1 and draw.plain(versions[-2])[:8] != draw.plain(versions[-1])[:8]:
            said_last = versions[-2:]
        kept.extend(said_last or ([""] if kept else []))
    while kept and kept[-1] == "":
        kept.pop()
    return kept


def main():
    script, directory, out = sys.argv[1:]
    lab = [script, "as", directory]
    server, waiting = draw.Pane("two at work"), draw.Pane("one who waits")

    def act(person, command, pause=1.6, words=""):
        """A command and its answer; asked again, unseen, until the words are in it."""
        deadline = time.monotonic() + COMMAND_SECONDS_MAX
        said = Terminal(lab, person, command).until().said
        while words.encode() not in said:
            if time.monotonic() > deadline:
                sys.exit(f"record: it never says {words!r}: {person}$ {command}\n{said.decode(errors='replace')}")
            time.sleep(0.2)
            said = Terminal(lab, person, command).until().said
        server.type(person, command)
        server.say(lines(said), pause)

    act("alice", f"container deploy my-project --image {IMAGE}")
    act("bob", "docker run -d --gpus all --name train busybox sleep 3600")
    act("bob", "gpu-status", 2.4)
    carol = f"container deploy thesis --image {IMAGE}"
    waiting.at(server.now)
    waiting.type("carol", carol)
    third = Terminal(lab, "carol", carol).until("next in line")
    waiting.say(lines(third.said), 1.2)
    server.at(waiting.now)
    # Who is idle is known when it was looked twice.
    act("bob", "ds01 queue", 2.4, "stays idle")
    act("alice", "container retire my-project", 0)
    told = len(lines(third.said))
    waiting.at(server.now + 0.2)
    waiting.say(lines(third.until().said)[told:], 0)
    draw.write(f"{out}/demo.svg", "Two people hold both GPU units, a third waits in line and starts when one is given back",
               [server, waiting], COLUMNS)


if __name__ == "__main__":
    main()
