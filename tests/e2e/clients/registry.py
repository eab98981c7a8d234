#!/usr/bin/env python3
"""A registry with one image in it, read-only: what `docker save` wrote, as Docker's registry API (version 2) tells it.

    registry.py SAVED.tar NAME TAG PORT

It listens on 127.0.0.1, which an Engine of the same network asks without TLS. It needs nothing but Python's standard
library.
"""

import hashlib
import http.server
import io
import json
import sys
import tarfile

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def described(kind, content):
    return {"mediaType": kind, "size": len(content), "digest": "sha256:" + hashlib.sha256(content).hexdigest()}


def load(path):
    """The image's manifest as bytes, and every blob by its digest."""
    with tarfile.open(path) as saved:
        read = lambda name: saved.extractfile(name).read()
        entry = json.load(io.BytesIO(read("manifest.json")))[0]
        config, layers = read(entry["Config"]), [read(name) for name in entry["Layers"]]
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described("application/vnd.docker.container.image.v1+json", config),
        "layers": [described("application/vnd.docker.image.rootfs.diff.tar.gzip", layer) for layer in layers],
    }).encode()
    return manifest, {described("", blob)["digest"]: blob for blob in (config, *layers, manifest)}


def main():
    path, name, tag, port = sys.argv[1:]
    manifest, blobs = load(path)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            kind, _, wanted = self.path.removeprefix(f"/v2/{name}/").partition("/")
            content = manifest if (kind, wanted) == ("manifests", tag) else blobs.get(wanted)
            if self.path == "/v2/":
                content = b"{}"
            status = 404 if content is None else 200
            content = content or b""
            self.send_response(status)
            self.send_header("Content-Type", MANIFEST if kind == "manifests" else "application/octet-stream")
            self.send_header("Docker-Content-Digest", described("", content)["digest"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_GET = do_HEAD = answer

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


main()
