#!/usr/bin/env bash
# The workflows that people are taught, typed word by word at the prompt of a login shell, on a terminal, beside a neighbour who
# would like to have it all: what is promised is seen on the screen, and looked at from outside.
source "$(dirname "$0")/lib.sh"

MACHINE=$SCRATCH/machine.json
CARD=GPU-55555555-aaaa-bbbb-cccc-000000000001
cat >"$MACHINE" <<JSON
{"driver": "580.65.06", "gpus": [
  {"uuid": "$CARD", "name": "NVIDIA H100 80GB HBM3", "minor": 0, "memory_mib": 81559},
  {"uuid": "GPU-55555555-aaaa-bbbb-cccc-000000000002", "name": "NVIDIA A100-SXM4-80GB", "minor": 1, "memory_mib": 81920,
   "mig": {"devices": [
    {"uuid": "MIG-55555555-aaaa-bbbb-cccc-000000000001", "profile": "2g.20gb", "gi": 1, "compute": 2, "memory_mib": 19968},
    {"uuid": "MIG-55555555-aaaa-bbbb-cccc-000000000002", "profile": "1g.10gb", "gi": 3, "compute": 1, "memory_mib": 9856},
    {"uuid": "MIG-55555555-aaaa-bbbb-cccc-000000000003", "profile": "1g.10gb", "gi": 4, "compute": 1, "memory_mib": 9856}]}}]}
JSON
lab_start --nvidia "$MACHINE" --users walker:student,walkbob:student,walkcat:student
HOME_OF_WALKER=$(getent passwd walker | cut -d: -f6)
WORKSPACE=$HOME_OF_WALKER/workspace

# --- a terminal ---------------------------------------------------------------------------------------------------------------

TMUX_SOCKET=$SCRATCH/tmux
terminal() { tmux -S "$TMUX_SOCKET" -f /dev/null "$@"; }
before_down() {
    # The status of the script's end is the caller's.
    # shellcheck disable=SC2154
    if ((rc != 0)); then
        echo '--- the screen' >&2
        screen >&2
    fi
    terminal kill-server 2>/dev/null
}
screen() { terminal capture-pane -p -t it; }
shows() { screen | LC_ALL=C.UTF-8 grep -qE -- "$1"; }
sees() { wait_for shows "$1"; }
keys() { terminal send-keys -t it "$@"; }
# Whether the last line is a prompt: on the server, with the status of the last command; in a container.
last_line() { screen | grep -v '^$' | tail -n 1 | grep -qE -- "$1"; }
on_server() { last_line '^\[[0-9]+\] walker@[^ ]+\$ *$'; }
inside() { last_line "^walker@$1:/workspace\\\$ *\$"; }
empty() { [[ $(screen | grep -c .) == 1 ]]; }
typed() { ! last_line '\$ *$'; }

# types TEXT: at the prompt, on a screen that holds nothing else, so that what is seen is what came of it.
types() {
    keys C-l
    wait_for empty
    keys -l "$1"
    # Until it stands there, the prompt that is seen is the one before.
    wait_for typed
    keys Enter
}
# does TEXT [WORDS…]: a command on the server that succeeds, and says all of WORDS.
does() { ends_with 0 "$@"; }
ends_with() {
    local status=$1 words
    types "$2"
    wait_for on_server
    shift 2
    last_line "^\[$status\] " || fail "not status $status: $(screen)"
    for words in "$@"; do shows "$words" || fail "'$words' is not said: $(screen)"; done
}
# does_inside NAME TEXT [WORDS…]: the same in the shell of a container.
does_inside() {
    local name=$1 words
    types "$2"
    wait_for inside "$name"
    shift 2
    for words in "$@"; do shows "$words" || fail "'$words' is not said: $(screen)"; done
}
# leaves: out of the shell of a container, back on the server.
leaves() {
    types exit
    wait_for on_server
    shows 'keeps running and keeps its GPU' || fail "what becomes of it is not said: $(screen)"
}

