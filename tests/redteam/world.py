"""The world in which the cases happen: two users of one lab with everything that one could want of the other.

It answers for the placeholders of 00-context.json, for putting the world right after a case, and for noticing what
an attack changed that was not the attacker's. It must never ask the door what is there: it asks the Engine, and the
host.
"""

import json
import os
import pwd
import re
import subprocess
import threading
import time
import urllib.parse

import bodies
import wire

GROUP_OF_ALICE = 20100
SECRET = "hunter2-of-bob"
SETTLE_SECONDS_MAX = 20
OF_BOB = ("bob-db", "bob-stopped", "bob-bridge")
# What 00-context.json says of the world, for cases that say the value and not the placeholder.
SAID = {r"/home/alice\b": "ALICE_HOME", r"/home/bob\b": "BOB_HOME", r"/srv/datasets\b": "SHARED",
        r"(?<![\w.])20001(?![\w.])": "ALICE_UID", r"(?<![\w.])20002(?![\w.])": "BOB_UID"}


class Person:
    def __init__(self, name):
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.gid, self.home = name, entry.pw_uid, entry.pw_gid, entry.pw_dir
        self.groups = [entry.pw_gid]


class World:
    def __init__(self, directory, door, engine, alice, bob, share):
        self.directory, self.door_path, self.engine_path, self.share = directory, door, engine, share
        self.alice, self.bob = Person(alice), Person(bob)
        self.alice.groups.append(GROUP_OF_ALICE)
        self.values = {}
        # Placeholders of the present case that stand for nothing here.
        self.unknown = set()
        self.before = None
        self.build = None
        self.at_home = set()

    # ---- talking -------------------------------------------------------------------------------------------------

    def engine(self, method, path, body=None, raw=False):
        """The Engine itself, past the door."""
        data = json.dumps(body).encode() if body is not None else b""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        reply = wire.Response(wire.exchange(self.engine_path, wire.request_bytes(method, "/v1.41" + path, headers, data)))
        return reply if raw else reply.json()

    def ask(self, person, method, path, body=None, headers=None, **options):
        """The door, as a person; `body` is bytes or JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        data = wire.request_bytes(method, path, headers, body or b"")
        return self.send(person, data, **options)

    def send(self, person, data, **options):
        work = lambda: wire.exchange(self.door_path, data, **options)
        return wire.Response(wire.run_as(person.uid, person.gid, person.groups, work))

    def must(self, person, method, path, body=None, headers=None):
        reply = self.ask(person, method, path, body, headers)
        if not 200 <= reply.status < 400:
            raise RuntimeError(f"the world cannot be built: {person.name} {method} {path}: {reply.status} {reply.text[-400:]}")
        return reply.json()

    # ---- what there is -------------------------------------------------------------------------------------------

    def inspect(self, name):
        reply = self.engine("GET", f"/containers/{name}/json", raw=True)
        return reply.json() if reply.status == 200 else None

    def containers(self):
        return self.engine("GET", "/containers/json?all=1")

    def engine_pid(self):
        with open(os.path.join(self.directory, "lab/dockerd.pid"), encoding="utf-8") as source:
            return int(source.read())

    def exec(self, container, *command, user=""):
        """Runs a command inside, past the door; its output and exit code."""
        options = ["--user", user] if user else []
        done = subprocess.run(["docker", "-H", f"unix://{self.engine_path}", "exec", *options, container, *command],
                              capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr, done.returncode

    def fill(self, thing):
        """Placeholders of strings, lists and objects, and what 00-context.json says they are, where a case says that."""
        if isinstance(thing, str):
            for said, name in SAID.items():
                thing = re.sub(said, lambda _, name=name: str(self.values.get(name, "")), thing)
            return re.sub(r"(?<!\$)\{([A-Z][A-Z0-9_]*)\}", self._value, thing)
        if isinstance(thing, list):
            return [self.fill(item) for item in thing]
        if isinstance(thing, dict):
            return {self.fill(key): self.fill(value) for key, value in thing.items()}
        return thing

    def _value(self, match):
        name = match.group(1)
        prefix = re.fullmatch(r"(\w+?)_PREFIX(\d+)", name)
        if name not in self.values and prefix and prefix.group(1) in self.values:
            return str(self.values[prefix.group(1)])[: int(prefix.group(2))]
        if name not in self.values:
            self.unknown.add(name)
        return str(self.values.get(name, match.group(0)))

    def survey(self):
        """What there is, by whose it is: everything that is not alice's, which no attack changes, and what is hers."""
        owner, others, mine = str(self.alice.uid), {}, {}
        for entry in self.containers():
            labels, name = entry.get("Labels") or {}, entry["Names"][0].lstrip("/")
            if labels.get("ds01.owner") == owner:
                mine["container " + name] = entry["Id"]
            elif "ds01.owner" in labels or name in OF_BOB:
                networks = sorted((entry.get("NetworkSettings") or {}).get("Networks", {}))
                others["container " + entry["Id"]] = (entry["State"], entry["Names"], networks)
        prefixes = ("alice/", f"ds01-{self.alice.name}/", "x:", "<none>")
        for image in self.engine("GET", "/images/json"):
            for tag in image.get("RepoTags") or []:
                (mine if tag.startswith(prefixes) else others)["image " + tag] = image["Id"]
        for volume in self.engine("GET", "/volumes")["Volumes"] or []:
            (others if volume["Name"].startswith("bob") else mine)["volume " + volume["Name"]] = volume["Mountpoint"]
        for network in self.engine("GET", "/networks"):
            his = network["Name"].startswith("bob") or network["Name"] in ("bridge", "host", "none")
            (others if his else mine)["network " + network["Name"]] = network["Id"]
        # 503: there is none. /info would say so too, and take ten times as long.
        others["swarm"] = self.engine("GET", "/swarm", raw=True).status
        others["door"] = self.door_pid()
        self._inside_of_bob(others)
        for number in (self.inspect("alice-cpu") or {}).get("ExecIDs") or []:
            mine["exec " + number] = ""
        return others, mine

    def _inside_of_bob(self, found):
        """bob's container, its processes and its files, and his home: what an attack could reach without a trace in lists."""
        bob = self.inspect("bob-db")
        if bob:
            state = bob["State"]
            found["bob-db"] = (state["Pid"], state["Paused"], bob["RestartCount"], bob["HostConfig"], bob["Config"])
            for number in bob["ExecIDs"] or []:
                seen = self.engine("GET", f"/exec/{number}/json")
                found["exec " + number] = (seen.get("Running"), seen.get("ExitCode"))
            for change in self.engine("GET", "/containers/bob-db/changes") or []:
                found["in bob-db " + change["Path"]] = change["Kind"]
        for where, directories, files in os.walk(self.bob.home):
            for name in directories + files:
                seen = os.lstat(os.path.join(where, name))
                found["of bob " + os.path.join(where, name)] = (seen.st_mode, seen.st_uid, seen.st_gid, seen.st_size, seen.st_mtime_ns)

    def door_pid(self):
        with open(os.path.join(self.directory, "lab/ds01d.pid"), encoding="utf-8") as source:
            return int(source.read())

    def door_mebibytes(self):
        """The most memory that the daemon ever had."""
        with open(f"/proc/{self.door_pid()}/status", encoding="utf-8") as source:
            return int(re.search(r"VmHWM:\s+(\d+)", source.read()).group(1)) >> 10

    def door_log(self):
        with open(os.path.join(self.directory, "log/ds01d.log"), encoding="utf-8") as source:
            return source.read()

    def remember(self):
        self.before = self.survey()[0]

    def changes(self):
        after = self.survey()[0]
        # The Engine itself forgets execs that nobody starts.
        keys = sorted(key for key in set(self.before) | set(after) if not key.startswith("exec ") or key in after)
        return [f"{key}: {self.before.get(key)} became {after.get(key)}" for key in keys if self.before.get(key) != after.get(key)]

    # ---- making it -----------------------------------------------------------------------------------------------

    def create(self, person, name, body, start=True):
        made = self.must(person, "POST", f"/v1.41/containers/create?name={name}", body)
        if start:
            self.must(person, "POST", f"/v1.41/containers/{made['Id']}/start")
        return made["Id"]

    def file(self, person, path, text, mode=0o644):
        path = os.path.join(person.home, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, mode)
        where = path
        while where != person.home:
            os.chown(where, person.uid, person.gid, follow_symlinks=False)
            where = os.path.dirname(where)

    def tag(self, source, repository, tag="latest"):
        self.engine("POST", f"/images/{source}/tag?repo={urllib.parse.quote(repository)}&tag={tag}", raw=True)

    def make(self):
        sleep = {"Image": "base:latest", "Cmd": ["/bin/sleep", "3600"], "StopTimeout": 0}
        alice, bob = self.alice, self.bob
        self.file(bob, "secret", SECRET, 0o600)
        for name in ("project/readme", "data/numbers", "ws/marker"):
            self.file(alice, name, "original\n")
        self.tag("base:latest", "pytorch/pytorch")
        self.must(bob, "POST", "/v1.41/networks/create", {"Name": "bob-net"})
        self.must(bob, "POST", "/v1.41/volumes/create", {"Name": "bob-vol"})
        bob_ctr = self.create(bob, "bob-db", {
            **sleep, "Env": [f"DB_PASSWORD={SECRET}"], "Labels": {"purpose": "database-of-bob"},
            "HostConfig": {"Binds": [f"{bob.home}:/home/bob", "bob-vol:/data"], "NetworkMode": "bob-net"}})
        self.create(bob, "bob-stopped", sleep, start=False)
        self.create(bob, "bob-bridge", {**sleep, "Labels": {"purpose": "on-the-bridge-of-bob"}})
        image = self.must(bob, "POST", f"/v1.41/commit?container={bob_ctr}&repo=ds01-{bob.name}/secret&tag=latest")
        bob_exec = self.exec_of_bob(bob_ctr)
        self.values = {
            "ALICE": alice.name, "ALICE_UID": alice.uid, "ALICE_GID": alice.gid, "ALICE_GROUP2": GROUP_OF_ALICE,
            "ALICE_HOME": alice.home, "BOB": bob.name, "BOB_UID": bob.uid, "BOB_GID": bob.gid, "BOB_HOME": bob.home,
            "BOB_NAME": bob.name, "BOB_CTR_NAME": "bob-db", "BOB_STOPPED": "bob-stopped", "BOB_STOPPED_CTR": "bob-stopped",
            "ALICE_NAME": alice.name, "ALICE_CTR_NAME": "alice-cpu", "ALICE_IMAGE": "alice/evil:latest",
            "ALICE_NET": "alice-net", "ALICE_VOL": "alice-vol", "BOB_NETWORK": "bob-net", "BOB_VOLUME": "bob-vol",
            "BOB_CTR": bob_ctr, "BOB_CTR_PREFIX4": bob_ctr[:4], "BOB_CTR_PREFIX6": bob_ctr[:6],
            "BOB_CTR_PREFIX12": bob_ctr[:12], "BOB_EXEC": bob_exec, "BOB_NET": "bob-net", "BOB_VOL": "bob-vol",
            "BOB_NET_ID": self.engine("GET", "/networks/bob-net")["Id"],
            "BOB_IMAGE": f"ds01-{bob.name}/secret:latest", "BOB_IMAGE_ID": image["Id"].split(":")[1],
            "BOB_SESSION": "session-of-bob", "BOB_BUILD": "build-of-bob", "SHARED": self.share, "SECRET": SECRET,
            "QUOTA_MEM": self.quota(), "DIR": self.directory, "ENGINE": f"unix://{self.engine_path}",
            "DOOR": self.door_path, "STAGE": f"{self.directory}/run/binds",
        }
        self.values["BOB_SLICE"] = self.inspect("bob-db")["HostConfig"]["CgroupParent"]
        self.values["ALICE_SLICE"] = self.values["BOB_SLICE"].replace(str(bob.uid), str(alice.uid))
        self.at_home = self.home()
        self.repair()
        self.must(alice, "POST", "/v1.41/commit?container=alice-cpu&repo=alice/evil")
        self.values["ALICE_GPU_CTR"] = self.create(alice, "alice-gpu", {
            **sleep, "HostConfig": {"DeviceRequests": [{"Count": 1, "Capabilities": [["gpu"]]}]}})
        self.start_build_of_bob()
        self.remember()

    def exec_of_bob(self, container):
        command = {"Cmd": ["/bin/touch", "/tmp/foreign-exec-ran"], "AttachStdout": True}
        return self.must(self.bob, "POST", f"/v1.41/containers/{container}/exec", command)["Id"]

    def quota(self):
        with open(os.path.join(self.directory, "etc/ds01.yaml"), encoding="utf-8") as source:
            return int(re.search(r"^ +memory: (\d+)g$", source.read(), re.M).group(1)) << 30

    def start_build_of_bob(self):
        """A build of bob's that lasts, so that cancelling it would be seen."""
        tar = bodies.archive({"tar": bodies.dockerfile("FROM base", "RUN sleep 3600")})
        headers = {"Content-Type": "application/x-tar"}
        path = f"/v1.41/build?buildid={self.values['BOB_BUILD']}&rm=1&forcerm=1"
        work = lambda: self.ask(self.bob, "POST", path, tar, headers, seconds=600)
        self.build = threading.Thread(target=work, daemon=True)
        self.build.start()
        self.wait(self.builds, "bob's build does not run")

    def builds(self):
        return [entry for entry in self.containers() if "sleep 3600" in entry["Command"] and entry["State"] == "running"
                and "ds01.owner" not in (entry.get("Labels") or {})]

    def home(self):
        """What lies in alice's home, by name."""
        return {os.path.join(where, name) for where, directories, files in os.walk(self.alice.home) for name in directories + files}

    def clean_home(self):
        for path in sorted(self.home() - self.at_home, reverse=True):
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            else:
                os.unlink(path)

    def repair(self, anew=False):
        """alice's world as every case finds it; `anew` where her container is not to be trusted any more."""
        alice = self.alice
        for entry in self.containers():
            labels = entry.get("Labels") or {}
            name = entry["Names"][0].lstrip("/")
            mine = labels.get("ds01.owner") == str(alice.uid)
            if mine and name not in ("alice-cpu", "alice-gpu"):
                self.ask(alice, "DELETE", f"/v1.41/containers/{entry['Id']}?force=1&v=1")
        number = self.values.get("BOB_EXEC")
        if self.before is not None and self.engine("GET", f"/exec/{number}/json", raw=True).status == 404:
            self.values["BOB_EXEC"] = self.exec_of_bob(self.values["BOB_CTR"])
            self.remember()
        hers = self.survey()[1]
        if "network alice-net" not in hers:
            self.must(alice, "POST", "/v1.41/networks/create", {"Name": "alice-net"})
        if "volume alice-vol" not in hers:
            self.must(alice, "POST", "/v1.41/volumes/create", {"Name": "alice-vol"})
        for thing in hers:
            kind, _, name = thing.partition(" ")
            if kind in ("volume", "network") and name not in ("alice-vol", "alice-net"):
                self.ask(alice, "DELETE", f"/v1.41/{kind}s/{name}")
        cpu = self.inspect("alice-cpu")
        if anew or cpu is None or not cpu["State"]["Running"] or cpu["Id"] != self.values.get("ALICE_CTR"):
            if self.values.get("ALICE_CTR"):
                self.engine("DELETE", f"/containers/{self.values['ALICE_CTR']}?force=1", raw=True)
                self.wait(lambda: self.inspect("alice-cpu") is None, "alice-cpu does not go")
            self.values["ALICE_CTR"] = self.create(alice, "alice-cpu", {
                "Image": "base:latest", "Cmd": ["/bin/sleep", "3600"], "StopTimeout": 0,
                "HostConfig": {"Binds": [f"{alice.home}:/w"]}})
        shell = {"Cmd": ["/bin/cat"], "AttachStdin": True, "AttachStdout": True, "Tty": True}
        self.values["ALICE_EXEC"] = self.must(alice, "POST", f"/v1.41/containers/{self.values['ALICE_CTR']}/exec", shell)["Id"]
        if os.path.islink(os.path.join(alice.home, "ws")):
            os.unlink(os.path.join(alice.home, "ws"))
        self.clean_home()
        self.file(alice, "ws/marker", "original\n")

    def wait(self, condition, otherwise, seconds=SETTLE_SECONDS_MAX):
        end = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > end:
                raise RuntimeError(otherwise)
            time.sleep(0.02)

    def close(self):
        """Ends what was begun; the lab takes the rest away."""
        if self.build is not None:
            for entry in self.builds():
                self.engine("POST", f"/containers/{entry['Id']}/kill", raw=True)
            self.build.join(timeout=10)
