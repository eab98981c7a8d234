#!/usr/bin/env bash
# docker-compose 1.29: a project of two services is the same through the door, and a reservation of GPUs, from compose
# as from docker-py, ends in exactly the units that were granted.
source "$(dirname "$0")/lib.sh"
# shellcheck source=/dev/null
source "$DS01_ROOT/tests/e2e/clients/compare.sh"

compare_start
same_story docker-compose compose.sh @WORK

PROJECT=$(mktemp -d "$(getent passwd alice | cut -d: -f6)/train.XXXXXX")
cat >"$PROJECT/docker-compose.yml" <<'TEXT'
version: "3.8"
services:
  train:
    image: busybox
    command: sleep 1000
    deploy: { resources: { reservations: { devices: [ { driver: nvidia, count: 1, capabilities: [gpu] } ] } } }
  report:
    image: busybox
    command: sleep 1000
TEXT
chown -R alice: "$PROJECT"
# shellcheck disable=SC2016  # the container's own variable
variable_in() { as alice docker exec "$1" sh -c 'echo $NVIDIA_VISIBLE_DEVICES'; }
unit_in_books() {
    as alice curl -s --unix-socket "${DOCKER_HOST#unix://}" http://door/ds01/v1/containers |
        jq -r --arg name "$1" '.containers[] | select(.name == $name) | [.units[].id] | join(",")'
}
compose() { as alice env -C "$PROJECT" docker-compose --ansi never -p train "$@" 2>&1 </dev/null; }

compose up -d >/dev/null || fail "compose up with a reservation of a GPU: $(compose logs)"
assert_eq "$(units_open_in alice train_train_1 | wc -l)" 1 "units of the service with the reservation"
assert_eq "$(units_open_in alice train_report_1)" "" "units of the service without one"
assert_eq "$(variable_in train_report_1)" void "the variable in the service without one"
assert_contains "$(compose up -d)" "train_train_1 is up-to-date" "a second up changes nothing:"
assert_eq "$(unit_in_books train_train_1)" "$(variable_in train_train_1)" "the unit of the service"
assert_contains "$(compose restart -t 0 train)" "done" "restart"
assert_eq "$(units_open_in alice train_train_1 | wc -l)" 1 "units after compose restart"
assert_eq "$(unit_in_books train_train_1)" "$(variable_in train_train_1)" "the unit after compose restart"
assert_contains "$(as alice docker inspect -f '{{json .HostConfig.DeviceRequests}}' train_train_1)" '"Driver":"nvidia","Count":1' "inspect shows what was asked:"
compose down -t 0 >/dev/null || fail "compose down"
assert_eq "$(as alice docker ps -aq)" "" "after compose down"
rm -rf -- "$PROJECT"
note "docker-compose: a reservation of a GPU"

sdk() { as alice env PATH=/usr/bin:/bin /usr/bin/python3 -c "$1" 2>&1; }
# shellcheck disable=SC2016  # the program inside is the container's
assert_contains "$(sdk '
import docker
from docker.types import DeviceRequest
client = docker.from_env()
ask = [DeviceRequest(count=-1, capabilities=[["gpu"]])]
print(client.containers.run("busybox", ["sh", "-c", "for d in /dev/nvidia[0-9]*; do : <$d && echo opened; done"], device_requests=ask, remove=True))
')" "b'opened\\n'" "docker-py, all:"
assert_contains "$(sdk '
import docker
from docker.types import DeviceRequest
docker.from_env().containers.run("busybox", "true", device_requests=[DeviceRequest(count=99, capabilities=[["gpu"]])], remove=True)
')" "docker.errors.APIError" "docker-py, more than there is:"
assert_eq "$(as alice docker ps -aq)" "" "nothing stays of a refused create"
note "docker-py: device requests"
