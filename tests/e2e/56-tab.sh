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
began=$(date +%s%N)
assert_eq "$(as alice env "DOCKER_HOST=unix://$SCRATCH/deaf/door.sock" ds01 __complete bash 2 -- container stop '' 2>&1)" "" "a door that never answers"
took=$((($(date +%s%N) - began) / 1000000))
((took < 2000)) || fail "a Tab took $took ms"
note "a door that is away or deaf offers nothing, says nothing and holds up nobody: $took ms"
