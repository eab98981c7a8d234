# shellcheck shell=bash
# The private Engine: containerd and dockerd with every path, socket and name under the lab's directory.
# Nothing here reads or writes the machine's own Engine.

engine_install() {
    local missing=() program
    for program in dockerd containerd runc docker ip iptables pgrep useradd setpriv nsenter; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    ((${#missing[@]})) || return 0
    say "installing the Engine from the distribution (missing: ${missing[*]})"
    # A policy file keeps the package from starting the machine's own dockerd.
    local policy=/usr/sbin/policy-rc.d made=no
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 0755 "$policy"
        made=yes
    fi
    local rc=0
    apt_install docker.io iptables iproute2 procps passwd util-linux || rc=$?
    [[ $made == no ]] || rm -f -- "$policy"
    ((rc == 0)) || die "the distribution's docker.io could not be installed"
}

apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    local quiet=(-qq -o Dpkg::Use-Pty=0 --no-install-recommends -y)
    apt-get "${quiet[@]}" install "$@" >/dev/null 2>&1 && return
    apt-get -qq update && apt-get "${quiet[@]}" install "$@" >/dev/null
}

engine_configure() {
    local prefix block storage
    block=$(state BLOCK)
    prefix=${block%.0.0/16}
    storage=$(engine_storage_driver)
    cat >"$ENGINE/containerd.toml" <<TOML
version = 2
root = "$ENGINE/containerd/root"
state = "$ENGINE/containerd/state"
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "$ENGINE/containerd.sock"
[debug]
  level = "warn"
[plugins."io.containerd.internal.v1.opt"]
  path = "$ENGINE/containerd/opt"
TOML
    # Where it listens and whose that is, docs/admin/install.md has for machines without systemd.
    cat >"$ENGINE/daemon.json" <<JSON
{
  "data-root": "$ENGINE/data",
  "exec-root": "$ENGINE/exec",
  "pidfile": "$ENGINE/dockerd.pid",
  "hosts": ["unix://$ENGINE_SOCKET"],
  "group": "root",
  "containerd": "$ENGINE/containerd.sock",
  "bridge": "ds01b$ID",
  "default-address-pools": [{"base": "$prefix.128.0/17", "size": 24}],
  "userland-proxy": true,
  "userland-proxy-path": "$ENGINE/port-proxy",
  "live-restore": true,
  "default-runtime": "runc",
  "runtimes": {"ds01": {"path": "$DIR/bin/ds01-runtime"}},
  "storage-driver": "$storage",
  "exec-opts": ["native.cgroupdriver=cgroupfs"],
  "cgroup-parent": "$CGROUP",
  "log-level": "warn",
  "max-concurrent-downloads": 2,
  "shutdown-timeout": 5
}
JSON
    engine_port_proxy
}

# Published ports must answer on the machine, not in the lab's namespace: the Engine's own proxy is run out
# here, where the container's address is reachable too. "Here" is kept by a mount: a process id would not last.
engine_port_proxy() {
    local proxy
    proxy=$(command -v docker-proxy || ls /usr/libexec/docker/docker-proxy /usr/lib/docker/docker-proxy 2>/dev/null | head -n 1)
    [[ -n $proxy ]] || die "docker-proxy is missing; is the Engine's package whole?"
    : >"$ENGINE/outer-net"
    mount --bind /proc/self/ns/net "$ENGINE/outer-net"
    cat >"$ENGINE/port-proxy" <<SH
#!/bin/sh
exec nsenter --net="$ENGINE/outer-net" $proxy "\$@"
SH
    chmod 0700 "$ENGINE/port-proxy"
}

# overlay2 where the directory's file system carries it, else vfs: slower, but it works everywhere.
engine_storage_driver() {
    local probe=$ENGINE/probe
    mkdir -p "$probe"/{lower,upper,work,merged}
    if mount -t overlay overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" "$probe/merged" 2>/dev/null; then
        umount "$probe/merged"
        echo overlay2
    else
        echo vfs
    fi
    rm -rf -- "$probe"
}

engine_start() {
    if ! running containerd; then
        start_daemon containerd "$DIR/log/containerd.log" containerd --config "$ENGINE/containerd.toml"
        wait_until "$START_SECONDS_MAX" containerd_answers || die "containerd does not answer: see $DIR/log/containerd.log"
    fi
    rm -f -- "$ENGINE/dockerd.pid"
    # Only the network namespace is changed: mounts must be the ones that ds01d sees.
    start_daemon dockerd "$DIR/log/dockerd.log" nsenter --net="/run/netns/$NETNS" dockerd --config-file "$ENGINE/daemon.json"
    wait_until "$START_SECONDS_MAX" engine_answers_or_died || true
    engine_answers || die "the Engine does not answer: see $DIR/log/dockerd.log"
    chmod 0600 -- "$ENGINE_SOCKET"
}

containerd_answers() { [[ -S $ENGINE/containerd.sock ]] && ctr -a "$ENGINE/containerd.sock" version &>/dev/null; }

engine_docker() { DOCKER_CONFIG=$LAB/docker-config docker -H "unix://$ENGINE_SOCKET" "$@"; }

engine_answers() { [[ -S $ENGINE_SOCKET ]] && engine_docker version &>/dev/null; }

engine_answers_or_died() { engine_answers || died dockerd; }

# With live-restore the containers stay; containerd and the shims are not touched.
engine_stop() { stop_daemon dockerd TERM; }
