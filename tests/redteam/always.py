"""What holds for every case, whatever it is called and whatever it says: by the kind of its request, looked at in the
Engine, in the kernel and on the host.

It answers for the list of such looks. A case that is accepted proves nothing before they are satisfied; one that is
refused has left nothing behind.
"""

import base64
import json
import os
import re
import subprocess

import checks
import invariants

DOOR_MEBIBYTES_MAX = 256
SECRET_HEADERS = ("x-registry-auth", "x-registry-config", "authorization")
CREDENTIAL_LETTERS_MIN = 5
ADDRESS = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?![\d.]|/\d)")
HOST_PATH = re.compile(r"/(?:etc|opt|root|srv|usr|var|home|boot|mnt)/[\w./-]*[\w-]|/[a-z][\w-]*(?=[\"':,]|$)")
# What the machine itself changes at any time.
RESTLESS = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/run", "/var/log", "/var/lib", "/var/tmp")
GPU_MOVES = re.compile(r"/containers/[^/]+/(start|restart|unpause|update)$")


class Watch:
    """What is looked at before a request, so that what it changed is seen."""

    def __init__(self, attempt):
        world, self.said = attempt.world, attempt.said()
        self.mine = world.survey()[1]
        self.paths = {path: self.seen(path) for path in set(HOST_PATH.findall(self.said)) if not path.startswith(RESTLESS)}
        self.addresses = {found for found in ADDRESS.findall(self.said) if not found.startswith(("127.", "0.", "255."))}
        if "allow" in attempt.outcomes():
            self.addresses = set()
        for address in sorted(self.addresses):
            in_network(world, "ip", "addr", "add", f"{address}/32", "dev", "lo")
            in_network(world, "iptables", "-I", "OUTPUT", "-d", address)

    @staticmethod
    def seen(path):
        """Whether it is there, and what lies in it."""
        return sorted(os.listdir(path)) if os.path.isdir(path) else os.path.lexists(path)

    def faults(self, attempt):
        world = attempt.world
        found = [f"on the host {path} changed" for path, before in self.paths.items() if self.seen(path) != before
                 and not path.startswith((world.alice.home, world.directory))]
        for address in sorted(self.addresses):
            counted = in_network(world, "iptables", "-nvxL", "OUTPUT")
            calls = re.search(rf"^\s*(\d+)\s.*\s{re.escape(address)}\s*$", counted, re.M)
            found += [f"the Engine called {address}"] if calls and int(calls.group(1)) else []
            in_network(world, "iptables", "-D", "OUTPUT", "-d", address)
            in_network(world, "ip", "addr", "del", f"{address}/32", "dev", "lo")
        if attempt.denied() and not attempt.setup.race:
            after = world.survey()[1]
            for thing in sorted(set(self.mine) ^ set(after)):
                # The Engine itself forgets execs that nobody starts.
                if thing.startswith("exec ") and thing not in after:
                    continue
                found.append(f"it was denied, and {thing} is {'there' if thing in after else 'gone'}")
        return found


def in_network(world, *command):
    """A command in the network namespace that the Engine lives in."""
    enter = ["nsenter", f"--net=/proc/{world.engine_pid()}/ns/net", *command]
    return subprocess.run(enter, capture_output=True, text=True, check=False).stdout


