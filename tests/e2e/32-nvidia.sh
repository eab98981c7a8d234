#!/usr/bin/env bash
# The real path to the NVIDIA driver, with a faked library below it and a strict stand-in for the runtime that attaches
# GPUs: what is granted, what is attached, and what happens when the machine changes, hangs or breaks.
source "$(dirname "$0")/lib.sh"

MACHINE=$SCRATCH/machine.json
H100=GPU-11111111-aaaa-bbbb-cccc-000000000001
A100=GPU-22222222-aaaa-bbbb-cccc-000000000002
slice() { printf 'MIG-33333333-aaaa-bbbb-cccc-%012d' "$1"; }

cat >"$MACHINE" <<JSON
{"driver": "580.65.06", "gpus": [
  {"uuid": "$H100", "name": "NVIDIA H100 80GB HBM3", "minor": 3, "memory_mib": 81559},
  {"uuid": "$A100", "name": "NVIDIA A100-SXM4-80GB", "minor": 0, "memory_mib": 81920, "mig": {"devices": [
    {"uuid": "$(slice 1)", "profile": "3g.40gb", "gi": 2, "compute": 3, "memory_mib": 40192},
    {"uuid": "$(slice 2)", "profile": "2g.20gb", "gi": 3, "compute": 2, "memory_mib": 19968},
    {"uuid": "$(slice 3)", "profile": "1g.10gb", "gi": 9, "compute": 1, "memory_mib": 9856}]}}]}
JSON
lab_start --nvidia "$MACHINE" --users alice:student,bob:student,carol:researcher --admins carol

# change FILTER [ARGUMENT…]: the machine becomes what jq makes of it, under the running daemon.
change() {
    jq "$@" "$MACHINE" >"$MACHINE.new"
    mv "$MACHINE.new" "$MACHINE"
    "$LAB" nvidia "$DIR" "$MACHINE"
}
card() { printf '(.gpus[] | select(.uuid == "%s"))' "$1"; }
status() { as alice gpu-status --json; }
unit() { status | jq -r --arg id "$1" '.cards[].units[] | select(.id == $id) | '"$2"; }
unit_is() { [[ $(unit "$1" "$2") == "$3" ]]; }
has_unit() { [[ -n $(unit "$1" .id) ]]; }
problem_is() { [[ $(status | jq -r '.problems // [] | join("\n")') == *"$1"* ]]; }
no_problem() { [[ $(status | jq -r '.problems // [] | length') == 0 ]]; }
# Attached by CDI, as here by default, a container has no name of its units in its environment, as with the real runtime.
holds() { status | jq -r --arg owner "$1" --arg name "$2" '.cards[].units[] | select(.holder.owner == $owner and .holder.container == $name) | .id'; }
no_problem_but_xid() { ! problem_is "cannot be seen"; }
# What opening every node says: those with a driver's rights have no driver behind them.
nodes() { as "$1" docker exec "$2" sh -c 'for d in /dev/nvidia[0-9]* /dev/nvidia-caps/*; do [ -e "$d" ] && echo "$d $( { : <"$d"; } 2>&1 | sed "s/.*: //")"; done; true'; }
# parts OPTION…: what the container's own command has in NVIDIA_DRIVER_CAPABILITIES.
parts() { as carol docker run --rm "$@" busybox sh -c 'echo "$NVIDIA_DRIVER_CAPABILITIES"' 2>/dev/null; }
train() { as "$1" docker run -d --name "$2" --gpus "${3:-all}" busybox sleep 3600 >/dev/null; }

assert_eq "$(status | jq -r '[.cards[].units[].address] | join(" ")')" "0 1:0 1:1 1:2" "units"
assert_eq "$(status | jq -r .driver)" 580.65.06 "driver"
assert_contains "$(as alice gpu-status)" "H100 80GB HBM3"
assert_eq "$(as alice docker info -f '{{json .Runtimes.nvidia}}' | jq -r type)" object "docker info shows the runtime that Dev Containers look for"
note "cards and slices of the driver"

train alice a1
assert_eq "$(holds alice a1)" "$(slice 3)" "the smallest unit that will do"
assert_eq "$(nodes alice a1)" "/dev/nvidia0 No such device or address
/dev/nvidia-caps/nvidia-cap84 No such device or address
/dev/nvidia-caps/nvidia-cap85 No such device or address" "the nodes of a slice"
as carol docker run -d --name c1 --gpus '"device=0"' busybox sleep 3600 >/dev/null
assert_eq "$(holds carol c1)" "$H100" "a card by index"
assert_eq "$(nodes carol c1)" "/dev/nvidia3 No such device or address" "the node of a card, by its own number"
as bob docker run -d --name none busybox sleep 3600 >/dev/null
assert_eq "$(as bob docker exec none sh -c 'echo $NVIDIA_VISIBLE_DEVICES')" void "who asks for nothing"
assert_eq "$(nodes bob none)" "" "nodes of who asks for nothing"
assert_fails "Operation not permitted" as alice docker exec a1 mknod /tmp/n c 195 3
note "granted is attached, and nothing else"

