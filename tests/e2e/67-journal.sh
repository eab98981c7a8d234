#!/usr/bin/env bash
# What happened is told to those whom it concerns, and who held which GPU is known afterwards: through a killed daemon too.
source "$(dirname "$0")/lib.sh"
cat >"$SCRATCH/machine.yaml" <<'TEXT'
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb, 3g.40gb] }
TEXT
lab_start --machine "$SCRATCH/machine.yaml" --users alice:student,bob:student

history() { as "$1" ds01 history --json "${@:2}" | jq -r '.stints[] | [.owner, .container // "-", (.units | join(",")), .ending.kind // "-", (.ending.code // "")] | join(" ")'; }
events() { as "$1" ds01 events --json "${@:2}" | jq -r '[.event, .owner // "-", .container // "-"] | join(" ")'; }

# Somebody who stays hears of everything as it happens, and of nobody else.
in_background follows as alice ds01 events -f --json
in_background watches "$LAB" as "$DIR" root ds01 events -f

as alice docker run -d --name job --gpus all busybox sh -c 'sleep 1; exit 3' >/dev/null
as alice docker wait job >/dev/null
as bob container deploy mine --image busybox --background >/dev/null
wait_for said watches 'granted .*bob/mine GPU 0:'
as alice container deploy train --image busybox --background >/dev/null
in_background late as alice docker run --gpus all --name late busybox true
wait_for said follows '"event":"queued"'
as alice container retire train >/dev/null
wait_for ended late
wait_for said follows '"event":"released","owner":"alice","container":"train"'
wait_for said watches 'ended .*alice/job GPU 0:.: ended with error 3'
! said follows bob || fail "somebody hears of another's containers"
note "events are told as they happen, to their owner and to administrators"

"$LAB" restart-door "$DIR" --kill >/dev/null
assert_eq "$(history alice job)" "alice job 0:0 exited 3" "how a job ended, after a kill"
assert_eq "$(history alice train)" "alice train 0:0 retired " "how a retired container ended"
assert_contains "$(history alice --all)" "bob - 0:1 - "
assert_eq "$(history alice --user bob)" "bob - 0:1 - " "what is seen of others"
assert_contains "$(history root --user bob)" "bob mine 0:1 - "
assert_fails "no container mine of yours has held a GPU" as alice ds01 history mine --since 1h
assert_contains "$(as alice ds01 history)" "GPU hours since"
assert_contains "$(events alice)" "granted alice job"
assert_eq "$(events alice --since 2h | grep -c bob)" 0 "lines of others"
assert_contains "$(events root)" "granted bob mine"
assert_eq "$(events alice --since 2h --until 1h)" "" "what happened before the lab was there"
note "who held what, and how it ended, is known afterwards"
