# shellcheck shell=bash
# Taking a lab away, in whatever state it is: each step looks for what is there instead of remembering what
# was made, and a second pass finds nothing to do. What cannot be removed is named, and the exit code tells.

cmd_down() {
    if [[ -d $DIR ]]; then
        lock_directory || [[ ! -d $DIR ]] || die "another lab command is at work on $DIR"
        if ! was_lab "$DIR" && [[ -n $(ls -A -- "$DIR" 2>/dev/null) ]]; then
            die "$DIR is not empty and is not a lab: left as it is"
        fi
    fi
    stop_daemon ds01d TERM || true
    devices_release
    processes_kill
    unmount_all
    network_down
    devices_remove
    cgroups_remove
    shim_sockets_remove
    users_down
    directory_remove
    registry_leave
    local left
    left=$(what_is_left)
    if [[ -n $left ]]; then
        say "lab down: these stayed:"
        printf '%s\n' "$left" >&2
        return 1
    fi
}

# Killing is enough: all that a lab's Engine knows is thrown away with it.
processes_kill() {
    local pids round
    for round in {1..200}; do
        pids=$(lab_processes)
        [[ -n $pids ]] || return 0
        # shellcheck disable=SC2086  # a list of ids
        kill -KILL $pids 2>/dev/null || true
        sleep 0.02
    done
    say "processes survive SIGKILL after $round rounds: $pids"
}

# Three ways of knowing a lab's process: its cgroups, its network namespace, and for daemons that escaped both,
# their program together with this lab's directory on the command line.
lab_processes() {
    {
        find /sys/fs/cgroup -path "*$CGROUP*" -name cgroup.procs -exec cat {} + 2>/dev/null || true
        [[ -e /run/netns/$NETNS ]] && ip netns pids "$NETNS" 2>/dev/null
        daemon_processes
    } | sort -un | grep -vx -e "$$" -e 0 | while read -r pid; do
        # A zombie has ended already; its parent, if it is one of ours, is in the list itself.
        is_alive "$pid" && echo "$pid"
    done
    return 0
}

daemon_processes() {
    local cmdline pid
    while read -r cmdline; do
        pid=${cmdline#/proc/}
        pid=${pid%/cmdline}
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
            containerd | containerd-shim* | dockerd | docker-proxy | runc | runc:* | ds01d | ds01-runtime) echo "$pid" ;;
        esac
    done < <(grep -lF -- "$DIR/" /proc/[0-9]*/cmdline 2>/dev/null)
    return 0
}

