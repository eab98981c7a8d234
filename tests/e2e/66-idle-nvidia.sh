#!/usr/bin/env bash
# Idle GPUs by what NVIDIA's driver says (a faked one): a card that is busy, a card that falls quiet, a slice whose program
# computes and one whose program is parked, a card that counts what its slices do, programs that were granted nothing, and a driver that does not answer, which
# stops nobody.
source "$(dirname "$0")/lib.sh"

MACHINE=$SCRATCH/machine.json
H100=GPU-11111111-aaaa-bbbb-cccc-000000000001
A100=GPU-22222222-aaaa-bbbb-cccc-000000000002
slice() { printf 'MIG-33333333-aaaa-bbbb-cccc-%012d' "$1"; }
cat >"$MACHINE" <<JSON
{"driver": "580.65.06", "gpus": [
  {"uuid": "$H100", "name": "NVIDIA H100 80GB HBM3", "minor": 3, "memory_mib": 81559},
  {"uuid": "$A100", "name": "NVIDIA A100-SXM4-80GB", "minor": 0, "memory_mib": 81920, "mig": {"devices": [
    {"uuid": "$(slice 1)", "profile": "1g.10gb", "gi": 2, "compute": 1, "memory_mib": 9856},
    {"uuid": "$(slice 2)", "profile": "1g.10gb", "gi": 3, "compute": 1, "memory_mib": 9856}]}}]}
JSON
lab_start --nvidia "$MACHINE" --users alice:student,bob:student,carol:researcher --admins carol
sed -i -e 's/^defaults:/policies: { sigterm_grace_seconds: 1 }\ndefaults:\n  idle_timeout: 30s/' "$DS01_CONFIG"
kill -HUP "$(pgrep -f "$DIR/bin/ds01d" | head -n 1)"

change() {
    jq "$@" "$MACHINE" >"$MACHINE.new"
    mv "$MACHINE.new" "$MACHINE"
    "$LAB" nvidia "$DIR" "$MACHINE"
}
card() { printf '(.gpus[] | select(.uuid == "%s"))' "$1"; }
pid_in() { engine inspect -f '{{.State.Pid}}' "$1"; }
is() { [[ $(engine inspect -f '{{.State.Status}}' "$1") == "$2" ]]; }
tells() { as "$1" ds01 why "$2" --json | jq -r '.facts[] | .label + ": " + .text' | grep -q -- "$3"; }
since_start() { echo $(($(date +%s) - $(date -d "$(engine inspect -f '{{.State.StartedAt}}' "$1")" +%s))); }

as carol docker run -d --name card --gpus '"device=0"' busybox sleep 3600 >/dev/null
as alice docker run -d --name computes --gpus all busybox sh -c 'while :; do :; done' >/dev/null
as bob docker run -d --name parked --gpus all busybox sleep 3600 >/dev/null
gi_of() { # the instance that the driver has for a container's slice
    local unit
    unit=$(as "$1" gpu-status --json | jq -r --arg name "$2" '.cards[].units[] | select(.holder.container == $name) | .id')
    jq --arg unit "$unit" '.gpus[].mig.devices[]? | select(.uuid == $unit) | .gi' "$MACHINE"
}
change --argjson c "$(pid_in card)" --argjson a "$(pid_in computes)" --argjson b "$(pid_in parked)" \
    --argjson ga "$(gi_of alice computes)" --argjson gb "$(gi_of bob parked)" \
    "$(card "$H100").utilization = 97 | $(card "$H100").processes = [{pid: \$c, memory_mib: 31000}]
     | $(card "$A100").processes = [{pid: \$a, gi: \$ga, memory_mib: 700}, {pid: \$b, gi: \$gb, memory_mib: 800}]"

wait_for -t 30 tells carol card 'GPU 97 %, GPU memory 31000 MiB'
wait_for -t 30 tells bob parked 'its programs hold the GPU and do nothing'
assert_ok tells bob parked 'GPU memory 800 MiB'
wait_for -t 60 is parked exited
assert_ok is computes running
assert_ok is card running
(($(since_start card) >= 30)) || fail "nothing was shown: the others did not have the time"
wait_for tells alice computes 'its GPU is at work'
note "a busy card and a slice that computes stay; a slice whose program is parked goes back"

# Programs on a card that they were not granted: one of no container, and one of a container that has another unit. A
# program that only draws is none.
sleep 300 &
OUTSIDE=$!
sleep 300 &
DRAWS=$!
change --argjson o "$OUTSIDE" --argjson d "$DRAWS" --argjson a "$(pid_in computes)" \
    "$(card "$H100").processes[0].busy = 50
     | $(card "$H100").processes += [{pid: \$o, memory_mib: 500}, {pid: \$a}, {pid: \$d, graphics: true}]"
