#!/usr/bin/env python3
"""Many users, eight units, and a daemon that is killed again and again.

Run by 60-chaos.sh and tests/long/chaos.sh, as root, inside a lab. It looks at the devices themselves, past ds01d and
past the Engine: no block device may ever stand in two running containers. When everybody has gone home, nothing of
them may be left. Everything random comes from one seed.
"""

import argparse
import collections
import glob
import http.client
import json
import os
import pwd
import random
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import traceback

ANSWER_SECONDS_MAX = 90
DOOR_SECONDS_MAX = 60
LEAK_SECONDS_MAX = 30
CREATE_SECONDS_MAX = 150  # ds01d gives up a create of which nobody heard any more after two minutes
LOOK_EVERY = 0.03
GPU = {"DeviceRequests": [{"Driver": "", "Count": 1, "Capabilities": [["gpu"]]}]}


class Lost(Exception):
    """The connection ended before an answer came: the daemon was killed, or is away."""


class Silent(Exception):
    """Nobody answered in time. That must never happen."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    """The Docker API on one socket, one connection for each request, as `docker` has it."""

    def __init__(self, path):
        self.path = path

    def call(self, method, target, body=None, timeout=ANSWER_SECONDS_MAX):
        connection = UnixConnection(self.path, timeout)
        data = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, target, data, {"Content-Type": "application/json"} if data else {})
            response = connection.getresponse()
            raw = response.read()
        except TimeoutError as error:
            raise Silent(f"{method} {target}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Lost(f"{method} {target}: {error}") from error
        finally:
            connection.close()
        try:
            return response.status, json.loads(raw) if raw else None
        except ValueError:
            return response.status, raw.decode(errors="replace")

    def begin(self, method, target):
        """Sends a request and does not wait: the connection, to be hung up."""
        connection = UnixConnection(self.path, ANSWER_SECONDS_MAX)
        try:
            connection.request(method, target)
        except OSError as error:
            connection.close()
            raise Lost(str(error)) from error
        return connection


class Client:
    """One user's process: what he does, and what he was answered."""

    def __init__(self, number, name, options):
        self.number, self.name, self.options = number, name, options
        self.random = random.Random(options.seed * 1000 + number)
        self.home = pwd.getpwnam(name).pw_dir
        self.api = Api(options.door)
        self.counts = collections.Counter()
        self.oddities = []
        self.words = {}
        self.lost_creates = []

    def ask(self, what, method, target, body=None):
        """An answer, or None where the daemon was killed meanwhile: then the door is open again on return."""
        try:
            status, reply = self.api.call(method, target, body)
        except Lost:
            self.counts[f"{what} lost"] += 1
            self.until_the_door_is_open()
            return None, None
        except Silent as error:
            self.counts[f"{what} without an answer"] += 1
            self.oddities.append(f"{self.name}: no answer within {ANSWER_SECONDS_MAX} s: {error}")
            return None, None
        self.counts[f"{what} {status}"] += 1
        if status >= 400 and reply:
            self.words.setdefault(f"{what} {status}", str(reply.get("message"))[:200])
        if status == 500:
            self.oddities.append(f"{self.name}: {what}: 500 {reply}")
        return status, reply

    def until_the_door_is_open(self):
        deadline = time.monotonic() + DOOR_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                if self.api.call("GET", "/_ping", timeout=10)[0] == 200:
                    return
            except (Lost, Silent):
                pass
            time.sleep(0.05)
        raise Silent("the door did not open again")

    def create(self, name, command, auto_remove=False, bind=False):
        host = dict(GPU, AutoRemove=auto_remove)
        if bind:
            host["Binds"] = [f"{self.home}:/w"]
        body = {"Image": "busybox", "Cmd": command, "HostConfig": host}
        status, _ = self.ask("create", "POST", f"/v1.40/containers/create?name={name}", body)
        if status in (None, 502) and not auto_remove:
            self.lost_creates.append(name)
        return status == 201

    def start(self, name):
        """Tried again where the daemon was killed meanwhile, as people do."""
        for _ in range(3):
            status, _ = self.ask("start", "POST", f"/v1.40/containers/{name}/start")
            if status is not None:
                return status in (204, 304)
        return False

    def remove(self, name):
        """Until it is gone. A container whose create was lost may or may not be there."""
        deadline = time.monotonic() + DOOR_SECONDS_MAX
        while time.monotonic() < deadline:
            status, _ = self.ask("remove", "DELETE", f"/v1.40/containers/{name}?force=1")
            if status in (204, 404):
                return
            time.sleep(0.1)
        self.oddities.append(f"{self.name}: {name} could not be removed")

    def pause(self, most):
        time.sleep(self.random.uniform(0, most))

    def cycle(self, name):
        """Create, start, use, stop, start again perhaps, remove."""
        if self.create(name, ["sleep", "600"], self.random.random() < 0.3, self.random.random() < 0.4):
            for _ in range(self.random.choice((1, 1, 2))):
                if self.start(name):
                    self.pause(1.2)
                    if self.random.random() < 0.3:
                        self.ask("restart", "POST", f"/v1.40/containers/{name}/restart?t=0")
                        self.pause(0.5)
                how = self.random.choice(("stop?t=0", "kill", "kill", "nothing"))
                if how != "nothing":
                    self.ask(how.partition("?")[0], "POST", f"/v1.40/containers/{name}/{how}")
        self.remove(name)

    def short(self, name):
        """A job that ends by itself."""
        if self.create(name, ["sh", "-c", f"sleep {self.random.uniform(0, 0.5):.2f}"]) and self.start(name):
            self.ask("wait", "POST", f"/v1.40/containers/{name}/wait")
        self.remove(name)

    def hang_up(self, name):
        """A start whose client goes away."""
        if self.create(name, ["sleep", "600"], self.random.random() < 0.5):
            try:
                connection = self.api.begin("POST", f"/v1.40/containers/{name}/start")
                self.pause(0.8)
                connection.close()
                self.counts["start hung up"] += 1
            except Lost:
                self.until_the_door_is_open()
            self.pause(0.5)
        self.remove(name)

    def run(self, name):
        """`docker run --rm`, as people type it. It removes itself, whatever becomes of it."""
        command = ["docker", "run", "--rm", "--name", name, "--gpus", "1", "busybox"]
        command += ["sleep", f"{self.random.uniform(0, 0.8):.2f}"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"DOCKER_HOST": f"unix://{self.options.door}", "HOME": self.home, "PATH": os.environ["PATH"]},
        )
        try:
            said, _ = process.communicate(timeout=ANSWER_SECONDS_MAX)
            self.counts[f"run exit {process.returncode}"] += 1
            # 137: the daemon's end took the client's connection, not the container's life.
            if process.returncode not in (0, 1, 125, 137):
                self.oddities.append(f"{self.name}: docker run: {process.returncode} {said.decode()[-300:]}")
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.counts["run without an answer"] += 1
            self.oddities.append(f"{self.name}: docker run --rm --name {name} hung for {ANSWER_SECONDS_MAX} s")
        self.until_the_door_is_open()

    def live(self):
        kinds = [self.cycle] * 6 + [self.run] * 3 + [self.short] * 2 + [self.hang_up]
        rounds, more = divmod(self.options.ops, self.options.users)
        for round_number in range(rounds + (self.number < more)):
            self.random.choice(kinds)(f"chaos-{self.options.tag}-{self.number}-{round_number}")
            self.counts["rounds"] += 1


