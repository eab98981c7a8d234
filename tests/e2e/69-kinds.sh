#!/usr/bin/env bash
# Each kind of container goes by its own idle time: docker run, compose, a dev container, and one that ds01 made; while ds01d is killed
# after every warning and every decision to stop. None goes early, none unwarned, nothing is told twice.
source "$(dirname "$0")/lib.sh"
cat >"$SCRATCH/machine.yaml" <<'TEXT'
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [1g.10gb, 1g.10gb, 1g.10gb, 1g.10gb] }
TEXT
lab_start --machine "$SCRATCH/machine.yaml" --users kim:student
declare -A IDLE=([docker]=20 [compose]=30 [devcontainer]=40 [ds01]=50)
declare -A NAME=([docker]=by-docker [compose]=kinds_service_1 [devcontainer]=by-editor [ds01]=by-ds01)
KINDS=(docker compose devcontainer ds01)
types=$(for kind in "${KINDS[@]}"; do echo "$kind: { idle_timeout: ${IDLE[$kind]}s }"; done | paste -sd,)
sed -i "s/^defaults:/policies: { sigterm_grace_seconds: 1 }\ncontainer_types: { $types }\ndefaults:/" "$DS01_CONFIG"
"$LAB" restart-door "$DIR" >/dev/null

PROJECT=$(mktemp -d "$(getent passwd kim | cut -d: -f6)/kinds.XXXXXX")
before_down() { rm -rf -- "$PROJECT"; }
cat >"$PROJECT/docker-compose.yml" <<'TEXT'
version: "3.8"
services:
  service:
    image: busybox
    command: sleep 1000
    deploy: { resources: { reservations: { devices: [ { driver: nvidia, count: 1, capabilities: [gpu] } ] } } }
TEXT
chown -R kim: "$PROJECT"
as kim docker run -d --name by-docker --gpus all busybox sleep 1000 >/dev/null
as kim env -C "$PROJECT" docker-compose --ansi never -p kinds up -d >/dev/null 2>&1
as kim docker run -d --name by-editor --gpus all -l "devcontainer.local_folder=$PROJECT" busybox sleep 1000 >/dev/null
as kim container deploy by-ds01 --image busybox --background >/dev/null

# What is written of courses: "container: warned, last warning", "container: stopped".
courses() {
    as root ds01 events --json | jq -r 'select(.event == "warned" or .event == "stopped")
        | .container + ": " + .event + (if .event == "warned" then (.text | capture("(?<stage>, [a-z ]+)$").stage) else "" end)'
}
: >"$SCRATCH/seen"
something_new() { courses >"$SCRATCH/now" && grep -vxFf "$SCRATCH/seen" "$SCRATCH/now"; }
kills=0
while (($(grep -c ': stopped$' "$SCRATCH/seen") < ${#KINDS[@]})); do
    wait_for -t 120 something_new
    cp "$SCRATCH/now" "$SCRATCH/seen"
    "$LAB" restart-door "$DIR" --kill >/dev/null
    kills=$((kills + 1))
done

inspect() { engine inspect -f "$2" "$([[ $1 == ds01 ]] && echo by-ds01._.kim || echo "${NAME[$1]}")"; }
seconds_since() { echo $(($(date -d "$2" +%s%3N) - $(date -d "$1" +%s%3N))); }
last=''
for kind in "${KINDS[@]}"; do
    is_over() { [[ $(inspect "$kind" '{{.State.Status}}') == exited ]]; }
    wait_for -t 60 is_over
    ran=$(seconds_since "$(inspect "$kind" '{{.State.StartedAt}}')" "$(inspect "$kind" '{{.State.FinishedAt}}')")
    ((ran >= IDLE[$kind] * 1000)) || fail "$kind was stopped after $ran ms of ${IDLE[$kind]} s"
    for step in ': warned, first warning' ': warned, last warning' ': stopped'; do
        assert_eq "$(courses | grep -cxF "${NAME[$kind]}$step")" 1 "how often it is written: ${NAME[$kind]}$step"
    done
    ended=$(inspect "$kind" '{{.State.FinishedAt}}')
    [[ -z $last || $(seconds_since "$last" "$ended") -gt 0 ]] || fail "$kind went before one with a shorter time"
    last=$ended
    note "$kind: idle for ${IDLE[$kind]} s at most, stopped after $((ran / 1000)) s"
done
((kills >= 8)) || fail "ds01d was killed $kills times only"
note "each kind of container goes by its own time, whenever ds01d dies"
