#!/usr/bin/env bash
# Streams, hijacks and upgrades over bare sockets behave as against the bare Engine, and clients that vanish leave no
# connection behind: none in ds01d, and in the Engine no more than they would have left without it.
source "$(dirname "$0")/lib.sh"

lab_start --no-door --users alice:student
BARE=$DIR
lab_start --users alice:student
cp -r "$DS01_ROOT/tests/e2e/clients" "$SCRATCH/clients"
chmod -R a+rX "$SCRATCH/clients"

# connections LAB PROGRAM: the sockets that a program of a lab has open.
connections() { find "/proc/$(<"$1/lab/$2.pid")/fd" -lname 'socket:*' 2>/dev/null | wc -l; }
door_is_as_before() { (($(connections "$DIR" ds01d) <= door_before)); }
engine_is_no_worse() { (($(connections "$DIR" dockerd) - engine_before <= bare_left)); }

as alice /usr/bin/python3 "$SCRATCH/clients/streams.py" || fail "streams"

bare_before=$(connections "$BARE" dockerd)
env DOCKER_HOST="unix://$BARE/engine/docker.sock" /usr/bin/python3 "$SCRATCH/clients/streams.py" vanishing >/dev/null || fail "the bare Engine's part"
bare_left=$(($(connections "$BARE" dockerd) - bare_before))
door_before=$(connections "$DIR" ds01d)
engine_before=$(connections "$DIR" dockerd)
as alice /usr/bin/python3 "$SCRATCH/clients/streams.py" vanishing || fail "clients that vanish"
wait_for -t 20 door_is_as_before
wait_for -t 60 engine_is_no_worse
note "130 vanished clients: none left in ds01d; left in the Engine: $(($(connections "$DIR" dockerd) - engine_before)), without the door: $bare_left"
assert_eq "$(engine ps -aq)" "" "containers left behind"
