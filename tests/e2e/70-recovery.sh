#!/usr/bin/env bash
# What is left after ds01d failed or was away: every running container keeps its unit, no unit has two owners, and what
# happened meanwhile is seen.
source "$(dirname "$0")/recovery-lib.sh"

replay() {
    local before list
    gpu alice alice1
    gpu bob bob1
    as bob docker stop -t 0 bob1 >/dev/null
    as alice docker create --name idle --gpus 1 busybox true >/dev/null
    wait_for held_is "alice alice1"
    before=$(as alice docker ps -a --format '{{.Names}} {{.State}} {{.ID}}' | sort)
    list=$(as bob ds01 container list --all --json | jq -c '[.. | objects | .name? // empty] | sort')
    stopped --kill
    started
    assert_eq "$(held)" "alice alice1" "replayed"
    assert_eq "$(as alice docker ps -a --format '{{.Names}} {{.State}} {{.ID}}' | sort)" "$before"
    assert_eq "$(as bob ds01 container list --all --json | jq -c '[.. | objects | .name? // empty] | sort')" "$list"
    as bob docker start bob1 >/dev/null
    wait_for held_is $'alice alice1\nbob bob1'
    no_device_twice
    rm_all
    note "the ledger is replayed after SIGKILL"
}

older_ledger() {
    local alice1 bob1
    gpu bob gone
    stopped
    cp "$DIR/state/ledger.db" "$SCRATCH/older.db"
    started
    as bob docker rm -f gone >/dev/null
    gpu alice alice1
    gpu bob bob1 -v "$DS01_HOME_bob:/w"
    alice1=$(devices alice1) bob1=$(devices bob1)
    stopped --kill
    rm -f "$DIR"/state/ledger.db*
    cp "$SCRATCH/older.db" "$DIR/state/ledger.db"
    started
    wait_for held_is $'alice alice1\nbob bob1'
    assert_eq "$(devices alice1) $(devices bob1)" "$alice1 $bob1"
    assert_lacks "$(as bob docker ps -a)" gone
    # What is left is one unit, and it is neither of theirs.
    gpu alice alice2
    no_device_twice
    assert_eq "$(held)" $'alice alice1\nalice alice2\nbob bob1'
    # Their owners have them as before.
    assert_eq "$(as bob docker exec bob1 echo mine)" mine
    assert_fails "No such container" as alice docker stop bob1
    as bob docker stop -t 0 bob1 >/dev/null
    as bob docker start bob1 >/dev/null
    as bob docker rm -f bob1 >/dev/null
    as alice docker rm -f alice1 alice2 >/dev/null
    rm_all
    note "with an older ledger what runs is adopted, and what ran is not forgotten by its owner"
}

