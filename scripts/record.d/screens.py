#!/usr/bin/env python3
"""Plays the scenes of the manual's pictures in a lab, on terminals that tmux keeps, and hands what stood on them to the drawing.

    screens.py LAB-SCRIPT LAB-DIRECTORY MACHINE SCRATCH OUT

MACHINE describes the machine under the lab's faked driver; it is changed as a machine at work would be. What a scene waits
for and does not come ends the recording: a picture shows only what was there. It needs tmux and Python's standard library.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

import draw

SECONDS_MAX = 240
COLUMNS, WIDE = 80, 92
PYTHON = "ds01-python:latest"
# How the memory of the units is used, and how busy they are: of the cards by number, of slices by instance.
USE = {"train": (0, None, 31950, 97), "thesis": (1, 1, 28700, 74), "notebook": (1, 2, 1900, 0), "eval": (1, 3, 7100, 31)}
DOCKERFILE = """# The image of vision: pytorch 2.8.0, computer vision.
FROM aimehub/pytorch-2.8.0-cuda12.6.3
# Computer vision
RUN pip install --no-cache-dir \\
    "timm~=1.0" \\
    "albumentations~=2.0" \\
    "opencv-python-headless~=4.11"
# Packages of this project
RUN pip install --no-cache-dir \\
    wandb \\
    einops
WORKDIR /workspace
"""


class Lab:
    """Where it is played."""

    def __init__(self, script, directory, machine, scratch):
        self.script, self.directory, self.machine, self.scratch = script, directory, machine, scratch

    def act(self, person, command, text=None):
        """What somebody does beside the picture; it must succeed."""
        done = subprocess.run([self.script, "as", self.directory, person, "bash", "-c", command], input=text,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            sys.exit(f"record: ended with {done.returncode}: {person}$ {command}\n{done.stdout}")
        return done.stdout

    def configure(self, line, lines):
        """Changes a line of the configuration, and has it read."""
        with open(f"{self.directory}/etc/ds01.yaml", encoding="utf-8") as file:
            text = file.read()
        with open(f"{self.directory}/etc/ds01.yaml", "w", encoding="utf-8") as file:
            file.write(text.replace(f"\n{line}\n", f"\n{lines}\n"))
        status = subprocess.run([self.script, "status", self.directory], stdout=subprocess.PIPE, text=True, check=True)
        os.kill(int(re.search(r"^ds01d +runs as process (\d+)$", status.stdout, re.M)[1]), signal.SIGHUP)

    def use_gpus(self):
        """Has the containers' programs use their units."""
        with open(self.machine, encoding="utf-8") as file:
            machine = json.load(file)
        for name, (card, instance, mib, busy) in USE.items():
            gpu = machine["gpus"][card]
            full = "thesis._.alice" if name == "thesis" else "notebook._.alice" if name == "notebook" else name
            pid = int(self.act("root", f"docker inspect -f '{{{{.State.Pid}}}}' {full}"))
            gpu.setdefault("processes", []).append({"pid": pid, "memory_mib": mib, "gi": instance, "busy": busy})
            if instance is None:
                gpu["utilization"] = busy
            else:
                next(one for one in gpu["mig"]["devices"] if one["gi"] == instance)["busy"] = busy
        with open(self.machine + ".new", "w", encoding="utf-8") as file:
            json.dump(machine, file)
        os.rename(self.machine + ".new", self.machine)
        subprocess.run([self.script, "nvidia", self.directory, self.machine], check=True)


class Window:
    """A terminal with somebody's shell in it."""

    def __init__(self, lab, name, person, columns=COLUMNS):
        self.socket, self.name, self.columns = f"{lab.scratch}/tmux", name, columns
        prompt = f"PS1=\\[\\e[1;3{2 if person == 'alice' else 3}m\\]{person}$\\[\\e[0m\\] "
        self.tmux("new-session", "-d", "-s", name, "-x", str(columns), "-y", "24",
                  lab.script, "as", lab.directory, person, "env", prompt, "TERM=screen-256color", "bash", "--norc")
        self.shows(r"\$ *$")

    def tmux(self, *words):
        """A command of tmux."""
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *words], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def type(self, *keys):
        """Types: words, or the names of keys."""
        self.tmux("send-keys", "-t", self.name, *keys)

    def enter(self, command):
        """A command, on an empty screen."""
        self.type("clear", "Enter")
        self.shows(r"\A\S+\$ *\s*\Z")
        self.type(command, "Enter")

    def shows(self, *patterns):
        """Waits until all of it stands there."""
        until = time.monotonic() + SECONDS_MAX
        while True:
            screen = self.tmux("capture-pane", "-p", "-t", self.name)
            missing = [one for one in patterns if not re.search(one, screen, re.M)]
            if not missing:
                return self
            if time.monotonic() > until:
                sys.exit(f"record: {self.name} does not show {missing[0]!r}:\n{screen}")
            time.sleep(0.1)

    def screen(self, title):
        """What stands there, for the drawing."""
        lines = continued(self.tmux("capture-pane", "-p", "-e", "-N", "-t", self.name).split("\n"))
        while lines and not draw.plain(lines[-1]).strip():
            lines.pop()
        # The shell that waits for the next command.
        if re.fullmatch(r"\S+\$ *", draw.plain(lines[-1])):
            lines.pop()
        return draw.Screen(title, steady(lines), self.columns)


def continued(lines):
    """Lines that each begin with the colours that the one before has left: a terminal keeps them, a picture of lines does not."""
    whole, left = [], []
    for line in lines:
        whole.append("".join(f"\x1b[{codes}m" for codes in left) + line)
        for codes in draw.SGR.findall(line):
            left = [codes] if codes.split(";")[0] in ("", "0") else [*left, codes]
    return whole


