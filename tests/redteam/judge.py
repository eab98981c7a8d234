"""One case while it runs: what was sent, what came back, what there is now, and the verdict on its status.

It answers for sending a request of any form that 00-context.json allows, as whoever the case says. It must never let
an outcome hang on what the case is called.
"""

import base64
import json
import re
import threading
import time

import steps
import wire
import words

CREATE = re.compile(r"^/(v1\.\d+/)?containers/create")
HTTP_VERSION_NOT_SUPPORTED = 505
RAW_SECONDS = 2
STREAM_SECONDS = 3
RACE_TRIES = 24
# Answers that go on until somebody ends them.
STREAMS = re.compile(r"/events(?!.*[?&]until=)|/logs\?.*\bfollow=(1|true)|/stats(?!.*\bstream=(0|false))|/attach|/wait\b|/exec/\w+/start")
# A check that leaves a choice: an outcome that was not expected is then judged by what came of it.
CHOICE = re.compile(r"\b(or refuse|or refused|or denied|or deny|refused, or|not created, or|denied, or)\b")
# The Engine's own words where the machine reaches no registry: the request was passed on.
OFFLINE = re.compile(r"dial tcp|lookup .* on |no such host|i/o timeout|connection refused|network is unreachable|Client\.Timeout|TLS handshake")
INSIDE = """
import base64, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(%d)
s.connect('/var/run/docker.sock')
s.sendall(base64.b64decode(sys.argv[1]))
got = b''
try:
    while (part := s.recv(65536)): got += part
except TimeoutError: pass
print(base64.b64encode(got).decode())
"""