lost_ledger() {
    local alice1
    gpu alice alice1
    as bob docker run -d --name plain busybox sleep 3600 >/dev/null
    gpu bob resting
    as bob docker stop -t 0 resting >/dev/null
    wait_for held_is "alice alice1"
    alice1=$(devices alice1)
    stopped --kill
    rm -rf "${DIR:?}"/state/* "$DIR"/run/receipts
    mark_log
    started
    # Nothing but the devices themselves tells.
    wait_for held_is "alice alice1"
    assert_eq "$(devices alice1)" "$alice1"
    logged "a new ledger is begun" || fail "a new ledger is begun in silence"
    assert_contains "$(as bob docker ps -a --format '{{.Names}}')" plain
    as bob docker start resting >/dev/null
    no_device_twice
    as bob docker rm -f plain resting >/dev/null
    as alice docker rm -f alice1 >/dev/null
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

lost_answer() {
    local containerd
    as alice docker create --name lost --gpus 1 busybox sleep 3600 >/dev/null
    containerd=$(daemon_pid containerd)
    mark_log
    # The Engine takes the start and cannot carry it out.
    kill -STOP "$containerd"
    in_background lost door_post /v1.40/containers/lost/start
    wait_for reserved_or_answered
    ! ended lost || fail "answered $(<"$SCRATCH/lost.out") before anything was known: $(<"$SCRATCH/answer")"
    kill_daemon ds01d KILL
    wait_for ended lost
    alone
    wait_for door_listens
    assert_eq "$(held)" "alice lost" "its unit is nobody else's"
    kill -CONT "$containerd"
    wait_for as alice docker version
    wait_for settled lost
    gpu bob bob1
    gpu bob bob2
    no_device_twice
    as alice docker start lost >/dev/null
    wait_for held_by_all
    no_device_twice
    rm_all
    note "a start whose answer was lost on the way: settled, and never two owners"
}
# A grant waits for nobody but the ledger's disk: neither for the Engine's word nor for what stands behind it.
reserved_or_answered() { logged reserved || ended lost; }
# Runs with its unit, or does not run and has none.
settled() {
    local now
    now=$(held) || return 1
    if is_running "$1"; then [[ $now == *" $1"* ]]; else [[ $now != *" $1"* ]]; fi
}
held_by_all() { [[ $(held | wc -l) == 3 ]]; }

lost_create() {
    local gate=$SCRATCH/gate relay
    rm -rf "$HOME_ALICE/lost"
    install -d -o alice -g alice "$HOME_ALICE/lost"
    as alice docker tag busybox ds01-alice/moved:1
    stopped
    sed "s|engine: .*/docker.sock|engine: $SCRATCH/relay.sock|" "$DS01_CONFIG" >"$SCRATCH/relay.yaml"
    /usr/bin/python3 "$(dirname "$0")/clients/losing_engine.py" "$SCRATCH/relay.sock" "${DS01_ENGINE#unix://}" s/create "$gate" &
    relay=$!
    wait_for test -S "$SCRATCH/relay.sock"
    alone "$SCRATCH/relay.yaml"
    wait_for as alice docker version
    # Whom it runs as is known by name only, and nobody was left to look him up.
    assert_fails "did not answer" as alice docker create --name unheard --user nobody -v "$HOME_ALICE/lost:/w" \
        busybox sh -c 'echo mine >/w/file'
    # Its image was judged by a name that means another one when the Engine hears of it.
    : >"$gate"
    in_background moved as alice docker create --name other --gpus 1 ds01-alice/moved:1 true
    wait_for moved_is_planned
    engine tag ds01-fixed-user ds01-alice/moved:1
    rm "$gate"
    wait_for ended moved
    assert_ne "$(<"$SCRATCH/moved.rc")" 0
    wait_for unheard_is_alone
    as alice docker start -a unheard
    assert_eq "$(stat -c %U "$HOME_ALICE/lost/file")" alice "nobody inside is alice outside"
    wait_for other_is_over
    assert_fails "did not answer" as alice docker network create unheard-net
    assert_contains "$(as alice docker network ls --format '{{.Name}}')" unheard-net
    assert_lacks "$(as bob docker network ls --format '{{.Name}}')" unheard-net
    as alice docker network rm unheard-net >/dev/null
    stopped
    kill "$relay"
    wait "$relay" 2>/dev/null || true
    rm -f "$SCRATCH/relay.sock"
    started
    as alice docker rm unheard >/dev/null
    as alice docker rmi ds01-alice/moved:1 >/dev/null
    rm -r "$HOME_ALICE/lost"
    rm_all
    note "what a create made whose answer was lost is found, judged like any other, and its owner's"
}
last_create() { sqlite3 "file:$DIR/state/ledger.db?mode=ro" "SELECT body FROM events WHERE body LIKE '%create-planned%' ORDER BY seq DESC LIMIT 1"; }
moved_is_planned() { [[ $(last_create | jq -r .name) == other ]]; }
unheard_is_alone() { [[ $(as alice docker ps -a --format '{{.Names}}') == unheard && $(engine ps -a --format '{{.Names}}') == unheard ]]; }
other_is_over() { [[ $(sqlite3 "file:$DIR/state/ledger.db?mode=ro" "SELECT count(*) FROM events WHERE body LIKE '%create-abandoned%'") -ge 1 ]]; }

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
    assert_eq "$(held)" "alice slow"
    ! logged released || fail "its unit was released while it started"
    rm "$gate"
    wait_for is_running slow
    wait_for held_is "alice slow"
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

stories replay older_ledger lost_ledger while_away lost_answer lost_create slow_start -- "$@"
