#!/usr/bin/env bash
# GPUs that nobody uses go back to the others, after fair warning, and never wrongly: times set to seconds, real terminals,
# a daemon that is killed on the way.
source "$(dirname "$0")/lib.sh"
cat >"$SCRATCH/machine.yaml" <<'TEXT'
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [1g.10gb, 1g.10gb, 1g.10gb, 1g.10gb] }
TEXT
lab_start --machine "$SCRATCH/machine.yaml" --users alice:student,bob:student
IDLE=30
sed -i -e "s/^defaults:/policies: { sigterm_grace_seconds: 2 }\ncontainer_types: { docker: { max_runtime: 20s } }\ndefaults:\n  idle_timeout: ${IDLE}s/" "$DS01_CONFIG"
ds01d_pid() { cat "$DIR"/run/ds01d.pid 2>/dev/null || pgrep -f "$DIR/bin/ds01d" | head -n 1; }
reload() { kill -HUP "$(ds01d_pid)"; wait_for grep -q 'configuration was read again' "$DIR/log/ds01d.log"; }
reload

# Whoever opens a unit and computes uses it; a shell that holds it open does not.
UNIT='unit=$(ls /dev/nvidia[0-9]* | head -n 1); exec 3<"$unit"'
WORKS="$UNIT; while :; do :; done"
state() { as "$1" docker inspect -f '{{.State.Status}}' "$2"; }
is() { [[ $(state "$1" "$2") == "$3" ]]; }
seconds_of() { # how long the last run of a container took
    local began ended
    began=$(as alice docker inspect -f '{{.State.StartedAt}}' "$1")
    ended=$(as alice docker inspect -f '{{.State.FinishedAt}}' "$1")
    echo $(($(date -d "$ended" +%s) - $(date -d "$began" +%s)))
}
why() { as alice ds01 why "$1" --json | jq -r '[.verdict, (.facts[] | .label + ": " + .text)] | join("\n")'; }

tells() { why "$1" | grep -q -- "$2"; }

as alice container deploy works --image busybox --background >/dev/null
as alice container deploy parked --image busybox --background >/dev/null
as alice docker exec -d works._.alice sh -c "$WORKS"
as alice docker exec -d parked._.alice sh -c "$UNIT; sleep 1000"
as alice docker run -d --name no-gpu busybox sleep 1000 >/dev/null

# His own program saves a checkpoint before the stop.
WORKSPACE=$(getent passwd alice | cut -d: -f6)/workspace/parked
as alice mkdir -p "$WORKSPACE/.ds01"
as alice sh -c "printf '#!/bin/sh\necho saved >/workspace/checkpoint\n' >$WORKSPACE/.ds01/on-stop && chmod +x $WORKSPACE/.ds01/on-stop"

# A terminal inside, in which the warning is read.
in_background terminal as alice /usr/bin/python3 "$DS01_ROOT/tests/e2e/clients/terminal.py" 'is being stopped' '' -- docker exec -it parked._.alice sh

wait_for -t 40 tells parked 'its programs hold the GPU and do nothing'
assert_contains "$(why parked)" "stops: in "
assert_contains "$(why parked)" "programs on the GPU: 1"
wait_for -t 20 tells works 'its GPU is at work'
assert_contains "$(as alice container list)" "STOPS" "the list tells of a stop that is near:"
note "who works, who holds, and when it ends, is told with numbers"

# Killed half-way: it goes on where it was, and neither early nor anew.
wait_for -t 40 grep -q 'warned of its stop.*stage=Soon' "$DIR/log/ds01d.log"
"$LAB" restart-door "$DIR" --kill >/dev/null
wait_for -t $((IDLE * 2)) is alice parked._.alice exited
length=$(seconds_of parked._.alice)
((length >= IDLE)) || fail "an idle container was stopped after $length s of $IDLE"
assert_eq "$(grep -c 'warned of its stop.*stage=Soon' "$DIR/log/ds01d.log")" 1 "warnings half an idle time before"
assert_eq "$(grep -c 'warned of its stop.*stage=Last' "$DIR/log/ds01d.log")" 1 "last warnings"
wait_for said terminal 'ds01: parked will be stopped in'
wait_for said terminal 'ds01 keep parked --for 2h'
assert_eq "$(cat "$WORKSPACE/checkpoint")" saved "what on-stop wrote"
assert_contains "$(why parked)" "was stopped by DS01: it did not use its GPU"
is alice works._.alice running || fail "who works was stopped"
is alice no-gpu running || fail "a container without a GPU was stopped"
note "an idle container is warned in its terminal, saves a checkpoint and is stopped; who works, and who has no GPU, is not"

# Asked for more time: by command, and by a file that is the same on the host and inside.
as alice container start parked >/dev/null
assert_contains "$(as alice ds01 keep parked --for 2h)" "is not stopped for an idle GPU for 2 h"
as alice container deploy file --image busybox --background >/dev/null
as alice touch "$(getent passwd alice | cut -d: -f6)/workspace/file/.keep-alive"
assert_fails "a day (24h)" as alice ds01 keep parked --for 25h
assert_fails "you have no container" as bob ds01 keep parked._.alice --for 1h
assert_fails "nothing stops it" as alice ds01 keep no-gpu --for 1h
wait_for -t 20 tells file '^kept: for'
assert_contains "$(why parked)" "kept: for 2 h more"
assert_eq "$(as alice ds01 keep parked --for 0s --json | jq .seconds)" 0
note "ds01 keep and .keep-alive give time"

# The longest run of its kind, whatever it does; the unit goes to the next in line at once.
as alice docker run -d --name runs --gpus all busybox sh -c "$WORKS" >/dev/null
in_background next as bob docker run --rm --gpus all busybox echo it is mine
wait_for -t 60 is alice runs exited
assert_contains "$(why runs)" "its maximum run time was over"
wait_for -t 30 said next 'it is mine'
is alice works._.alice running || fail "who works was stopped"
note "a container that has run for as long as its kind may is stopped, and its unit is the next one's"

# Only observed: nothing is stopped, and it says what would be.
sed -i 's/^lifecycle: enforce/lifecycle: observe/' "$DS01_CONFIG"
kill -HUP "$(ds01d_pid)"
as alice docker run -d --name watched --gpus all busybox sleep 1000 >/dev/null
wait_for -t 60 tells watched 'only observes here; it would be now'
is alice watched running || fail "an observer stopped a container"
note "an observer stops nothing, and says what it would"
