#!/usr/bin/env bash
# Bad input, each with a clear error and no change; an Engine that is down, slow or answers rubbish is told as what it
# is, and when it comes back all is as it was.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student
cp -r "$DS01_ROOT/tests/e2e/clients" "$SCRATCH/clients"
chmod -R a+rX "$SCRATCH/clients"
FAKE=''

at_my_exit() {
    local rc=$?
    [[ -z $FAKE ]] || kill "$FAKE" 2>/dev/null || true
    # at_exit reads the status of what ran before it.
    (exit "$rc") || at_exit
    at_exit
}
trap at_my_exit EXIT

engine_has() { engine ps -a --format '{{.Names}} {{.State}}' | sort; engine volume ls -q; engine network ls --format '{{.Name}}'; }

requests() {
    local before
    before=$(engine_has)
    as alice /usr/bin/python3 "$SCRATCH/clients/bad_input.py" || fail "bad requests"
    assert_eq "$(engine_has)" "$before" "what the Engine has after bad requests"
}

command_line() {
    assert_fails "no-such-image" as alice docker create no-such-image
    assert_fails "no-such-image" as alice container deploy wrong --image no-such-image:1 --background
    assert_fails "99" as alice docker run --rm --gpus 99 busybox true
    assert_fails "/etc" as alice container deploy wrong --image busybox --workspace /etc --background
    assert_fails "/root" as alice container deploy wrong --image busybox --workspace /root/x --background
    assert_fails "99" as alice container deploy wrong --image busybox --gpus 99 --background
    for name in 'a/b' '../x' '-x' 'a b' '' 'x._.y'; do
        assert_fails "" as alice container deploy --image busybox --background -- "$name"
    done
    assert_eq "$(as alice docker ps -aq)" "" "containers after bad commands"
    note "the command lines' bad input"
}

configuration() {
    local bad=$SCRATCH/bad.yaml
    assert_ok "$DIR/bin/ds01d" check "$DS01_CONFIG" >/dev/null
    sed 's/^default_group:/defualt_group:/' "$DS01_CONFIG" >"$bad"
    assert_fails "default_group" "$DIR/bin/ds01d" check "$bad"
    sed 's/max_gpu_equivalents: 1/max_gpu_equivalents: 77/' "$DS01_CONFIG" >"$bad"
    assert_fails "$bad:" "$DIR/bin/ds01d" check "$bad"
    printf 'groups: [\n' >"$bad"
    assert_fails "$bad:" "$DIR/bin/ds01d" check "$bad"
    # SIGHUP takes all or nothing.
    cp "$DS01_CONFIG" "$SCRATCH/good.yaml"
    sed -i 's/^default_group:/defualt_group:/' "$DS01_CONFIG"
    kill -HUP "$(<"$DIR/lab/ds01d.pid")"
    wait_for grep -q defualt_group "$DIR/log/ds01d.log"
    assert_eq "$(as alice docker run --rm busybox echo on)" on "after a SIGHUP with a mistake"
    cp "$SCRATCH/good.yaml" "$DS01_CONFIG"
    kill -HUP "$(<"$DIR/lab/ds01d.pid")"
    note "configuration mistakes"

    # Beside a daemon that runs, its devices stay.
    assert_fails "stop it first" "$DIR/bin/ds01d" release-devices --config "$DS01_CONFIG"
    as alice docker run --rm --gpus 1 busybox sh -c 'for d in /dev/nvidia[0-9]*; do head -c 0 "$d" && exit; done; exit 1' || fail "no device after a release that was refused"
}

bad_engine() { as alice /usr/bin/python3 "$SCRATCH/clients/bad_engine.py" "$@" || fail "an Engine that is $1"; }

fake() {
    /usr/bin/python3 "$SCRATCH/clients/fake_engine.py" "$DIR/engine/docker.sock" "$1" &
    FAKE=$!
    wait_for test -S "$DIR/engine/docker.sock"
}

unfake() {
    kill "$FAKE"
    wait "$FAKE" 2>/dev/null || true
    FAKE=''
    rm -f -- "$DIR/engine/docker.sock"
}

engine_in_trouble() {
    local pid mode
    as alice docker run -d --name steady busybox sleep 1000 >/dev/null
    as alice docker create --name waiting --gpus 1 busybox sleep 1000 >/dev/null
    pid=$(engine inspect -f '{{.State.Pid}}' steady)

    kill -KILL "$(<"$DIR/lab/dockerd.pid")"
    bad_engine down 10
    rm -f -- "$DIR/engine/docker.sock"
    for mode in garbage hangup half nonsense text large; do
        fake "$mode"
        bad_engine "$mode" 10
        unfake
    done
    # Slow is worth waiting for, but not for ever: half a minute. All at once, because each takes that long.
    fake silent
    in_background slow as alice curl -s --max-time 60 --unix-socket "${DOCKER_HOST#unix://}" http://door/v1.41/containers/json
    in_background slow-create as alice curl -s --max-time 60 --unix-socket "${DOCKER_HOST#unix://}" -H 'Content-Type: application/json' -d '{"Image":"busybox"}' http://door/v1.41/containers/create
    assert_eq "$(as alice curl -s --max-time 5 --unix-socket "${DOCKER_HOST#unix://}" http://door/ds01/v1/whoami | jq -r .name)" alice "who am I while the Engine is slow"
    wait_for -t 45 ended slow
    wait_for -t 45 ended slow-create
    assert_contains "$(<"$SCRATCH/slow.out")" "did not answer" "a list from a slow Engine:"
    assert_contains "$(<"$SCRATCH/slow-create.out")" "admin" "a create with a slow Engine:"
    unfake

    "$LAB" restart-engine "$DIR"
    wait_for as alice docker exec steady true
    assert_eq "$(engine inspect -f '{{.State.Pid}}' steady)" "$pid" "the container that ran all the time"
    assert_eq "$(as alice docker ps -a --format '{{.Names}}' | sort | xargs)" "steady waiting" "nothing was made meanwhile"
    assert_ok as alice docker start waiting >/dev/null
    assert_eq "$(units_open_in alice waiting | wc -l)" 1 "the unit is there for who asks now"
    as alice docker rm -f waiting steady >/dev/null
    wait_for -t 20 no_unit_is_held
    note "the Engine is back, and nothing was lost or leaked"
}

no_unit_is_held() { as alice curl -s --unix-socket "${DOCKER_HOST#unix://}" http://door/ds01/v1/machine | jq -e '.free_units == .total_units'; }

requests
command_line
configuration
engine_in_trouble
