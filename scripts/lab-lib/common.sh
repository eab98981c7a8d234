# shellcheck shell=bash
# What every part of the lab shares: names, state, locks, waiting for conditions. Makes nothing by itself.

REGISTRY=/run/ds01-lab          # one per machine: which labs stand, who shares which user
SOCKET_PATH_MAX=107             # sun_path is 108 bytes with its closing zero
START_SECONDS_MAX=60
STOP_SECONDS_MAX=10

say() { printf 'lab: %s\n' "$*" >&2; }
die() { printf 'lab: %s\n' "$*" >&2; exit 1; }

# Everything a lab is called follows from its directory's path, so that `down` can find the pieces of a lab
# whose directory is gone.
locate() {
    DIR=$(realpath -m -- "$1")
    [[ $DIR != / ]] || die "not there"
    ID=$(printf %s "$DIR" | sha256sum | cut -c1-8)
    LAB=$DIR/lab
    ENGINE=$DIR/engine
    ENGINE_SOCKET=$ENGINE/docker.sock
    DOOR_SOCKET=$DIR/docker.sock
    CONFIG=$DIR/etc/ds01.yaml
    LEDGER=$DIR/state/ledger.db
    NVML=$DIR/bin/libnvidia-ml.so.1
    STAND_IN=$DIR/bin/nvidia-container-runtime
    NETNS=ds01-$ID
    CGROUP=/ds01-lab-$ID
}

check_socket_paths() {
    local longest="$ENGINE/exec/libnetwork/123456789abc.sock"
    if ((${#longest} > SOCKET_PATH_MAX)); then
        die "the path $DIR is too long: a unix socket below it would have ${#longest} bytes, the kernel takes $SOCKET_PATH_MAX; choose a shorter directory"
    fi
}

# Whole, half up or damaged: a directory that a lab began in.
was_lab() { [[ -e $1/lab/state || -e $1/engine/daemon.json ]]; }

need_lab() { [[ -e $LAB/state ]] || die "$DIR is not a lab"; }

# The lab's own notebook: KEY=value lines, the last one holds.
save_state() {
    while (($#)); do
        printf '%s=%s\n' "$1" "$2" >>"$LAB/state"
        shift 2
    done
}

state() {
    [[ -e $LAB/state ]] || return 0
    sed -n "s/^$1=//p" "$LAB/state" | tail -n 1
}

# Held until this process ends. The daemons are started with descriptor 9 closed, else they would keep it.
lock_directory() {
    exec 9<"$DIR"
    flock --wait "${DS01_LAB_LOCK_SECONDS:-1}" 9 || return 1
    [[ $DIR -ef /proc/self/fd/9 ]] || return 1
}

# with_registry COMMAND…: run it while no other lab changes users, addresses or the registry.
with_registry() {
    local tries rc=0
    for tries in {1..50}; do
        mkdir -p -- "$REGISTRY/labs" "$REGISTRY/users"
        exec 8>"$REGISTRY/lock"
        flock --wait 30 8 || die "somebody holds $REGISTRY/lock since 30 s (try $tries)"
        # The last lab of the machine removes the registry: a lock on a removed file holds nothing.
        if [[ $REGISTRY/lock -ef /proc/self/fd/8 ]]; then
            "$@" || rc=$?
            exec 8>&-
            return "$rc"
        fi
        exec 8>&-
    done
    die "$REGISTRY/lock keeps vanishing"
}

registry_add() { with_registry registry_write; }

# dockerd, mount and ip write these whatever they are told; the last lab removes those that were not there before.
DROPPINGS=(/etc/docker/key.json /run/docker/plugins /run/docker /run/containerd/s /run/containerd /etc/docker
    /run/netns /run/mount)

registry_write() {
    local path
    if [[ ! -e $REGISTRY/absent ]]; then
        for path in "${DROPPINGS[@]}"; do
            [[ -e $path ]] || printf '%s\n' "$path"
        done >"$REGISTRY/absent"
    fi
    printf '%s\n' "$DIR" >"$REGISTRY/labs/$ID"
}

# wait_until SECONDS COMMAND…: look again until it holds or the time is over.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

pidfile() { printf '%s/%s.pid' "$LAB" "$1"; }

running() {
    local file pid
    file=$(pidfile "$1")
    [[ -s $file ]] || return 1
    pid=$(<"$file")
    # A killed daemon may stay a zombie for a while; it has ended all the same.
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$1" ]] && is_alive "$pid"
}

is_alive() { [[ $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) == [!ZX]* ]]; }

not_running() { ! running "$1"; }

# died NAME: it was started, and has ended by itself. Before its process has noted its id, nothing is known.
died() {
    local pid
    pid=$(cat "$(pidfile "$1")" 2>/dev/null) || return 1
    [[ -n $pid ]] && ! is_alive "$pid"
}

# stop_daemon NAME SIGNAL: by its own process id, and look that it is gone.
stop_daemon() {
    running "$1" || return 0
    local pid
    pid=$(<"$(pidfile "$1")")
    kill "-$2" "$pid" 2>/dev/null || true
    if ! wait_until "$STOP_SECONDS_MAX" not_running "$1"; then
        say "$1 does not heed SIG$2; killed"
        kill -KILL "$pid" 2>/dev/null || true
        wait_until "$STOP_SECONDS_MAX" not_running "$1" || return 1
    fi
    rm -f -- "$(pidfile "$1")"
}

# start_daemon NAME LOG PREFIX… -- COMMAND…: in a session and a cgroup of its own, so that every process it
# ever forks can be found again. The pid stays the same through the whole chain of execs.
start_daemon() {
    local name=$1 log=$2
    shift 2
    rm -f -- "$(pidfile "$name")"
    (
        exec 8>&- 9>&- </dev/null >>"$log" 2>&1
        cd /
        daemons_cgroup_enter
        printf '%s\n' "$BASHPID" >"$(pidfile "$name")"
        exec setsid "$@"
    ) &
    disown
}

# Where daemons are tracked: the unified hierarchy if there is one, else the first that there is.
daemons_cgroup_root() {
    local root
    for root in /sys/fs/cgroup /sys/fs/cgroup/unified; do
        [[ -e $root/cgroup.controllers ]] && { printf %s "$root"; return; }
    done
    for root in /sys/fs/cgroup/{systemd,pids,freezer,memory}; do
        [[ -e $root/cgroup.procs ]] && { printf %s "$root"; return; }
    done
}

daemons_cgroup_enter() {
    local root
    root=$(daemons_cgroup_root)
    [[ -n $root ]] || return 0
    mkdir -p -- "$root$CGROUP/daemons"
    printf '%s\n' "$BASHPID" >"$root$CGROUP/daemons/cgroup.procs"
}
