#!/usr/bin/env bash
# A project from its first minute to its last: begun, asked for on a terminal, its image built when it has to be, worked in
# from a shell, a dev container and for one command, listed, put away.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student,bob:student
HOME_OF_ALICE=$(getent passwd alice | cut -d: -f6)
at_exit_projects() { rm -rf --one-file-system -- "$HOME_OF_ALICE"/workspace/pr58-* "$HOME_OF_ALICE"/.local/share/ds01; }
before_down() { at_exit_projects; }
at_exit_projects

said_by() { as "$@" 2>&1 </dev/null; }
in_project() { as alice sh -c "cd ~/workspace/$1 && shift && exec \"\$@\"" -- "$@"; }

note "begun whole, with a first commit; never over what is there"
said=$(said_by alice project init pr58-thesis --base ds01-python:latest --blank --quick)
assert_contains "$said" "pr58-thesis is begun."
assert_eq "$(in_project pr58-thesis git log --format=%s)" "Begin the project"
assert_eq "$(in_project pr58-thesis git status --short)" ""
assert_fails "is there already, and stays as it is" as alice project-init pr58-thesis --quick
assert_eq "$(stat -c %U "$HOME_OF_ALICE/workspace/pr58-thesis/Dockerfile")" alice

note "questions on a terminal: what is typed is what is made; Ctrl-C leaves nothing"
on_a_terminal() { /usr/bin/python3 -B "$DS01_ROOT/tests/e2e/clients/terminal.py" "$@"; }
said=$(on_a_terminal Project 'pr58-typed\r' 'What is it about?' 'blank\r' 'A git repository?' 'n\r' -- \
    "$LAB" as "$DIR" alice project init --base ds01-python:latest)
assert_contains "$said" "pr58-typed is begun."
assert_file "$HOME_OF_ALICE/workspace/pr58-typed/Dockerfile"
[[ ! -e $HOME_OF_ALICE/workspace/pr58-typed/.git ]] || fail "a repository that nobody wanted"
rc=0
said=$(on_a_terminal 'What is it about?' '\x03' -- "$LAB" as "$DIR" alice project init pr58-given-up) || rc=$?
assert_eq "$rc" 130
assert_contains "$said" "broken off; nothing was changed"
[[ ! -e $HOME_OF_ALICE/workspace/pr58-given-up ]] || fail "something is left"

note "launched: the image is built where it is missing or not what its Dockerfile says, and only then"
said=$(said_by alice project launch pr58-thesis)
assert_contains "$said" "pr58-thesis is running."
first=$(engine image inspect --format '{{.Id}}' ds01-alice/pr58-thesis)
said_by alice container retire pr58-thesis >/dev/null
assert_contains "$(echo 'touch made-inside; nvidia-smi -L 2>/dev/null; ls /dev/nvidia[0-9]*' | as alice project launch pr58-thesis --open 2>&1)" /dev/nvidia
assert_eq "$(engine image inspect --format '{{.Id}}' ds01-alice/pr58-thesis)" "$first" "nothing was to be built"
assert_eq "$(stat -c %U "$HOME_OF_ALICE/workspace/pr58-thesis/made-inside")" alice
echo 'RUN echo more >/more' | as alice tee -a workspace/pr58-thesis/Dockerfile >/dev/null
assert_contains "$(said_by alice project-launch pr58-thesis --background)" "has a container of the image as it was before"
said_by alice project launch pr58-thesis --force >/dev/null
assert_eq "$(as alice docker exec pr58-thesis._.alice cat /more)" more
assert_contains "$(said_by alice project launch pr58-thesis --rebuild)" "pr58-thesis"
assert_fails "there is no project pr58-none" as alice project launch pr58-none --open

note "listed, with what it takes"
assert_contains "$(said_by alice project list)" "pr58-thesis"
head -c 3M /dev/zero | as alice tee workspace/pr58-thesis/data/raw/numbers >/dev/null
said=$(said_by alice project status pr58-thesis)
assert_contains "$said" ": data 3 MiB"
assert_contains "$said" "ds01-alice/pr58-thesis:latest"
assert_contains "$said" "container  running"
assert_eq "$(as alice project status pr58-thesis --json | jq -r '.projects[0].disk.complete')" true
assert_lacks "$(said_by bob project list)" pr58-thesis
assert_contains "$(as alice ds01 __complete bash 3 -- ds01 project launch pr58-th)" pr58-thesis
said_by alice container retire pr58-thesis >/dev/null