def steady(lines):
    """What differs from one recording to the next, made the same, in the same number of columns."""
    moment, out = 14 * 3600, []

    def earlier(_):
        nonlocal moment
        shown = time.strftime("%H:%M:%S", time.gmtime(moment))
        moment -= 41
        return shown

    for line in lines:
        line = re.sub(r"/[a-z0-9/_-]*/home/([a-z]+)\b", r"/home/\1", line)
        line = re.sub(r"(?<!\d)\d\d:\d\d:\d\d(?!\d)", earlier, line)
        line = re.sub(r"(?<!\d)\d{4}-\d\d-\d\d \d\d:\d\d(?!\d)", "2026-11-23 14:00", line)
        line = re.sub(r"(?<=expected )\d\d:\d\d", "14:12", line)
        line = re.sub(r"(?<![\d.])\d{3} KiB", "700 KiB", line)
        line = re.sub(r"(?<!\d)\d\.\d MiB", "1.5 MiB", line)
        line = re.sub(r"(?<=stopped in )\d min( \d+ s)?(?=:)|(?<=GPU for )\d min( \d+ s)?", "15 min", line)
        line = re.sub(r"(?<!\d)2 min \d+ s", lambda found: "3 min".ljust(len(found[0])), line)
        line = re.sub(r"in \d min, idle$", "in 14 min, idle", line)
        # How old things are; a limit is what it is.
        if "no GPU that would do" in line:
            line = re.sub(r"(?<!\d)\d s(?![a-z])", "2 s", line)
        elif not re.search(r"longest wait| left ", line):
            line = re.sub(r"(?<!\d)\d min", "2 min", line)
        out.append(line)
    return out


def play(lab, out):
    """All the scenes."""
    lab.act("bob", "docker run -d --name train --gpus device=0 busybox sleep 36000")
    lab.act("alice", f"container deploy thesis --image {PYTHON} --gpu 3g.40gb --background")
    lab.act("alice", f"container deploy notebook --image {PYTHON} --gpu 2g.20gb --background")
    lab.act("carol", "docker run -d --name eval --gpus 1 busybox sleep 36000")
    lab.act("alice", "docker run -d --name web busybox sleep 36000")
    lab.use_gpus()
    edit(lab, out)
    while "seconds" in lab.act("root", "docker ps --format '{{.RunningFor}}'"):
        time.sleep(1)
    alice = Window(lab, "alice", "alice")
    alice.enter("gpu-status")
    alice.shows(r"97%  bob/train", r"carol/eval .*\n└")
    save(out, "gpu-status", "gpu-status: cards and slices, how full and how busy they are, and who holds them",
         alice.screen("alice"))
    alice.enter("check-limits")
    alice.shows("run time of a docker run")
    save(out, "limits", "check-limits: what one may use, and uses", alice.screen("alice"))
    go_idle(lab, out)


def go_idle(lab, out):
    """A notebook that computes nothing: its owner is warned, and somebody waits for its GPU."""
    inside, wide = Window(lab, "inside", "alice", WIDE), Window(lab, "wide", "alice", WIDE)
    inside.enter("container attach notebook")
    inside.shows(r"^alice@notebook:/workspace\$ *$")
    # Nobody waits half an hour for a picture.
    lab.configure("defaults:", "defaults:\n  idle_timeout: 5m")
    inside.shows("ds01: notebook will be stopped in", "ds01 keep notebook")
    wide.enter("container list")
    wide.shows("in . min, idle")
    save(out, "idle", "A warning in a container whose GPU is idle, and the list that tells of it",
         inside.screen("alice, in her container"), wide.screen("alice"))
    carol = Window(lab, "carol", "carol", WIDE)
    carol.enter(f"container deploy next --image {PYTHON}")
    carol.shows("next in line")
    wide.enter("ds01 queue")
    wide.shows("Place 1: expected .* if alice/notebook stays idle")
    save(out, "waiting", "A start waits in line, and when it may expect a GPU", carol.screen("carol, who waits"),
         wide.screen("alice"))
    board = Window(lab, "board", "alice")
    board.enter("dashboard")
    board.shows("97% .*▇{8}", r"thesis .* \d+ KiB +running", "warned +alice/notebook", "1 in line")
    save(out, "dashboard", "The dashboard", board.screen("alice"))


def edit(lab, out):
    """The packages of an image, two of them changed."""
    lab.act("alice", "mkdir -p workspace/vision && cat >workspace/vision/Dockerfile", DOCKERFILE)
    editor = Window(lab, "editor", "alice")
    editor.enter("image update")
    editor.shows("which one")
    editor.type("vision")
    editor.shows(r"Search: vision")
    editor.type("Enter")
    editor.shows(r"\[x\] einops")
    editor.type("torchmetrics")
    editor.shows("add torchmetrics")
    editor.type("Enter")
    editor.shows(r"\[\+\] torchmetrics")
    save(out, "editor", "image update: the packages of an image", editor.screen("alice"))
    lab.act("alice", "rm -r workspace/vision")


def save(out, name, title, *screens):
    """Draws a picture."""
    draw.write(f"{out}/{name}.svg", title, screens, max(screen.columns for screen in screens))
    print(f"record: {name}.svg", flush=True)


def main():
    script, directory, machine, scratch, out = sys.argv[1:]
    play(Lab(script, directory, machine, scratch), out)


if __name__ == "__main__":
    main()