def spawn(client):
    """The client in a process of his own, as himself. What he was answered comes back through the pipe."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        os.close(reader)
        user = pwd.getpwnam(client.name)
        os.initgroups(client.name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os.chdir("/")
        try:
            client.live()
        except Exception:
            client.oddities.append(f"{client.name}: {traceback.format_exc()}")
        with os.fdopen(writer, "w") as out:
            kept = ("counts", "oddities", "words", "lost_creates")
            json.dump({key: getattr(client, key) for key in kept}, out)
    finally:
        os._exit(0)


def start_time(pid):
    """When the process started, by its own clock; None when it ended, or is about to."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def devices(pid):
    """The GPU devices in a process's own root, by number."""
    found = set()
    try:
        for name in os.listdir(f"/proc/{pid}/root/dev"):
            if name.startswith("nvidia"):
                node = os.stat(f"/proc/{pid}/root/dev/{name}", follow_symlinks=False)
                if stat.S_ISBLK(node.st_mode):
                    found.add(node.st_rdev)
    except OSError:
        return set()
    return found


class Watcher(threading.Thread):
    """Looks at the devices of every running container, again and again."""

    def __init__(self, engine):
        super().__init__(daemon=True)
        self.engine, self.looks, self.seen, self.doubles = Api(engine), 0, 0, []
        self.most = 0
        self.over = threading.Event()

    def running(self):
        """Main processes by container: past the list, by the Engine's own word on each."""
        found = {}
        status, listed = self.engine.call("GET", "/v1.40/containers/json", timeout=20)
        for entry in listed if status == 200 else ():
            status, told = self.engine.call("GET", f"/v1.40/containers/{entry['Id']}/json", timeout=20)
            if status == 200 and told["State"]["Pid"]:
                found[entry["Id"]] = told["State"]["Pid"]
        return found

    def look(self):
        pids = self.running()
        before = {container: start_time(pid) for container, pid in pids.items()}
        held = collections.defaultdict(list)
        for container, pid in pids.items():
            for device in devices(pid):
                held[device].append(container)
        # Alive before and after all were read: then they had it at the same time.
        alive = {c for c, pid in pids.items() if before[c] and start_time(pid) == before[c]}
        for device, containers in held.items():
            together = [container[:12] for container in containers if container in alive]
            if len(together) > 1:
                self.doubles.append((os.major(device), os.minor(device), together))
        self.looks += 1
        self.seen += len(held)
        self.most = max(self.most, len(held))

    def run(self):
        while not self.over.wait(LOOK_EVERY):
            try:
                self.look()
            except (Lost, Silent):
                pass


