# shellcheck shell=bash
# Programs of Debian's next release, unpacked beside the machine's own: what people have who do not use the
# distribution's. Sourced after ../lib.sh.

# What was tried, by the sums of the packages' files: another file is not run.
declare -A NEWER=(
    [docker-compose]="pool/main/d/docker-compose/docker-compose_2.26.1-4_amd64.deb"
    [docker-buildx]="pool/main/d/docker-buildx/docker-buildx_0.13.1+ds1-3_amd64.deb"
    [docker-cli]="pool/main/d/docker.io/docker-cli_26.1.5+dfsg1-9+deb13u1_amd64.deb"
    [docker.io]="pool/main/d/docker.io/docker.io_26.1.5+dfsg1-9+deb13u1_amd64.deb"
    [containerd]="pool/main/c/containerd/containerd_1.7.24~ds1-6+deb13u1_amd64.deb"
)
declare -A NEWER_SUMS=(
    [docker-compose]=47681197cb2b1ab88206b42a1a92fc75f50d9530a6322d03494a473eed0408ea
    [docker-buildx]=fcf8c48204d1603c8f209451d7827eb91bf30759578baf7704e9e1a87e5f1d7f
    [docker-cli]=e78ac35b7a21652546ca1a739f63e4f31fe52e4385a9baf7020be400c594f23d
    [docker.io]=142fe32f839a20720b2e6074b8d28d883b01bc45345f7315586b0c2d348dae87
    [containerd]=ed708deb96fe476a3bce4efa5c0538dfbcf717ab9a7c7944ba7260342c25899c
)

# newer PACKAGE…: unpacks them and prints the directory; fails, saying why, where they cannot be had. What was fetched is
# kept for the next time.
newer() {
    local kept=$DS01_ROOT/target/newer package mirror file
    [[ $(dpkg --print-architecture 2>/dev/null) == amd64 ]] || { note "not an amd64 Debian" >&2; return 1; }
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)
    mkdir -p "$kept"
    chmod a+rx "$DS01_ROOT/target" "$kept"
    for package in "$@"; do
        file=$kept/$(basename "${NEWER[$package]}")
        if ! sha256sum --status -c - <<<"${NEWER_SUMS[$package]}  $file" 2>/dev/null; then
            curl -fsS --retry 2 --max-time 300 -o "$file.part" "$mirror${NEWER[$package]}" >&2 || return 1
            mv -- "$file.part" "$file"
            sha256sum --status -c - <<<"${NEWER_SUMS[$package]}  $file" || { rm -f -- "$file"; note "$package: another file than was tried" >&2; return 1; }
        fi
        dpkg -x "$file" "$SCRATCH/newer" || return 1
    done
    chmod -R a+rX "$SCRATCH/newer"
    echo "$SCRATCH/newer"
}
