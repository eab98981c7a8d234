#!/usr/bin/env python3
"""Runs the runnable blocks of the manual in a lab, page after page in the order of the index.

    manual.py ROOT LAB-SCRIPT LAB-DIRECTORY SCRATCH [PAGE…]

A command must end with the status that the page gives, and the lines that the page shows must be among what it said, in
this order. Blanks count once; an ellipsis stands for anything. A configuration must be one that ds01d takes. It needs
nothing but Python's standard library, and book.py beside it.
"""

import os
import re
import socket
import subprocess
import sys
import time

import book
import screen

COMMAND_SECONDS_MAX = 60
# How long it may take until what a command has brought about is to be seen.
EFFECT_SECONDS_MAX = 20
# Commands that only look.
LOOKS = re.compile(r"(cat (?!>)|(docker|container) (logs|list)|ds01 (queue|why|events|history)|gpu-status)")
YOU = "alice"


def pages(root):
    """The pages in the order in which the index names them, and the README; none may be missing."""
    linked = re.findall(r"\]\(((?:user|admin)/[a-z-]+\.md)\)", book.text_of(f"{root}/docs/index.md"))
    ordered = [f"{root}/docs/{name}" for name in dict.fromkeys(linked)]
    ordered += [f"{root}/docs/index.md", f"{root}/docs/status.md", f"{root}/docs/SUMMARY.md", f"{root}/README.md"]
    missing = {os.path.normpath(page) for page in book.manual(root)} - {os.path.normpath(page) for page in ordered}
    if missing:
        sys.exit(f"docs/index.md does not name {', '.join(sorted(missing))}")
    return [page for page in ordered if os.path.exists(page)]


