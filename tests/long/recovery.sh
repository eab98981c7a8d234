#!/usr/bin/env bash
# What is left after ds01d, the Engine, the ledger, the disk or the machine failed: every running container keeps its
# unit, no unit has two owners, nothing is lost or begun anew in silence, and people are told what to do.
source "$(dirname "$0")/../e2e/lib.sh"

cat >"$SCRATCH/machine.yaml" <<'YAML'
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g }
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb, 3g.40gb] }

start_wait: 60s
YAML
lab_start --machine "$SCRATCH/machine.yaml" --users alice:researcher,bob:researcher

# shellcheck disable=SC2154  # an export of the lab
HOME_ALICE=$DS01_HOME_alice
SOCKET=${DOCKER_HOST#unix://}

door() { curl -sS --max-time 70 --unix-socket "$SOCKET" "$@"; }
door_post() { door -X POST -o "$SCRATCH/answer" -w '%{http_code}' "http://door$1"; }
# "unit owner container", a line for each unit that is held.
held() {
    door http://door/ds01/v1/machine |
        jq -r '.cards[].units[] | select(.holder) | "\(.address) \(.holder.owner) \(.holder.container)"' | sort
}
held_is() { [[ $(held) == "$1" ]]; }
units_are_fit() { [[ $(door http://door/ds01/v1/machine | jq -r '[.cards[].units[] | select(.health != "available")] | length') == 0 ]]; }
waiting_is() { [[ $(door http://door/ds01/v1/queue | jq '.waiting | length') == "$1" ]]; }
gpu() { as "$1" docker run -d --name "$2" --gpus 1 "${@:3}" busybox sleep 3600 >/dev/null; }
rm_all() {
    local ids
    ids=$(engine ps -aq)
    # shellcheck disable=SC2086  # one word for each
    [[ -z $ids ]] || engine rm -f $ids >/dev/null
    wait_for held_is ""
    wait_for nothing_staged
    wait_for no_receipts
    wait_for no_records
    wait_for units_are_fit
}
staged() { grep -c " $DIR/run/binds/" /proc/self/mountinfo || true; }
nothing_staged() { [[ $(staged) == 0 && -z $(ls "$DIR/run/binds") ]]; }
no_receipts() { ! compgen -G "$DIR/run/receipts/*.json" >/dev/null; }
no_records() { [[ $(sqlite3 "file:$DIR/state/ledger.db?mode=ro" 'SELECT count(*) FROM records') == 0 ]]; }
stopped() { "$LAB" stop-door "$DIR" "$@"; }
started() { "$LAB" start-door "$DIR"; }
pid_of() { engine inspect -f '{{.State.Pid}}' "$1"; }
is_running() { [[ $(engine inspect -f '{{.State.Running}}' "$1") == true ]]; }
is_over() { [[ $(engine inspect -f '{{.State.Running}}' "$1") == false ]]; }
is_gone() { ! engine inspect "$1" &>/dev/null; }
# The numbers of a container's GPU devices, as the host sees them.
devices() { { stat -c %t:%T "/proc/$(pid_of "$1")"/root/dev/nvidia* 2>/dev/null || true; } | sort; }
no_device_twice() {
    local container all=''
    for container in $(engine ps -q); do all+=$(devices "$container")$'\n'; done
    [[ -z $(grep -v '^$' <<<"$all" | sort | uniq -d) ]] || fail "a device stands in two running containers: $all"
}

# ds01d by itself: `lab start-door` waits until the Engine answers through it.
alone() {
    (
        # shellcheck source=/dev/null
        for part in common network engine door; do source "$DS01_ROOT/scripts/lab-lib/$part.sh"; done
        locate "$DIR"
        start_daemon ds01d "$DIR/log/ds01d.log" "$DIR/bin/ds01d" run --config "$CONFIG"
    )
}
door_listens() { door http://door/ds01/v1/whoami -o /dev/null; }
daemon_pid() { cat "$DIR/lab/$1.pid"; }
kill_daemon() {
    local pid
    pid=$(daemon_pid "$1")
    kill "-$2" "$pid"
    wait_for daemon_is_gone "$pid"
}
daemon_is_gone() { [[ ! -d /proc/$1 || $(sed 's/.*) //' "/proc/$1/stat") == Z* ]]; }
logged() { tail -n +"$((LOG_FROM + 1))" "$DIR/log/ds01d.log" | grep -qE -- "$1"; }
mark_log() { LOG_FROM=$(wc -l <"$DIR/log/ds01d.log"); }

replay() {
    local before list
    gpu alice a1
    gpu bob b1
    as bob docker stop -t 0 b1 >/dev/null
    as alice docker create --name idle --gpus 1 busybox true >/dev/null
    wait_for held_is "1:0 alice a1"
    before=$(as alice docker ps -a --format '{{.Names}} {{.State}} {{.ID}}' | sort)
    list=$(as bob ds01 container list --all --json | jq -c '[.. | objects | .name? // empty] | sort')
    stopped --kill
    started
    assert_eq "$(held)" "1:0 alice a1" "replayed"
    assert_eq "$(as alice docker ps -a --format '{{.Names}} {{.State}} {{.ID}}' | sort)" "$before"
    assert_eq "$(as bob ds01 container list --all --json | jq -c '[.. | objects | .name? // empty] | sort')" "$list"
    as bob docker start b1 >/dev/null
    wait_for held_is $'1:0 alice a1\n1:1 bob b1'
    no_device_twice
    rm_all
    note "the ledger is replayed after SIGKILL"
}

older_ledger() {
    local a1 b1
    gpu bob gone
    stopped
    cp "$DIR/state/ledger.db" "$SCRATCH/older.db"
    started
    as bob docker rm -f gone >/dev/null
    gpu alice a1
    gpu bob b1 -v "$DS01_HOME_bob:/w"
    a1=$(devices a1) b1=$(devices b1)
    stopped --kill
    rm -f "$DIR"/state/ledger.db*
    cp "$SCRATCH/older.db" "$DIR/state/ledger.db"
    started
    wait_for held_is $'1:0 alice a1\n1:1 bob b1'
    assert_eq "$(devices a1) $(devices b1)" "$a1 $b1"
    assert_lacks "$(as bob docker ps -a)" gone
    # What is left is one unit, and it is neither of theirs.
    gpu alice a2
    no_device_twice
    assert_eq "$(held)" $'0 alice a2\n1:0 alice a1\n1:1 bob b1'
    # Their owners have them as before.
    assert_eq "$(as bob docker exec b1 echo mine)" mine
    assert_fails "No such container" as alice docker stop b1
    as bob docker stop -t 0 b1 >/dev/null
    as bob docker start b1 >/dev/null
    as bob docker rm -f b1 >/dev/null
    as alice docker rm -f a1 a2 >/dev/null
    rm_all
    note "with an older ledger what runs is adopted, and what ran is not forgotten by its owner"
}

lost_ledger() {
    local a1
    gpu alice a1
    as bob docker run -d --name plain busybox sleep 3600 >/dev/null
    gpu bob resting
    as bob docker stop -t 0 resting >/dev/null
    wait_for held_is "1:0 alice a1"
    a1=$(devices a1)
    stopped --kill
    rm -rf "${DIR:?}"/state/* "$DIR"/run/receipts
    mark_log
    started
    # Nothing but the devices themselves tells.
    wait_for held_is "1:0 alice a1"
    assert_eq "$(devices a1)" "$a1"
    logged "a new ledger is begun" || fail "a new ledger is begun in silence"
    assert_contains "$(as bob docker ps -a --format '{{.Names}}')" plain
    as bob docker start resting >/dev/null
    no_device_twice
    as bob docker rm -f plain resting >/dev/null
    as alice docker rm -f a1 >/dev/null
    rm_all
    note "with no ledger and no receipts the devices tell who has what"
}

while_away() {
    gpu alice vanishes -v "$HOME_ALICE:/w"
    gpu alice ends
    gpu bob stays
    as bob docker create --name before busybox true >/dev/null
    stopped
    engine rm -f vanishes >/dev/null
    engine kill ends >/dev/null
    engine rename before after
    engine run -d --name stranger busybox sleep 3600 >/dev/null
    started
    wait_for is_held_only_by stays
    assert_eq "$(as alice docker ps -a --format '{{.Names}}')" ends
    assert_eq "$(as bob docker ps -a --format '{{.Names}}' | sort)" $'after\nstays'
    as bob docker inspect after >/dev/null
    assert_fails "No such container" as bob docker stop stranger
    wait_for nothing_staged
    assert_eq "$(find "$DIR/run/receipts" -name '*.json' | wc -l)" 1 "receipts"
    engine rm -f stranger >/dev/null
    rm_all
    note "what vanished, ended, was renamed or appeared meanwhile is seen"
}
is_held_only_by() { [[ $(held | cut -d' ' -f3) == "$1" ]]; }

lost_answer() {
    local containerd
    as alice docker create --name lost --gpus 1 busybox sleep 3600 >/dev/null
    containerd=$(daemon_pid containerd)
    mark_log
    # The Engine takes the start and cannot carry it out.
    kill -STOP "$containerd"
    in_background lost door_post /v1.40/containers/lost/start
    wait_for logged reserved
    kill_daemon ds01d KILL
    wait_for ended lost
    alone
    wait_for door_listens
    assert_eq "$(held)" "1:0 alice lost" "its unit is nobody else's"
    kill -CONT "$containerd"
    wait_for as alice docker version
    wait_for settled lost
    gpu bob b1
    gpu bob b2
    no_device_twice
    as alice docker start lost >/dev/null
    wait_for held_by_all
    no_device_twice
    rm_all
    note "a start whose answer was lost on the way: settled, and never two owners"
}
# Runs with its unit, or does not run and has none.
settled() { if is_running "$1"; then [[ $(held) == *" $1"* ]]; else [[ $(held) != *" $1"* ]]; fi; }
held_by_all() { [[ $(held | wc -l) == 3 ]]; }

slow_start() {
    local settings=$DIR/bin/ds01-runtime.json gate=$DIR/lab/gate
    cp "$settings" "$SCRATCH/settings"
    # A real runtime that takes its time at create.
    cat >"$DIR/bin/slow-runc" <<SH
#!/bin/sh
case " \$* " in *" create "*) while [ -e "$gate" ]; do sleep 0.05; done ;; esac
exec runc "\$@"
SH
    chmod 0755 "$DIR/bin/slow-runc"
    jq --arg slow "$DIR/bin/slow-runc" '.runtimes = {runc: $slow}' "$SCRATCH/settings" >"$settings"
    as alice docker create --name slow --gpus 1 busybox sleep 3600 >/dev/null
    : >"$gate"
    mark_log
    in_background slow door_post /v1.40/containers/slow/start
    wait_for logged bound
    kill_daemon ds01d KILL
    wait_for ended slow
    mark_log
    alone
    wait_for door_listens
    # Longer than a start may take to show: the Engine lists it as created, and yet it is on its way.
    wait_for -t 40 logged_seconds 14
    assert_eq "$(held)" "1:0 alice slow"
    ! logged released || fail "its unit was released while it started"
    rm "$gate"
    wait_for is_running slow
    wait_for held_is "1:0 alice slow"
    as alice docker exec slow true
    cp "$SCRATCH/settings" "$settings"
    rm "$DIR/bin/slow-runc"
    rm_all
    note "a start that takes longer than the daemon lives keeps its unit"
}
# So long after the log was marked: by the log's own clock, a look every ten seconds writes nothing of itself.
logged_seconds() {
    local began
    began=$(tail -n +"$((LOG_FROM + 1))" "$DIR/log/ds01d.log" | head -n 1 | cut -c1-19)
    (($(date +%s) - $(date -u -d "$began" +%s) >= $1))
}

refused_ledgers() {
    local ledger=$DIR/state/ledger.db sum
    gpu alice a1
    stopped
    cp "$ledger" "$SCRATCH/whole.db"
    refuses() {
        sum=$(sha256sum "$ledger")
        assert_fails "$1" "$DIR/bin/ds01d" run --config "$DIR/etc/ds01.yaml"
        assert_eq "$(sha256sum "$ledger")" "$sum" "the ledger was touched"
        is_running a1 || fail "a1 was stopped"
    }
    dd if=/dev/urandom of="$ledger" bs=4096 seek=1 count=2 conv=notrunc status=none
    refuses "is damaged"
    head -c 100 /dev/zero >"$ledger"
    refuses "Nothing was changed"
    : >"$ledger"
    refuses "it is empty"
    cp "$SCRATCH/whole.db" "$ledger"
    sqlite3 "$ledger" 'PRAGMA user_version = 99'
    refuses "written by a newer ds01d (schema 99"
    rm -f "$ledger"
    sqlite3 "$ledger" 'CREATE TABLE theirs (x)'
    refuses "did not make"
    rm -f "$ledger"
    cp "$SCRATCH/whole.db" "$ledger"
    started
    assert_eq "$(held)" "1:0 alice a1"
    assert_fails "in use by another ds01d" "$DIR/bin/ds01d" run --config "$DIR/etc/ds01.yaml"
    assert_eq "$(held)" "1:0 alice a1" "the first goes on"
    rm_all
    note "damaged, empty, newer and foreign ledgers are refused and left as they are"
}

full_disk() {
    local said
    gpu alice a1
    gpu bob b1
    as alice docker create --name later --gpus 1 busybox sleep 3600 >/dev/null
    stopped
    mkdir "$SCRATCH/state"
    mount -t tmpfs -o size=1m,mode=0700 tmpfs "$SCRATCH/state"
    cp "$DIR"/state/* "$SCRATCH/state"
    mount --move "$SCRATCH/state" "$DIR/state" 2>/dev/null || mount --bind "$SCRATCH/state" "$DIR/state"
    started
    fill_disk
    assert_eq "$(held)" $'1:0 alice a1\n1:1 bob b1'
    said=$(as alice docker start later 2>&1) && fail "a grant that cannot be written was given"
    assert_contains "$said" "cannot write its ledger (is the disk full?)"
    said=$(as bob docker run --rm --gpus 1 busybox true 2>&1) && fail "a create that cannot be written went through"
    assert_contains "$said" "cannot write its ledger"
    # What ends, ends: stop, remove, and the unit is seen to be free.
    as alice docker stop -t 0 a1 >/dev/null
    wait_for held_is "1:1 bob b1"
    as alice docker rm a1 >/dev/null
    assert_lacks "$(as alice docker ps -a)" a1
    assert_eq "$(as bob docker exec b1 echo on)" on
    as alice docker ps >/dev/null
    # Killed now, the next daemon finds by looking what was never written, on a full disk as well.
    stopped --kill
    started
    wait_for held_is "1:1 bob b1"
    assert_fails "cannot write its ledger" as alice docker start later
    as bob docker restart -t 0 b1 >/dev/null
    as bob docker exec b1 true
    stopped --kill
    rm "$DIR/state/filler"
    started
    wait_for held_is "1:1 bob b1"
    as alice docker start later >/dev/null
    no_device_twice
    fill_disk
    as alice docker stop -t 0 later >/dev/null
    wait_for held_is "1:1 bob b1"
    rm "$DIR/state/filler"
    # With room again what had to wait is written before the next grant.
    as alice docker start later >/dev/null
    stopped --kill
    started
    assert_eq "$(held)" $'1:0 alice later\n1:1 bob b1'
    rm_all
    stopped
    cp "$DIR"/state/* "$SCRATCH"
    umount "$DIR/state"
    mountpoint -q "$SCRATCH/state" && umount "$SCRATCH/state"
    cp "$SCRATCH/ledger.db" "$DIR/state/ledger.db"
    started
    note "disk full: no new grants, a clear word, and everything else goes on"
}
fill_disk() { dd if=/dev/zero of="$DIR/state/filler" bs=1k status=none 2>/dev/null || true; }

reboot() {
    local group
    rm -rf "$HOME_ALICE/rebooted"
    install -d -o alice "$HOME_ALICE/rebooted"
    as alice docker run --name bound --gpus 1 -v "$HOME_ALICE/rebooted:/w" busybox sh -c 'date >>/w/file'
    gpu alice cut -v "$HOME_ALICE/rebooted:/w" --restart always
    as bob docker run -d --name tool --restart always -v "$DS01_HOME_bob:/w:ro" busybox sleep 3600 >/dev/null
    gpu bob gone
    wait_for held_is $'1:0 alice cut\n1:1 bob gone'
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
    gpu alice a1
    stopped
    for receipt in "$DIR"/run/receipts/*.json; do
        jq -c '.boot_id = "00000000-0000-0000-0000-000000000000"' "$receipt" >"$SCRATCH/receipt"
        cp "$SCRATCH/receipt" "$receipt"
    done
    engine kill a1 >/dev/null
    started
    wait_for held_is ""
    wait_for no_receipts
    as alice docker start a1 >/dev/null
    wait_for held_is "1:0 alice a1"
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

engine_down() {
    gpu alice a1
    stopped
    kill_daemon dockerd TERM
    alone
    wait_for door_listens
    assert_fails "the Docker Engine is not answering" as alice docker ps
    assert_eq "$(held)" "1:0 alice a1" "known without the Engine"
    "$LAB" restart-engine "$DIR"
    wait_for as alice docker exec a1 true
    gpu bob b1
    no_device_twice
    rm_all
    note "ds01d starts without the Engine, and goes on when it comes"
}

engine_restarts() {
    gpu alice a1
    gpu alice a2
    gpu bob b1
    as bob docker create --name waits --gpus 1 busybox sleep 3600 >/dev/null
    local pids
    pids="$(pid_of a1) $(pid_of a2) $(pid_of b1)"
    in_background waits as bob docker start waits
    wait_for waiting_is 1
    "$LAB" restart-engine "$DIR"
    wait_for as alice docker version
    waiting_is 1 || fail "the Engine's restart took the waiter out of the line"
    assert_eq "$(pid_of a1) $(pid_of a2) $(pid_of b1)" "$pids" "they run on"
    as alice docker rm -f a2 >/dev/null
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
    wait_for held_is "1:0 alice again"
    # A name is free the moment its container is gone.
    for round in 1 2 3 4; do
        as alice docker rm -f again >/dev/null
        gpu alice again
        as alice docker exec again true
    done
    rm_all
    note "an end, a start and a name, one right after the other"
}

stories=(replay older_ledger lost_ledger while_away lost_answer slow_start refused_ledgers full_disk other_boot
    restart_policies engine_down engine_restarts quick_again reboot)
for story in "${@:-${stories[@]}}"; do $story; done