state_of() { engine inspect -f '{{.State.Status}}' "$1._.walker" 2>/dev/null | grep . || echo gone; }
held() { as walker gpu-status --json | jq -r '[.cards[].units[] | select(.holder.owner == "walker") | .id] | length'; }
holds() { [[ $(held) == "$1" ]]; }
images_of_walker() { engine images --format '{{.Repository}}:{{.Tag}}' | grep -c '^ds01-walker/' || true; }

# --- what an administrator has set up -------------------------------------------------------------------------------------------

# An image that stands for a framework's; its pip puts in place what it is asked for, without asking a registry.
mkdir "$SCRATCH/base"
cat >"$SCRATCH/base/pip" <<'SH'
#!/bin/sh
for word; do case $word in install | -*) ;; *) echo 'there = True' >"/usr/lib/python3/dist-packages/$word.py" ;; esac; done
SH
printf 'FROM ds01-python:latest\nCOPY --chmod=755 pip /usr/bin/pip\n' | sed 's/--chmod=755 //' >"$SCRATCH/base/Dockerfile"
chmod 0755 "$SCRATCH/base/pip"
DOCKER_BUILDKIT=0 engine build --quiet --tag lab/pytorch:2.8.0 "$SCRATCH/base" >/dev/null 2>&1
printf 'frameworks:\n  pytorch: lab/pytorch:2.8.0\n' >>"$DS01_CONFIG"
kill -HUP "$(<"$DIR/lab/ds01d.pid")"
knows() { as walker image create probe --framework pytorch --dry-run; }
wait_for knows
as walker tee .bash_profile >/dev/null <<'SH'
PATH="$DS01_LAB/bin:$PATH"
PS1='[$?] \u@\h\$ '
ds01 greeting
SH

# The neighbour: he tries what he should not, at every turn. What he holds himself is one unit.
as walkbob docker run -d --name bobs --gpus device=0 busybox sleep 3600 >/dev/null
neighbour_gets_nothing() {
    local name=$1._.walker
    assert_fails "No such container" as walkbob docker kill "$name"
    assert_fails "No such container" as walkbob docker exec "$name" id
    assert_fails "No such container" as walkbob docker cp "$name:/etc/passwd" -
    assert_fails "you have no container" as walkbob container retire "$name"
    assert_fails "you may not bind" as walkbob docker run --rm -v "$WORKSPACE:/w" busybox ls /w
    assert_lacks "$(as walkbob docker ps -a; as walkbob docker images)" walker
}

# --- the first login ----------------------------------------------------------------------------------------------------------

terminal new-session -d -s it -x 160 -y 50 "$LAB" as "$DIR" walker bash --login
sees 'GPU units free'
sees 'You have no containers'
wait_for on_server
does ds01 'project launch my-project --open' 'container retire my-project' 'ds01 help all' '[-]-guided'
does 'container help' 'container deploy my-project --open'
does gpu-status '3 of 4 GPU units free' walkbob/bobs
does check-limits 'GPUs at once'
does 'check limits' 'GPUs at once'
does container-list "There are no containers"
does image-list
note "a first login: what is free, five commands, and where more is"

# Ctrl-C at each question: it is as it was.
breaks_off() {
    keys C-c
    wait_for on_server
    last_line '^\[130\] ' || fail "another status than 130: $(screen)"
    assert_eq "$(images_of_walker) $(ls -A "$HOME_OF_WALKER/dockerfiles" 2>/dev/null)" "0 " "half an image"
    assert_eq "$(engine ps -aq | wc -l)" 1 "half a container"
}
QUESTIONS=('Project:' 'Framework:' 'What for\?' 'Python packages besides:' 'Packages of the distribution:' 'Write it and build\?')
answer_all_but() {
    local at
    types image-create
    for ((at = 0; at < $1; at++)); do
        sees "${QUESTIONS[at]}"
        ((at)) || keys -l my-project
        keys Enter
    done
    sees "${QUESTIONS[$1]}"
}
for at in "${!QUESTIONS[@]}"; do
    answer_all_but "$at"
    breaks_off
