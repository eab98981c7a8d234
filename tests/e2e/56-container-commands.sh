#!/usr/bin/env bash
# What the container commands do besides what they say: what the Engine has, who holds a GPU, what is kept and what goes.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student,bob:student

status() { engine inspect --format '{{.State.Status}}' "$1" 2>/dev/null | grep . || echo gone; }
held_by() { as "$1" gpu-status --json | jq -r '[.cards[].units[] | select(.holder.owner == "'"$1"'") | .address] | join(" ")'; }
volumes() { engine volume ls --quiet | wc -l; }
reload() { kill -HUP "$(<"$DIR/lab/ds01d.pid")"; }
knows() { as alice container create probe --framework "$1" --dry-run; }

note "created: recorded, not started, and nobody's GPU is taken"
as alice container create thesis --image ds01-python:latest >/dev/null
assert_eq "$(status thesis._.alice)" created
assert_eq "$(held_by alice)" ""
echo kept | as alice tee workspace/thesis/file >/dev/null

as alice sh -c 'mkdir -p workspace && touch workspace/no-directory'
assert_fails "workspace/no-directory is a file, and a workspace is a directory" as alice container create no-directory --image busybox
assert_eq "$(status no-directory._.alice)" gone

note "started: through the line, with a unit that is hers alone"
as alice container start thesis >/dev/null
assert_eq "$(status thesis._.alice)" running
unit=$(held_by alice)
assert_ne "$unit" ""
assert_ne "$(units_open_in alice thesis._.alice)" "" "a device that can be opened"

note "paused: frozen, and the unit is still hers"
as alice container pause thesis >/dev/null
assert_eq "$(status thesis._.alice)" paused
assert_eq "$(held_by alice)" "$unit"
as alice container unpause thesis >/dev/null
assert_eq "$(status thesis._.alice)" running

note "another person has no such container, whatever she types"
for command in start stop pause unpause retire remove exit; do
    assert_fails "you have no container thesis._.alice" as bob container "$command" thesis._.alice
done
as bob container remove --force thesis._.alice 2>/dev/null
for command in start stop pause unpause retire "remove --force"; do
    # shellcheck disable=SC2086  # a command and its flag
    as bob container $command --all >/dev/null
done
assert_eq "$(status thesis._.alice)" running "after all that bob tried"

note "waiting in line: a start waits as a deploy does, and a stop ends the wait"
as alice container stop thesis --timeout 0 >/dev/null
as bob docker run -d --name whole --gpus device=0 busybox sleep 1000 >/dev/null
as alice container create second --image busybox >/dev/null
as alice container create big --image busybox --full-gpu >/dev/null
assert_fails "GPU allocation failed" as alice container start big --no-wait
assert_fails "GPU allocation failed" as alice container run big --no-wait
assert_fails "GPU allocation failed" as alice container run big --wait 1s
in_background start as alice container start big --wait 5m
wait_for said start "waiting for a GPU"
assert_contains "$(as alice container exit big)" "big waits for a GPU"
assert_eq "$(as alice container list --filter status=waiting --format '{{.Project}}')" big
as alice container stop big >/dev/null
wait_for ended start
assert_eq "$(<"$SCRATCH/start.rc")" 3 "the start that was given up"
as bob docker rm -f whole >/dev/null
as alice container start big >/dev/null
assert_eq "$(held_by alice)" 0

note "removed: what does not run; what runs only by force; the workspace never"
assert_fails "big is running and was not removed" as alice container remove big
as alice container remove thesis second >/dev/null
assert_eq "$(status thesis._.alice) $(status second._.alice) $(status big._.alice)" "gone gone running"
assert_eq "$(as alice cat workspace/thesis/file)" kept
as alice container remove --force big >/dev/null
assert_eq "$(status big._.alice)" gone
assert_eq "$(held_by alice)" ""
as alice container remove --force big thesis 2>/dev/null