class Chaos(threading.Thread):
    """Kills ds01d at random moments and starts it again; restarts the Engine once."""

    def __init__(self, options):
        super().__init__(daemon=True)
        self.options, self.random = options, random.Random(options.seed)
        self.kills = self.engine_restarts = 0
        self.over = threading.Event()
        self.fault = None

    def lab(self, *words):
        done = subprocess.run([self.options.lab_command, words[0], self.options.lab, *words[1:]],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"lab {' '.join(words)}: {done.stderr}")

    def run(self):
        engine_at = self.random.randint(1, max(1, self.options.kills // 3))
        try:
            while self.kills < self.options.kills:
                if self.over.wait(self.random.uniform(0.5, self.options.gap)):
                    return
                self.lab("stop-door", "--kill")
                self.kills += 1
                if self.over.wait(self.random.choice((0, 0, 0.3, 1))):
                    pass
                self.lab("start-door")
                if self.kills == engine_at:
                    self.lab("restart-engine")
                    self.engine_restarts += 1
        except RuntimeError as error:
            self.fault = str(error)


def long_lived(options, names):
    """Containers that must live through everything: what runs where, and since when."""
    engine, found = Api(options.engine), {}
    for number, name in enumerate(names[: options.long_lived]):
        label = f"chaos-{options.tag}-long-{number}"
        home = pwd.getpwnam(name).pw_dir
        command = [options.lab_command, "as", options.lab, name, "docker", "run", "-d", "--name", label,
                   "--gpus", "1", "-v", f"{home}:/w", "busybox", "sleep", "7200"]
        subprocess.run(command, check=True, capture_output=True)
        pid = engine.call("GET", f"/v1.40/containers/{label}/json")[1]["State"]["Pid"]
        found[label] = (pid, start_time(pid), devices(pid))
        assert len(found[label][2]) == 1, f"{label} has {found[label][2]}"
    return found


def holdings(ledger):
    """Who holds what, as a daemon that replays the ledger would say: told by the door itself."""
    status, machine = Api(ledger).call("GET", "/ds01/v1/machine")
    assert status == 200, machine
    units = [unit for card in machine["cards"] for unit in card["units"]]
    held = [f"{unit['address']} by {unit['holder']}" for unit in units if unit.get("holder")]
    unfit = [f"{unit['address']} is {unit['health']}" for unit in units if unit["health"] != "available"]
    return held, unfit, machine["waiting"]


def staged(lab):
    with open("/proc/self/mountinfo") as file:
        return [line.split()[4] for line in file if f" {lab}/run/binds/" in line]


def pending_creates(ledger):
    """Creates that ds01d has planned and of which it has not heard the end."""
    pending = set()
    for (body,) in ledger.execute("SELECT body FROM events ORDER BY seq"):
        event = json.loads(body)
        if event["event"] == "create-planned":
            pending.add(event["token"])
        elif event["event"] in ("created", "create-abandoned"):
            pending.discard(event["token"])
    return pending


def books(ledger):
    """The containers that the ledger knows and those that hold units, as a replay has them."""
    known, holding = set(), set()
    for (body,) in ledger.execute("SELECT body FROM events ORDER BY seq"):
        event = json.loads(body)
        what, container = event["event"], event.get("container")
        if what == "container" and event["standing"] != "removed":
            known.add(event["id"])
        elif what in ("created", "adopted"):
            known.add(container)
        elif what == "removed":
            known.discard(container)
        if what in ("reserved", "adopted", "holding"):
            holding.add(container)
        elif what == "released":
            holding.discard(container)
    return known, holding


def cgroups(parent):
    """The containers that have a control group, in any hierarchy."""
    found = set()
    for pattern in (f"/sys/fs/cgroup/{parent}/u*/*", f"/sys/fs/cgroup/*/{parent}/u*/*"):
        found.update(os.path.basename(path) for path in glob.glob(pattern) if os.path.isdir(path))
    return {name for name in found if len(name) == 64}


def loop_devices(lab):
    """The loop devices that are bound to a file of the lab."""
    found = set()
    for path in glob.glob("/sys/block/loop*/loop/backing_file"):
        try:
            with open(path) as file:
                if lab in file.read():
                    found.add(path.split("/")[3])
        except OSError:
            pass
    return found


def leaks(options, kept, lost_creates):
    """What is there and should not be, now; and the creates whose end is still open."""
    found = []
    engine, door = Api(options.engine), Api(options.door)
    containers = engine.call("GET", "/v1.40/containers/json?all=1")[1]
    ids, own = {c["Id"] for c in containers}, set()
    for container in containers:
        name = container["Names"][0].lstrip("/")
        if name in kept:
            own.add(container["Labels"]["ds01.token"])
        elif name in lost_creates:
            # Made, and its maker never heard of it: he finds it in his list and removes it.
            door.call("DELETE", f"/v1.40/containers/{name}")
        else:
            found.append(f"container {name} {container['Status']}")
    held, unfit, waiting = holdings(options.door)
    if len(held) != len(kept):
        found.append(f"units held: {held}")
    if unfit:
        found.append(f"units unfit: {unfit}")
    if waiting:
        found.append(f"{waiting} wait in line")
    receipts = [name for name in os.listdir(f"{options.lab}/run/receipts") if name.endswith(".json")]
    if len(receipts) != len(kept) or any(name.removesuffix(".json") not in ids for name in receipts):
        found.append(f"receipts: {receipts}")
    with sqlite3.connect(f"file:{options.lab}/state/ledger.db?mode=ro", uri=True) as ledger:
        pending = pending_creates(ledger)
        records = {token for (token,) in ledger.execute("SELECT token FROM records")}
        known, holding = books(ledger)
    ours = {container["Id"] for container in containers if "ds01.token" in container["Labels"]}
    long_lived_ids = {c["Id"] for c in containers if c["Names"][0].lstrip("/") in kept}
    for what, there, wanted in (
        ("containers in the ledger", known, ours),
        ("holders in the ledger", holding, long_lived_ids),
        ("control groups", cgroups(options.cgroup), {c["Id"] for c in containers if c["State"] == "running"}),
        ("loop devices", loop_devices(options.lab), options.loops),
    ):
        if there != wanted:
            found.append(f"{what}: {there - wanted or 'none'} too many, {wanted - there or 'none'} missing")
    places = set(os.listdir(f"{options.lab}/run/binds"))
    mounts = {path.split("/")[-2] for path in staged(options.lab)}
    for what, there in (("records", records), ("places on the stage", places), ("staged", mounts)):
        if there - own - pending:
            found.append(f"{what}: {there - own - pending}")
        if own - there:
            found.append(f"{what} that are missing: {own - there}")
    return found, pending


def nothing_leaks(options, kept, lost_creates):
    began = time.monotonic()
    while True:
        try:
            found, pending = leaks(options, kept, lost_creates)
        except (Lost, Silent) as error:
            found, pending = [str(error)], set()
        waited = time.monotonic() - began
        if options.patient and pending:
            if waited > CREATE_SECONDS_MAX:
                return [*found, f"creates without an end: {pending}"]
        elif not found or waited > LEAK_SECONDS_MAX:
            return found
        time.sleep(0.2)


def lost_containers(kept):
    return [
        f"{label} (process {pid}) is gone or has other devices"
        for label, (pid, began, had) in kept.items()
        if start_time(pid) != began or devices(pid) != had
    ]


def main():
    parser = argparse.ArgumentParser()
    for word in ("lab", "lab-command", "door", "engine", "cgroup"):
        parser.add_argument(f"--{word}", required=True)
    parser.add_argument("--names", required=True, help="users, by commas")
    for word, default in (("ops", 60), ("kills", 6), ("long-lived", 2), ("seed", 0)):
        parser.add_argument(f"--{word}", type=int, default=default)
    parser.add_argument("--patient", action="store_true", help="wait until the end of every lost create is known")
    parser.add_argument("--gap", type=float, default=4, help="longest pause between two kills, seconds")
    options = parser.parse_args()
    names = options.names.split(",")
    options.users = len(names)
    options.seed = options.seed or random.SystemRandom().randrange(1, 1_000_000)
    options.tag = options.seed
    print(f"    seed {options.seed}", flush=True)

    options.loops = loop_devices(options.lab)
    kept = long_lived(options, names)
    watcher, chaos = Watcher(options.engine), Chaos(options)
    began = time.monotonic()
    children = [spawn(Client(number, name, options)) for number, name in enumerate(names)]
    watcher.start()
    chaos.start()
    counts, faults, words, lost_creates = collections.Counter(), [], {}, set()
    for pid, reader in children:
        with os.fdopen(reader) as pipe:
            told = pipe.read()
        os.waitpid(pid, 0)
        if not told:
            faults.append("a client died")
            continue
        told = json.loads(told)
        counts.update(told["counts"])
        faults += told["oddities"]
        words.update(told["words"])
        lost_creates.update(told["lost_creates"])
    took = time.monotonic() - began
    chaos.over.set()
    chaos.join()
    if chaos.fault:
        faults.append(chaos.fault)
    found = nothing_leaks(options, kept, lost_creates)
    faults += [f"after {LEAK_SECONDS_MAX} s there is still: {leak}" for leak in found]
    # What a daemon finds that knows nothing but the ledger: the same.
    try:
        chaos.lab("stop-door", "--kill")
        chaos.lab("start-door")
        found = nothing_leaks(options, kept, set())
        faults += [f"after the ledger was replayed there is still: {leak}" for leak in found]
    except RuntimeError as error:
        faults.append(str(error))
    watcher.over.set()
    watcher.join()
    faults += [f"device {major}:{minor} in two running containers: {both}" for major, minor, both in watcher.doubles]
    faults += lost_containers(kept)
    for what, count in sorted(counts.items()):
        if "without an answer" in what:
            faults.append(f"{what}: {count}")

    print("    " + ", ".join(f"{what}: {count}" for what, count in sorted(counts.items())))
    for what, said in sorted(words.items()):
        print(f"    {what}: {said!r}")
    starts = counts["start 204"] + counts["run exit 0"]
    print(f"    {took:.0f} s: {starts} starts went through, ds01d killed {chaos.kills} times, Engine restarted "
          f"{chaos.engine_restarts} times, {watcher.looks} looks at {watcher.seen} devices (at most {watcher.most} at "
          f"once), double holders: {len(watcher.doubles)}")
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    if chaos.engine_restarts < 1 or chaos.kills < 1:
        print("FAULT: the run was over before anything was killed", file=sys.stderr)
        sys.exit(1)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