def faults(attempt):
    """Everything that the kind of a request makes it worth to look at."""
    found = list(secrets(attempt))
    path, method = attempt.path(), attempt.case["method"]
    world = attempt.world
    if world.door_mebibytes() > DOOR_MEBIBYTES_MAX:
        found.append(f"the daemon grew to {world.door_mebibytes()} MiB")
    found += credentials(attempt)
    if attempt.response.status >= 500 and "panicked" in world.door_log():
        found.append("the daemon panicked")
    if not attempt.accepted():
        return found
    if re.search(r"^(/v[\d.]+)?/containers/json$", path):
        found += checks.own_ids(attempt)
        if attempt.person == "inside" and world.values["ALICE_CTR"] not in attempt.response.text and "filters" not in attempt.said():
            found.append("from inside her container the door does not answer as alice")
    if re.search(r"^(/v[\d.]+)?/networks/[^/]+$", path) and method == "GET":
        found += checks.bridge(attempt)
    if method in ("GET", "HEAD") or attempt.case.get("no_invariants"):
        return found
    for name in ("alice-cpu", "alice-gpu"):
        there = world.inspect(name)
        found += [f"{name}: {fault}" for fault in (invariants.of_container(world, there) if there else [])]
    found += invariants.of_objects(world)
    if re.search(r"/containers/[^/]+/exec$", path) and "after" not in attempt.case:
        found += executed(attempt)
    if re.search(r"/containers/[^/]+/archive$", path):
        found += invariants.of_home(world)
    if path.endswith("/build"):
        found += built(attempt)
    if GPU_MOVES.search(path):
        found += checks.never_two(attempt)
    return found


def secrets(attempt):
    """Nothing of bob's is in a reply, but what the request itself said."""
    values, said = attempt.world.values, attempt.said()
    texts = [values["SECRET"], "database-of-bob", "on-the-bridge-of-bob"]
    if attempt.accepted() and not attempt.path().startswith("/ds01/") and attempt.person != "bob":
        # The list of networks, volumes or images says no more than these.
        texts += [values[name] for name in ("BOB_CTR", "BOB_EXEC", "BOB_NET_ID", "BOB_IMAGE_ID", "BOB_NET", "BOB_VOL")]
        texts += [values["BOB_CTR"][:12], f"ds01-{attempt.world.bob.name}/secret"]
    for text in texts:
        if text in attempt.response.text and text not in said:
            yield f"the reply shows {text!r}"


