#!/usr/bin/env bash
# What the Engine reads is what was judged: the door's reading of bodies, routes, image names and archives beside that of
# the Engine's own Go code, and of GNU's and Python's tar, for every seed and many inputs made of them.
source "$(dirname "$0")/lib.sh"

SECONDS_MAX=${DS01_DIFFERENTIAL_SECONDS:-30}
# Go, the Engine's source of Debian 12, and what it is made of; unpacked beside the machine's own programs, not installed.
PACKAGES=(
    golang-1.19-go golang-1.19-src golang-dbus-dev golang-github-cilium-ebpf-dev golang-github-containerd-cgroups-dev
    golang-github-containerd-containerd-dev golang-github-coreos-go-systemd-dev golang-github-cyphar-filepath-securejoin-dev
    golang-github-docker-distribution-dev golang-github-docker-docker-dev golang-github-docker-go-connections-dev
    golang-github-docker-go-units-dev golang-github-gogo-protobuf-dev golang-github-gorilla-mux-dev golang-github-moby-sys-dev
    golang-github-opencontainers-go-digest-dev golang-github-opencontainers-image-spec-dev
    golang-github-opencontainers-runc-dev golang-github-opencontainers-specs-dev golang-github-sirupsen-logrus-dev
    golang-golang-x-sys-dev
)
KEPT=$DS01_ROOT/target/differential
ROOT=$KEPT/root
SOURCE=$ROOT/usr/share/gocode/src/github.com/docker/docker
# What was tried; another Engine's reading is another list of what is newer.
ENGINE_VERSION=20.10.24

# fetch: unpacks the packages; what was fetched is kept for the next time.
fetch() {
    [[ ! -e $KEPT/complete ]] || return 0
    rm -rf -- "$ROOT" "$KEPT/packages"
    mkdir -p "$ROOT" "$KEPT/packages"
    # The archives are written by a user of apt's own.
    chmod 0777 "$KEPT/packages"
    (cd "$KEPT/packages" && apt-get -qq download "${PACKAGES[@]}") || return 1
    local package
    for package in "$KEPT"/packages/*.deb; do dpkg -x "$package" "$ROOT" || return 1; done
    [[ $(dpkg-deb -f "$KEPT"/packages/golang-github-docker-docker-dev_*.deb Version) == "$ENGINE_VERSION"* ]] ||
        { note "the Engine's source is not that of $ENGINE_VERSION"; return 1; }
    rm -rf -- "$KEPT/packages"
    touch "$KEPT/complete"
}

fetch || { note "SKIPPED: Go and the Engine's source cannot be had here (they are packages of Debian 12)"; exit 0; }

env GOROOT="$ROOT/usr/lib/go-1.19" GOPATH="$ROOT/usr/share/gocode" GOCACHE="$KEPT/cache" GO111MODULE=off CGO_ENABLED=0 \
    "$ROOT/usr/lib/go-1.19/bin/go" build -o "$KEPT/read" "$DS01_ROOT/tests/differential/read.go" || fail "read.go does not build"

mkdir "$SCRATCH/archives"
"$DS01_ROOT/target/debug/ds01-differential" "$KEPT/read" "$SOURCE" --seconds "$SECONDS_MAX" --keep "$SCRATCH/archives" ||
    fail "the Engine reads something otherwise than it was judged"

# Of each kind some were accepted, or nothing was compared.
said=$("$DS01_ROOT/target/debug/ds01-differential" "$KEPT/read" "$SOURCE" --seconds 0 | tail -n +2)
assert_eq "$(awk '$3 == 0 { print $1 }' <<<"$said")" "" "kinds of which no seed was compared"

# What it is there for: a body that two readers read differently is found out.
printf 'create %s\n' "$(printf '{"Ho\u017ftConfig":{"Privileged":true}}' | base64 -w0)" | "$KEPT/read" "$SOURCE" >"$SCRATCH/folded"
assert_contains "$(<"$SCRATCH/folded")" '"Privileged":true' "the Engine folds names:"

shopt -s nullglob
archives=("$SCRATCH"/archives/*.tar)
((${#archives[@]} > 20)) || fail "only ${#archives[@]} archives were let through"
/usr/bin/python3 - "${archives[@]}" <<'PYTHON' || fail "Python's tarfile finds what may not be there"
import sys
import tarfile

for name in sys.argv[1:]:
    with tarfile.open(name, errorlevel=2) as archive:
        for entry in archive:
            fault = [not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()), entry.mode & 0o6000,
                     (entry.uid, entry.gid) != (20001, 20001), entry.name.startswith("/"), ".." in entry.name.split("/"),
                     any(key.startswith("SCHILY.xattr.") and not key.startswith("SCHILY.xattr.user.")
                         or key.startswith(("GNU.sparse", "LIBARCHIVE")) for key in entry.pax_headers)]
            if any(fault):
                sys.exit(f"{name}: {entry.name}: {fault}")
PYTHON
for archive in "${archives[@]}"; do
    listed=$(tar --numeric-owner -tvf "$archive") || fail "GNU tar cannot read $archive"
    wrong=$(grep -vE '^[-dlh]([r-][w-][x-]){2}[r-][w-][xtT-] 20001/20001 ' <<<"$listed" | grep -v '^$' || true)
    [[ -z $wrong ]] || fail "GNU tar finds in $archive: $wrong"
done
note "${#archives[@]} archives, read by three others"
