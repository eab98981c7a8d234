#!/usr/bin/env python3
"""Types every command of the hand on a terminal, on pipes and with --json, and compares what it prints, and what it ends
with, to the snapshots in a directory.

    hand.py LAB-SCRIPT LAB-DIRECTORY SNAPSHOTS [--update] [SCENE…]

A scene is a story of commands; what is different each time (ids, times, homes) is told by one word. On a terminal the
screen is 100 columns wide, what a line erases is gone, and colours are left out. --update writes what is seen as what is
expected: read the difference before it is kept. It needs nothing but Python's standard library.
"""

import difflib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

SECONDS_MAX = 60
ROWS, COLUMNS = 40, 100
TERMINAL, PIPE, JSON = "terminal", "pipe", "json"
ALL = (TERMINAL, PIPE, JSON)

# In this order: what stands behind may rest on what stood before.
DIFFERENT = [
    (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
    (r"\b(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", r"\1-UUID"),
    (r"\b[0-9a-f]{64}\b", "ID"),
    (r"/[\w/.-]*/home/(alice|bob|carol)\b", r"~\1"),
    (r"/tmp/ds01-55-hand\.\w+", "SCRATCH"),
    (r'("(?:created|uid|age_seconds|state_seconds|held_seconds|waited_seconds|left_seconds|expected_seconds|latest_seconds)": ?)\d+', r"\1N"),
    # Which of the holders is known to be idle by then hangs on the second.
    (
        r"\bexpected (?:at the latest )?(?:[\d-]+ )?\d\d:\d\d, (?:if|when) [^;.\n\"]+(?:; at the latest (?:[\d-]+ )?\d\d:\d\d)?",
        "OUTLOOK",
    ),
    (r"(user id +)\d+", r"\1N"),
    (r"^(  id +)[0-9a-f]{12}$", r"\1ID"),
    (r"\b\d+ (?:s|min|h|d)(?: \d+ (?:s|min|h))?(?= ago| of 3 min|$| *\n|\)| {2,}| left|;)", "SPAN"),
    (r"\b(for|in|ended +|denied +)(\s?)\d+ (?:s|min|h|d)(?: \d+ (?:s|min|h))?\b", r"\1\2SPAN"),
    (r"(running|paused|stopped \(\d+\)|stopped) \d+ s\b", r"\1 SPAN"),
    # A shell that is told its size after it has asked asks again.
    (r"(\w+@[\w-]+:\S+\$ )\1+", r"\1"),
    (r"^[\w.-]+(: \d+ of \d+ GPU units? free)", r"HOST\1"),
    (r'("host": ?)"[^"]*"', r'\1"HOST"'),
    (r'("(?:cpu_percent|memory_bytes|memory_limit_bytes|\w+_(?:in|out|read|written)_bytes)": ?)[\d.]+', r"\1N"),
    (r"\d+\.\d% +\d\S*(?: \w+)? of \S+ \w+(?: +\d\S* \w+ / \S+ \w+){0,2}", "USAGE"),
]
# What such a word stands for is as wide as it is: columns are told apart, and no more.
SQUEEZED = [(r"(?<=\S) {2,}", "   "), (r" +$", "")]


class Lab:
    """Commands of a lab's people."""

    def __init__(self, script, directory):
        self.script, self.directory = script, directory

    def argv(self, person, command):
        return [self.script, "as", self.directory, person, "sh", "-c", command]

    def quietly(self, person, command):
        """Something that the scene needs and does not show."""
        done = subprocess.run(self.argv(person, command), capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
        if done.returncode:
            sys.exit(f"{person}: {command}: {done.stdout}{done.stderr}")

    def on_pipes(self, person, command, typed=""):
        done = subprocess.run(
            self.argv(person, command), input=typed, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
        errors = "".join(f"! {line}\n" for line in done.stderr.splitlines())
        return done.stdout + errors, done.returncode

    def on_terminal(self, person, command, talk=()):
        """`talk` is pairs of a text to wait for and what is typed then."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm-256color"
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            argv = self.argv(person, command)
            os.execv(argv[0], argv)
        screen, unread, talk = b"", b"", list(talk)
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            if talk and talk[0][0].encode() in plain(unread):
                os.write(terminal, talk.pop(0)[1].encode())
                unread = b""
            if not select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                sys.exit(f"{person}: {command}: no end after {SECONDS_MAX} s; on the screen: {screen.decode()}")
            try:
                read = os.read(terminal, 65536)
            except OSError:
                read = b""
            if not read:
                break
            screen, unread = screen + read, unread + read
        status = os.waitpid(pid, 0)[1]
        os.close(terminal)
        if talk:
            sys.exit(f"{person}: {command}: never said {talk[0][0]!r}: {screen.decode()}")
        code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return shown(screen.decode(errors="replace")), code


def plain(screen):
    return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", screen)


def shown(screen):
    """What stands on the screen in the end: erased lines are gone."""
    lines = screen.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rsplit("\r\x1b[2K", 1)[-1].replace("\r", "") for line in lines)


def normal(text):
    for pattern, word in DIFFERENT + SQUEEZED:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text


class Scene:
    """The commands of one story, and what was seen of them."""

    def __init__(self, lab):
        self.lab, self.seen = lab, []

    def tell(self, mode, person, command, said, code):
        self.seen.append(f"--- {mode}\n{person}$ {command}\n{normal(said)}".rstrip("\n") + f"\n[exit {code}]\n")

    def do(self, mode, person, command, talk=(), typed=""):
        """One command in one way."""
        if mode == TERMINAL:
            said, code = self.lab.on_terminal(person, command, talk)
        else:
            command += " --json" if mode == JSON else ""
            said, code = self.lab.on_pipes(person, command, typed)
        self.tell(mode, person, command, said, code)

    def each(self, person, *commands):
        """Commands that only look, in every way."""
        for command in commands:
            for mode in ALL:
                self.do(mode, person, command)


def look(s):
    """What there is when nobody has anything."""
    s.each("alice", "ds01 whoami", "gpu-status", "check-limits", "container list", "ds01 queue")
    for mode in (TERMINAL, PIPE):
        s.do(mode, "alice", "ds01 greeting")
    s.do(PIPE, "alice", "dashboard")
    for spelling in ("check limits", "ds01 check limits", "ds01 gpu status", "container ls", "container-ls --all"):
        s.do(PIPE, "alice", spelling)


def life(s):
    """A project's container from its making to its end."""
    for mode in ALL:
        s.do(mode, "alice", "container deploy hand-life --image busybox --background")
        s.do(mode, "alice", "container deploy hand-life --image busybox")
        s.do(mode, "alice", "container deploy hand-life --image busybox --dry-run")
        s.do(mode, "alice", "container deploy hand-life --image busybox --cpu-only")
        s.do(mode, "alice", "container list")
        s.do(mode, "alice", "gpu-status")
        s.do(mode, "alice", "ds01 why hand-life")
        s.do(mode, "alice", "container stop hand-life")
        s.do(mode, "alice", "container stop hand-life")
        s.do(mode, "alice", "container list")
        s.do(mode, "alice", "container list --all")
        s.do(mode, "alice", "ds01 why hand-life")
        s.do(mode, "alice", "container deploy hand-life --image busybox --cpu-only --force")
        s.do(mode, "alice", "container retire hand-life")
        s.do(mode, "alice", "container retire hand-life")
        s.do(mode, "alice", "ds01 why hand-life")


def acts(s):
    """Making, starting, pausing, stopping and removing, each by itself, and by somebody whom it is not for."""
    for mode in ALL:
        s.do(mode, "alice", "container create hand-acts --image busybox --dry-run")
        s.do(mode, "alice", "container create hand-acts --image busybox")
        s.do(mode, "alice", "container create hand-acts --image busybox")
        s.do(mode, "alice", "container create hand-acts --image busybox --cpu-only")
        s.do(mode, "alice", "container pause hand-acts")
        s.do(mode, "alice", "container start hand-acts")
        s.do(mode, "alice", "container start hand-acts")
        s.do(mode, "alice", "container create hand-acts --image busybox")
        s.do(mode, "alice", "container remove hand-acts")
        s.do(mode, "alice", "container pause hand-acts")
        s.do(mode, "alice", "container pause hand-acts")
        s.do(mode, "alice", "container start hand-acts")
        s.do(mode, "alice", "container unpause hand-acts")
        s.do(mode, "alice", "container unpause hand-acts")
        for command in ("start", "pause", "unpause", "stop", "remove", "remove --force", "retire"):
            s.do(mode, "bob", f"container {command} hand-acts._.alice")
            s.do(mode, "bob", f"container {command} --all")
        s.do(mode, "alice", "container stop hand-acts --timeout 0")
        s.do(mode, "alice", "container remove hand-acts")
        s.do(mode, "alice", "container remove hand-acts")
        s.do(mode, "alice", "container remove hand-acts --force")
        s.do(mode, "alice", "container create hand-acts --image busybox --cpu-only --project hand-other")
        s.do(mode, "alice", "container start --all")
        s.do(mode, "alice", "container pause --all")
        s.do(mode, "alice", "container unpause --all")
        s.do(mode, "alice", "container stop --all --timeout 0")
        s.do(mode, "alice", "container rm --all")
        s.do(mode, "alice", "container create hand-acts --image busybox --cpu-only")
        s.do(mode, "alice", "container start hand-acts")
        s.do(mode, "alice", "container remove --force hand-acts")
        s.do(mode, "alice", "container create hand-acts --image busybox --cpu-only --force")
        s.do(mode, "alice", "container retire --all --volumes --images --timeout 0")
        s.do(mode, "alice", "container create hand-acts --framework nothing")
        s.do(mode, "alice", "container deploy hand-acts --framework pytorch --dry-run")


def leave(s):
    """Typed on the host: how a container is left."""
    for mode in (TERMINAL, PIPE):
        s.do(mode, "alice", "container exit")
    s.lab.quietly("alice", "container create hand-leave --image busybox")
    s.do(PIPE, "alice", "container exit hand-leave")
    s.lab.quietly("alice", "container start hand-leave")
    s.do(PIPE, "alice", "container exit hand-leave")
    s.lab.quietly("alice", "container pause hand-leave")
    s.do(PIPE, "alice", "container-exit hand-leave")
    s.do(PIPE, "bob", "container exit hand-leave._.alice")
    s.do(PIPE, "alice", "container exit no-such")
    s.lab.quietly("alice", "container retire hand-leave --force")


def lists(s):
    """The list in all its forms."""
    s.lab.quietly("alice", "container deploy hand-train --image busybox")
    s.lab.quietly("alice", "container create hand-notes --image busybox --cpu-only")
    s.lab.quietly("alice", "docker run -d --name hand-web busybox sleep 1000")
    for command in (
        "--detailed --all", "--filter project=hand-train", "--filter status=created", "--filter kind=docker --filter name=hand",
        "--all --format '{{.Name}} {{.State}}'", r"--format 'table {{.Project}}\t{{.GPU}}\t{{.Image}}'",
        "--format '{{json .Name}}'", "--no-trunc", "--filter colour=red", "--format '{{.Nmae}}'",
    ):
        s.do(PIPE, "alice", f"container list {command}")
    for command in ("-q | tr -d '[:xdigit:]'", "-aq --no-trunc", "--format json | jq -r 'keys_unsorted | join(\" \")'"):
        s.do(PIPE, "alice", f"container list {command}")
    s.do(TERMINAL, "alice", "exec container list --watch --filter project=hand-train", [("hand-train", "\x03")])
    s.do(PIPE, "alice", "container list --watch=1 --filter project=hand-train")
    s.do(PIPE, "bob", "container list --all --detailed")
    s.lab.quietly("alice", "container retire hand-train hand-notes hand-web --force")


def shell(s):
    """Shells: who one is, what is passed on, what stays."""
    prompt, home = "alice@hand-shell:/workspace$ ", "/workspace$ "
    s.do(TERMINAL, "alice", "container deploy hand-shell --image busybox --open", [(home, "id -un\n"), (prompt, "exit 3\n")])
    s.do(TERMINAL, "alice", "container attach hand-shell", [(home, "until stty size 2>/dev/null; do :; done\n"), (prompt, "exit\n")])
    s.do(TERMINAL, "alice", "container run hand-shell", [(home, "echo $((6 * 7))\n"), (prompt, "exit\n")])
    s.do(PIPE, "alice", "container attach hand-shell", typed="id -un; pwd; echo wrong >&2; exit 7\n")
    s.do(PIPE, "alice", "container stop hand-shell")
    s.do(PIPE, "alice", "container attach hand-shell")
    s.do(PIPE, "alice", "container run hand-shell", typed="echo here again\n")
    s.lab.quietly("alice", "docker pause hand-shell._.alice")
    s.do(PIPE, "alice", "container attach hand-shell")
    s.do(PIPE, "alice", "ds01 why hand-shell")
    s.lab.quietly("alice", "docker unpause hand-shell._.alice")
    s.do(PIPE, "alice", "container retire hand-shell --force")
    s.do(PIPE, "alice", "container run hand-shell")
    s.do(TERMINAL, "alice", "container run hand-shell", [("[Y/n] ", "n\n")])


def line(s):
    """The line: waiting, looking at it, leaving it, and what waiting does not help."""
    s.lab.quietly("bob", "docker run -d --name full --gpus device=0 busybox sleep 1000")
    s.lab.quietly("carol", "docker run -d --name eval --gpus 2 busybox sleep 1000")
    s.lab.quietly("carol", "docker run -d --name train --gpus 2 busybox sleep 1000")
    s.each("alice", "gpu-status", "ds01 queue")
    for mode in ALL:
        s.do(mode, "alice", "container deploy hand-line --image busybox --no-wait")
        s.do(mode, "alice", "container deploy hand-line --image busybox --wait 1s")
        s.do(mode, "alice", "container deploy hand-line --image busybox --dry-run")
        s.do(mode, "alice", "container deploy hand-line --image busybox --gpus 2")
        s.do(mode, "bob", "container deploy hand-line --image busybox")
        s.do(mode, "alice", "container deploy hand-line --image busybox --gpus 99")
    s.do(TERMINAL, "alice", "container deploy hand-line --image busybox", [("waiting for a GPU", "\x03")])
    waiting = subprocess.Popen(
        s.lab.argv("alice", "container deploy hand-line --image busybox"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    for text in waiting.stdout:
        if "waiting" in text:
            break
    s.each("alice", "container list", "ds01 why hand-line", "ds01 queue")
    s.do(PIPE, "alice", "container attach hand-line")
    s.do(PIPE, "alice", "container retire hand-line")
    said, _ = waiting.communicate(timeout=SECONDS_MAX)
    s.tell("pipe, the one that waited", "alice", "container deploy hand-line --image busybox", said, waiting.returncode)
    for person, names in (("bob", "full"), ("carol", "eval train")):
        s.lab.quietly(person, f"docker rm -f {names}")


def ends(s):
    """Why a container is as it is, however it ended."""
    python = "ds01-python python3 -c"
    s.lab.quietly("alice", f"docker run --name memory --gpus 1 -m 16m --memory-swap 16m {python} 'bytearray(200 << 20)'; true")
    s.lab.quietly("alice", "docker run --name wrong --gpus 1 busybox sh -c 'exit 3'; true")
    s.lab.quietly("alice", "docker run --name right --gpus 1 busybox true")
    s.lab.quietly("alice", "docker run --name absent --gpus 1 busybox /no/such/program 2>/dev/null; true")
    s.lab.quietly("alice", "docker run -d --name killed --gpus 1 busybox sleep 1000 && docker kill killed")
    s.lab.quietly("alice", "docker run -d --name stopped busybox sleep 1000 && docker stop -t 0 stopped")
    s.lab.quietly("alice", "docker create --name fresh busybox true")
    s.lab.quietly("alice", "docker run -d --name whole --gpus device=0 busybox sleep 1000")
    s.lab.quietly("alice", "docker create --name denied --gpus 1 busybox true && docker start denied 2>/dev/null; true")
    s.lab.quietly("bob", "docker run -d --name bobs busybox sleep 1000")
    for name in ("memory", "wrong", "right", "absent", "killed", "stopped", "fresh", "whole", "denied", "bobs", "no-such"):
        s.do(PIPE, "alice", f"ds01 why {name}")
    s.do(JSON, "alice", "ds01 why memory")
    s.lab.quietly("alice", "docker rm -f memory wrong right absent killed stopped fresh whole denied")
    s.lab.quietly("bob", "docker rm -f bobs")


def mistakes(s):
    """What is refused, with which words and which number."""
    s.lab.quietly("bob", "container deploy hand-bobs --image busybox --cpu-only")
    for command in (
        "container deploy hand-x --image no-such-image:1",
        "container deploy hand-x",
        "container deploy hand-x --image busybox --workspace /etc",
        "container deploy hand-x --image busybox --data /root",
        "container deploy 'Hand X' --image busybox",
        "container deploy ../x --image busybox",
        "container stop hand-bobs._.bob",
        "container retire hand-bobs._.bob",
        "ds01 why hand-bobs._.bob",
    ):
        s.do(PIPE, "alice", command)
        s.do(JSON, "alice", command)
    for command in (
        "container attach hand-bobs._.bob",
        "container run hand-bobs._.bob",
        "container attach no-such",
        "container stop no-such also-not",
        "container deploy",
        "container deploy hand-x --wait soon",
        "container deploy hand-x --wait 25h",
        "container deploy hand-x --cpu-only --gpus 2",
        "container deploy hand-x --open --json",
        "container list --evrything",
        "container destroy hand-x",
        "container start hand-x",
        "container stop hand-x --all",
        "container stop hand-x --timeout soon",
        "ds01 project launch hand-nothing --open",
        "container deploy hand-x --gpus all",
        "container",
        "check",
        "ds01 nothing",
        "DOCKER_HOST=unix:///no/such/socket container list",
        "DOCKER_HOST=tcp://192.0.2.1:2375 container list",
        "DOCKER_HOST=unix:///no/such/socket gpu-status --json",
    ):
        s.do(PIPE, "alice", command)
    s.lab.quietly("bob", "container retire hand-bobs")


def watch(s):
    """What containers write and use."""
    says = "echo wrong >&2; until [ -e /go ]; do :; done; echo out; exec sleep 1000"
    s.lab.quietly("alice", f"docker run -d --name hand-says --gpus device=1:2 busybox sh -c '{says}'")
    # The Engine keeps no order between the two outputs: the second waits until the first is in the log.
    s.lab.quietly("alice", "until [ -n \"$(docker logs hand-says 2>&1 >/dev/null)\" ]; do :; done; docker exec hand-says touch /go")
    s.lab.quietly("alice", "until [ -n \"$(docker logs hand-says 2>/dev/null)\" ]; do :; done")
    s.do(TERMINAL, "alice", "container logs hand-says --tail 1 2>/dev/null")
    s.do(PIPE, "alice", "container logs hand-says")
    s.do(PIPE, "alice", "container logs hand-says --since 1h --until 30m")
    s.do(PIPE, "bob", "container logs hand-says")
    s.do(PIPE, "alice", "container logs hand-says --tail some")
    s.do(PIPE, "alice", "container logs hand-says --since yesterday")
    s.do(TERMINAL, "alice", "container logs hand-says --follow 2>/dev/null", [("out", "\x03")])
    s.each("alice", "container stats --gpu")
    s.do(PIPE, "alice", "container stats hand-says none")
    s.do(PIPE, "bob", "container stats")
    s.do(PIPE, "bob", "container stats hand-says --json")
    s.do(PIPE, "alice", "container stats --watch")
    s.do(TERMINAL, "alice", "gpu-status --watch=60", [("Ctrl-C ends it", "\x03")])
    s.lab.quietly("alice", "docker rm -f hand-says")


def help_texts(s):
    """The help of every command."""
    for command in (
        "ds01", "container", "container deploy", "container create", "container start", "container run", "container attach",
        "container exit", "container stop", "container pause", "container unpause", "container retire", "container remove",
        "container list", "container logs", "container stats", "gpu-status", "check-limits", "ds01 whoami", "ds01 queue",
        "ds01 why", "dashboard", "ds01 greeting", "ds01 install-links", "ds01 completion", "ds01 man", "ds01 doctor", "ds01 keep",
    ):
        s.do(PIPE, "alice", f"{command} --help")


def links(s):
    """The links by which the commands have short names."""
    s.do(PIPE, "alice", "mkdir -p hand-links && ds01 install-links hand-links && ls hand-links")
    s.do(PIPE, "alice", "ds01 install-links hand-links")
    s.do(PIPE, "alice", "rm hand-links/container && echo mine >hand-links/container && ds01 install-links hand-links")
    s.do(PIPE, "alice", "ds01 install-links /no/such/directory")
    s.do(PIPE, "alice", "ds01 install-links /usr/bin")
    s.lab.quietly("alice", "rm -r hand-links")


SCENES = {
    "look": look, "life": life, "acts": acts, "leave": leave, "lists": lists, "shell": shell, "line": line,
    "ends": ends, "mistakes": mistakes, "watch": watch, "help": help_texts, "links": links,
}


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--update"]
    lab, folder = Lab(*arguments[:2]), arguments[2]
    different = 0
    for name in arguments[3:] or SCENES:
        scene = Scene(lab)
        for begin_or_end in range(2):
            # Homes outlive a lab: a workspace of an earlier run would not be "made just now".
            for person in ("alice", "bob"):
                lab.quietly(person, "rm -rf workspace/hand-*")
            if begin_or_end == 0:
                SCENES[name](scene)
        seen = "\n".join(scene.seen)
        path = os.path.join(folder, f"{name}.txt")
        if "--update" in sys.argv:
            with open(path, "w", encoding="utf-8") as file:
                file.write(seen)
        expected = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                expected = file.read()
        if seen == expected:
            print(f"    {name}: {len(scene.seen)} commands as expected", flush=True)
            continue
        different += 1
        sys.stdout.writelines(
            difflib.unified_diff(expected.splitlines(True), seen.splitlines(True), path, "as it is now")
        )
    sys.exit(1 if different else 0)


main()