done
types 'image-create my-project'
sees Framework:
breaks_off
types 'container-run my-project'
sees 'Deploy one with a GPU\?'
breaks_off
types 'container-deploy my-project --open'
sees 'my-project has no image yet'
breaks_off
note "Ctrl-C at every question leaves nothing half-made"

answer_all_but 5
keys Enter
wait_for on_server
sees 'built ds01-walker/my-project:latest'
assert_contains "$(<"$HOME_OF_WALKER/dockerfiles/my-project.Dockerfile")" "FROM lab/pytorch:2.8.0"
note "image-create: asked, written, built"

# --- set up, use, retire, come back ---------------------------------------------------------------------------------------------

types 'container-deploy my-project --open'
wait_for inside my-project
sees 'my-project · GPU 1:. .* ~/workspace/my-project → /workspace'
does_inside my-project pwd '^/workspace$'
does_inside my-project 'cd /workspace'
does_inside my-project 'echo "Hello" > file.txt'
does_inside my-project "echo 'import os; print(6 * 7, os.getcwd())' > train.py"
does_inside my-project 'python train.py' '^42 /workspace$'
neighbour_gets_nothing my-project
does_inside my-project 'touch /workspace/.keep-alive'
leaves
assert_eq "$(<"$WORKSPACE/my-project/file.txt")" Hello
assert_eq "$(stat -c %U "$WORKSPACE/my-project/file.txt")" walker
holds 1 || fail "its GPU is not held"
does 'container-retire my-project' 'GPU 1:. .* is free' 'safe .*workspace/my-project' 'safe .*ds01-walker/my-project'
assert_eq "$(state_of my-project)" gone
wait_for holds 0
types 'container-deploy my-project --open'
wait_for inside my-project
does_inside my-project 'cat file.txt' '^Hello$'
leaves
does 'container retire my-project' 'is stopped and removed'
does 'container-deploy my-project' 'my-project is running'
does 'container-run my-project </dev/null'
does 'container-retire my-project'
note "deploy, work, retire, deploy again: the files are there"

# --- a quick experiment ---------------------------------------------------------------------------------------------------------

# opens NAME: `container-deploy NAME --open` of a project that has no image of its own: the first that is offered is walker's.
opens() {
    types "container-deploy $1 --open"
    sees "$1 has no image yet"
    sees '> ds01-walker/my-project:latest'
    keys Enter
    wait_for inside "$1"
}
opens experiment-1
does_inside experiment-1 'echo "open(\"result\", \"w\").write(\"0.91\")" > run.py; python run.py'
leaves
assert_eq "$(<"$WORKSPACE/experiment-1/result")" 0.91
does 'container-retire experiment-1'
opens experiment-2
does_inside experiment-2 'echo "print(\"other approach\")" > run2.py; python run2.py' '^other approach'
leaves
does 'container-retire experiment-2'
note "a quick experiment, and another approach"

# --- training for days ------------------------------------------------------------------------------------------------------------

does 'docker tag ds01-walker/my-project:latest ds01-walker/training:latest'
does 'container-deploy training --background' 'training is running'
does 'touch ~/workspace/training/.keep-alive'
does container-stats '^training '
types 'container-run training'
wait_for inside training
does_inside training 'echo "import time; [(open(\"log\", \"a\").write(\"epoch\\n\"), time.sleep(0.2)) for _ in range(10**6)]" > train.py'
does_inside training 'nohup python train.py >/dev/null 2>&1 &'
leaves
epochs() { wc -l <"$WORKSPACE/training/log"; }
goes_on() { (($(epochs) > $1)); }
wait_for goes_on "$(epochs)"
types 'container-attach training'
wait_for inside training
does_inside training 'pgrep -f train.py' '^[0-9]+$'
leaves
types 'docker exec -it training._.$(whoami) bash'
wait_for inside training
does_inside training 'echo "print(\"accuracy 0.97\")" > evaluate.py; python evaluate.py' '^accuracy 0.97'
types exit
wait_for on_server
does 'docker logs training._.$(whoami)'
neighbour_gets_nothing training
does 'container-retire training' 'safe .*workspace/training'
note "a training that goes on while nobody looks"

