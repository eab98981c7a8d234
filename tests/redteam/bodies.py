"""Archives, as a case of our own says them, and as words.py reads them from `{TAR…}`.

`{"tar": [ENTRY…], "compress": "gzip"}`; an entry is {name, type, mode, uid, gid, content, times, zeros, link, dev, pax},
of which only the name is needed.
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

def dockerfile(*lines):
    return [{"name": "Dockerfile", "content": "\n".join(lines) + "\n"}]


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
            content = entry.get("content", "").encode() * entry.get("times", 1) + bytes(entry.get("zeros", 0))
            info.size = len(content) if info.type == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(content))
    packed = {"": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
    return packed[description.get("compress", "")](out.getvalue())