lab_mounts() {
    # Mount points come with octal escapes; newest first is the order to undo them in.
    local point
    while read -r point; do
        point=$(printf '%b' "${point//\\/\\0}")
        [[ $point == "$DIR"/* ]] && printf '%s\0' "$point"
    done < <(awk '{print $5}' /proc/self/mountinfo | tac)
    return 0
}

unmount_all() {
    local round points point
    for round in 1 2 3; do
        mapfile -d '' points < <(lab_mounts)
        ((${#points[@]})) || return 0
        for point in "${points[@]}"; do
            umount -- "$point" 2>/dev/null || umount --lazy -- "$point" 2>/dev/null || true
        done
    done
    say "mounts are left after $round rounds"
}

# ds01d knows its devices best, while its program and its settings are there.
devices_release() {
    if [[ -x $DIR/bin/ds01d && -e $CONFIG ]]; then
        timeout 10 "$DIR/bin/ds01d" release-devices --config "$CONFIG" &>/dev/null || true
    fi
}

# What `release-devices` did not take: a loop device that the lab's record names and that is still bound to the
# unit of that name. LOOP_CTL_REMOVE is 0x4C81; perl is part of every Debian.
devices_remove() {
    local minor
    for minor in $(lab_devices); do
        losetup --detach "/dev/loop$minor" 2>/dev/null || true
        perl -e 'open(my $c, "+<", "/dev/loop-control") or exit 1; ioctl($c, 0x4C81, $ARGV[0] + 0) // exit 1' "$minor" 2>/dev/null || true
    done
}

lab_devices() {
    local unit index
    [[ -e $DIR/run/devices.json ]] || return 0
    while IFS=$'\t' read -r unit index; do
        if [[ $(cat "/sys/block/loop$index/loop/backing_file" 2>/dev/null) == "/memfd:$unit"* ]]; then
            echo "$index"
        fi
    done < <(perl -0777 -ne 'print "$1\t$2\n" while /"unit"\s*:\s*"([^"]+)"\s*,\s*"index"\s*:\s*(\d+)/g' "$DIR/run/devices.json")
    return 0
}

cgroups_remove() { wait_until 5 cgroups_gone || true; }

cgroups_gone() {
    local top
    for top in /sys/fs/cgroup"$CGROUP" /sys/fs/cgroup/*"$CGROUP"; do
        [[ -d $top ]] && find "$top" -depth -type d -exec rmdir {} + 2>/dev/null
    done
    [[ -z $(lab_cgroups) ]]
}

lab_cgroups() { ls -d /sys/fs/cgroup"$CGROUP" /sys/fs/cgroup/*"$CGROUP" 2>/dev/null || true; }

# containerd keeps the shims' sockets in one place for all of the machine; each bundle names its own.
shim_sockets_remove() {
    local file socket
    [[ -d $ENGINE/containerd/state ]] || return 0
    while read -r file; do
        socket=$(<"$file")
        socket=${socket#unix://}
        [[ $socket == /run/containerd/s/* ]] && rm -f -- "$socket"
    done < <(find "$ENGINE/containerd/state" -name address -type f)
    return 0
}

# A staged bind still mounted below would lead the removal into somebody's home: look before removing.
directory_remove() {
    [[ -d $DIR ]] || return 0
    if [[ -n $(lab_mounts | tr '\0' ' ') ]]; then
        say "$DIR still has mounts: not removed"
        return 0
    fi
    rm -rf --one-file-system -- "$DIR"
}

registry_leave() { with_registry registry_forget; }

registry_forget() {
    local entry
    rm -f -- "$REGISTRY/labs/$ID"
    for entry in "$REGISTRY"/labs/*; do
        [[ ! -e $entry ]] || was_lab "$(<"$entry")" || rm -f -- "$entry"
    done
    rmdir -- "$REGISTRY/labs" 2>/dev/null || return 0
    # The last lab puts the machine's settings back, and takes users whose labs were lost without a `down`.
    users_orphaned_remove
    if [[ -e $REGISTRY/ip_forward ]]; then
        cat -- "$REGISTRY/ip_forward" >/proc/sys/net/ipv4/ip_forward || true
    fi
    droppings_remove
    rm -rf -- "$REGISTRY"
}

# Directories go only when empty; the key only while no other Engine runs.
droppings_remove() {
    local path
    while read -r path; do
        if [[ -d $path ]]; then
            # ip keeps its directory of namespaces as a mount of its own.
            [[ $path != /run/netns || -n $(ls -A -- "$path") ]] || umount -- "$path" 2>/dev/null || true
            rmdir -- "$path" 2>/dev/null || true
        elif [[ -e $path ]] && ! pgrep -x dockerd >/dev/null; then
            rm -f -- "$path"
        fi
    done < <(cat -- "$REGISTRY/absent" 2>/dev/null)
    return 0
}

what_is_left() {
    local pids
    pids=$(lab_processes)
    [[ -z $pids ]] || echo "processes ${pids//$'\n'/ }"
    lab_mounts | tr '\0' '\n' | sed 's/^/mount /'
    network_left
    lab_cgroups | sed 's/^/cgroup /'
    lab_devices | sed 's/^/loop device /'
    [[ ! -e $DIR ]] || echo "directory $DIR"
    return 0
}