# --- as the guide to GPUs has it ----------------------------------------------------------------------------------------------------

# Images of these names: which one a project begins with was asked above.
for name in myproject training-run old-project new-project; do as walker docker tag ds01-walker/my-project ds01-walker/$name; done
does 'container deploy myproject' 'myproject is running'
does 'container stop myproject' 'is free for others'
does 'container retire myproject'
does 'container deploy training-run'
does 'container retire training-run'
does 'container-deploy old-project'
does 'container-retire old-project'
does 'container-deploy new-project'
does 'docker rm -f new-project._.$(whoami)'
does 'time container-deploy training --background' '^real'
does 'container retire training'
does 'docker rmi ds01-$(whoami)/old-project:latest' Untagged
does 'mkdir ~/workspace/by-hand; printf "FROM lab/pytorch:2.8.0\nWORKDIR /workspace\nRUN pip install transformers datasets\n" > ~/workspace/by-hand/Dockerfile'
does 'docker build -t ds01-walker/by-hand ~/workspace/by-hand' 'Successfully tagged ds01-walker/by-hand'
does 'container-deploy by-hand'
does 'docker exec by-hand._.$(whoami) python -c "import transformers, datasets"'
does 'container-retire by-hand'
note "one after the other, and an image of a Dockerfile written by hand"

# --- experiments side by side -----------------------------------------------------------------------------------------------------

for name in exp-baseline exp-variant-a exp-variant-b; do
    types "container-deploy $name --background"
    sees 'has no image yet'
    keys Enter
    wait_for on_server
    sees "$name is running"
done
does container-list '^exp-baseline' '^exp-variant-a' '^exp-variant-b'
does 'container ls' '^exp-baseline'
does 'docker ps' 'exp-variant-a\._\.walker'
holds 3 || fail "three experiments hold $(held) units"
assert_fails "" as walkbob docker run --rm --gpus device=1:0 busybox true
note "three experiments side by side, each with a unit of its own"

does 'container-retire exp-variant-b'
as walkcat docker run -d --name cats --gpus 1 busybox sleep 3600 >/dev/null
# All are taken now: whoever comes waits, is told so, and may leave. Nothing of it stays.
types 'container-deploy fourth --image ds01-python --background'
sees 'in line'
keys C-c
wait_for on_server
last_line '^\[130\] ' || fail "another status than 130: $(screen)"
assert_eq "$(state_of fourth)" gone
ends_with 3 'container-deploy fourth --image ds01-python --wait 1s' 'GPU allocation failed after 1 s' 'Suggestions:' 'container stop' gpu-status
assert_eq "$(state_of fourth)" gone
does 'container-retire exp-baseline'
does 'container-retire exp-variant-a'
as walkcat docker rm -f cats >/dev/null
wait_for holds 0
note "Ctrl-C in the line, and an end of the wait: nothing is left of either"

# --- crashed ----------------------------------------------------------------------------------------------------------------------

does 'container-deploy my-project'
as walker tee workspace/my-project/kept >/dev/null <<<'kept'
engine kill my-project._.walker >/dev/null
wait_for holds 0
does 'container list' 'No container is running' '1 stopped container'
does 'ds01 why my-project' 'container run my-project'
does 'container-start my-project' 'is running with GPU'
engine kill my-project._.walker >/dev/null
wait_for holds 0
types 'container-run my-project'
wait_for inside my-project
does_inside my-project 'ls /workspace' kept
leaves
does 'docker exec my-project._.$(whoami) ls /workspace/' kept
does 'docker exec my-project._.$(whoami) ls /tmp/'
# Written `ls ~/`, for homes that lie in /home.
does 'docker exec my-project._.$(whoami) ls /home/walker/'
note "crashed: its GPU was free at once, its files are there, and it starts again"

