"""What a case says in words, where it says it: its archive in `{TAR…}`, its `setup`, its `caller`.

It answers for reading them, whatever the case is called. What it does not understand it hands back, so that the row
can say so: a case whose setup was not carried out proves less than it seems to.
"""

import json
import re

INSTRUCTIONS = "FROM|RUN|ENV|COPY|ADD|CMD|ENTRYPOINT|USER|LABEL|ARG|WORKDIR|VOLUME|ONBUILD|HEALTHCHECK|SHELL|EXPOSE|STOPSIGNAL"
COMPRESSIONS = {"GZ": "gzip", "TGZ": "gzip", "BZ2": "bzip2", "XZ": "xz"}
# Printed by the first RUN of a Dockerfile that a case describes in words: where the step runs and what it sees.
PROBE = ("RUN echo PROBE-BEGINS; cat /proc/self/cgroup; ls /sys/class/net; cat /proc/self/limits; "
         "for d in /dev/nvidia[0-9]*; do if [ -e $d ] && : <$d; then echo SAW-A-GPU; fi; done; true")
CAPABILITY = "\x01\x00\x00\x02\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
# What an archive holds that is described as no more than an archive.
HOSTILE = [
    {"name": "rootsh", "mode": 0o4755, "content": "#!/bin/sh\nid\n"},
    {"name": "gidsh", "mode": 0o2755, "content": "#!/bin/sh\nid\n"},
    {"name": "disk", "type": "block", "dev": [8, 0], "mode": 0o666},
    {"name": "capable", "mode": 0o755, "content": "x", "pax": {"SCHILY.xattr.security.capability": CAPABILITY}},
]
# What files of these names hold: an attack lies in their content.
CONTENTS = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:0:0::/:/bin/sh\nx:x:{ALICE_UID}:0::/:/bin/sh\n",
    "etc/group": "root:x:0:\ndisk:x:6:x,alice\ndocker:x:999:x,alice\n",
    "etc/shadow": "root::1::::::\n", "etc/sudoers": "ALL ALL=(ALL) NOPASSWD: ALL\n",
}
BOMB_BYTES = 1 << 30


# ---- archives -------------------------------------------------------------------------------------------------------

def archive(case, cases):
    """The archive that a `{TAR…}` body describes, as `bodies.archive` takes it."""
    begins, _, said = case["body"].strip("{}").partition(":")
    head, _, rest = begins.partition(" ")
    suffix = head[3:].strip("_.").upper()
    compress = COMPRESSIONS.get(suffix, "")
    said = (rest + said).strip()
    other = re.search(r"\b(?:of|as|like) ([a-z]+-\w+)", said)
    if other and other.group(1) in cases:
        entries = archive(cases[other.group(1)], cases)["tar"]
    elif re.search(rf"\b({INSTRUCTIONS})\b", said):
        entries = dockerfile(said)
    elif case["path"].partition("?")[0].endswith("/build"):
        entries = dockerfile("FROM base RUN touch /made")
    elif "/images/load" in case["path"] or "RepoTags" in said:
        entries = saved_image(said)
    else:
        entries = [entry for part in re.split(r"[;,]", said) for entry in entries_of(part.strip())] or HOSTILE
    if re.search(r"\bbomb\b", said, re.I):
        entries = [{"name": "bomb", "zeros": BOMB_BYTES}]
        compress = compress or "gzip"
    return {"tar": entries, "compress": compress}


def dockerfile(said):
    """`FROM base; RUN id` or `Dockerfile FROM base RUN id`, with the probe before its first RUN."""
    begin = re.search(rf"\b({INSTRUCTIONS})\b", said).start()
    lines = [line.strip(" ;\n") for line in re.split(rf"(?:^|[;\n\s])(?=(?:{INSTRUCTIONS})\s)", said[begin:]) if line.strip(" ;\n")]
    runs = [number for number, line in enumerate(lines) if line.startswith("RUN ")]
    lines.insert(runs[0] if runs else len(lines), PROBE)
    entries = [{"name": "Dockerfile", "content": "\n".join(lines) + "\n"}]
    for copied in re.findall(r"^(?:COPY|ADD) (?!--|http)(\S+) ", "\n".join(lines), re.M):
        entries.append({"name": copied.lstrip("/"), "content": "copied\n"})
    return entries


