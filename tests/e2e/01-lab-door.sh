#!/usr/bin/env bash
# A lab with its door: the exports mean what they say, people reach the door and nothing behind it, ds01d and the
# Engine may be restarted or killed without a container noticing, and down takes the made-up devices too.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student,bob:researcher

exports_hold() {
    assert_eq "$DOCKER_HOST" "unix://$DIR/docker.sock"
    assert_file "${DOCKER_HOST#unix://}"
    assert_file "${DS01_ENGINE#unix://}"
    assert_file "$DS01_CONFIG"
    assert_file "$DS01_LEDGER"
    assert_eq "$(command -v ds01)" "$DIR/bin/ds01"
    # shellcheck disable=SC2154  # an export of the lab
    assert_eq "$DS01_HOME_alice" "$(getent passwd alice | cut -d: -f6)"
    assert_eq "$(stat -c %U "$DS01_HOME_alice")" alice
    assert_ok "$DIR/bin/ds01d" check "$DS01_CONFIG" >/dev/null
    assert_ok "$LAB" status "$DIR" >/dev/null
    note "exports hold"
}

only_the_door_is_open() {
    local path
    as alice docker version >/dev/null || fail "alice does not reach the door"
    for path in engine state run lab log engine/docker.sock run/hinge.sock; do
        assert_fails "ermission denied" as alice ls "$DIR/$path/."
    done
    assert_fails "denied" as alice docker -H "$DS01_ENGINE" ps
    note "people reach the door and nothing behind it"
}

restarts_are_not_noticed() {
    local pid unit
    as alice docker run -d --name steady --gpus all busybox sleep 3600 >/dev/null
    pid=$(engine inspect -f '{{.State.Pid}}' steady)
    unit=$(units_open_in alice steady)
    assert_eq "$(wc -l <<<"$unit")" 1 "one unit"
    "$LAB" restart-door "$DIR"
    assert_eq "$(units_open_in alice steady)" "$unit" "after a restart of ds01d"
    "$LAB" restart-door "$DIR" --kill
    assert_eq "$(units_open_in alice steady)" "$unit" "after ds01d was killed"
    "$LAB" restart-engine "$DIR"
    wait_for as alice docker exec steady true
    assert_eq "$(engine inspect -f '{{.State.Pid}}' steady)" "$pid" "the process lives on"
    assert_eq "$(units_open_in alice steady)" "$unit" "after a restart of the Engine"
    note "restarts are not noticed"
}

devices_go() {
    local index unit record
    record=$(tr -d ' \n' <"$DIR/run/devices.json")
    mapfile -t units < <(grep -oE '"unit":"[^"]+"' <<<"$record" | cut -d'"' -f4)
    ((${#units[@]} == 5)) || fail "five units have devices: $record"
    "$LAB" down "$DIR"
    for unit in "${units[@]}"; do
        for index in /sys/block/loop*/loop/backing_file; do
            [[ ! -e $index ]] || assert_lacks "$(cat "$index" 2>/dev/null)" "$unit" "a device stayed:"
        done
    done
    [[ ! -e $DIR ]] || fail "$DIR stayed"
    note "made-up devices went with the lab"
}

exports_hold
only_the_door_is_open
restarts_are_not_noticed
devices_go
