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
on_a_terminal() { TERM=xterm /usr/bin/python3 -B "$DS01_ROOT/tests/e2e/clients/terminal.py" "$@"; }
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

note "a GPU for one command: its words, its input, its exit code; gone with it"
free_units() { as alice gpu-status --json | jq .free_units; }
alone() { [[ -z $(engine ps --all --quiet --filter name=-run-) && $(free_units) == "$FREE" ]]; }
FREE=$(free_units)
as alice mkdir -p workspace/pr58-thesis/src/deep
rc=0
said=$(as alice sh -c 'cd ~/workspace/pr58-thesis/src/deep && echo typed | ds01 run -- sh -c "pwd; cat; id -u; ls /dev/nvidia[0-9]*; touch borrowed; exit 7"' 2>/dev/null) || rc=$?
assert_eq "$rc" 7 "the command's exit code"
assert_contains "$said" /workspace/src/deep
assert_contains "$said" typed
assert_contains "$said" /dev/nvidia
assert_contains "$said" "$(id -u alice)"
assert_eq "$(stat -c %U "$HOME_OF_ALICE/workspace/pr58-thesis/src/deep/borrowed")" alice
wait_for alone
in_background int as alice sh -c 'ds01 run --project pr58-thesis -- sh -c "trap \"exit 9\" INT; echo begun; while :; do sleep 0.1; done" & echo $! >pr58-pid; wait $!; exit $?'
wait_for said int begun
assert_ne "$(free_units)" "$FREE" "it holds a GPU"
as alice sh -c 'kill -INT "$(cat pr58-pid)"; rm pr58-pid'
wait_for ended int
assert_eq "$(<"$SCRATCH/int.rc")" 9 "what the command made of Ctrl-C"
wait_for alone
assert_fails "in no project's directory" as alice ds01 run -- true
as alice sh -c 'mkdir -p workspace/pr58-data && echo numbers >workspace/pr58-data/file'
said=$(in_project pr58-thesis ds01 run --gpu-memory 30g --gpu 3g --data ~alice/workspace/pr58-data -- sh -c 'cat /data/file; echo $NVIDIA_VISIBLE_DEVICES; touch /data/mine' 2>&1) && fail "data were written to"
assert_contains "$said" numbers
assert_contains "$said" "Read-only file system"
wait_for alone
said=$(in_project pr58-thesis ds01 run --gpu b200 -- true 2>&1) && fail "a GPU that is not there"
assert_contains "$said" "cannot give"

note "one that vanishes leaves the command to its end, and then nothing"
in_background gone as alice sh -c 'echo $$ >pr58-pid; exec ds01 run --project pr58-thesis -- sh -c "echo begun; until [ -e go ]; do sleep 0.1; done; echo done >went"'
wait_for said gone begun
as alice sh -c 'kill -KILL "$(cat pr58-pid)"; rm pr58-pid; touch workspace/pr58-thesis/go'
wait_for alone
assert_eq "$(in_project pr58-thesis cat went)" "done"

note "where no GPU is to be had, that is told, and nothing is left"
all_taken=$(as alice docker run -d --name pr58-holder --gpus 1 busybox sleep 600)
as bob docker run -d --name pr58-holder-of-bob --gpus 1 busybox sleep 600 >/dev/null
rc=0
as alice ds01 run --project pr58-thesis --gpus 2 --no-wait -- true >/dev/null 2>&1 || rc=$?
assert_ne "$rc" 0
assert_eq "$(engine ps --all --quiet --filter name=-run-)" ""
as alice docker rm -f "$all_taken" >/dev/null
as bob docker rm -f pr58-holder-of-bob >/dev/null

note "from inside a dev container that has no GPU"
said_by alice ds01 devcontainer init pr58-thesis --gpu-on-demand >/dev/null
assert_contains "$(said_by alice devcontainer-check pr58-thesis)" "a container of it is permanent here"
as alice ds01 devcontainer prepare 2>/dev/null
# As the command line of Dev Containers makes it of that file; 59-dev-containers-cli asks that itself.
as alice docker run -d --name pr58-dev -l "devcontainer.local_folder=$HOME_OF_ALICE/workspace/pr58-thesis" \
    --mount "type=bind,source=$HOME_OF_ALICE/workspace/pr58-thesis,target=/workspace" \
    --mount type=bind,source=/var/run/docker.sock,target=/var/run/docker.sock \
    --mount "type=bind,source=$HOME_OF_ALICE/.local/share/ds01/ds01,target=/usr/local/bin/ds01,readonly" \
    ds01-alice/pr58-thesis sleep 600 >/dev/null
assert_eq "$(units_open_in alice pr58-dev)" "" "the dev container holds no GPU"
rc=0
said=$(as alice docker exec -w /workspace/src -e SEED=7 pr58-dev ds01 run -- sh -c 'pwd; echo $SEED; ls /dev/nvidia[0-9]*; touch from-dev; exit 5') || rc=$?
assert_eq "$rc" 5
assert_contains "$said" /workspace/src
assert_contains "$said" 7
assert_contains "$said" /dev/nvidia
assert_eq "$(stat -c %U "$HOME_OF_ALICE/workspace/pr58-thesis/src/from-dev")" alice
wait_for alone
as alice docker rm -f pr58-dev >/dev/null
# One that does not see the door says so.
as alice docker run -d --name pr58-blind --mount "type=bind,source=$HOME_OF_ALICE/.local/share/ds01/ds01,target=/usr/local/bin/ds01,readonly" ds01-python sleep 600 >/dev/null
assert_fails "it does not see DS01" as alice docker exec pr58-blind ds01 run -- true
as alice docker rm -f pr58-blind >/dev/null

note "from the first login to the first GPU container"
as alice rm -rf workspace/pr58-first
said=$(said_by alice user-setup --project pr58-first --base ds01-python:latest)
assert_contains "$said" "project init pr58-first --quick --base ds01-python:latest"
[[ ! -e $HOME_OF_ALICE/workspace/pr58-first ]] || fail "something was done, and nobody was asked"
# What a project installs is not to be had here: a requirements.txt without a word in it.
as alice project init pr58-first --base ds01-python:latest --blank --quick >/dev/null
[[ -e $HOME_OF_ALICE/.ssh ]] || had_no_keys=yes
said=$(said_by alice user-setup --project pr58-first --yes)
assert_contains "$said" "pr58-first is running."
assert_contains "$(as alice cat .bashrc)" "source <(ds01 completion bash)"
assert_file "$HOME_OF_ALICE/.ssh/id_ed25519.pub"
as alice user-setup --project pr58-first --yes &>/dev/null
assert_eq "$(as alice grep -c 'ds01 completion' .bashrc)" 1 "a line is added once"
as alice container retire pr58-first >/dev/null
[[ -z ${had_no_keys:-} ]] || rm -rf "$HOME_OF_ALICE/.ssh"