def credentials(attempt):
    """What a header or /auth carries is in no log."""
    headers = {name.lower(): str(value) for name, value in dict(attempt.case.get("headers", {})).items()}
    texts = [headers[name] for name in SECRET_HEADERS if name in headers]
    texts += [base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_").decode("utf-8", "replace") for text in texts if text.isascii()]
    for text in list(texts):
        texts += re.findall(r'"(?:password|identitytoken|registrytoken)"\s*:\s*"([^"]+)"', text, re.I)
    body = attempt.case.get("body")
    if isinstance(body, dict) and attempt.path().endswith("/auth"):
        texts.append(str(body.get("password", "")))
    texts = [text for text in texts if len(text) >= CREDENTIAL_LETTERS_MIN]
    if not texts:
        return []
    said = attempt.world.door_log()
    return ["the credentials are in the log"] if any(text in said for text in texts) else []


def executed(attempt):
    """The exec that was made has no more rights than its container: its process is looked at while it runs."""
    world, found = attempt.world, []
    made = (attempt.response.json() or {}).get("Id", "")
    if not checks.ID.match(made):
        return []
    seen = world.engine("GET", f"/exec/{made}/json")
    found += ["the exec is privileged"] if seen["ProcessConfig"].get("privileged") else []
    world.ask(world.alice, "POST", f"/v1.41/exec/{made}/start", {"Detach": True, "Tty": False}, seconds=3)
    seen = world.engine("GET", f"/exec/{made}/json")
    if seen.get("Running") and seen.get("Pid"):
        found += invariants.of_rights(seen["Pid"], "the exec")
    return found + checks.exec_is_harmless(attempt)


def built(attempt):
    """Its RUN steps were alice's, in a network of their own, without a GPU; no word of a Dockerfile is believed."""
    said = attempt.response.text
    if not re.search(r'"stream":"PROBE-BEGINS', said):
        return []
    found = checks.build_is_bounded(attempt)
    return found + (["the RUN step saw a GPU"] if re.search(r'"stream":"SAW-A-GPU', said) else [])


# ---- containers -----------------------------------------------------------------------------------------------------

def sources(attempt):
    """The bind sources of a create, with the directory or file that each is now: (source, target, device and inode)."""
    body = attempt.sent()
    host = body.get("HostConfig") if isinstance(body, dict) else None
    if not isinstance(host, dict):
        return []
    found = [bind.split(":")[:2] for bind in host.get("Binds") or [] if isinstance(bind, str) and bind.startswith("/") and ":" in bind]
    found += [[mount.get("Source", ""), mount.get("Target", "")] for mount in host.get("Mounts") or []
              if isinstance(mount, dict) and mount.get("Type") == "bind"]
    there = []
    for source, target in found:
        # The door's own socket is the only other thing that may be mounted, and stands for another.
        if target.startswith("/") and source.startswith((attempt.world.alice.home, attempt.world.share)) and os.path.exists(source):
            seen = os.stat(source)
            there.append((source, os.path.normpath(target), seen.st_ino, os.path.isdir(source)))
    return there


def mounted(attempt, pinned, when):
    """What is mounted is what was named at the create; what is made in it is alice's."""
    world, found = attempt.world, []
    state = world.inspect(attempt.created)["State"]
    if not state["Running"]:
        return []
    for source, target, inode, directory in pinned:
        inside = f"/proc/{state['Pid']}/root{target}"
        # A link on the way would lead from here to the host's files.
        if not os.path.lexists(inside) or any(os.path.islink(inside[:end]) for end in ends(inside, target)):
            continue
        if os.stat(inside).st_ino != inode:
            found.append(f"{when} {target} is not what {source} was")
        elif directory and source.startswith(world.alice.home):
            made = f"{target}/made-inside"
            _, code = world.exec(attempt.created, "/bin/sh", "-c", f"cp /bin/busybox {made} && chmod 6755 {made}")
            path = made_on_host(world, inode)
            found += owned(world, path, when) if code == 0 else []
            if path:
                os.unlink(path)
    return found


def ends(inside, target):
    """Where each step of the target ends in the path to it."""
    begin = len(inside) - len(target)
    return [place for place in range(begin + 1, len(inside) + 1) if place == len(inside) or inside[place] == "/"]


def made_on_host(world, inode):
    """Where a file of the container's came to lie: beneath the directory of that number."""
    for where, _, files in os.walk(world.alice.home):
        if "made-inside" in files and os.stat(where).st_ino == inode:
            return os.path.join(where, "made-inside")
    return None


def owned(world, path, when):
    if path is None:
        return [f"{when} what is made inside lies in no directory of hers"]
    seen = os.lstat(path)
    foreign = seen.st_uid != world.alice.uid or seen.st_gid not in world.alice.groups
    return [f"{when} what is made inside belongs to {seen.st_uid}:{seen.st_gid}"] if foreign else []


def kept(attempt):
    """`allow` is accepted with unchanged meaning: what was sent and says something is what the Engine has."""
    sent, found = attempt.sent(), attempt.found
    if not isinstance(sent, dict) or attempt.outcomes() != {"allow"}:
        return []
    faults = []
    for name, value in sent.items():
        if name == "HostConfig" and isinstance(value, dict):
            faults += [f"{inner} became {json.dumps(found['HostConfig'].get(inner))}" for inner, one in value.items()
                       if inner not in REWRITTEN and not same(one, found["HostConfig"].get(inner))]
        elif name not in REWRITTEN and name in found["Config"] and not same(value, found["Config"].get(name)):
            faults.append(f"{name} became {json.dumps(found['Config'].get(name))}")
    return faults


# Rewritten by design, and judged by the invariants and by what can be done inside.
REWRITTEN = ("Binds", "Mounts", "DeviceRequests", "NetworkMode", "LogConfig", "User", "Image", "Runtime", "CgroupParent", "ConsoleSize",
             "NetworkingConfig", "MemorySwappiness", "RestartPolicy", "PortBindings", "VolumesFrom",
             "Tmpfs")


def same(sent, there):
    if sent in (None, "", 0, False, [], {}):
        return True
    if isinstance(sent, dict) and isinstance(there, dict):
        return all(same(value, there.get(name)) for name, value in sent.items())
    if isinstance(sent, list) and isinstance(there, list):
        return all(one in there for one in sent)
    return sent == there or [sent] == there or str(sent) == str(there)
