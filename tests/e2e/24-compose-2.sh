#!/usr/bin/env bash
# compose 2, of Debian's next release: a project is the same through the door, a reservation of GPUs gives units of one's
# own, and who builds with BuildKit is told what to do.
source "$(dirname "$0")/lib.sh"
# shellcheck source=/dev/null
source "$DS01_ROOT/tests/e2e/clients/compare.sh"
# shellcheck source=/dev/null
source "$DS01_ROOT/tests/e2e/clients/newer.sh"

NEWER_DIR=$(newer docker-compose) || { note "compose 2 cannot be had here: skipped"; exit 0; }
COMPOSE=$NEWER_DIR/usr/libexec/docker/cli-plugins/docker-compose
compare_start
same_story "compose 2" compose2.sh @WORK "$COMPOSE"

PROJECT=$(mktemp -d "$(getent passwd alice | cut -d: -f6)/train.XXXXXX")
cat >"$PROJECT/compose.yaml" <<'TEXT'
services:
  train:
    image: busybox
    command: sleep 1000
    deploy: { resources: { reservations: { devices: [ { driver: nvidia, count: 1, capabilities: [gpu] } ] } } }
  report:
    image: busybox
    command: sleep 1000
  made:
    build: .
    profiles: [made]
TEXT
echo 'FROM busybox' >"$PROJECT/Dockerfile"
chown -R alice: "$PROJECT"
compose() { as alice env -C "$PROJECT" COMPOSE_PROGRESS=plain COMPOSE_ANSI=never "$COMPOSE" -p train "$@" 2>&1 </dev/null; }

compose up -d >/dev/null || fail "compose up with a reservation of a GPU: $(compose logs)"
assert_eq "$(units_open_in alice train-train-1 | wc -l)" 1 "units of the service with the reservation"
assert_eq "$(units_open_in alice train-report-1)" "" "units of the service without one"
assert_contains "$(compose up -d)" "train-train-1  Running" "a second up changes nothing:"
compose restart -t 0 train >/dev/null || fail "restart"
assert_eq "$(units_open_in alice train-train-1 | wc -l)" 1 "units after compose restart"
compose down -t 0 >/dev/null || fail "compose down"
assert_eq "$(as alice docker ps -aq)" "" "after compose down"
note "a reservation of a GPU"

assert_fails "DOCKER_BUILDKIT=0 docker compose build" compose build made
as alice env -C "$PROJECT" DOCKER_BUILDKIT=0 "$COMPOSE" -p train build -q made >/dev/null 2>&1 || fail "what it says helps"
assert_eq "$(as alice docker ps -aq)" "" "no builder is left behind"
rm -rf -- "$PROJECT"
note "a build without BuildKit, and what is said to those who try with it"