as alice docker rm -f a1 >/dev/null
as carol docker rm -f c1 >/dev/null
for mode in legacy cdi jit-cdi; do
    jq --arg mode "$mode" '.mode = $mode' "$DIR/bin/nvidia-container-runtime.json" >"$SCRATCH/mode.json"
    cp "$SCRATCH/mode.json" "$DIR/bin/nvidia-container-runtime.json"
    train carol c1 '"device=0"'
    assert_eq "$(nodes carol c1)" "/dev/nvidia3 No such device or address" "attached in mode $mode"
    as bob docker start none >/dev/null
    assert_eq "$(nodes bob none)" "" "who asks for nothing, in mode $mode"
    as bob docker stop -t 0 none >/dev/null
    as carol docker rm -f c1 >/dev/null
    assert_eq "$(parts --gpus '"device=0","capabilities=compute,utility,video"')" compute,utility,video "asked for, in mode $mode"
    assert_eq "$(parts --gpus '"device=0","capabilities=utility"' -e NVIDIA_DRIVER_CAPABILITIES=all)" utility "asked for wins, as with Docker"
    assert_eq "$(parts --gpus '"device=0"' -e NVIDIA_DRIVER_CAPABILITIES=graphics,compute)" graphics,compute "the user's own, in mode $mode"
    assert_eq "$(parts --gpus '"device=0"' -e NVIDIA_DRIVER_CAPABILITIES=video,magic)" video "bounded to what there is, in mode $mode"
    assert_eq "$(parts --gpus '"device=0"')" "" "left to NVIDIA's default, in mode $mode"
done
note "the runtime's modes: legacy, cdi and jit-cdi"

as carol docker run --name film --gpus '"device=0","capabilities=video,compute"' busybox sh -c 'echo "has $NVIDIA_DRIVER_CAPABILITIES"' >/dev/null
"$LAB" restart-door "$DIR" --kill
as carol docker start -a film >/dev/null
assert_eq "$(as carol docker logs film)" "has compute,video
has compute,video" "the parts of the driver at a later start, of a daemon that was killed meanwhile"
assert_lacks "$(as carol docker inspect film --format '{{.Config.Env}}')" NVIDIA_DRIVER_CAPABILITIES "what Docker does not show"
assert_eq "$(as carol docker inspect film --format '{{json (index .HostConfig.DeviceRequests 0).Capabilities}}')" '[["video","compute","gpu"]]'
as carol docker rm film >/dev/null
assert_fails "with capabilities: [[magic gpu]]" as carol docker create --gpus '"device=0","capabilities=magic"' busybox true
note "parts of the driver that were asked for: at every start, and no others"

wait_for unit_is "$(slice 3)" '.holder // "free"' free
sleep 300 &
HOST_PROCESS=$!
change --argjson pid "$HOST_PROCESS" "$(card "$A100").processes = [{pid: \$pid, gi: 9}]"
wait_for unit_is "$(slice 3)" .health dirty
assert_contains "$(as alice gpu-status)" "in use still"
train alice a1
assert_eq "$(holds alice a1)" "$(slice 2)" "a unit on which somebody computes is not given out"
kill "$HOST_PROCESS"
wait_for unit_is "$(slice 3)" .health available
note "a program of the host's keeps its GPU to itself until it ends"

sleep 300 &
LEFT_OVER=$!
change --argjson pid "$LEFT_OVER" "$(card "$A100").processes = [{pid: \$pid, gi: 3}]"
as alice docker rm -f a1 >/dev/null
wait_for unit_is "$(slice 2)" .health dirty
kill "$LEFT_OVER"
wait_for unit_is "$(slice 2)" .health available
change "$(card "$A100").processes = []"
note "a unit is free once nobody is on it, whatever its container says"

train alice a1
assert_eq "$(holds alice a1)" "$(slice 3)"
change "$(card "$A100").mig.devices |= [.[2]] + [{uuid: \"$(slice 8)\", profile: \"4g.40gb\", gi: 1, compute: 4, memory_mib: 40192, slot: 0}] | $(card "$A100").mig.devices[0].slot = 2"
wait_for has_unit "$(slice 8)"
wait_for unit_is "$(slice 8)" .profile 4g.40gb
! has_unit "$(slice 1)" || fail "a slice that is gone is shown"
assert_eq "$(unit "$(slice 3)" .holder.owner)" alice "what is bound stays bound"
train bob b1
assert_eq "$(holds bob b1)" "$(slice 8)" "a slice that was cut while ds01d ran"
note "cut anew under a running daemon: what is bound is untouched"

