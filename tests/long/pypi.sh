#!/usr/bin/env bash
# An image of real packages: Debian's Python and pip, and what PyPI has. It is created, deployed and worked in; a package more
# is there in the next container, and the second build takes a fifth of the first's time at most.
#
# Builds ask PyPI themselves, where they reach it; else the wheels that this machine fetches from it. Where neither can be, it
# says "skipped: no index reachable".
source "$(dirname "$0")/../e2e/lib.sh"

FIRST=(numpy pandas scikit-learn matplotlib)
LATER=einops
# Of the first build's time.
SECOND_PERCENT_MAX=20
BASE=lab/debian-python:12
PYTHON_PACKAGES=(python3 python3-pip bash dash coreutils grep sed libc-bin libstdc++6 base-files)

seconds() { jq -r .build.seconds <<<"$1"; }

# base_root DIR: Debian's packages, unpacked. apt solves what they need against an empty system.
base_root() {
    local debs=$SCRATCH/debs package
    mkdir -p "$debs/partial" "$1"/{etc/ssl/certs,root,tmp,proc,sys,dev,run,home,usr/{bin,sbin,lib,lib64},var/tmp}
    chmod 1777 "$1/tmp" "$1/var/tmp"
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dir::State::status=/dev/null -o "Dir::Cache::archives=$debs" \
        -o APT::Install-Recommends=no -o Debug::NoLocking=1 -o APT::Sandbox::User=root --download-only -y \
        install "${PYTHON_PACKAGES[@]}" &>"$SCRATCH/apt.log" || return 1
    for package in bin sbin lib lib64; do ln -s "usr/$package" "$1/$package"; done
    for package in "$debs"/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -C "$1" --keep-directory-symlink -xf - --exclude='./usr/share/doc/*' \
            --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*'
    done
    ln -sf dash "$1/usr/bin/sh"
    ln -sf python3 "$1/usr/bin/python"
    printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n' >"$1/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
    # Whom this machine trusts its packages trust: a mirror may have an authority of its own.
    cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
}

# base_image: what a framework's image is to the commands.
base_image() {
    local root=$SCRATCH/root
    base_root "$root" || { note "skipped: Debian's packages cannot be had ($(tail -n 1 "$SCRATCH/apt.log"))"; exit 0; }
    tar -C "$root" -c . | engine import --change 'CMD ["bash"]' --change 'ENV LANG=C.UTF-8' - "$BASE" >/dev/null
}

# Whether a step of a build gets a package from PyPI.
build_reaches_pypi() {
    local try=$SCRATCH/try
    mkdir -p "$try"
    printf 'FROM %s\nRUN pip download --quiet --retries 1 --timeout 10 --no-deps --dest /tmp/try %s\n' "$BASE" "$LATER" >"$try/Dockerfile"
    DOCKER_BUILDKIT=0 timeout 120 docker -H "$DS01_ENGINE" build --no-cache "$try" &>"$SCRATCH/try.log"
}

# index_here: the same packages, fetched by this machine, at an address that builds reach.
index_here() {
    local wheels=$SCRATCH/wheels version address
    version=$(engine run --rm "$BASE" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    mkdir -p "$wheels"
    timeout 300 python3 -m pip download --quiet --only-binary=:all: --python-version "$version" --dest "$wheels" \
        "${FIRST[@]}" "$LATER" &>"$SCRATCH/fetch.log" || return 1
    address=$(ip netns exec "$DS01_NETNS" ip -4 route show default | awk '{print $3}')
    /usr/bin/python3 -m http.server --directory "$wheels" --bind "$address" 0 >"$SCRATCH/index.out" 2>&1 &
    local listening
    listening() { grep -qoE 'port [0-9]+' "$SCRATCH/index.out"; }
    wait_for listening
    local port
    port=$(grep -oE 'port [0-9]+' "$SCRATCH/index.out" | cut -d' ' -f2)
    printf 'FROM %s\nENV PIP_NO_INDEX=1 PIP_FIND_LINKS=http://%s:%s/ PIP_TRUSTED_HOST=%s\n' "$BASE" "$address" "$port" "$address" |
        DOCKER_BUILDKIT=0 engine build --quiet --tag "$BASE" - >/dev/null 2>&1
}

lab_start --users ppada:student
base_image
if build_reaches_pypi; then
    note "builds ask PyPI"
elif index_here; then
    note "builds do not reach PyPI; they ask this machine, which does"
else
    note "skipped: no index reachable ($(tail -n 1 "$SCRATCH/fetch.log"))"
    exit 0
fi
printf 'frameworks:\n  python-%s: %s\n' "$(engine run --rm "$BASE" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" "$BASE" >>"$DS01_CONFIG"
kill -HUP "$(<"$DIR/lab/ds01d.pid")"
knows() { as ppada image create probe --framework python --dry-run; }
wait_for knows

in_it() { as ppada docker exec paper._.ppada python -c "$1"; }
made=$(as ppada image create paper --framework python --packages "${FIRST[@]}" --json 2>"$SCRATCH/first.log") || { tail -n 30 "$SCRATCH/first.log" >&2; fail "the first build"; }
as ppada container deploy paper --background --cpu-only >/dev/null
note "$(in_it 'import numpy, pandas, sklearn, matplotlib as m; print("numpy", numpy.__version__, "pandas", pandas.__version__, "scikit-learn", sklearn.__version__, "matplotlib", m.__version__)')"
assert_eq "$(in_it 'import numpy; print(int(numpy.eye(3).sum()))')" 3
assert_fails "No module named '$LATER'" in_it "import $LATER"

again=$(as ppada image update paper --add "$LATER" --json 2>"$SCRATCH/second.log") || { tail -n 30 "$SCRATCH/second.log" >&2; fail "the second build"; }
as ppada container retire paper >/dev/null
as ppada container deploy paper --background --cpu-only >/dev/null
note "$(in_it "import $LATER; print('$LATER', $LATER.__version__)")"
printf '    the first build took %.1f s, the second %.1f s, %s of its %s steps from the first\n' \
    "$(seconds "$made")" "$(seconds "$again")" "$(jq .build.cached <<<"$again")" "$(jq .build.steps <<<"$again")"
jq -en --argjson a "$(seconds "$made")" --argjson b "$(seconds "$again")" --argjson percent "$SECOND_PERCENT_MAX" \
    '$b <= $a * $percent / 100' >/dev/null || fail "the second build took more than $SECOND_PERCENT_MAX % of the first"

note "installed by hand, with pip: written into the Dockerfile when the container goes"
as ppada docker exec paper._.ppada pip install --quiet --user --break-system-packages six
assert_contains "$(as ppada container retire paper --save-packages 2>&1)" "installs six=="
assert_contains "$(as ppada cat dockerfiles/paper.Dockerfile)" "    six=="