def saved_image(said):
    """What `docker save` writes, of an image of one empty layer with the tags that are named."""
    tags = re.findall(r"[a-z0-9][a-z0-9./_-]*:[\w.-]+", said.partition("RepoTags")[2]) or ["pytorch/pytorch:latest"]
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]}, "rootfs": {"type": "layers", "diff_ids": [
        "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"]}}
    manifest = [{"Config": "config.json", "RepoTags": tags, "Layers": ["layer.tar"]}]
    return [{"name": "manifest.json", "content": json.dumps(manifest)}, {"name": "config.json", "content": json.dumps(config)},
            {"name": "layer.tar", "content": "\0" * 1024}]


def entries_of(said):
    """One entry such as `rootsh mode 4755 uid 0`, `disk block 8:0 mode 0666` or `l -> /etc`."""
    if not said:
        return []
    entry = {"name": re.sub(r"^(a )?(file|entry)( with)? ", "", said).split()[0].strip("'\"")}
    if entry["name"] in ("PAX", "with"):
        entry["name"] = "capable"
    for word, key, base in (("mode", "mode", 8), ("uid", "uid", 10), ("gid", "gid", 10)):
        number = re.search(rf"\b{word}[ =]([0-9]+)", said)
        if number:
            entry[key] = int(number.group(1), base)
    device = re.search(r"\b(block|char|character)\D*(\d+)[:, ](\d+)", said)
    link = re.search(r"(?:->|\b(?:sym|hard)?link(?:s|ed)? to) *(\S+)", said)
    pax = re.search(r"\b((?:SCHILY|LIBARCHIVE|RHT)\.[\w.]+)(?:=(\S+))?", said)
    if device:
        entry.update(type=device.group(1)[:5].replace("chara", "char"), dev=[int(device.group(2)), int(device.group(3))])
    elif link:
        entry.update(type="hardlink" if "hard" in said else "symlink", link=link.group(1))
    elif re.search(r"\b(fifo|pipe)\b", said):
        entry["type"] = "fifo"
    elif re.search(r"\bdir(ectory)?\b", said) or entry["name"].endswith("/"):
        entry["type"] = "dir"
    else:
        entry["content"] = CONTENTS.get(entry["name"].lstrip("./"), "hello\n")
    if "setuid" in said and "mode" not in entry:
        entry["mode"] = 0o4755
    if pax:
        entry["pax"] = {pax.group(1): pax.group(2) or CAPABILITY}
    return [entry]


# ---- setup ----------------------------------------------------------------------------------------------------------

class Setup:
    """What the words of a `setup` ask for; `left` is what nobody understood."""

    def __init__(self, case):
        words = case.get("setup", "")
        self.before, self.between, self.race = [], [], None
        self.restarts = bool(re.search(r"\brestart\b", words))
        # bob takes what alice's container had.
        self.gpu_to_bob = bool(re.search(r"\bGPU\b.*\bbob\b|\bbob\b.*\b(GPU|unit)s?\b", words))
        self.label_bytes = 0
        big = re.search(r"(\d+) ?(KiB|MiB)\b", words)
        if big and "body" not in case:
            self.label_bytes = int(big.group(1)) << {"KiB": 10, "MiB": 20}[big.group(2)]
        self.fields = re.findall(r"\b(HostConfig)\.(\w+)\s*=\s*(\w+)", words)
        race = re.search(r"\bNAMED (\S+)", words)
        if race:
            self.race = race.group(1)
        late = False
        self.left = []
        for part in re.split(r"[;\n]|, then |\bthen\b", words):
            late = late or bool(re.match(r"\s*after (the )?create\b", part))
            part = re.sub(r"^\s*(after|before) (the )?create\w*:?", "", part).strip(" .,")
            if re.match(r"(ln -s|ln|mv|mkdir|touch|rm|cp|chmod|mkfifo) ", part):
                (self.between if late else self.before).append(part)
            elif part and not self._is_known(part):
                self.left.append(part)

    def _is_known(self, part):
        standing = r"has a stopped container|\{ALICE_CTR\} has|body is generated|POST (start|restart)|^later|runs?$|is running"
        return self.race or self.gpu_to_bob or self.label_bytes or re.search(standing, part)


def caller(case):
    """Who sends the request: a name of `World.people`, or what is left to say."""
    words = case.get("as") or case.get("caller", "")
    if not words or re.search(r"\balice\b", words):
        return "alice", None
    if re.search(r"\b(inside|container)\b", words):
        return "inside", None
    if re.search(r"\bbob\b", words):
        return "bob", None
    return "alice", words
