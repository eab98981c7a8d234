#!/usr/bin/env bash
# The Engine, the machine and containers end and begin again: stages, bindings and restart policies outlive it, and
# nobody gets what is another's.
source "$(dirname "$0")/recovery-lib.sh"

reboot() {
    local group
    rm -rf "$HOME_ALICE/rebooted"
    install -d -o alice -g alice "$HOME_ALICE/rebooted"
    as alice docker run --name bound --gpus 1 -v "$HOME_ALICE/rebooted:/w" busybox sh -c 'date >>/w/file'
    gpu alice cut -v "$HOME_ALICE/rebooted:/w" --restart always
    as bob docker run -d --name tool --restart always -v "$DS01_HOME_bob:/w:ro" busybox sleep 3600 >/dev/null
    gpu bob gone
    wait_for held_is $'alice cut\nbob gone'
    power_cut
    # As the machine comes up: ds01d first, then the Engine, which starts what it has to start.
    alone
    wait_for door_listens
    "$LAB" restart-engine "$DIR"
    wait_for as alice docker version
    wait_for is_running tool
    wait_for is_running cut
    wait_for is_held_only_by cut
    as alice docker start bound >/dev/null
    wait_for is_over bound
    assert_eq "$(wc -l <"$HOME_ALICE/rebooted/file")" 2 "its workspace is there again"
    assert_eq "$(stat -c %U "$HOME_ALICE/rebooted/file")" alice
    assert_eq "$(as bob docker exec tool ls -d /w)" /w
    as bob docker start gone >/dev/null
    no_device_twice
    rm_all
    rm -r "$HOME_ALICE/rebooted"
    note "after a reboot stages are made again, restart policies go on, units are free"
}
# Every process of the lab ends at once; what lives in memory is gone: mounts, sockets, receipts, the runtimes' state.
power_cut() {
    local group pid where
    for group in ds01d dockerd containerd; do kill -KILL "$(daemon_pid "$group")"; done
    for pid in $(pgrep -f "containerd-shim.*$DIR/"); do kill -KILL "$pid"; done
    find /sys/fs/cgroup -path "*$DS01_CGROUP_PARENT/*" -name cgroup.procs -not -path '*/daemons/*' -exec cat {} + 2>/dev/null |
        sort -u | while read -r pid; do kill -KILL "$pid" 2>/dev/null || true; done
    wait_for nothing_runs
    while read -r where; do
        umount -l "$where" 2>/dev/null || true
    done < <(awk -v dir="$DIR/" 'index($5, dir) == 1 && $5 !~ /outer-net$/ {print $5}' /proc/self/mountinfo | sort -r)
    # The devices of a simulated machine stay: they are the machine.
    find "$DIR/run" -mindepth 1 -delete
    rm -rf "$DIR/engine/containerd/state" "$DIR/engine/exec"
}
nothing_runs() {
    [[ -z $(find /sys/fs/cgroup -path "*$DS01_CGROUP_PARENT/*" -name cgroup.procs -exec cat {} + 2>/dev/null) ]]
}

