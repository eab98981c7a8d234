#!/usr/bin/env bash
# The images of projects: a Dockerfile, a build that one can follow, a container in which the packages are there. Base image
# and packages are the story's own: no registry is asked.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student,bob:student

said_by() { as "$@" 2>&1 </dev/null; }
image_id() { engine image inspect --format '{{.Id}}' "$1" 2>/dev/null || echo gone; }
containers() { engine ps --all --quiet | wc -l; }
dockerfile() { as alice sh -c "mkdir -p workspace/$1 && cat >workspace/$1/Dockerfile"; }

note "built where it is missing; left alone while it is what its Dockerfile says"
assert_fails "no Dockerfile to build one from" as alice image update thesis
dockerfile thesis <<'EOF'
FROM ds01-python:latest
WORKDIR /workspace
COPY requirements.txt /opt/
RUN echo made >/opt/made
EOF
echo numpy | as alice tee workspace/thesis/requirements.txt >/dev/null
as alice mkdir -p workspace/thesis/data
as alice truncate -s 20G workspace/thesis/data/huge
seen=$(said_by alice image update thesis)
assert_contains "$seen" "4/4  RUN echo made >/opt/made"
assert_contains "$seen" "built ds01-alice/thesis:latest"
first=$(image_id ds01-alice/thesis)
assert_contains "$(said_by alice image update thesis)" "is up to date"
assert_contains "$(as alice cat .cache/ds01/builds/thesis.log)" "Successfully tagged ds01-alice/thesis:latest"

note "a change of what it copies is a change of the image; what was done before is taken from there"
echo pandas | as alice tee workspace/thesis/requirements.txt >/dev/null
assert_contains "$(said_by alice image update thesis)" "WORKDIR /workspace   cached"
assert_ne "$(image_id ds01-alice/thesis)" "$first"
assert_eq "$(as alice docker run --rm ds01-alice/thesis cat /opt/requirements.txt)" pandas
assert_eq "$(as alice image update thesis --rebuild --json 2>/dev/null | jq .build.cached)" 3
assert_eq "$(as alice image update thesis --no-cache --json 2>/dev/null | jq .build.cached)" 0

note "a build that fails says where, and the image stays"
kept=$(image_id ds01-alice/thesis)
echo 'RUN echo the reason >&2; exit 7' | as alice tee -a workspace/thesis/Dockerfile >/dev/null
assert_fails "| the reason" as alice image update thesis
assert_fails "returned a non-zero code: 7" as alice image update thesis
assert_eq "$(image_id ds01-alice/thesis)" "$kept"

note "Ctrl-C ends the step and leaves nothing behind"
printf 'FROM ds01-python\nRUN echo begun; exec sleep 1000\n' | dockerfile thesis
in_background build as alice sh -c 'image update thesis & echo $! >pid; wait $!'
wait_for grep -q begun "$(as alice sh -c 'echo ~')/.cache/ds01/builds/thesis.log"
as alice sh -c 'kill -INT "$(cat pid)"'
wait_for ended build
assert_eq "$(<"$SCRATCH/build.rc")" 130
assert_contains "$(<"$SCRATCH/build.out")" "you gave up: ds01-alice/thesis:latest is as it was before"
nothing_left() { [[ $(containers) == 0 ]]; }
wait_for nothing_left
assert_eq "$(image_id ds01-alice/thesis)" "$kept"