train carol c1 '"device=0"'
change "$(card "$H100").lost = true"
wait_for unit_is "$H100" .health lost
wait_for problem_is "has fallen off the bus"
assert_eq "$(as carol docker exec c1 echo on)" on "its container runs on"
as carol docker rm -f c1 >/dev/null
wait_for eval '! has_unit "$H100"'
change "$(card "$H100").lost = false"
wait_for unit_is "$H100" .health available
no_problem || fail "a problem that is over is still told: $(status)"
note "a card that falls off: told, its container runs on, and nobody gets it"

change "$(card "$H100").events = [{number: 1, xid: 79}]"
wait_for problem_is "XID 79"
note "critical errors of a card are told"

rc=0
as alice ds01 gpu release --for 1h &>/dev/null || rc=$?
assert_eq "$rc" 5 "exit code of who is no administrator"
assert_contains "$(as carol ds01 gpu release --for 1h)" "let go of the GPU driver for 1 h"
assert_fails "an administrator has taken them for a while" as carol docker run --rm --gpus '"device=0"' busybox true
assert_eq "$(as bob docker exec b1 echo on)" on "who has a GPU keeps it"
as carol gpu-release --for 0s >/dev/null
wait_for no_problem_but_xid
as carol docker run --rm --gpus '"device=0"' busybox true
note "an administrator gets the driver to himself for a while"

# Figures: whose memory is read from the process's control group, how busy from the card.
as carol docker run -d --name c1 --gpus '"device=0"' busybox sleep 3600 >/dev/null
as alice docker run -d --name plain busybox sleep 3600 >/dev/null
pid_of() { engine inspect --format '{{.State.Pid}}' "$1"; }
sleep 300 &
STRANGER=$!
change --argjson a "$(pid_of a1)" --argjson c "$(pid_of c1)" --argjson s "$STRANGER" \
    "$(card "$A100").processes = [{pid: \$a, gi: 9, memory_mib: 700}] | $(card "$H100").utilization = 97
     | $(card "$H100").processes = [{pid: \$c, memory_mib: 31000}, {pid: \$s, memory_mib: 500}]"
stats() { as "$1" container stats --gpu --json | jq -c '[.containers[] | .name as $n | .gpus[] | [$n, .address, .utilization_percent, .own_memory_mib, .memory_used_mib]] | sort'; }
stats_are() { [[ $(stats "$1") == "$2" ]]; }
wait_for unit_is "$H100" .utilization_percent 97
assert_eq "$(unit "$H100" .memory_used_mib)" 31500 "a card's memory, whoever uses it"
assert_eq "$(unit "$(slice 3)" '[.utilization_percent, .memory_used_mib] | @json')" '[null,700]' "how busy a slice is, nobody says"
assert_contains "$(as alice gpu-status)" "30.7 of 79.6 GiB"
assert_eq "$(stats alice)" '[["a1","1:2",null,700,700]]' "one's own containers, with the memory of their own processes"
assert_contains "$(stats carol)" '["c1","0",97,31000,31500]' "another's process on the unit is not the container's"
assert_contains "$(stats carol)" '["a1","1:2",null,700,700]' "an administrator sees everybody's"
assert_lacks "$(as bob container stats --gpu)" c1
assert_fails "you have no container c1" as bob container stats c1
assert_contains "$(as alice container stats plain --gpu)" "-      -"
change "$(card "$H100").errors = {nvmlDeviceGetComputeRunningProcesses_v3: 999, nvmlDeviceGetUtilizationRates: 3}"
wait_for unit_is "$H100" '.utilization_percent' null
assert_contains "$(stats carol)" '["c1","0",null,null,31500]' "what is not told is not made up"
change "$(card "$H100").errors = {} | $(card "$H100").processes = [] | $(card "$A100").processes = []"
kill "$STRANGER"
as carol docker rm -f c1 >/dev/null
as alice docker rm -f plain >/dev/null
note "how busy, how full, and whose memory: in container stats and gpu-status"

change '.sleep_ms = {nvmlDeviceGetCount_v2: 600000}'
wait_for problem_is "has not answered"
assert_eq "$(as bob docker exec b1 echo on)" on "containers run on"
as bob docker ps >/dev/null
as bob docker rm -f b1 >/dev/null
no_figures() { [[ $(status | jq -c '[.figures_age_seconds, (.cards[].units[] | .memory_used_mib)] | unique') == '[null]' ]]; }
wait_for no_figures
note "a driver that hangs holds up nobody who does not need it, and its old figures are not shown for new"
