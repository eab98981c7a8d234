#!/usr/bin/env bash
# Every form of asking for a GPU ends in exactly the granted units inside the container, in process 1 and in exec, or
# in a refusal; who asks for none gets `void` and no device.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student,carol:researcher
cp -r "$DS01_ROOT/tests/e2e/clients" "$SCRATCH/clients"
chmod -R a+rX "$SCRATCH/clients"

as carol /usr/bin/python3 "$SCRATCH/clients/gpu_forms.py" "$(<"$DIR/run/devices.json")" || fail "forms of asking for a GPU"

# The same through the command line, whose own parsing stands before the door's.
opened() { as carol "$@" busybox sh -c 'for d in /dev/nvidia*; do [ -e "$d" ] && : <"$d" && echo "$d"; done | wc -l'; }
assert_eq "$(opened docker run --rm --gpus all)" 1 "--gpus all"
assert_eq "$(opened docker run --rm --gpus 2)" 2 "--gpus 2"
assert_eq "$(opened docker run --rm --gpus '"device=0,1:2"')" 2 "--gpus device=0,1:2"
assert_eq "$(opened docker run --rm --runtime nvidia -e NVIDIA_VISIBLE_DEVICES=0)" 1 "--runtime nvidia"
assert_eq "$(opened docker run --rm -v /dev/null:/var/run/nvidia-container-devices/all)" 1 "a volume mount"
assert_eq "$(opened docker run --rm --device /dev/nvidia0)" 1 "--device /dev/nvidia0"
assert_eq "$(opened docker run --rm)" 0 "nothing"
if [[ -x /usr/local/bin/docker ]]; then
    assert_eq "$(opened /usr/local/bin/docker run --rm --device nvidia.com/gpu=0)" 1 "--device nvidia.com/gpu=0"
    assert_eq "$(opened /usr/local/bin/docker run --rm --gpus 'driver=cdi,"device=nvidia.com/gpu=0"')" 1 "--gpus driver=cdi"
fi
assert_fails "2 asked for, 1 allowed" as alice docker run --rm --gpus 2 busybox true
assert_eq "$(as alice docker ps -aq)" "" "nothing stays of a refused start"
note "the command line's own forms"

# What the unit must be: options of the request, and the flags of `container deploy`.
unit_of_project() { as carol gpu-status --json | jq -r --arg name "$1" '.cards[].units[] | select(.holder.container == $name) | .unit // . | .address'; }
for case in "whole full=true 0" "large memory=30g 1:0" "slice memory=5g,model=2g 1:1"; do
    read -r name options address <<<"$case"
    as carol docker run -d --name "$name" --gpus "1,\"options=$options\"" busybox sleep 600 >/dev/null
    assert_eq "$(unit_of_project "$name")" "$address" "--gpus options=$options"
done
assert_contains "$(as carol docker inspect --format '{{json .HostConfig.DeviceRequests}}' slice)" '"Options":{"memory":"5g","model":"2g"}'
assert_contains "$(as carol docker create --gpus '1,"options=mem=5g"' busybox 2>&1)" "there are memory, model, full"
assert_fails "write a size with its unit: memory=30g" as carol docker create --gpus '1,"options=memory=30"' busybox
as carol sh -c 'docker rm --force $(docker ps --all --quiet)' >/dev/null
for case in "whole --full-gpu 0" "large --gpu-memory=30g 1:0" "slice --gpu=2g 1:1" "named --gpu=a100 1:2"; do
    read -r project flag address <<<"$case"
    as carol container deploy "$project" --image busybox "$flag" >/dev/null
    assert_eq "$(unit_of_project "$project")" "$address" "container deploy $flag"
done
assert_eq "$(as carol container deploy large --image busybox --gpu-memory 30g --json | jq .reused)" true "the same again"
assert_fails "was made with other settings" as carol container deploy large --image busybox --gpu-memory 10g
assert_fails "cannot give" as carol container deploy more --image busybox --gpu b200
assert_fails "write a size such as 30g" as carol container deploy more --image busybox --gpu-memory 30
assert_eq "$(as carol container list --json | jq '.containers | length')" 4 "nothing stays of a refused deploy"
as carol container retire --force whole large slice named >/dev/null
note "container deploy by memory, model, profile, or whole"
