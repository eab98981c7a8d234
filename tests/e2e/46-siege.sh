#!/usr/bin/env bash
# One user does all he can to keep the others out: a thousand connections that say nothing, heads and bodies that come a
# byte at a time, answers that nobody reads, from the host and from inside his containers. The others work on, the daemon
# stays small, and when he lets go nothing of it is left.
source "$(dirname "$0")/lib.sh"

EACH_MAX=256
INSIDE_MAX=512
HEAD_SECONDS=30
MEBIBYTES_MAX=320
lab_start --users sghostile:student,sghonest:student
install -m 0644 "$DS01_ROOT/tests/e2e/clients/siege.py" "$SCRATCH/siege.py"

door_pid() { cat "$DIR/lab/ds01d.pid"; }
open_files() { find "/proc/$(door_pid)/fd" -mindepth 1 | wc -l; }
mebibytes() { awk '/VmRSS/ { print int($2 / 1024) }' "/proc/$(door_pid)/status"; }
is_as_before() { (($(open_files) <= files_before + 4)); }

# besiege NAME USER COMMAND…: in the background until `relieve NAME`.
besiege() {
    local name=$1 fd
    shift
    mkfifo "$SCRATCH/$name.in"
    "$@" <"$SCRATCH/$name.in" >"$SCRATCH/$name.out" 2>&1 &
    exec {fd}>"$SCRATCH/$name.in"
    HOLD[$name]=$fd
    wait_for -t 60 said "$name" '^standing'
}
# Several at once: each has inherited the other ends of those before it.
relieve() {
    local name fd
    for name; do
        fd=${HOLD[$name]}
        exec {fd}>&-
    done
    for name; do wait_for -t 60 said "$name" '^left'; done
}
standing() { awk '/^standing/ { print $2 }' "$SCRATCH/$1.out"; }
left() { awk '/^left/ { print $2 }' "$SCRATCH/$1.out"; }
declare -A HOLD
attack() { "$LAB" as "$DIR" sghostile /usr/bin/python3 "$SCRATCH/siege.py" "$@"; }

# honest_works WHAT: a day's commands of somebody else, each within the time that a person notices.
honest_works() {
    local began slowest=0 took command
    for command in "docker ps" "docker version" "container list" "docker run --rm busybox true" "docker exec kept true"; do
        began=$(date +%s%N)
        # shellcheck disable=SC2086  # the words of a command
        as sghonest timeout 20 $command >/dev/null || fail "$1: sghonest cannot do: $command"
        took=$((($(date +%s%N) - began) / 1000000))
        ((took <= slowest)) || slowest=$took
    done
    (($(mebibytes) < MEBIBYTES_MAX)) || fail "$1: the daemon has $(mebibytes) MiB"
    note "$1: the slowest of sghonest's commands took $slowest ms; ds01d has $(mebibytes) MiB"
}

as sghonest docker run -d --name kept busybox sleep 1000 >/dev/null
as sghostile docker run -d --name noisy busybox sh -c 'yes "$(head -c 900 /dev/zero | tr "\0" x)" | head -n 8000; sleep 1000' >/dev/null
wait_for -t 30 sh -c "docker -H $DS01_ENGINE logs noisy 2>/dev/null | wc -l | grep -qx 8000"
honest_works "before"
files_before=$(open_files)

besiege idle attack idle 1000
(($(standing idle) <= EACH_MAX)) || fail "$(standing idle) idle connections of one user were kept"
assert_fails "" as sghostile timeout 20 docker ps
honest_works "1000 idle connections, $(standing idle) kept"
relieve idle
wait_for is_as_before
assert_ok as sghostile docker ps >/dev/null
lines=$(grep -c 'too many connections' "$DIR/log/ds01d.log")
((lines >= 1 && lines <= 3)) || fail "$lines lines of the log about 750 connections that were closed"

besiege heads attack heads 200
honest_works "200 heads that come a byte at a time"
wait_for -t $((HEAD_SECONDS + 15)) is_as_before
relieve heads
assert_eq "$(left heads)" 0 "heads that were not finished after $HEAD_SECONDS s"

besiege bodies attack bodies 250
honest_works "250 bodies of 4 MB that do not end"
relieve bodies
wait_for is_as_before

besiege readers attack readers 200 noisy
honest_works "200 answers that nobody reads"
relieve readers
wait_for is_as_before

# From inside: each container has its share, and all of his together have one.
for number in 1 2 3; do
    as sghostile docker run -d --name "inside-$number" -v /var/run/docker.sock:/var/run/docker.sock ds01-python sleep 1000 >/dev/null
    tar -C "$SCRATCH" -cf - siege.py | as sghostile docker exec -i "inside-$number" tar -C / -xf -
done
for number in 1 2 3; do
    besiege "inside-$number" engine exec -i -e DOCKER_HOST=unix:///var/run/docker.sock "inside-$number" python3 /siege.py idle 400
done
sum=$(($(standing inside-1) + $(standing inside-2) + $(standing inside-3)))
((sum <= INSIDE_MAX)) || fail "$sum connections from inside one user's containers were kept"
honest_works "1200 idle connections from inside, $sum kept"
assert_ok as sghostile docker ps >/dev/null
relieve inside-1 inside-2 inside-3
wait_for is_as_before
assert_lacks "$(<"$DIR/log/ds01d.log")" panicked "ds01d's log"