class Try:
    def __init__(self, world, case, cases):
        self.world, self.case, self.cases = world, case, cases
        self.setup = words.Setup(case)
        self.person, self.caller_left = words.caller(case)
        self.started = time.time() - 1
        self.body, self.response = b"", wire.Response(b"")
        self.created, self.found = None, None
        self.marks = []

    # ---- what the case says ------------------------------------------------------------------------------------------

    def outcomes(self):
        return {self.case["expect"], *str(self.case.get("also_ok", "")).replace("|", ",").replace(" ", "").split(",")} - {""}

    def path(self):
        """The path without its query; of a raw case, that of its first request."""
        if "raw" in self.case:
            words_of = self.case["raw"].split(" ", 2)
            return self.world.fill(words_of[1]).partition("?")[0] if len(words_of) > 1 else ""
        return self.world.fill(self.case.get("path", "")).partition("?")[0]

    def said(self):
        """Everything that the request says, as text."""
        kept = {key: self.case[key] for key in ("path", "body", "raw", "headers") if key in self.case}
        if str(kept.get("body", "")).startswith("{TAR"):
            del kept["body"]
        return json.dumps(self.world.fill(kept), ensure_ascii=False)

    def sent(self):
        """The body as JSON, where it is some."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    # ---- sending -----------------------------------------------------------------------------------------------------

    def data(self):
        """The bytes of the request."""
        world, case = self.world, self.case
        if "raw" in case:
            if case.get("raw_encoding", case.get("body_encoding")) == "base64":
                return base64.b64decode(case["raw"])
            return world.fill(case["raw"]).encode("utf-8")
        self.body, headers = steps.body_of(world, case, self.cases)
        if self.setup.label_bytes:
            host = {field: {"true": True, "false": False}.get(value, value) for _, field, value in self.setup.fields}
            body = {"Image": "base:latest", "Labels": {"big": "x" * self.setup.label_bytes}, "HostConfig": host}
            self.body = json.dumps(body).encode()
        return wire.request_bytes(case["method"], world.fill(case["path"]), world.fill(headers), self.body)

    def send(self):
        world, data = self.world, self.data()
        seconds = self.case.get("seconds", wire.EXCHANGE_SECONDS_MAX)
        whole = True
        if "raw" in self.case:
            seconds, whole = self.case.get("seconds", RAW_SECONDS), False
        elif STREAMS.search(self.case["path"]):
            seconds = self.case.get("seconds", STREAM_SECONDS)
        if self.person == "inside":
            self.response = self._from_inside(data, seconds)
        elif self.setup.race:
            self._race(data)
        elif "/events" in self.case.get("path", "") and STREAMS.search(self.case["path"]):
            self._listen(data, seconds)
        else:
            self.response = world.send(world.bob if self.person == "bob" else world.alice, data, seconds=seconds, whole=whole)

    def _from_inside(self, data, seconds):
        """The same bytes, from root in a container of alice's that holds the door's socket."""
        world = self.world
        made = world.create(world.alice, "alice-inside", {
            "Image": "ds01-python:latest", "Cmd": ["sleep", "600"], "StopTimeout": 0,
            "HostConfig": {"Binds": ["/var/run/docker.sock:/var/run/docker.sock"]}})
        out, _ = world.exec(made, "python3", "-c", INSIDE % min(seconds, RAW_SECONDS), base64.b64encode(data).decode(), user="0")
        try:
            return wire.Response(base64.b64decode(out.strip().splitlines()[-1]))
        except (IndexError, ValueError):
            raise RuntimeError(f"inside it says {out[-200:]}")

    def _race(self, data):
        """alice makes containers of the name that the setup says, while the request is sent again and again."""
        world, name = self.world, self.world.fill(self.setup.race)
        done = threading.Event()

        def make():
            while not done.is_set():
                world.ask(world.alice, "POST", f"/v1.41/containers/create?name={name}", {"Image": "base:latest", "Cmd": ["/bin/true"]})

        other = threading.Thread(target=make)
        other.start()
        try:
            for _ in range(RACE_TRIES):
                self.response = world.send(world.alice, data)
        finally:
            done.set()
            other.join()

    def _listen(self, data, seconds):
        """While alice listens, she and bob do the same, again and again until she has heard hers."""
        world = self.world
        mark = f"marked-{world.alice.name}"
        replies = []
        listen = lambda: replies.append(world.send(world.alice, data, seconds=seconds, until=lambda got: mark.encode() in got))
        other = threading.Thread(target=listen)
        other.start()
        while other.is_alive():
            for who, name in ((world.bob, world.values["BOB_CTR"]), (world.alice, world.values["ALICE_CTR"])):
                world.must(who, "POST", f"/v1.41/containers/{name}/exec", {"Cmd": ["/bin/echo", f"marked-{who.name}"]})
            other.join(timeout=0.2)
        self.response = replies[0]
        self.marks = [f"marked-{world.bob.name}"]
        world.remember()

    # ---- what came of it -----------------------------------------------------------------------------------------------

    def accepted(self):
        return 100 < self.response.status < 400

    def denied(self):
        status = self.last_status()
        if status == 0:
            # Closed without a word: an answer to bytes that are no request.
            return "raw" in self.case
        return 400 <= status < 500 or status == HTTP_VERSION_NOT_SUPPORTED

    def last_status(self):
        """Of several requests on one connection the last answer counts: the attack is at the end."""
        if self.case.get("raw", "").count(" HTTP/1.1\r\n") > 1:
            found = wire.statuses(self.response.raw)
            return found[-1] if found else 0
        return self.response.status

    def look(self):
        """What a create made; started, where that shows more."""
        world, case = self.world, self.case
        if not CREATE.match(case.get("path", "")) or self.response.status != 201:
            return []
        self.created = (self.response.json() or {}).get("Id")
        self.found = world.inspect(self.created)
        if self.found is None:
            return ["a container is said to be made, and is not there"]
        faults = []
        for command in self.setup.between:
            faults += steps.as_alice(world, command)
        if case.get("start", True):
            faults += self.start("start")
        self.found = world.inspect(self.created)
        return faults

    def start(self, act):
        world = self.world
        wait = "?t=0" if act == "restart" else ""
        reply = world.ask(world.alice, "POST", f"/v1.41/containers/{self.created}/{act}{wait}")
        if reply.status < 400 or self.case.get("start_may_fail") or "rlimit" in reply.message():
            return []
        # What is refused at its start does no harm; what is legitimate has to start.
        return [f"{act}: {reply.status} {reply.message()}"] if "allow" in self.outcomes() or self.setup.between else []

    def subject(self):
        """What the request was about, as the Engine has it now."""
        if self.created:
            return self.found
        for kind, path in (("containers", "/containers/{}/json"), ("networks", "/networks/{}"), ("volumes", "/volumes/{}"), ("exec", "/exec/{}/json")):
            named = re.search(rf"/{kind}/([^/?]+)", self.path())
            name = named.group(1) if named else None
            if name == "create" or (kind == "exec" and re.search(r"/exec$", self.path())):
                answer = self.response.json() or {}
                name = answer.get("Id") or answer.get("Name")
            if name:
                reply = self.world.engine("GET", path.format(name), raw=True)
                return reply.json() if reply.status == 200 else None
        return None

    def verdict(self):
        """The faults of what was answered, by `expect` and `also_ok`."""
        status, outcomes = self.last_status(), self.outcomes()
        message = self.response.message() or self.response.text[-300:].strip()
        unknown = outcomes - {"deny", "rewrite", "allow"}
        if unknown:
            return [f"the case expects {sorted(unknown)}, which is not deny, rewrite or allow"]
        if 100 < status < 400:
            choice = CHOICE.search(self.case.get("check", ""))
            return [] if outcomes & {"rewrite", "allow"} or choice else [f"accepted with {status}"]
        if self.setup.race and status < 500:
            return []  # whose it was when the request came, nobody can say; what became of bob's, everybody
        if self.denied():
            passed_on = "deny" not in outcomes and OFFLINE.search(message)
            return [] if "deny" in outcomes or passed_on else [f"denied with {status}: {message}"]
        # What reached the Engine rewritten, and was too much for it, is judged by what came of it.
        if status and (OFFLINE.search(message) if "deny" not in outcomes else len(outcomes) > 1):
            return []
        return [f"answered with {status}: {message}"]
