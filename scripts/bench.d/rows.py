#!/usr/bin/python3
"""The rows of the benchmark: what is done through the door, and what the bare Engine does for comparison.

Each row is a function that answers with a `Row`. Rows run in the order of `ROWS`; those that need a crowd of
containers come last, so that it grows once. What a row leaves behind, the lab's end takes away.
"""

import argparse
import collections
import concurrent.futures
import datetime
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

from measure import Failed, Lab, Row, calm, pairs, report, series, wait_until
from shared import Shared

IMAGE = "busybox"
PINGS_PER_BATCH = 500
STREAM_BYTES = 1 << 30
STREAM_PAIRS_MAX = 11
CROWD_FIRST = 100
CROWD_USERS = 10
CROWD_WITH_GPU_MAX = 48  # every second one, as long as one slice is left for those who measure
WHOLE_CARD = "device=0"
PASSES = 6  # of the watch, one every ten seconds
REST_SECONDS = 60
STORIES = 300
STARTERS = 4  # docker clients at a time while the crowd grows


class Bench(Shared):
    def __init__(self, lab, count):
        self.lab, self.count = lab, count
        self.crowd = 0
        self.has_500 = False
        self.done = {}

    def row(self, name):
        """A row, measured once."""
        if name not in self.done:
            tell(name)
            self.done[name] = ROWS[name](self)
        return self.done[name]

    # -- rows ----------------------------------------------------------------------------------------------------

    def ping(self):
        """GET /_ping on a connection that stays open: what the door adds to one round trip"""
        row = Row("ping", "added by the door", "µs", 100, judged_unit="µs")
        with Pinger(self.lab, bare=False) as door, Pinger(self.lab, bare=True) as bare:
            for through, straight in pairs(self.count, door.batch, bare.batch):
                row.door.append(through)
                row.bare.append(straight)
                row.judged.append(through - straight)
        row.note = f"each value is the median of {PINGS_PER_BATCH} pings"
        return row

    def run(self):
        """docker run --rm without a GPU"""
        return self.ratio("run", 1.10, lambda bare: self.lab.timed(docker_run(), bare=bare))

    def run_gpu(self):
        """docker run --rm --gpus 1 through the door, docker run --rm on the bare Engine"""
        return self.ratio("run-gpu", 1.15, self.gpu_run)

    def run_gpu_100(self):
        """the same beside 100 running containers, of which half hold a GPU"""
        self.grow_crowd(100)
        return self.ratio("run-gpu-100", 1.15, self.gpu_run)

    def run_gpu_growth(self):
        """how much the ratio of run-gpu grows with 100 running containers"""
        few, many = self.row("run-gpu"), self.row("run-gpu-100")
        row = Row("run-gpu-growth", "ratio with 100 containers to ratio without", "", 1.10)
        row.judged = [many.median / few.median]
        row.range = (many.likely[0] / few.likely[1], many.likely[1] / few.likely[0])
        return row

    def gpu_run(self, bare):
        return self.lab.timed(docker_run() if bare else docker_run("--gpus", "1"), bare=bare)

    def stream_in(self):
        """1 GB into an exec's standard input"""
        with Streamer(self) as at:
            with open(at.file, "rb") as source:
                def one(bare):
                    source.seek(0)
                    command = ["docker", "exec", "-i", at.names[bare], "sh", "-c", "cat >/dev/null"]
                    return self.lab.timed(command, bare=bare, stdin=source)

                return self.rate("stream-in", one)

    def stream_out(self):
        """1 GB out of an exec's standard output"""
        with Streamer(self) as at:
            def one(bare):
                # Pieces of 64 KiB, as tar and cat write them.
                pieces = ["if=/dev/zero", "bs=64k", f"count={STREAM_BYTES >> 16}"]
                command = ["docker", "exec", at.names[bare], "dd", *pieces]
                return self.lab.timed(command, bare=bare, stdout=subprocess.DEVNULL)

            return self.rate("stream-out", one)

    def cp_out(self):
        """docker cp of a 1 GB file out of a container"""
        with Streamer(self) as at:
            for bare in (False, True):
                # A hole of that size: what the disk could give is not what is measured.
                command = ["docker", "exec", at.names[bare], "truncate", "-s", str(STREAM_BYTES), "/hole"]
                self.lab.run(command, bare=bare)

            def one(bare):
                command = ["docker", "cp", f"{at.names[bare]}:/hole", "-"]
                return self.lab.timed(command, bare=bare, stdout=subprocess.DEVNULL)

            return self.rate("cp-out", one)

    def cp_in(self):
        """docker cp of a 1 GB file into a container"""
        with Streamer(self) as at:
            def one(bare):
                took = self.lab.timed(["docker", "cp", at.file, f"{at.names[bare]}:/copy"], bare=bare)
                self.lab.run(["docker", "exec", at.names[bare], "rm", "/copy"], bare=bare)
                # What this copy has left to be written must not slow the next one.
                os.sync()
                return took

            return self.rate("cp-in", one)

    def deploy(self):
        """container deploy --background of a ready image, docker run -d on the bare Engine"""
        image = ["container", "deploy", "bench-deploy", "--background", "--image", "busybox:latest"]

        def one(bare):
            if bare:
                took = self.lab.timed(["docker", "run", "-d", "--name", "bench-bare", IMAGE, "sleep", "3600"], bare=True)
                self.lab.run(["docker", "rm", "-f", "bench-bare"], bare=True)
            else:
                took = self.lab.timed(image)
                self.lab.run(["container", "retire", "--force", "bench-deploy"])
            return took

        return self.ratio("deploy", 1.25, one)

    def free_to_next(self):
        """a unit is verified free, and the start that waited for it is forwarded"""
        row = Row("free-to-next", "from `released` to `start forwarded`", "ms", 100, judged_unit="ms")
        self.restart_door(DS01_LOG="info,ds01_daemon::gateway::start=debug")
        seen, freed = [], []
        first, second = self.lab.users[:2]
        for number in range(self.count + 1):
            calm()
            name = self.lab.run(docker_detached(f"bench-holder-{number}", "--gpus", WHOLE_CARD), who=first)
            waiter = self.lab.start(
                docker_detached(f"bench-waiter-{number}", "--gpus", WHOLE_CARD),
                who=second, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
            wait_until("the second start waits", lambda: self.gpu_status_says("waiting") == 1)
            mark = os.path.getsize(self.lab.log)
            killed = datetime.datetime.now(datetime.timezone.utc)
            # A death that nobody announced at the door.
            self.lab.run(["docker", "kill", name], bare=True)
            out, err = waiter.communicate(timeout=120)
            if waiter.returncode:
                raise Failed(f"the waiting start: {err.decode(errors='replace')}")
            next_one = out.decode().strip()
            released = self.logged(mark, "released", name)
            forwarded = self.logged(mark, "start forwarded", next_one)
            if number:
                row.door.append((forwarded - released).total_seconds() * 1000)
                freed.append((released - killed).total_seconds() * 1000)
                seen.append(self.moment(next_one, "start") - self.moment(name, "die"))
            for one in (name, next_one):
                self.lab.run(["docker", "rm", "-f", one], bare=True)
            wait_until("the card is free again", self.nobody_holds_a_gpu)
        self.restart_door()
        row.judged = list(row.door)
        row.note = (
            f"the Engine's `die` of the one to its `start` of the other: median {statistics.median(seen):.0f} ms; "
            f"docker kill typed to `released`: median {statistics.median(freed):.0f} ms")
        return row

    def list(self):
        """container list beside 100 running containers, by a user who has ten of them"""
        return self.command("list", ["container", "list"], self.lab.users[1])

    def list_admin(self):
        """container list by an administrator, who sees all 100"""
        return self.command("list-admin", ["container", "list"], self.lab.root)

    def check_limits(self):
        """check-limits beside 100 running containers"""
        return self.command("check-limits", ["check-limits"], self.lab.users[1])

    def gpu_status(self):
        """gpu-status beside 100 running containers"""
        return self.command("gpu-status", ["gpu-status"], self.lab.users[1])

    def rss(self):
        """resident memory of ds01d with 200 running containers"""
        self.grow_crowd(200)
        for _ in range(10):
            self.lab.run(["container", "list"], who=self.lab.root)
            self.lab.run(["docker", "ps", "-a"], who=self.lab.root)
        row = Row("rss", "VmRSS of ds01d", "MiB", 60, judged_unit="MiB")
        with open(f"/proc/{self.lab.ds01d()}/status", encoding="ascii") as file:
            status = file.read()
        kib = {key: int(re.search(rf"^{key}:\s+(\d+) kB", status, re.M)[1]) for key in ("VmRSS", "VmHWM")}
        row.door = row.judged = [kib["VmRSS"] / 1024]
        row.note = f"the most it ever was in this run: {kib['VmHWM'] / 1024:.1f} MiB"
        return row

    def watch(self):
        """CPU of one pass of the watch over 200 running containers and 8 cards, of which half a hundred have a unit"""
        self.grow_crowd(200)
        self.restart_door(DS01_LOG="info,ds01_daemon::activity=debug")
        mark = os.path.getsize(self.lab.log)
        passes = []

        def look():
            with open(self.lab.log, encoding="utf-8") as file:
                file.seek(mark)
                text = re.sub(r"\x1b\[[0-9;]*m", "", file.read())
            passes[:] = [(int(runs), int(us)) for runs, us in re.findall(r"a pass is over.* runs=(\d+) cpu_us=(\d+)", text)]
            return len(passes) > PASSES

        wait_until(f"{PASSES} passes of the watch", look)
        self.restart_door()
        row = Row("watch", "CPU of a pass", "ms", 20, judged_unit="ms")
        # The first has to find out what runs at all.
        row.door = row.judged = [us / 1000 for _, us in passes[1:]]
        row.note = f"{passes[-1][0]} of 200 containers hold a unit; whatever else ds01d did meanwhile is in it"
        return row

    def rest(self):
        """CPU of ds01d with 200 running containers when nobody asks it anything"""
        self.grow_crowd(200)
        row = Row("rest", "share of one core", "%", 1, judged_unit="%")
        ticks = os.sysconf("SC_CLK_TCK")

        def had():
            with open(f"/proc/{self.lab.ds01d()}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / ticks

        before = had()
        time.sleep(REST_SECONDS)
        row.door = row.judged = [(had() - before) / REST_SECONDS * 100]
        row.note = f"over {REST_SECONDS} s: the watch, and a look at everything every ten seconds"
        return row

    def course(self):
        """verdict, course and plan of 10,000 running containers"""
        found = self.rust_bench("ds01-domain", "course")
        row = Row("course", "95th percentile of a pass", "ms", 50, judged_unit="ms")
        row.door = row.judged = [found["p95_ms"]]
        row.note = f"median {found['median_ms']:.1f} ms"
        return row

    def deadlines(self):
        """how late somebody idle is stopped, in the simulator's stories in which nothing goes wrong"""
        command = ["cargo", "run", "--quiet", "--locked", "--release", "-p", "sim", "--", "--seeds", str(STORIES)]
        done = subprocess.run(command, cwd=repository(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        text = done.stdout.decode().splitlines()[-1:]
        late = re.search(r"([\d.]+) s late at most", "".join(text))
        if done.returncode or not late:
            raise Failed(f"{' '.join(command)}: exit {done.returncode}: {''.join(text)}")
        row = Row("deadlines", "after the end of its time, at most", "s", 10, judged_unit="s")
        row.door = row.judged = [float(late[1])]
        row.note = f"{STORIES} stories; the watch reads every 10 s"
        return row

    def decision(self):
        """one decision with 1,000 units and 10,000 starts in line: the 99th percentile of the slowest kind"""
        found = self.rust_bench("ds01-domain", "p99")
        row = Row("decision", "99th percentile of the slowest kind", "ms", 1, judged_unit="ms")
        row.door = row.judged = [found["worst_p99_ms"]]
        row.note = f"with ten times the machine it takes {10 ** found['growth']:.1f} times as long"
        return row

    def grants(self):
        """grants that are on the disk, with 128 starters at once: a second of them"""
        found = self.rust_bench("ds01-daemon", "grants", "--directory", self.lab.directory)
        row = Row("grants", "durable grants", "/s", 2000, at_least=True, judged_unit="/s")
        row.door = row.judged = [found["grants_per_s"]]
        row.note = (
            f"the same disk takes {found['commits_per_s']:.0f} commits of one fact a second: "
            f"{found['grants_per_s'] / found['commits_per_s']:.1f} grants for each; "
            f"{found['grants_per_commit']:.1f} grants in a commit; a grant took {found['p50_ms']:.1f} ms, p99 "
            f"{found['p99_ms']:.1f} ms, and {found['alone_p50_ms']:.1f} ms with one starter")
        return row

    # -- how they are measured -----------------------------------------------------------------------------------

    def ratio(self, name, target, one):
        """A row judged by door / bare, pair by pair."""
        row = Row(name, "ratio", "ms", target)
        for door, bare in pairs(self.count, lambda: one(False), lambda: one(True)):
            row.door.append(door)
            row.bare.append(bare)
            row.judged.append(door / bare)
        return row

    def rate(self, name, one):
        """A row judged by how much of the bare Engine's rate the door gives."""
        row = Row(name, "rate", "MB/s", 0.9, at_least=True)
        count = min(self.count, STREAM_PAIRS_MAX)
        for door, bare in pairs(count, lambda: one(False), lambda: one(True)):
            row.door.append(STREAM_BYTES / 1e3 / door)
            row.bare.append(STREAM_BYTES / 1e3 / bare)
            row.judged.append(bare / door)
        return row

    def command(self, name, command, who):
        """A row judged by how long a whole process takes."""
        self.grow_crowd(100)
        row = Row(name, "whole process", "ms", 50, judged_unit="ms")
        row.door = series(self.count, lambda: self.lab.timed(command, who=who))
        row.judged = list(row.door)
        return row

    # -- what they need ------------------------------------------------------------------------------------------

    def rust_bench(self, package, name, *options):
        """What a benchmark that is written in Rust found."""
        calm()
        command = ["cargo", "bench", "--quiet", "--locked", "-p", package, "--bench", name, "--", "--json", *options]
        done = subprocess.run(command, cwd=repository(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise Failed(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
        return json.loads(done.stdout.decode().splitlines()[-1])

    def grow_crowd(self, size):
        """Starts `sleep` containers through the door until so many run: the first hundred are ten users', the others
        everybody's, so that nobody has as many as he may; the first ones by turns with and without a GPU."""
        others = self.lab.users[1:]
        wanted = [(number, others[number % (CROWD_USERS if number < CROWD_FIRST else len(others))])
                  for number in range(self.crowd, size)]
        if not wanted:
            return
        tell(f"starting {len(wanted)} containers")
        with concurrent.futures.ThreadPoolExecutor(STARTERS) as pool:
            started = [pool.submit(self.lab.run, crowd_member(n), who) for n, who in wanted]
            for one in started:
                one.result()
        self.crowd = size
        running = len(self.lab.run(["docker", "ps", "-q"], bare=True).split())
        if running < size:
            raise Failed(f"of {size} containers only {running} run")

    def gpu_status_says(self, what):
        return json.loads(self.lab.run(["ds01", "gpu-status", "--json"]))[what]

    def nobody_holds_a_gpu(self):
        return self.gpu_status_says("free_units") == self.gpu_status_says("total_units")

    def restart_door(self, **environment):
        """The running daemon's log level is settled when it starts."""
        script = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "lab")
        subprocess.run([script, "restart-door", self.lab.directory], env={**os.environ, **environment}, check=True)

    def logged(self, mark, what, container):
        """When the daemon's log says this of a container, after a mark."""
        pattern = re.compile(rf"^(\S+) .*: {re.escape(what)}\b.*container=\"?{container[:12]}", re.M)
        found = []

        def look():
            with open(self.lab.log, encoding="utf-8") as file:
                file.seek(mark)
                found[:] = pattern.findall(re.sub(r"\x1b\[[0-9;]*m", "", file.read()))
            return found

        wait_until(f"the log says `{what}` of {container[:12]}", look)
        return datetime.datetime.fromisoformat(found[0].replace("Z", "+00:00"))

    def moment(self, container, action):
        """When the Engine's events say this of a container, in milliseconds."""
        now = f"{time.time():.9f}"
        filters = ["--filter", f"container={container}", "--filter", f"event={action}"]
        # Only what the Engine still keeps in memory: a few hundred events, and these are the last ones.
        text = self.lab.run(["docker", "events", "--since", "10m", "--until", now, *filters, "--format", "{{.TimeNano}}"], bare=True)
        return int(text.split()[-1]) / 1e6


class Pinger:
    """A process of the right user with one open connection, that pings when it is told to."""

    def __init__(self, lab, bare):
        command = [sys.executable, "-B", os.path.realpath(__file__), "--pinger", lab.engine if bare else lab.door]
        self.process = lab.start(command, bare=bare, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def batch(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def pinger(path):
    """For every line on standard input a batch of pings; prints the median in microseconds."""
    request = b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        for _ in sys.stdin.buffer:
            took = []
            for _ in range(PINGS_PER_BATCH):
                began = time.perf_counter_ns()
                connection.sendall(request)
                reply = b""
                while not reply.endswith(b"OK"):
                    more = connection.recv(4096)
                    if not more:
                        raise Failed("the connection was closed")
                    reply += more
                took.append(time.perf_counter_ns() - began)
            print(statistics.median(took) / 1000, flush=True)


class Streamer:
    """A running container on each side, and a file of the right size that takes no room."""

    def __init__(self, bench):
        self.lab = bench.lab
        self.names = {False: "bench-stream-door", True: "bench-stream-bare"}
        self.file = f"{self.lab.directory}/lab/bench-client/zeros"

    def __enter__(self):
        with open(self.file, "wb") as file:
            file.truncate(STREAM_BYTES)
        os.chmod(self.file, 0o644)
        # The file must be reachable by the user whose client reads it.
        os.chmod(os.path.dirname(os.path.dirname(self.file)), 0o711)
        for bare, name in self.names.items():
            self.lab.run(docker_detached(name), bare=bare)
        return self

    def __exit__(self, *_):
        for bare, name in self.names.items():
            self.lab.run(["docker", "rm", "-f", name], bare=bare)
        os.remove(self.file)


def repository():
    """Where the source lies."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def docker_run(*options):
    return ["docker", "run", "--rm", *options, IMAGE, "true"]


def docker_detached(name, *options):
    return ["docker", "run", "-d", "--name", name, *options, IMAGE, "sleep", "86400"]


def crowd_member(number):
    with_gpu = number % 2 == 0 and number < 2 * CROWD_WITH_GPU_MAX
    return docker_detached(f"bench-crowd-{number}", *(("--gpus", "1") if with_gpu else ()))


ROWS = collections.OrderedDict(
    (row.__name__.replace("_", "-"), row)
    for row in (
        Bench.ping, Bench.run, Bench.run_gpu, Bench.stream_in, Bench.stream_out, Bench.cp_out, Bench.cp_in,
        Bench.deploy, Bench.free_to_next, Bench.binds, Bench.events_50, Bench.list, Bench.list_admin, Bench.check_limits,
        Bench.gpu_status, Bench.run_gpu_100, Bench.run_gpu_growth, Bench.rss, Bench.ps_500, Bench.clients_64, Bench.rest,
        Bench.watch,
        Bench.course, Bench.deadlines, Bench.decision, Bench.grants,
    )
)


def chosen(names):
    """The rows that some names or beginnings of names mean."""
    if not names:
        return list(ROWS)
    found = []
    for name in names:
        exact = [row for row in ROWS if row == name] or [row for row in ROWS if row.startswith(name)]
        if not exact:
            sys.exit(f"bench: there is no row {name}; there are: {', '.join(ROWS)}")
        found += [row for row in exact if row not in found]
    return [row for row in ROWS if row in found]


def tell(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lab")
    parser.add_argument("--users", default="")
    parser.add_argument("--pairs", type=int, default=21)
    parser.add_argument("--patience", type=float, default=20)
    parser.add_argument("--json")
    parser.add_argument("--names", action="store_true", help="check the names; with `list` print them all")
    parser.add_argument("--pinger")
    parser.add_argument("rows", nargs="*")
    args = parser.parse_args()
    if args.pinger:
        return pinger(args.pinger)
    if args.names and args.rows == ["list"]:
        for name, row in ROWS.items():
            print(f"{name:15} {row.__doc__}")
        return 0
    names = chosen(args.rows)
    if args.names:
        return 0
    # As after Ctrl-C: what is open is closed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    calm.patience = args.patience
    bench = Bench(Lab(args.lab, args.users.split(",")), args.pairs)
    rows, broken = [], False
    for name in names:
        try:
            rows.append(bench.row(name))
        except (Failed, subprocess.TimeoutExpired) as error:
            tell(f"{name} could not be measured: {error}")
            broken = True
    report(rows, args.json)
    return 1 if broken or any(row.verdict.startswith("MISS") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
