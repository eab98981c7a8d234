#!/usr/bin/env bash
# Tab in the shells that people have, on a real terminal: commands, flags and the names of one's own containers, in all
# three spellings, and nothing at all where the door does not answer. And the manual's pages, as man shows them.
source "$(dirname "$0")/lib.sh"
lab_start --users alice:student,bob:student

for name in tab-one tab-two; do
    as alice container deploy "$name" --image busybox --cpu-only >/dev/null
done
as alice container stop tab-two >/dev/null
as alice docker run -d --name tab-plain busybox sh -c 'echo said by a plain one; sleep 3600' >/dev/null
as bob container deploy tab-bobs --image busybox --cpu-only >/dev/null

/usr/bin/python3 -B "$DS01_ROOT/tests/e2e/clients/tab.py" "$LAB" "$DIR" bash --norc --noprofile -i
/usr/bin/python3 -B "$DS01_ROOT/tests/e2e/clients/tab.py" "$LAB" "$DIR" zsh -f -i

fish_offers() { as alice fish --no-config -c "ds01 completion fish | source; complete -C '$1'" | cut -f1 | sort | tr '\n' ' '; }
for spelling in 'container stop ' 'container-stop ' 'ds01 container stop ' 'ds01 container-stop '; do
    assert_eq "$(fish_offers "$spelling")" "tab-one tab-plain " "fish: $spelling"
done
assert_eq "$(fish_offers 'container run tab-t')" "tab-two " "fish: a stopped container can be run"
assert_eq "$(fish_offers 'container stop tab-one ')" "tab-plain " "fish: what is typed already"
assert_eq "$(fish_offers 'container deploy tab-')" "tab-one tab-two " "fish: projects"
assert_eq "$(fish_offers 'gpu-status --w')" "--watch " "fish: flags"
assert_contains "$(as alice fish --no-config -c "ds01 completion fish | source; complete -C 'container logs tab-p'")" "running"
note "fish: names, flags and what they mean, in every spelling"

assert_eq "$(as alice env DOCKER_HOST=unix:///no/such/socket ds01 __complete bash 2 -- container stop '' 2>&1)" "" "without a door"
mkdir "$SCRATCH/deaf"
chmod 0755 "$SCRATCH/deaf"
socat "UNIX-LISTEN:$SCRATCH/deaf/door.sock,mode=0666,fork" 'EXEC:sleep 600' &
wait_for test -S "$SCRATCH/deaf/door.sock"
MANUAL=$(getent passwd alice | cut -d: -f6)/manual
rm -rf "$MANUAL"
as alice ds01 man manual/man1 >/dev/null
for link in "$DIR"/bin/*; do
    [[ -L $link ]] || continue
    name=${link##*/}
    page=$(man -M "$MANUAL" "$name" 2>&1) || fail "no page $name: $page"
    assert_contains "$page" "EXIT STATUS" "the page of $name"
done
assert_contains "$(man -M "$MANUAL" container-ls)" "container-list - List your containers"
assert_eq "$(man --warnings -E UTF-8 -l -Tutf8 -Z "$MANUAL/man1/container-deploy.1" 2>&1 >/dev/null)" "" "what roff has to say"
printf '.TH container-stop 1 "" "" "Another"\n' >"$MANUAL/man1/container-stop.1"
rc=0
said=$(as alice ds01 man manual/man1 2>&1) || rc=$?
assert_eq "$rc" 1 "exit status of what left something alone"
assert_contains "$said" "left alone: container-stop"
assert_contains "$(cat "$MANUAL/man1/container-stop.1")" Another
rm -rf "$MANUAL"
note "man shows the page of every link, and another program's page is left alone"

began=$(date +%s%N)
assert_eq "$(as alice env "DOCKER_HOST=unix://$SCRATCH/deaf/door.sock" ds01 __complete bash 2 -- container stop '' 2>&1)" "" "a door that never answers"
took=$((($(date +%s%N) - began) / 1000000))
((took < 2000)) || fail "a Tab took $took ms"
note "a door that is away or deaf offers nothing, says nothing and holds up nobody: $took ms"
