#!/usr/bin/env python3
"""Runs the runnable blocks of the user's manual in a lab, page after page in the order of the index.

    manual.py INDEX LAB-SCRIPT LAB-DIRECTORY

A command must end with the status that the page gives, and the lines that the page shows must be among what it said, in
this order. Blanks count once; an ellipsis stands for anything. It needs nothing but Python's standard library.
"""

import os
import re
import socket
import subprocess
import sys
import time

COMMAND_SECONDS_MAX = 60
YOU = "alice"
FENCE = "```console run"


class Command:
    """One command of a page, who types it, and what the page says of it."""

    def __init__(self, page, line, person, text):
        self.page, self.line, self.person, self.text = page, line, person, text
        self.shown = []

    def status(self):
        """The status it must end with: 0 unless the page says otherwise."""
        said = re.search(r"\s# exit (\d+)$", self.text.split("\n")[0])
        return int(said.group(1)) if said else 0


def commands(page):
    """The commands of a page's runnable blocks."""
    found, inside = [], False
    with open(page, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            if line.startswith("```"):
                inside = line == FENCE
                continue
            if not inside:
                continue
            prompt = re.match(r"([a-z]*)\$ (.*)", line)
            if prompt:
                found.append(Command(page, number, prompt.group(1) or YOU, prompt.group(2)))
            elif line.startswith("> ") or line == ">":
                found[-1].text += "\n" + line[2:]
            elif line.strip() and found:
                found[-1].shown.append(line)
            elif line.strip():
                sys.exit(f"{page}:{number}: output before the first command")
    return found


def pages(index):
    """The user's pages, in the order in which the index names them; none may be missing."""
    folder = os.path.dirname(index)
    with open(index, encoding="utf-8") as text:
        linked = re.findall(r"\]\((user/[a-z-]+\.md)\)", text.read())
    there = {f"user/{name}" for name in os.listdir(f"{folder}/user") if name.endswith(".md")}
    missing = there - set(linked)
    if missing:
        sys.exit(f"{index} does not name {', '.join(sorted(missing))}")
    return [f"{folder}/{name}" for name in dict.fromkeys(linked)]


class Lab:
    """Where the commands run, and how its particular names read in the manual."""

    def __init__(self, script, directory):
        self.script, self.directory = script, directory

    def run(self, command):
        """The status and the words of a command, on both streams, as the manual would show them."""
        argv = [self.script, "as", self.directory, command.person, "bash", "-c", command.text]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=COMMAND_SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            sys.exit(f"{command.page}:{command.line}: not done after {COMMAND_SECONDS_MAX} s: {command.text}")
        said = done.stdout.decode(errors="replace")
        said = said.replace(f"{self.directory}/docker.sock", "/run/ds01/docker.sock")
        said = re.sub(r"/[a-z0-9/_-]*/home/([a-z]+)\b", r"/home/\1", said)
        return done.returncode, re.sub(rf"^{re.escape(socket.gethostname())}:", "server:", said, flags=re.M)


def pattern(line):
    """A shown line as a pattern: blanks count once, an ellipsis stands for anything."""
    words = " ".join(line.split())
    return re.compile(".*?".join(re.escape(part) for part in words.split("…")) + r"\Z")


def missing_line(shown, said):
    """The first shown line that is not among what was said, in order; None when all are."""
    rest = iter([" ".join(line.split()) for line in said.splitlines()])
    for line in shown:
        if not any(pattern(line).match(candidate) for candidate in rest):
            return line
    return None


def main():
    index, script, directory = sys.argv[1:]
    lab, wrong, count, began = Lab(script, directory), 0, 0, time.monotonic()
    for page in pages(index):
        for command in commands(page):
            count += 1
            status, said = lab.run(command)
            absent = missing_line(command.shown, said)
            if status == command.status() and absent is None:
                continue
            wrong += 1
            print(f"{page}:{command.line}: {command.person}$ {command.text}")
            if status != command.status():
                print(f"  ended with {status}, the page says {command.status()}")
            if absent is not None:
                print(f"  did not say: {absent}")
            print("".join(f"  | {line}\n" for line in said.splitlines()), end="", flush=True)
    print(f"    {count} commands of the manual in {time.monotonic() - began:.0f} s, {wrong} not as it says")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
