"""The world in which the cases happen: two users of one lab with everything that one could want of the other.

It answers for the placeholders of 00-context.json, for putting the world right after a case, and for noticing what
an attack changed that was not the attacker's. It must never ask the door what is there: it asks the Engine, and the
host.
"""

import json
import os
import pwd
import re
import shutil
import subprocess
import threading
import time
import urllib.parse

import bodies
import wire

GROUP_OF_ALICE = 20100
SECRET = "hunter2-of-bob"
SETTLE_SECONDS_MAX = 20


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
        self.before = None
        self.build = None
        self.netns = None

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
        """Placeholders of strings, lists and objects; unknown braces stay."""
        if isinstance(thing, str):
            return re.sub(r"\{([A-Z][A-Z0-9_]*)\}", lambda m: str(self.values.get(m.group(1), m.group(0))), thing)
        if isinstance(thing, list):
            return [self.fill(item) for item in thing]
        if isinstance(thing, dict):
            return {self.fill(key): self.fill(value) for key, value in thing.items()}
        return thing

    def others(self):
        """Everything that is not alice's: an attack changes nothing of it."""
        owner = str(self.alice.uid)
        found = {}
        for entry in self.containers():
            labels = entry.get("Labels") or {}
            if labels.get("ds01.owner") not in (owner, None) or entry["Names"][0].lstrip("/") in ("bob-db", "bob-stopped", "bob-bridge"):
                found["container " + entry["Id"]] = (entry["State"], entry["Names"], sorted((entry.get("NetworkSettings") or {}).get("Networks", {})))
        mine = ("alice/", f"ds01-{self.alice.name}/", "x:", "<none>")
        for image in self.engine("GET", "/images/json"):
            for tag in image.get("RepoTags") or []:
                if not tag.startswith(mine):
                    found["tag " + tag] = image["Id"]
        for volume in self.engine("GET", "/volumes")["Volumes"] or []:
            if volume["Name"].startswith("bob"):
                found["volume " + volume["Name"]] = volume["Mountpoint"]
        for network in self.engine("GET", "/networks"):
            if network["Name"].startswith("bob") or network["Name"] in ("bridge", "host", "none"):
                found["network " + network["Name"]] = network["Id"]
        swarm = self.engine("GET", "/info").get("Swarm", {}).get("LocalNodeState")
        found["swarm"] = swarm
        return found

    def remember(self):
        self.before = self.others()

    def changes(self):
        after = self.others()
        keys = sorted(set(self.before) | set(after))
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
        command = {"Cmd": ["/bin/touch", "/tmp/foreign-exec-ran"], "AttachStdout": True}
        bob_exec = self.must(bob, "POST", f"/v1.41/containers/{bob_ctr}/exec", command)["Id"]
        self.values = {
            "ALICE": alice.name, "ALICE_UID": alice.uid, "ALICE_GID": alice.gid, "ALICE_GROUP2": GROUP_OF_ALICE,
            "ALICE_HOME": alice.home, "BOB": bob.name, "BOB_UID": bob.uid, "BOB_HOME": bob.home,
            "BOB_CTR": bob_ctr, "BOB_CTR_PREFIX4": bob_ctr[:4], "BOB_CTR_PREFIX6": bob_ctr[:6],
            "BOB_CTR_PREFIX12": bob_ctr[:12], "BOB_EXEC": bob_exec, "BOB_NET": "bob-net", "BOB_VOL": "bob-vol",
            "BOB_NET_ID": self.engine("GET", "/networks/bob-net")["Id"],
            "BOB_IMAGE": f"ds01-{bob.name}/secret:latest", "BOB_IMAGE_ID": image["Id"].split(":")[1],
            "BOB_SESSION": "session-of-bob", "BOB_BUILD": "build-of-bob", "SHARED": self.share, "SECRET": SECRET,
            "QUOTA_MEM": self.quota(), "DIR": self.directory, "ENGINE": f"unix://{self.engine_path}",
            "DOOR": self.door_path, "STAGE": f"{self.directory}/run/binds",
        }
        self.values["ALICE_SLICE"] = self.inspect("bob-db")["HostConfig"]["CgroupParent"].replace(str(bob.uid), str(alice.uid))
        self.repair()
        self.must(alice, "POST", "/v1.41/commit?container=alice-cpu&repo=alice/evil")
        self.values["ALICE_GPU_CTR"] = self.create(alice, "alice-gpu", {
            **sleep, "HostConfig": {"DeviceRequests": [{"Count": 1, "Capabilities": [["gpu"]]}]}})
        self.start_build_of_bob()
        self.remember()

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

    def repair(self):
        """alice's world as every case finds it."""
        alice = self.alice
        for entry in self.containers():
            labels = entry.get("Labels") or {}
            name = entry["Names"][0].lstrip("/")
            mine = labels.get("ds01.owner") == str(alice.uid)
            if mine and name not in ("alice-cpu", "alice-gpu"):
                self.ask(alice, "DELETE", f"/v1.41/containers/{entry['Id']}?force=1&v=1")
        cpu = self.inspect("alice-cpu")
        if cpu is None or not cpu["State"]["Running"] or cpu["Id"] != self.values.get("ALICE_CTR"):
            if self.values.get("ALICE_CTR"):
                self.engine("DELETE", f"/containers/{self.values['ALICE_CTR']}?force=1", raw=True)
                self.wait(lambda: self.inspect("alice-cpu") is None, "alice-cpu does not go")
            self.values["ALICE_CTR"] = self.create(alice, "alice-cpu", {
                "Image": "base:latest", "Cmd": ["/bin/sleep", "3600"], "StopTimeout": 0,
                "HostConfig": {"Binds": [f"{alice.home}:/w"]}})
        shell = {"Cmd": ["/bin/cat"], "AttachStdin": True, "AttachStdout": True, "Tty": True}
        self.values["ALICE_EXEC"] = self.must(alice, "POST", f"/v1.41/containers/{self.values['ALICE_CTR']}/exec", shell)["Id"]
        for name in ("link-to-etc", "p", "ws"):
            path = os.path.join(alice.home, name)
            if os.path.islink(path):
                os.unlink(path)
        old = os.path.join(alice.home, "ws.old")
        if os.path.isdir(old):
            shutil.rmtree(old)
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