note "volumes without a name stay unless they are to go; a retirement takes them along"
build() { as alice sh -c "mkdir -p workspace/$1 && printf 'FROM busybox\nVOLUME /scratch\n' >workspace/$1/Dockerfile &&
    DOCKER_BUILDKIT=0 docker build -q -t ds01-alice/$1:latest workspace/$1" &>/dev/null; }
build vol
as alice container create vol --cpu-only >/dev/null
assert_eq "$(volumes)" 1
as alice container remove vol >/dev/null
assert_eq "$(volumes)" 1 "after a removal without --volumes"
as alice container create vol --cpu-only >/dev/null
as alice container remove vol --volumes >/dev/null
assert_eq "$(volumes)" 1 "the one of before"
as alice container create vol --cpu-only >/dev/null
as alice container retire vol --volumes >/dev/null
assert_eq "$(volumes)" 1
as alice docker volume prune --force >/dev/null
assert_eq "$(volumes)" 0

note "a project's own image goes with --images; one in use stays and is told; anybody else's stays"
as alice container create vol --cpu-only >/dev/null
as alice container create vol-two --project vol --cpu-only >/dev/null
assert_eq "$(engine inspect --format '{{.Config.Image}}' vol-two._.alice)" ds01-alice/vol:latest
assert_fails "is still there" as alice container retire vol --images
assert_eq "$(status vol._.alice)" gone
as alice container remove vol-two --images --volumes >/dev/null
assert_fails "No such" engine image inspect ds01-alice/vol:latest
as alice container create plain --image busybox --cpu-only >/dev/null
as alice container retire plain --images >/dev/null
engine image inspect busybox:latest >/dev/null
assert_file "$(as alice sh -c 'echo ~')/workspace/vol/Dockerfile"

note "a program that does not end when it is told to has the time that it is given"
stubborn='trap "" TERM; echo ready; while :; do sleep 0.2; done'
as alice docker run -d --name stubborn busybox sh -c "$stubborn" >/dev/null
ready() { as alice docker logs stubborn | grep -q ready; }
wait_for ready
began=$(date +%s%N)
as alice container stop stubborn --timeout 1 >/dev/null
took=$((($(date +%s%N) - began) / 1000000))
# Without the flag it would be ten seconds.
((took >= 1000 && took < 10000)) || fail "a grace of 1 s took $took ms"
as alice docker start stubborn >/dev/null
began=$(date +%s%N)
as alice container retire stubborn --timeout 5 >/dev/null
took=$((($(date +%s%N) - began) / 1000000))
# Without the flag it would be three.
((took >= 5000)) || fail "a grace of 5 s took $took ms"
retire='{"name": "thesis", "grace_seconds": 9999}'
said=$(as alice curl -s --unix-socket "$DIR/docker.sock" -d "$retire" http://ds01/ds01/v1/retire)
assert_contains "$said" "3600 seconds at most"

note "a framework's image is the base where a project has none of its own"
cat >>"$DS01_CONFIG" <<'YAML'
frameworks:
  pytorch: ds01-python:latest
  fetched: localhost:5071/lab/base:1
  elsewhere: registry.invalid/base:1
registries: ["localhost:5071"]
YAML
"$DIR/bin/ds01d" check "$DS01_CONFIG" >/dev/null
reload
wait_for knows fetched
as alice container create torch --framework PyTorch --cpu-only >/dev/null
assert_eq "$(engine inspect --format '{{.Config.Image}}' torch._.alice)" ds01-python:latest
as alice container remove torch >/dev/null
build torch
assert_contains "$(as alice container create torch --framework pytorch --cpu-only 2>&1)" "has an image of its own"
assert_eq "$(engine inspect --format '{{.Config.Image}}' torch._.alice)" ds01-alice/torch:latest
as alice container retire torch --images >/dev/null
assert_fails "there are: elsewhere, fetched, pytorch" as alice container create torch --framework tensorflow

note "an image that is not here is fetched where the door permits it, and told where it does not"
assert_contains "$(as alice container create got --framework fetched --dry-run 2>&1)" "would be fetched first"
assert_fails "is not among the registries" as alice container create got --framework elsewhere
assert_fails "could not be fetched" as alice container create got --framework fetched
engine save busybox >"$SCRATCH/busybox.tar"
ip netns exec "$DS01_NETNS" /usr/bin/python3 -B "$DS01_ROOT/tests/e2e/clients/registry.py" "$SCRATCH/busybox.tar" lab/base 1 5071 &
answers() { ip netns exec "$DS01_NETNS" curl -sf http://127.0.0.1:5071/v2/; }
wait_for answers
assert_contains "$(as alice container deploy got --framework fetched --cpu-only 2>&1)" "got is running."
assert_eq "$(engine inspect --format '{{.Config.Image}}' got._.alice)" localhost:5071/lab/base:1
as alice container retire got --timeout 0 >/dev/null

note "--all is all of one's own, one after the other"
for name in one two three; do as alice container create "$name" --image busybox --cpu-only >/dev/null; done
as bob container deploy bobs --image busybox --cpu-only >/dev/null
as alice container start --all >/dev/null
assert_eq "$(as alice container list -q | wc -l)" 3
as alice container stop --all --timeout 0 >/dev/null
assert_eq "$(as alice container list -q | wc -l)" 0
as alice container rm --all >/dev/null
assert_eq "$(as alice container list --all -q | wc -l)" 0
as root container list --all >/dev/null
as bob container retire --all --force >/dev/null
assert_eq "$(engine ps --all --quiet)" "" "containers that are left"
