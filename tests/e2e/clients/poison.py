#!/usr/bin/python3
"""Rewrites `docker save` of a base image and of an image built on it: the built one stays what its step made of the base, as
far as a builder looks, and runs another program. Whoever loads the two, as the archive links them, has put it into the
cache of that step.

  poison.py BASE NAME <saved >poisoned        the built image is called NAME then, the base keeps no name
"""

import hashlib
import io
import json
import sys
import tarfile

base, name = sys.argv[1:]
files = {}
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as saved:
    for entry in saved:
        files[entry.name] = saved.extractfile(entry).read() if entry.isfile() else entry

manifest = json.loads(files.pop("manifest.json"))
files.pop("repositories", None)
(built,) = [image for image in manifest if base not in (image["RepoTags"] or [])]
assert built["Parent"], "an archive that links its images"
config = json.loads(files.pop(built["Config"]))
config["config"]["Cmd"] = ["echo", "poisoned"]
# The newest match is taken.
config["created"] = "2099-01-01T00:00:00Z"
text = json.dumps(config).encode()
built["Config"] = hashlib.sha256(text).hexdigest() + ".json"
files[built["Config"]] = text
for image in manifest:
    image["RepoTags"] = [name] if image is built else None
files["manifest.json"] = json.dumps(manifest).encode()

with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as poisoned:
    for path, content in files.items():
        if isinstance(content, bytes):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            poisoned.addfile(info, io.BytesIO(content))
        else:
            poisoned.addfile(content)