ungranted() { as "$1" gpu-status --json | jq -r '.cards[].units[] | .address as $unit | .ungranted[]? | "\($unit) \(.pid) \(.name) \(.user) \(.container // "-")"' | sort; }
events() { as carol ds01 events --json | jq -r --arg what "$1" 'select(.event == $what) | (.units | join(",")) + " " + .text'; }
all_told() { (($(ungranted bob | wc -l) == 2)); }
wait_for -t 30 all_told
alices=$(pid_in computes)
assert_eq "$(ungranted bob)" "$(printf '0 %s sh alice alice/computes\n0 %s sleep root -\n' "$alices" "$OUTSIDE" | sort)" "who is on a card without a grant"
assert_contains "$(as bob gpu-status)" "used by $OUTSIDE sleep of root, outside of DS01"
assert_contains "$(as bob gpu-status)" "used by $alices sh of alice/computes, which was not granted it"
assert_contains "$(as alice ds01 events --json | jq -r .text)" "its process $alices (sh) computes on it without a grant" "what its owner is told"
doctor() { ds01 doctor --config "$DS01_CONFIG" --json | jq -r '.findings[] | select(.check == "ds01.units") | .found'; }
assert_contains "$(doctor)" "GPU 0 is used by process $OUTSIDE (sleep) of root, outside of DS01"
"$LAB" restart-door "$DIR" --kill >/dev/null
wait_for -t 30 all_told
assert_eq "$(events ungranted | wc -l)" 2 "how often it was told, through a killed daemon: $(events ungranted)"
kill "$OUTSIDE" "$DRAWS"
none_left() { [[ -z $(ungranted bob) ]]; }
change "$(card "$H100").processes |= .[:1]"
wait_for -t 30 none_left
assert_eq "$(events cleared | wc -l)" 2 "how often it was told that they went"
assert_contains "$(events cleared)" "0 process $OUTSIDE (sleep) of root is no longer on it, after"
is computes running || fail "a container was stopped for being on another's card"
note "programs on a card that they were not granted are told of, once, and left alone"

# A server with rare requests: a look at the moment finds the card quiet, the driver remembers who worked.
change "$(card "$H100").utilization = 0 | $(card "$H100").processes[0].busy = 5"
wait_for -t 30 tells carol card 'its GPU is at work'
wait_for -t 30 tells carol card 'GPU 5 %'
change "$(card "$H100").processes[0].busy = 0"
note "work between two looks is work"

# The driver does not tell who computes, and its last word was that the card is quiet: nobody can say, so nobody is stopped.
change "$(card "$H100").utilization = 0 | $(card "$H100").errors = {nvmlDeviceGetComputeRunningProcesses_v3: 999}"
wait_for -t 30 tells carol card 'nobody can say: what is not measured stops nothing'
began=$SECONDS
wait_for -t 90 tells alice computes 'its GPU is at work'
until ((SECONDS - began >= 45)); do
    is card running || fail "a container was stopped that nobody could see"
    tells carol card 'nobody can say' || fail "it is said what nobody knows: $(as carol ds01 why card)"
done
change "$(card "$H100").errors = {}"
wait_for -t 30 tells carol card 'idle for'
wait_for -t 90 is card exited
assert_contains "$(as carol ds01 why card)" "was stopped by DS01: it did not use its GPU"
is computes running || fail "who computes was stopped"
note "what the driver does not tell stops nobody; once it tells, the card goes back"

# A card that counts what its slices do: CPU time is no work on a slice there, and work without CPU time is.
counts() { change "$(card "$A100") |= (.gpm = true | .mig.devices[].busy = $1)"; }
shows() { as alice gpu-status --json | jq -r '.cards[].units[] | select(.holder.container == "computes") | .utilization_percent' | grep -qx "$1"; }
counts 0
wait_for -t 60 tells alice computes 'idle for'
assert_ok tells alice computes 'GPU 0 %'
assert_ok shows 0
counts 40.5
wait_for -t 30 tells alice computes 'its GPU is at work'
wait_for tells alice computes 'GPU 41 %'
wait_for shows 41
assert_contains "$(as alice gpu-status)" "41%"
note "what a card counts of its slices is shown, and decides"

