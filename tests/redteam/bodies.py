"""The archives of the corpus: what `{TAR…}` in a case stands for, and the form in which a case of our own says it.

`{"tar": [ENTRY…], "compress": "gzip"}`; an entry is {name, type, mode, uid, gid, content, link, dev, pax}, of which
only the name is needed.
"""

import bz2
import gzip
import io
import lzma
import tarfile

KINDS = {
    "file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE, "fifo": tarfile.FIFOTYPE,
}

HOSTILE = [
    {"name": "rootsh", "mode": 0o4755, "content": "#!/bin/sh\nid\n"},
    {"name": "gidsh", "mode": 0o2755, "content": "#!/bin/sh\nid\n"},
    {"name": "disk", "type": "block", "dev": [8, 0], "mode": 0o666},
    {"name": "capable", "mode": 0o755, "content": "x",
     "pax": {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
]


def dockerfile(*lines):
    return [{"name": "Dockerfile", "content": "\n".join(lines) + "\n"}]


# What the cases of the given corpus describe in words.
GIVEN = {
    "cp-01": {"tar": HOSTILE},
    "cp-02": {"tar": [
        {"name": "etc/passwd", "content": "root:x:0:0::/root:/bin/sh\nalice:x:0:0::/:/bin/sh\nx:x:{ALICE_UID}:0::/:/bin/sh\n"},
        {"name": "etc/group", "content": "root:x:0:\ndisk:x:6:x,alice\ndocker:x:999:x,alice\n"},
    ]},
    "cp-03": {"tar": HOSTILE, "compress": "gzip"},
    "bld-01": {"tar": dockerfile("FROM base", "RUN id && cat /proc/self/cgroup && ls /sys/class/net && cat /proc/self/limits")},
    "bld-04": {"tar": dockerfile("FROM base", "ENV NVIDIA_VISIBLE_DEVICES=all",
                                 "RUN for d in /dev/nvidia*; do if [ -e $d ]; then echo SAW-A-GPU; fi; done; true")},
    "bld-09": {"tar": dockerfile("FROM base", "RUN touch /evil")},
    "ok-25": {"tar": [{"name": "a.txt", "content": "hello"}]},
    "ok-26": {"tar": [{"name": "run.sh", "mode": 0o755, "content": "#!/bin/sh\n"}]},
    "ok-28": {"tar": dockerfile("FROM base", "RUN touch /made", "CMD [\"sh\"]")},
}


def archive(description):
    """The bytes of an archive as a case describes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in description["tar"]:
            info = tarfile.TarInfo(entry["name"])
            info.type = KINDS[entry.get("type", "file")]
            mode = entry.get("mode", 0o644)
            info.mode = int(mode, 8) if isinstance(mode, str) else mode
            info.uid, info.gid = entry.get("uid", 0), entry.get("gid", 0)
            info.linkname = entry.get("link", "")
            info.pax_headers = entry.get("pax", {})
            if "dev" in entry:
                info.devmajor, info.devminor = entry["dev"]
            content = entry.get("content", "").encode() * entry.get("times", 1)
            info.size = len(content) if info.type == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(content))
    packed = {"": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
    return packed[description.get("compress", "")](out.getvalue())
