"""Pairs, medians and the table: what every row of the benchmark shares.

It knows how to run a command as somebody and how long that took, and what a series of pairs says. It must never know
what is measured.
"""

import json
import math
import os
import pwd
import statistics
import subprocess
import sys
import time

WAIT_SECONDS_MAX = 120
CALM_SECONDS = 0.3
CALM_SHARE_MAX = 0.2  # of all processors together


class Lab:
    """A lab that stands: who is who, and how commands run in it."""

    def __init__(self, directory, users):
        self.directory = directory
        self.door = f"{directory}/docker.sock"
        self.engine = f"{directory}/engine/docker.sock"
        self.log = f"{directory}/log/ds01d.log"
        self.users = [pwd.getpwnam(name) for name in users]
        self.me = self.users[0]
        self.root = pwd.getpwuid(0)
        # Both ways get an empty client configuration, and so the same work on the client's side.
        self.client = f"{directory}/lab/bench-client"
        os.makedirs(self.client, exist_ok=True)
        os.chmod(self.client, 0o755)

    def ds01d(self):
        """The process id of the daemon."""
        with open(f"{self.directory}/lab/ds01d.pid", encoding="ascii") as file:
            return int(file.read())

    def _options(self, who, socket):
        return {
            "user": who.pw_uid,
            "group": who.pw_gid,
            "extra_groups": [],
            "cwd": who.pw_dir,
            "env": {
                "HOME": who.pw_dir,
                "USER": who.pw_name,
                "LOGNAME": who.pw_name,
                "PATH": f"{self.directory}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                "LANG": "C.UTF-8",
                "DOCKER_HOST": f"unix://{socket}",
                "DOCKER_CONFIG": self.client,
            },
        }

    def start(self, command, who=None, bare=False, **options):
        """Starts a command: through the door as `who`, or on the bare Engine as root."""
        who = self.root if bare else who or self.me
        socket = self.engine if bare else self.door
        return subprocess.Popen(command, **self._options(who, socket), **options)

    def run(self, command, who=None, bare=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        """Runs a command to its end; a failure ends the benchmark with what the command said."""
        process = self.start(command, who, bare, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=WAIT_SECONDS_MAX)
        except subprocess.TimeoutExpired as late:
            process.kill()
            raise Failed(f"{' '.join(command)}: not done in {WAIT_SECONDS_MAX} s") from late
        if process.returncode != 0:
            where = "on the bare Engine" if bare else "through the door"
            raise Failed(f"{' '.join(command)} {where}: exit {process.returncode}: {err.decode(errors='replace').strip()}")
        return (out or b"").decode(errors="replace").strip()

    def timed(self, command, **options):
        """Milliseconds from before the process is made until it has ended."""
        began = time.perf_counter()
        self.run(command, **options)
        return (time.perf_counter() - began) * 1000


class Failed(Exception):
    """A command that had to work did not."""


def wait_until(what, condition):
    """Looks until it holds."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited {WAIT_SECONDS_MAX} s in vain: {what}")
        time.sleep(0.005)


def calm():
    """Waits, for a while, until others leave most of the machine alone; on a machine of one's own it takes no time.

    Only the moments before a measurement are looked at: what happens during it is in the interval."""
    deadline = time.monotonic() + calm.patience
    while calm.patience:
        before = processor_time()
        time.sleep(CALM_SECONDS)
        after = processor_time()
        calm.looks += 1
        if after[0] - before[0] < CALM_SHARE_MAX * (after[1] - before[1]):
            return
        calm.disturbed += 1
        if time.monotonic() > deadline:
            return


calm.patience, calm.looks, calm.disturbed = 20.0, 0, 0


def processor_time():
    """What all processors have worked, and what has passed for them, in ticks."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(field) for field in file.readline().split()[1:]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def pairs(count, door, bare):
    """Measures both ways in turn, a pair at a time; every second pair begins with the bare Engine, so that a machine
    that grows slower or faster favours nobody. The first pair warms up and is not counted."""
    found = []
    for number in range(count + 1):
        calm()
        if number % 2:
            second = bare()
            first = door()
        else:
            first = door()
            second = bare()
        if number:
            found.append((first, second))
    return found


def series(count, one):
    """One way only, the first not counted."""
    found = []
    for _ in range(count + 1):
        calm()
        found.append(one())
    return found[1:]


def interval(values):
    """From the tenth to the ninetieth part of the values."""
    if len(values) < 2:
        return values[0], values[0]
    parts = statistics.quantiles(values, n=10, method="inclusive")
    return parts[0], parts[-1]


def confidence(values):
    """Where the true median lies with 95 %, by the order of the values alone."""
    ordered = sorted(values)
    count = len(ordered)
    below, rank = 0.0, 0
    while rank < count // 2:
        below += math.comb(count, rank) / 2**count
        if below > 0.025:
            break
        rank += 1
    rank = max(rank - 1, 0)
    return ordered[rank], ordered[count - 1 - rank]


class Row:
    """What one row came to."""

    def __init__(self, name, what, unit, target, at_least=False, judged_unit=""):
        self.name, self.what, self.unit, self.target, self.at_least = name, what, unit, target, at_least
        self.judged_unit = judged_unit
        # Judged is what the bound speaks of: a ratio, a difference, or what the door took.
        self.door, self.bare, self.judged, self.note = [], [], [], ""
        self.range = None

    @property
    def median(self):
        return statistics.median(self.judged)

    @property
    def likely(self):
        """Where the true value lies, most likely: from the values, unless the row knows better."""
        return self.range or confidence(self.judged)

    @property
    def verdict(self):
        """Whether the median keeps the bound; doubtful where the bound lies within the median's interval."""
        keeps = self.median >= self.target if self.at_least else self.median <= self.target
        low, high = self.likely
        certain = low == high or not low <= self.target <= high
        return ("PASS" if keeps else "MISS") + ("" if certain else "?")

    def as_json(self):
        def side(values):
            if not values:
                return None
            return {"median": statistics.median(values), "p10_p90": interval(values), "values": values}

        return {
            "row": self.name,
            "judged_is": self.what,
            "unit": self.unit,
            "judged_unit": self.judged_unit,
            "door": side(self.door),
            "bare": side(self.bare),
            "judged": self.median,
            "judged_95": self.likely,
            "bound": self.target,
            "bound_is_least": self.at_least,
            "verdict": self.verdict,
            "note": self.note,
        }


def number(value):
    """Three figures are as many as a shared machine can give."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values, unit):
    """A median and its 10-90 % interval."""
    if not values:
        return "–"
    low, high = interval(values)
    return f"{number(statistics.median(values))} {unit} ({number(low)}–{number(high)})"


HEADINGS = ("row", "door", "bare Engine", "judged (95 %)", "bound", "")


def cells(row):
    """A row of the table."""
    low, high = row.likely
    unit = f" {row.judged_unit}" if row.judged_unit else ""
    judged = f"{number(row.median)}{unit}" + (f" ({number(low)}–{number(high)})" if low < high else "")
    sign = "≥" if row.at_least else "≤"
    bound = f"{sign} {row.target:g}{unit}"
    return (row.name, spread(row.door, row.unit), spread(row.bare, row.unit), judged, bound, row.verdict)


def table(rows):
    """The table as Markdown, aligned, so that it reads in a terminal too."""
    lines = [HEADINGS, *(cells(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEADINGS))]
    rule = ["-" * width for width in widths]
    texts = []
    for line in (lines[0], rule, *lines[1:]):
        texts.append("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
    notes = [f"{row.name}: {row.note}" for row in rows if row.note]
    if any(row.verdict.endswith("?") for row in rows):
        notes.append("?: the bound lies within the interval of the median; more pairs (--n) or a calmer machine decide")
    if calm.looks:
        notes.append(f"others were at work in {100 * calm.disturbed // calm.looks} % of the looks before measurements")
    return "\n".join(texts + ([""] + notes if notes else []))


def report(rows, as_json):
    """Prints the table, and the figures where they are wanted."""
    if as_json != "-":
        print(table(rows))
    if as_json:
        load = os.getloadavg()
        text = json.dumps({"rows": [row.as_json() for row in rows], "load_at_end": load}, indent=1, ensure_ascii=False)
        if as_json == "-":
            print(text)
        else:
            with open(as_json, "w", encoding="utf-8") as file:
                file.write(text + "\n")
    sys.stdout.flush()
