#!/usr/bin/env bash
# A real Jupyter in a project's container, reached through what `ds01 jupyter` prints: the tunnel, the page, its token. Jupyter
# comes from Python's registry; where that cannot be reached, the story is skipped.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student
HOME_OF_ALICE=$(getent passwd alice | cut -d: -f6)
PROJECT=$HOME_OF_ALICE/workspace/jup59
before_down() { rm -rf --one-file-system -- "$PROJECT"; }
before_down

note "without a container, and without Jupyter in it, that is told"
assert_fails "project launch jup59 starts one" as alice ds01 jupyter jup59
as alice project init jup59 --base ds01-python:latest --blank --quick >/dev/null
as alice project launch jup59 &>/dev/null
assert_fails "write jupyterlab into ~/workspace/jup59/requirements.txt" as alice ds01 jupyter jup59
assert_contains "$(as alice ds01 jupyter jup59 --stop)" "No Jupyter runs there"
as alice container retire jup59 >/dev/null

# Jupyter's server for the Python of the image, with the C++ library that it wants and the image has not.
version=$(as alice docker run --rm ds01-python python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
mkdir -p "$SCRATCH/debs" "$PROJECT/site" "$PROJECT/libs"
fetch_jupyter() {
    pip install -q --target "$PROJECT/site" --python-version "$version" --only-binary=:all: jupyter_server &&
        (cd "$SCRATCH/debs" && apt-get download -qq libstdc++6 libgcc-s1)
}
if ! command -v pip >/dev/null || ! fetch_jupyter &>"$SCRATCH/fetch.log"; then
    note "SKIPPED the rest: no pip, or no registry"
    exit 0
fi
for deb in "$SCRATCH"/debs/*.deb; do dpkg-deb -x "$deb" "$SCRATCH/debs/root"; done
find "$SCRATCH/debs/root" -name '*.so.[0-9]' -exec cp -L -t "$PROJECT/libs" {} +
sed -i '1s|^#!.*|#!/usr/bin/python3|' "$PROJECT"/site/bin/*
cat >>"$PROJECT/Dockerfile" <<'TEXT'
COPY site /usr/lib/jupyter
COPY libs /usr/lib/more
ENV PYTHONPATH=/usr/lib/jupyter PATH=/usr/lib/jupyter/bin:/usr/bin:/bin LD_LIBRARY_PATH=/usr/lib/more
TEXT
chown -R alice: "$PROJECT"

note "it begins, and is told of again"
as alice project launch jup59 &>"$SCRATCH/launch.log"
echo '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}' | as alice tee workspace/jup59/notebooks/one.ipynb >/dev/null
said=$(as alice ds01 jupyter jup59 --port 18859 --json)
assert_eq "$(jq .already <<<"$said")" false
again=$(as alice sh -c 'cd workspace/jup59/src && ds01 jupyter --port 18859 --json')
assert_eq "$(jq -c 'del(.already)' <<<"$again")" "$(jq -c 'del(.already)' <<<"$said")" "the same one"
assert_eq "$(jq .already <<<"$again")" true

# What docs/user/editors.md shows of it.
words=$(as alice ds01 jupyter jup59 --port 18859)
for line in "1. on your computer  ssh -N -L 18859:" "2. in your browser   http://127.0.0.1:18859/?token="; do
    assert_contains "$words" "$line" "the words for people:"
done

note "through the tunnel, on loopback, with the token and not without"
# What ssh does with -L, without ssh: PORT:ADDRESS:PORT of the command that is printed.
forward=$(jq -r .tunnel <<<"$said" | grep -oP -- '-L \K\S+')
/usr/bin/python3 - "$forward" <<'PYTHON' &
import asyncio, sys
port, host, there = sys.argv[1].split(":")
async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    try:
        to_reader, to_writer = await asyncio.wait_for(asyncio.open_connection(host, int(there)), 5)
    except OSError:
        return writer.close()
    await asyncio.gather(pipe(reader, to_writer), pipe(to_reader, writer), return_exceptions=True)
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(port)) as server:
        await server.serve_forever()
asyncio.run(main())
PYTHON
url=$(jq -r .url <<<"$said")
status() { curl --noproxy '*' -sS --max-time 10 -o /dev/null -w '%{http_code}' "$1"; }
assert_contains "$url" "http://127.0.0.1:18859/"
wait_for status "$url"
assert_eq "$(status "$url")" 200
notebooks=$(curl --noproxy '*' -sS "${url%%\?*}api/contents/notebooks?${url##*\?}")
assert_contains "$notebooks" one.ipynb
assert_eq "$(status "${url%%\?*}api/contents")" 403 "without the token"
assert_lacks "$(as alice docker top jup59._.alice)" "${url##*=}" "the token among the processes"

note "stopped, and the container goes on"
assert_contains "$(as alice ds01 jupyter jup59 --stop)" "the container goes on"
assert_eq "$(as alice container list --json | jq -r '.containers[0].state')" running
as alice container retire jup59 >/dev/null