# A card that does not count, beside NVIDIA's exporter, which does: a program that computes without CPU time is seen there.
# What the exporter does not see, or does not tell, stops nobody sooner.
EXPORTED=$SCRATCH/exported
mkdir "$EXPORTED"
exports() { # exports SHARE: of the slice that alice has
    printf 'DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="%s",GPU_I_ID="%s"} %s\n' "$A100" "$(gi_of alice still)" "$1" >"$EXPORTED/metrics.new"
    mv "$EXPORTED/metrics.new" "$EXPORTED/metrics"
}
in_background exporter /usr/bin/python3 -u -m http.server 0 --bind 127.0.0.1 --directory "$EXPORTED"
wait_for grep -q 'port [0-9]' "$SCRATCH/exporter.out"
PORT=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$SCRATCH/exporter.out" | head -n 1)
change "$(card "$A100") |= (.gpm = false | del(.mig.devices[].busy))"
as alice docker rm -f computes >/dev/null
as alice docker run -d --name still --gpus all busybox sleep 3600 >/dev/null
change --argjson a "$(pid_in still)" --argjson ga "$(gi_of alice still)" "$(card "$A100").processes = [{pid: \$a, gi: \$ga, memory_mib: 700}]"
shows_of_still() { as alice gpu-status --json | jq -r '.cards[].units[] | select(.holder.container == "still") | .utilization_percent' | grep -qx "$1"; }
exports 0.33
sed -i "s/^  nvidia:$/&\n    dcgm_exporter: 127.0.0.1:$PORT/" "$DS01_CONFIG"
grep -q dcgm_exporter "$DS01_CONFIG" || fail "the configuration is not what it was: $(cat "$DS01_CONFIG")"
"$LAB" restart-door "$DIR" >/dev/null
wait_for -t 30 shows_of_still 33
wait_for -t 30 tells alice still 'its GPU is at work'
exports 0
wait_for -t 60 is still exited
assert_contains "$(as alice ds01 why still)" "was stopped by DS01: it did not use its GPU"
note "what NVIDIA's exporter tells of a slice is shown, and is proof of work"

# A card that counts its energy: a program that costs no CPU and takes what only work explains is at work, on a slice of
# which nothing else is told; when the card cools, it is idle.
takes() { change "$(card "$A100") |= (.power_mw = $1 | .power_limit_mw = 400000)"; }
change "$(card "$A100").processes = []"
takes 260000
as bob docker run -d --name graph --gpus all busybox sleep 3600 >/dev/null
change --argjson b "$(pid_in graph)" --argjson gb "$(gi_of bob graph)" "$(card "$A100").processes = [{pid: \$b, gi: \$gb, memory_mib: 700}]"
wait_for -t 30 tells bob graph "power 65 % of the card's limit"
assert_ok tells bob graph 'its GPU is at work'
until (($(since_start graph) >= 35)); do is graph running || fail "who was at work was stopped: $(as bob ds01 why graph)"; done
takes 60000
wait_for -t 90 is graph exited
assert_contains "$(as bob ds01 why graph)" "was stopped by DS01: it did not use its GPU"
note "the energy of a card tells of work that nothing else shows"

# Where the policy says so, a container is stopped whose program stays on a unit that it was not granted; the lab's own
# containers are not, and a program of the host's is left alone.
sleep 300 &
OUTSIDE=$!
as bob docker rm graph >/dev/null
as bob docker run -d --name strays --gpus all busybox sleep 3600 >/dev/null
as carol docker run -d --name exporter --label ds01.kind=infrastructure busybox sleep 3600 >/dev/null
sed -i 's/^policies: {/& stop_ungranted_after: 3s,/' "$DS01_CONFIG"
kill -HUP "$(pgrep -f "$DIR/bin/ds01d" | head -n 1)"
change --argjson s "$(pid_in strays)" --argjson e "$(pid_in exporter)" --argjson o "$OUTSIDE" \
    "$(card "$A100").processes = [] | $(card "$H100").processes = [{pid: \$s}, {pid: \$e}, {pid: \$o}]"
assert_eq "$(as carol docker inspect -f '{{.State.Status}}' exporter)" running
wait_for -t 60 is strays exited
assert_contains "$(events stopped)" "0 stopped: its process"
assert_eq "$(events stopped | grep -c 'without a grant')" 1 "how often it was told"
is exporter running || fail "a container of the lab's own was stopped"
kill -0 "$OUTSIDE" || fail "a program of the host's was ended"
kill "$OUTSIDE"
as carol docker rm -f exporter >/dev/null
note "who strays onto a unit without a grant is stopped where the policy says so"
