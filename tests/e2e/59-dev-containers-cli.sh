#!/usr/bin/env bash
# The real command line of Dev Containers, with files that `ds01 devcontainer init` wrote: up, exec, a GPU on demand, one that is
# its own. It comes from npm's registry; where that cannot be reached, the story is skipped.
source "$(dirname "$0")/lib.sh"

if ! command -v npm >/dev/null || ! npm install --silent --no-audit --no-fund --prefix "$SCRATCH/npm" @devcontainers/cli &>"$SCRATCH/npm.log"; then
    note "SKIPPED: no npm, or no registry"
    exit 0
fi
CLI=$SCRATCH/npm/node_modules/@devcontainers/cli/devcontainer.js
chmod -R a+rX "$SCRATCH/npm"
# It keeps a directory by the user's name: one of another lab's alice is not this one's.
mkdir -m 1777 "$SCRATCH/tmp"

lab_start --users alice:student
HOME_OF_ALICE=$(getent passwd alice | cut -d: -f6)
PROJECT=$HOME_OF_ALICE/workspace/dc59
before_down() { rm -rf --one-file-system -- "$PROJECT"; }
before_down

# dev COMMAND [WORDS…]: in the project, as VS Code calls it.
dev() {
    local command=$1
    shift
    as alice env TMPDIR="$SCRATCH/tmp" node "$CLI" "$command" --workspace-folder "$PROJECT" "$@"
}
up() { dev up --remove-existing-container 2>"$SCRATCH/up.log" | jq -r .outcome; }
anew() { rm -rf "$PROJECT/.devcontainer"; as alice ds01 devcontainer init dc59 "$@" >/dev/null; }

as alice project init dc59 --base ds01-python:latest --blank --quick >/dev/null
as alice image update dc59 &>/dev/null

note "without a GPU: it comes up, and what is made in it is alice's"
anew
assert_eq "$(up)" success
assert_eq "$(dev exec sh -c 'pwd; touch made; ls /dev/nvidia* 2>/dev/null' 2>/dev/null || true)" /workspace
assert_eq "$(stat -c %U "$PROJECT/made")" alice
id=$(engine ps --quiet --no-trunc)
assert_eq "$(as alice container list --json | jq -r '.containers[0].kind')" dev_container
assert_eq "$(as alice container list --json | jq -r '.containers[0].stop')" null "nobody stops it"

note "with ds01 run inside: a GPU for one command, and none held before or after"
anew --gpu-on-demand
assert_eq "$(up)" success
assert_ne "$(engine ps --quiet --no-trunc)" "$id"
assert_contains "$(dev exec ds01 whoami 2>/dev/null)" "called from  container"
rc=0
said=$(dev exec ds01 run -- sh -c 'pwd; ls /dev/nvidia[0-9]*; exit 5' 2>/dev/null) || rc=$?
assert_eq "$rc" 5
assert_contains "$said" /dev/nvidia
nothing_held() { [[ $(as alice container list --json | jq '[.containers[].units[]] | length') == 0 ]]; }
wait_for nothing_held

note "with a GPU of its own"
anew --gpu
assert_eq "$(up)" success
assert_contains "$(dev exec sh -c 'ls /dev/nvidia[0-9]*' 2>/dev/null)" /dev/nvidia
assert_contains "$(as alice ds01 devcontainer check dc59)" "stopped  runArgs: --gpus all"
as alice ds01 devcontainer check dc59 --fix >/dev/null
assert_eq "$(up)" success
assert_fails "No such file" dev exec ls /dev/nvidia0
engine ps --quiet | xargs -r docker -H "$DS01_ENGINE" rm -f >/dev/null

note "of a compose file: what asks for a GPU is found in it, and taken out of it"
rm -rf "$PROJECT/.devcontainer"
as alice sh -c 'cd workspace/dc59 && mkdir .devcontainer && cat >compose.yml' <<'END'
services:
  work: # here
    image: ds01-python
    command: sleep infinity
    volumes: [".:/workspace"]
    deploy:
      resources:
        reservations:
          devices:
            - {driver: nvidia, count: 1, capabilities: [gpu]}
  beside:
    image: busybox
    command: sleep infinity
    network_mode: host
END
as alice sh -c 'cd workspace/dc59 && cat >.devcontainer/devcontainer.json' <<'END'
{ "dockerComposeFile": "../compose.yml", "service": "work", "workspaceFolder": "/workspace" }
END
said=$(as alice ds01 devcontainer check dc59) && fail "what would be refused is no failure"
assert_contains "$said" "stopped  ../compose.yml: work: deploy.resources.reservations.devices"
assert_contains "$said" "refused  ../compose.yml: beside: network_mode"
as alice ds01 devcontainer check dc59 --fix >/dev/null
assert_contains "$(as alice cat workspace/dc59/compose.yml)" "  work: # here"
assert_eq "$(up)" success
assert_fails "No such file" dev exec ls /dev/nvidia0
assert_eq "$(as alice container list --json | jq -r '[.containers[] | .kind + " " + (.stop | tostring)] | sort | join(", ")')" "compose null, dev_container null" "nobody stops them"
engine ps --quiet | xargs -r docker -H "$DS01_ENGINE" rm -f >/dev/null
