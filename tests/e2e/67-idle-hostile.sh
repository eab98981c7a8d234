#!/usr/bin/env bash
# What a user can leave in his container for the daemon to stumble over when it warns and stops: programs for the stop
# that never end or are none, a .keep-alive that is a pipe, terminals that nobody reads. His containers are stopped all
# the same, nothing is done with more rights than his, and the others are warned and stopped in time.
source "$(dirname "$0")/lib.sh"
cat >"$SCRATCH/machine.yaml" <<'TEXT'
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [1g.10gb, 1g.10gb, 1g.10gb, 1g.10gb, 1g.10gb, 1g.10gb, 1g.10gb] }
TEXT
IDLE=24
lab_start --machine "$SCRATCH/machine.yaml" --users ihhostile:student,ihhonest:student
sed -i -e "s/^defaults:/policies: { sigterm_grace_seconds: 2 }\ndefaults:\n  idle_timeout: ${IDLE}s/" "$DS01_CONFIG"
kill -HUP "$(cat "$DIR/lab/ds01d.pid")"
wait_for grep -q 'configuration was read again' "$DIR/log/ds01d.log"

HOME_OF=$(getent passwd ihhostile | cut -d: -f6)
secret=$SCRATCH/secret
install -m 0600 <(echo of-root) "$secret"
state() { engine inspect -f '{{.State.Status}}' "$1"; }
is() { [[ $(state "$1") == "$2" ]]; }
# deploy PROJECT: a container of the hostile user's, with its workspace on the host.
deploy() { as ihhostile container deploy "$1" --image busybox --background >/dev/null; }
inside() { as ihhostile docker exec "$1._.ihhostile" sh -c "$2"; }
on_stop() { as ihhostile sh -c "mkdir -p ~/workspace/$1/.ds01; cat >~/workspace/$1/.ds01/on-stop; chmod 755 ~/workspace/$1/.ds01/on-stop"; }

deploy floods
on_stop floods <<'TEXT'
#!/bin/sh
id >/workspace/who
grep -E 'CapEff|CapBnd|Seccomp:|NoNewPrivs' /proc/self/status >>/workspace/who
env >/workspace/environment
head -c 300000000 /dev/zero | tr '\0' x
head -c 300000000 /dev/zero | tr '\0' x >&2
echo done >>/workspace/who
TEXT
deploy linked
as ihhostile sh -c "mkdir -p ~/workspace/linked/.ds01; ln -s $secret ~/workspace/linked/.ds01/on-stop; mkfifo ~/workspace/linked/.keep-alive"
deploy deaf
as ihhostile sh -c 'mkdir -p ~/workspace/deaf/.ds01/on-stop'
inside deaf 'for n in 1 2 3 4 5 6 7 8; do (exec </dev/ptmx; sleep 1000) & done; true' >/dev/null 2>&1 || true

as ihhonest container deploy honest --image busybox --background >/dev/null
in_background terminal as ihhonest /usr/bin/python3 "$DS01_ROOT/tests/e2e/clients/terminal.py" 'is being stopped' '' -- docker exec -it honest._.ihhonest sh

wait_for -t $((IDLE * 4)) is honest._.ihhonest exited
wait_for said terminal 'ds01: honest will be stopped in'
note "who is honest was warned at his terminal, and stopped"
wait_for -t $((IDLE * 4)) is floods._.ihhostile exited
wait_for -t $((IDLE * 4)) is deaf._.ihhostile exited
is linked._.ihhostile running || fail "a .keep-alive that was made just now holds, whatever it is"

assert_contains "$(<"$HOME_OF/workspace/floods/who")" "uid=$(id -u ihhostile)(" "on-stop is run as the container's own user"
bits=$(awk '/CapBnd/ { print $2 }' "$HOME_OF/workspace/floods/who")
# SYS_ADMIN, NET_ADMIN, MKNOD.
((!(16#$bits & (1 << 21 | 1 << 12 | 1 << 27)))) || fail "on-stop could have CapBnd $bits"
grep -q 'Seccomp:.2' "$HOME_OF/workspace/floods/who" || fail "on-stop has no seccomp filter: $(<"$HOME_OF/workspace/floods/who")"
assert_eq "$(stat -c %U "$HOME_OF/workspace/floods/who")" ihhostile "whose on-stop's files are"
assert_lacks "$(<"$HOME_OF/workspace/floods/environment")" "$DIR" "on-stop's environment knows of the daemon:"
assert_eq "$(tail -n 1 "$HOME_OF/workspace/floods/who")" "done" "600 MB that nobody reads hold nothing up"
assert_eq "$(<"$secret")" of-root "a file of root's behind a link"
rss=$(awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$(cat "$DIR/lab/ds01d.pid")/status")
((rss < 128)) || fail "the daemon had $rss MiB"
assert_lacks "$(<"$DIR/log/ds01d.log")" panicked "ds01d's log"
note "programs that flood, that are directories, and links to root's files: stopped; ds01d had $rss MiB at most"