other_boot() {
    local receipt
    gpu alice alice1
    stopped
    for receipt in "$DIR"/run/receipts/*.json; do
        jq -c '.boot_id = "00000000-0000-0000-0000-000000000000"' "$receipt" >"$SCRATCH/receipt"
        cp "$SCRATCH/receipt" "$receipt"
    done
    engine kill alice1 >/dev/null
    started
    wait_for held_is ""
    wait_for no_receipts
    as alice docker start alice1 >/dev/null
    wait_for held_is "alice alice1"
    rm_all
    note "receipts of another boot bind nothing"
}

restart_policies() {
    local book=$HOME_ALICE/starts
    rm -rf "$book"
    install -d -o alice -g alice "$book"
    keeps() { as alice docker run -d --name "$1" --gpus 1 --restart "$2" -v "$book:/w" busybox sh -c "echo >>/w/$1; $3" >/dev/null; }
    times() { wc -l <"$book/$1" 2>/dev/null || echo 0; }
    at_least() { (($(times "$1") >= $2)); }

    keeps failing on-failure:2 'exit 3'
    wait_for at_least failing 3
    keeps "done" on-failure:2 'exit 0'
    keeps always always 'sleep 0.2'
    wait_for at_least always 3
    # Through the line: whoever waits for its unit would get it between two runs.
    stopped --kill
    started
    local before
    before=$(times always)
    wait_for at_least always $((before + 1))
    as alice docker stop -t 0 always >/dev/null
    keeps unless unless-stopped 'sleep 3600'
    engine kill unless >/dev/null
    wait_for at_least unless 2
    wait_for is_running unless
    stopped
    engine kill unless >/dev/null
    started
    wait_for at_least unless 3
    wait_for is_running unless
    as alice docker kill unless >/dev/null
    wait_for is_over unless
    before=$(times always)
    # A look at everything later nobody has started again what a person stopped.
    stopped
    started
    wait_for held_is ""
    mark_log
    door http://door/ds01/v1/machine -o /dev/null
    assert_eq "$(times always)" "$before" "stopped by hand, and started again"
    assert_eq "$(times failing)" 3 "on-failure:2 is one run and two more"
    assert_eq "$(times "done")" 1 "what ended well is not started again"
    assert_eq "$(times unless)" 3
    as alice docker start always >/dev/null
    wait_for at_least always $((before + 2))
    rm_all
    rm -r "$book"
    note "restart policies are carried out, through a restart of ds01d, and not after a stop"
}

stopped_in_line() {
    gpu alice comes --restart always
    gpu bob bob1
    gpu bob bob2
    as bob docker create --name other --gpus 1 busybox sleep 3600 >/dev/null
    in_background other as bob docker start other
    wait_for waiting_is 1
    engine kill comes >/dev/null
    wait_for ended other
    # Its unit is another's now, and its policy waits for the next.
    wait_for waiting_is 1
    as alice docker stop comes >/dev/null
    waiting_is 0 || fail "stopped, and still in the line"
    as bob docker rm -f bob1 bob2 >/dev/null
    wait_for is_held_only_by other
    # Whoever comes next looks at everything, and finds nothing to start.
    stopped
    started
    gpu alice later
    is_over comes || fail "stopped by hand while it waited, and started again"
    waiting_is 0 || fail "stopped by hand, and in the line again"
    as alice docker start comes >/dev/null
    is_running comes
    no_device_twice
    rm_all
    note "a restart that waits is stopped like anything else"
}

engine_down() {
    gpu alice alice1
    stopped
    kill_daemon dockerd TERM
    alone
    wait_for door_listens
    assert_fails "the Docker Engine is not answering" as alice docker ps
    assert_eq "$(held)" "alice alice1" "known without the Engine"
    "$LAB" restart-engine "$DIR"
    wait_for as alice docker exec alice1 true
    gpu bob bob1
    no_device_twice
    rm_all
    note "ds01d starts without the Engine, and goes on when it comes"
}

engine_restarts() {
    gpu alice alice1
    gpu alice alice2
    gpu bob bob1
    as bob docker create --name waits --gpus 1 busybox sleep 3600 >/dev/null
    local pids
    pids="$(pid_of alice1) $(pid_of alice2) $(pid_of bob1)"
    in_background waits as bob docker start waits
    wait_for waiting_is 1
    "$LAB" restart-engine "$DIR"
    wait_for as alice docker version
    waiting_is 1 || fail "the Engine's restart took the waiter out of the line"
    assert_eq "$(pid_of alice1) $(pid_of alice2) $(pid_of bob1)" "$pids" "they run on"
    as alice docker rm -f alice2 >/dev/null
    wait_for ended waits
    assert_eq "$(<"$SCRATCH/waits.rc")" 0 "$(<"$SCRATCH/waits.out")"
    no_device_twice
    rm_all
    note "the Engine restarts while containers run and somebody waits"
}

quick_again() {
    # Between an end and the look at it nobody may be told to come back later.
    local round
    gpu alice again
    for round in 1 2 3 4 5 6; do
        as alice docker kill again >/dev/null
        as alice docker start again >/dev/null || fail "start right after kill, round $round"
        as alice docker restart -t 0 again >/dev/null || fail "restart, round $round"
        as alice docker exec again true
    done
    wait_for held_is "alice again"
    # A name is free the moment its container is gone.
    for round in 1 2 3 4; do
        as alice docker rm -f again >/dev/null
        gpu alice again
        as alice docker exec again true
    done
    rm_all
    note "an end, a start and a name, one right after the other"
}

stories other_boot restart_policies stopped_in_line engine_down engine_restarts quick_again reboot -- "$@"