class Lab:
    """Where the commands run, and how its particular names read in the manual."""

    def __init__(self, script, directory, scratch):
        self.script, self.directory = script, directory
        # What the manual calls it, and what it is here.
        self.places = {
            "/run/docker-engine/docker.sock": f"{directory}/engine/docker.sock",
            "/run/ds01/docker.sock": f"{directory}/docker.sock",
            "/etc/ds01": f"{directory}/etc",
            "/var/lib/ds01": f"{directory}/state",
            "/backup": f"{scratch}/backup",
            "/tmp/lab": f"{scratch}/lab",
        }

    def argv(self, command):
        """What runs a command as the person who types it; who is nobody's has the test's own shell."""
        text = command.text
        for manual, here in self.places.items():
            text = text.replace(manual, here)
        typed = ["bash", "-c", text]
        return [self.script, "as", self.directory, command.person, *typed] if command.person else typed

    def as_in_the_manual(self, said):
        """What was said, as the manual would show it."""
        for manual, here in self.places.items():
            said = said.replace(here, manual)
        said = re.sub(r"/[a-z0-9/_-]*/home/([a-z]+)\b", r"/home/\1", said)
        return re.sub(rf"^{re.escape(socket.gethostname())}(?=:|  )", "server", said, flags=re.M)

    def run(self, command):
        """The status and the words of a command, on both streams."""
        try:
            done = subprocess.run(self.argv(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=COMMAND_SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            sys.exit(f"{command.at}: not done after {COMMAND_SECONDS_MAX} s: {command.text}")
        return done.returncode, self.as_in_the_manual(done.stdout.decode(errors="replace"))

    def begin(self, command):
        """A command in the background."""
        return subprocess.Popen(self.argv(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)


class Verdicts:
    """How many commands there were, and which were not as their page says."""

    def __init__(self):
        self.count, self.wrong = 0, 0

    def judge(self, command, status, said):
        """Counts a command, and tells of one that is not as the page says."""
        self.count += 1
        absent = missing_line(command.shown, said)
        if status == command.status() and absent is None:
            return
        self.wrong += 1
        print(f"{command.at}: {command.person}$ {command.text}")
        if status != command.status():
            print(f"  ended with {status}, the page says {command.status()}")
        if absent is not None:
            print(f"  did not say: {absent}")
        print("".join(f"  | {line}\n" for line in said.splitlines()), end="", flush=True)


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


def play(lab, block, verdicts):
    """Commands one after the other; one that ends in `&` goes on beside those that follow, and ends in its block."""
    commands, beside = book.commands(block, YOU), []
    for command in commands:
        if command.text.endswith(" &"):
            command.text = command.text[:-2]
            beside.append(lab.begin(command))
            verdicts.count += 1
            continue
        status, said = looked(lab, command) if LOOKS.match(command.text) else lab.run(command)
        if command is commands[-1]:
            said += "".join(lab.as_in_the_manual(ended(job, command)) for job in beside)
        verdicts.judge(command, status, said)


def looked(lab, command):
    """What a command says that only looks: something may have to happen yet, so it looks again, as a reader would."""
    until = time.monotonic() + EFFECT_SECONDS_MAX
    while True:
        status, said = lab.run(command)
        as_shown = status == command.status() and missing_line(command.shown, said) is None
        if as_shown or time.monotonic() > until:
            return status, said
        time.sleep(0.1)


def ended(job, command):
    """What a command in the background has said until its end."""
    try:
        return job.communicate(timeout=EFFECT_SECONDS_MAX)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        job.kill()
        sys.exit(f"{command.at}: after it a command in the background still runs")


def play_terminal(lab, block, verdicts):
    """One command on a terminal, and what is typed into it: behind a prompt that the page shows, or `^C`."""
    first = re.fullmatch(r"([a-z]*)\$ (.*)", block.lines[0])
    command = book.Command(block.at(1), first.group(1) or YOU, first.group(2))
    terminal = screen.Terminal(lab.argv(command), COMMAND_SECONDS_MAX)
    try:
        status = type_in(terminal, block, command)
    except screen.NotSaid as never:
        verdicts.count, verdicts.wrong = verdicts.count + 1, verdicts.wrong + 1
        print(f"{command.at}: {command.person}$ {command.text}\n  {never}", flush=True)
        return
    verdicts.judge(command, status, lab.as_in_the_manual(terminal.text()))


def type_in(terminal, block, command):
    """Types what the block says, and collects what it shows; the status in the end."""
    for line in block.lines[1:]:
        typed = re.fullmatch(r"(\S*[@/]\S* ?[$#] )(.*)", line)
        if line == "^C":
            terminal.until(command.shown[-1].split("…")[0].strip())
            terminal.type("\x03")
        elif typed:
            terminal.until(typed.group(1))
            terminal.type(typed.group(2) + "\n")
        elif line.strip():
            command.shown.append(line)
    return terminal.end()


def play_script(lab, block, verdicts):
    """Lines that an administrator copies from the README, in the repository itself."""
    for number, line in enumerate(block.lines, 1):
        # A test is root already.
        text = line.removeprefix("sudo ").split("   #")[0]
        command = book.Command(block.at(number), None, f"cd {os.path.dirname(os.path.abspath(block.page))} && {text}")
        verdicts.judge(command, *lab.run(command))


def check_configuration(lab, block, scratch, verdicts):
    """A part of ds01.yaml stands by itself, and ds01d takes it."""
    with open(f"{scratch}/part.yaml", "w", encoding="utf-8") as file:
        file.write("\n".join(block.lines) + "\n")
    command = book.Command(block.at(), "root", f"ds01d check {scratch}/part.yaml")
    command.shown = ["…: in order"]
    verdicts.judge(command, *lab.run(command))


def main():
    root, script, directory, scratch = sys.argv[1:5]
    lab, verdicts, began = Lab(script, directory, scratch), Verdicts(), time.monotonic()
    for page in pages(root):
        if sys.argv[5:] and os.path.basename(page) not in sys.argv[5:]:
            continue
        for block in book.blocks(page):
            if block.language == "yaml":
                check_configuration(lab, block, scratch, verdicts)
            elif block.language == "bash" and block.is_("run"):
                play_script(lab, block, verdicts)
            elif block.is_("run", "terminal"):
                play_terminal(lab, block, verdicts)
            elif block.is_("run"):
                play(lab, block, verdicts)
    took = time.monotonic() - began
    print(f"    {verdicts.count} commands of the manual in {took:.0f} s, {verdicts.wrong} not as it says")
    sys.exit(1 if verdicts.wrong or not verdicts.count else 0)


if __name__ == "__main__":
    main()