does 'container-stop my-project'
does 'cp -a ~/workspace/my-project ~/backup && rm -r ~/workspace/my-project'
ends_with 4 'container-start my-project' 'workspace/my-project is not there' 'mkdir -p'
does 'mkdir ~/workspace/my-project && cp -a ~/backup/. ~/workspace/my-project'
does 'rm -r ~/backup'
does 'container-start my-project'
does 'docker exec my-project._.$(whoami) ls /workspace/' kept
note "a workspace that was deleted is told of, and one that was brought back is there"

# As docs/user/workspaces-and-files.md has it.
# --- saved in the wrong place -----------------------------------------------------------------------------------------------------

attach_and() {
    types 'container-attach my-project'
    wait_for inside my-project
    does_inside my-project "$1"
    leaves
}
attach_and 'echo weights > ~/model.pt; mkdir /tmp/plots; echo a > /tmp/plots/a; touch ~/.hidden /tmp/empty'
types 'container-retire my-project'
sees 'Outside /workspace, and gone with the container: /home/walker/model.pt .*, /tmp/plots \(1 file\)'
sees 'Copy them to ~/workspace/my-project/rescued first\?'
keys C-c
wait_for on_server
assert_eq "$(state_of my-project)" running "broken off, and retired all the same"
types 'container-retire my-project'
sees 'rescued first\?'
keys y Enter
wait_for on_server
sees 'is stopped and removed'
assert_eq "$(cat "$WORKSPACE/my-project/rescued/home/walker/model.pt" "$WORKSPACE/my-project/rescued/tmp/plots/a")" $'weights\na'
assert_eq "$(stat -c %U "$WORKSPACE/my-project/rescued/tmp/plots/a")" walker
does 'container-deploy my-project'
attach_and 'echo no matter > /tmp/notes'
types 'container-retire my-project'
sees 'Copy it to ~/workspace/my-project/rescued first\?'
keys n Enter
wait_for on_server
assert_eq "$(state_of my-project)" gone
[[ ! -e $WORKSPACE/my-project/rescued-2 ]] || fail "copied although nobody wanted it"
does 'container-deploy my-project'
attach_and 'echo in a script > ~/late'
does 'container-retire my-project --save-files' 'copied to ~/workspace/my-project/rescued-2: /home/walker/late'
assert_eq "$(<"$WORKSPACE/my-project/rescued-2/home/walker/late")" 'in a script'
note "what lies outside /workspace is told before it goes, and copied if that is wanted"

# --- the image: changed, deleted, made again --------------------------------------------------------------------------------------

