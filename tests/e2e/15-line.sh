#!/usr/bin/env bash
# One unit, two people: quotas, the line and every way out of it, restarts, and who gets the unit next.
source "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/machine.yaml" <<'YAML'
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb] }
YAML
lab_start --machine "$SCRATCH/machine.yaml" --users alice:student,bob:student

note "what can never be is said at once"
assert_fails "gpu limit per container: 2 asked for, 1 allowed" as alice docker run --rm --gpus 2 busybox true
assert_fails "there is no gpu 7" as alice docker run --rm --gpus device=7 busybox true
assert_eq "$(as alice docker ps -aq)" "" "a refused create leaves a container"

as alice docker run -d --gpus all --name hog busybox sleep 1000 >/dev/null
assert_eq "$(units_open_in alice hog)" /dev/nvidia0

in_line() { as bob ds01 queue | grep -q "$1"; }

note "a client that vanishes leaves the line, and its --rm container goes"
in_background killed as bob timeout -s KILL 3 docker run --rm --gpus all --name vanished busybox true
wait_for in_line vanished
wait_for said killed 'waiting for a GPU, next in line'
wait_for ended killed
nothing_of() { [[ -z $(as bob docker ps -aq --filter "name=$1") ]]; }
wait_for nothing_of vanished
assert_contains "$(as bob ds01 queue)" "Nobody waits"

note "rm, stop and kill take a start out of the line"
for verb in "rm" "stop" "kill"; do
    in_background "$verb" as bob docker run --gpus all --name "w-$verb" busybox true
    wait_for in_line "w-$verb"
    as bob docker "$verb" "w-$verb" >/dev/null
    wait_for ended "$verb"
    said "$verb" 'cancelled' || fail "$verb: no word that the start was cancelled"
    assert_contains "$(as bob ds01 queue)" "Nobody waits"
done

note "a wait that ends in vain says so in the documented words"
rc=0
as bob container deploy p1 --image busybox --wait 1s >"$SCRATCH/vain" 2>&1 || rc=$?
assert_eq "$rc" 3 "exit code of a wait in vain"
assert_contains "$(<"$SCRATCH/vain")" "GPU allocation failed after 1 second."
assert_contains "$(<"$SCRATCH/vain")" "held by alice/hog"

note "a restart keeps the unit, also while somebody waits"
in_background waiter as bob docker run --rm --gpus all --name waiter busybox sh -c 'echo got it; ls /dev/nvidia0'
wait_for in_line waiter
as alice docker restart -t 0 hog >/dev/null
assert_eq "$(units_open_in alice hog)" /dev/nvidia0
in_line waiter || fail "the restart gave the unit to the waiter"

note "a stop gives it to the next in line, whose program runs"
as alice docker stop -t 0 hog >/dev/null
wait_for ended waiter
assert_eq "$(<"$SCRATCH/waiter.rc")" 0 "exit code of the one who waited"
said waiter 'got it' || fail "the waiter's program did not run"

note "a stopped container starts again, and a restart policy is carried out until the user says stop"
wait_for as alice docker start hog
as alice docker rm -f hog >/dev/null
as alice docker run -d --restart always --gpus all --name loop busybox false >/dev/null
runs() { (($(grep -c "running container" "$DIR/log/ds01d.log") >= $1)); }
before=$(grep -c "running container" "$DIR/log/ds01d.log")
wait_for runs $((before + 2))
assert_eq "$(as alice docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' loop)" always "the policy shown"
as alice docker stop -t 0 loop >/dev/null
(($(as alice docker inspect --format '{{.RestartCount}}' loop) >= 1)) || fail "the restarts are not counted"
rests() { as alice container list --all --json | grep -q '"state": *"stopped"'; }
wait_for rests
as alice docker rm loop >/dev/null
as alice docker run -d --restart on-failure:2 --gpus all --name twice busybox false >/dev/null
counted() { [[ $(as alice docker inspect --format '{{.RestartCount}} {{.State.Running}}' twice) == "2 false" ]] && as alice container list --all --json | grep -q '"state": *"stopped"'; }
wait_for counted
as alice docker rm twice >/dev/null
free() { as alice gpu-status | head -n 1 | grep -q '1 of 1 GPU unit free'; }
wait_for free