does image-list '^my-project .* up to date'
types image-update
sees by-hand
# One that was built by hand is changed, too.
keys by-hand Enter
sees 'Search or add'
keys einops Enter
sees '\[\+\] einops'
keys Enter
sees '^ \+.*einops'
keys Enter
wait_for on_server
sees 'built ds01-walker/by-hand:latest'
types image-update
sees by-hand
keys my-project Enter
sees 'Search or add'
keys einops Enter
sees '\[\+\] einops'
keys Enter
sees '^ \+.*einops'
keys Enter
wait_for on_server
sees 'built ds01-walker/my-project:latest'
does 'image-update my-project --rebuild' 'built ds01-walker/my-project'
does 'container-deploy my-project'
does 'docker exec my-project._.$(whoami) python -c "import einops; print(einops.there)"' '^True'
does 'container-retire my-project'
does 'docker tag ds01-walker/my-project:latest ds01-walker/my-project:experiment-42'
does 'docker images' 'experiment-42'
does 'docker rmi ds01-$(whoami)/my-project:experiment-42' Untagged
types 'image-delete my-project'
sees 'Delete ds01-walker/my-project:latest'
keys C-c
wait_for on_server
does image-list '^my-project .* up to date'
types 'image-delete my-project'
sees 'Delete ds01-walker/my-project:latest'
keys y Enter
wait_for on_server
sees 'is deleted'
sees 'dockerfiles/my-project.Dockerfile is kept'
types 'container-deploy my-project --open'
sees '> its own, built from ~/dockerfiles/my-project.Dockerfile'
keys C-c
wait_for on_server
does 'container-deploy my-project --framework pytorch' 'image +lab/pytorch:2.8.0'
does 'container-retire my-project'
types 'image-create'
sees 'Project:'
keys -l my-project
keys Enter
wait_for on_server
sees 'built ds01-walker/my-project:latest'
assert_contains "$(<"$HOME_OF_WALKER/dockerfiles/my-project.Dockerfile")" einops
note "an image changed on the screen, deleted, and made again of its Dockerfile"

# --- other workspaces; a project from its beginning ------------------------------------------------------------------------------

does 'docker tag ds01-walker/my-project:latest ds01-walker/my-container:latest'
does 'container-create my-container --workspace ~/workspace' 'made and not started'
does 'container-start my-container'
does 'docker exec my-container._.$(whoami) ls /workspace/' '^my-project$'
does 'container-retire my-container'
does 'mkdir -p ~/other/path && container-create my-container --workspace ~/other/path' 'other/path → /workspace'
does 'container-retire my-container'
does 'project init my-thesis --base lab/pytorch:2.8.0 --blank --quick' 'my-thesis is begun'
types 'project launch my-thesis --open'
wait_for -t 60 inside my-thesis
does_inside my-thesis 'echo draft > chapter'
leaves
does 'container retire my-thesis'
types 'project launch my-thesis --open'
wait_for inside my-thesis
does_inside my-thesis 'cat chapter' '^draft$'
leaves
does 'cat ~/workspace/my-thesis/Dockerfile' '^FROM lab/pytorch'
does 'container retire my-thesis'
note "other workspaces; a project begun, launched, left and launched again"

# --- a GPU that is gone -------------------------------------------------------------------------------------------------------------

does 'container-deploy my-project' 'GPU +1:'
lose() {
    jq --argjson lost "$1" '.gpus[1].lost = $lost' "$MACHINE" >"$MACHINE.new"
    mv "$MACHINE.new" "$MACHINE"
    "$LAB" nvidia "$DIR" "$MACHINE"
}
lost() { as walker gpu-status | grep -q lost; }
lose true
wait_for lost
does 'ds01 why my-project' 'its GPU 1:. is lost' 'container retire my-project' 'container deploy my-project'
ends_with 3 'container-deploy second --image ds01-python --no-wait'
as walkbob docker rm -f bobs >/dev/null
does 'container-retire my-project' 'is stopped and removed'
does 'container-deploy my-project' 'GPU +0 '
does 'container-retire my-project'
lose false
! lost || wait_for not lost
note "a GPU that is gone is told of, and the work goes on with another"

# --- cleaning up --------------------------------------------------------------------------------------------------------------------

does 'docker system df' Images
does 'docker system df -v'
types 'docker image prune'
sees '\[y/N\]'
keys y Enter
wait_for on_server
types 'docker image prune -a'
sees '\[y/N\]'
keys y Enter
wait_for on_server
sees 'Deleted Images'
assert_eq "$(images_of_walker)" 0
engine image inspect lab/pytorch:2.8.0 busybox >/dev/null || fail "others' images went along"
assert_eq "$(engine ps -aq | wc -l)" 0 "what is left"
assert_eq "$(cat "$WORKSPACE/my-project/file.txt")" Hello
note "cleaned up; the workspaces stay"
