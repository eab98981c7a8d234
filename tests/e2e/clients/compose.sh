#!/usr/bin/env bash
# What people do with docker-compose 1.29, as one story that prints what they would see; as cli.sh.
#
#   compose.sh WORK      WORK: an empty directory of the caller's own
set -uo pipefail

WORK=$1
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=/dev/null
source "$HERE/steps.sh"
mkdir -p "$WORK/shop" && cd "$WORK/shop" || exit 1
export COMPOSE_DOCKER_CLI_BUILD=0 DOCKER_BUILDKIT=0 COMPOSE_INTERACTIVE_NO_CLI=1

# Progress is told in whatever order the threads come: sorted, and without the lines that say that something begins.
compose() {
    docker-compose --ansi never "$@" 2> >(grep -v '\.\.\. *$' | sed 's/  */ /g' | sort >&2; echo "done" >"$WORK/.said")
    local rc=$?
    until_true test -e "$WORK/.said"
    rm -f "$WORK/.said"
    return "$rc"
}

# This docker-compose attaches after it has started, so what a short program says may be over by then: it is said
# until it was seen.
run_until_seen() {
    compose run --rm -T worker sh -c 'until [ -e /store/seen ]; do cat /store/file; sleep 0.1; done' | {
        local line
        read -r line
        echo "$line"
        docker-compose exec -T worker touch /store/seen
        cat >/dev/null
    }
    return "${PIPESTATUS[0]}"
}

mkdir -p page
echo "welcome" >page/index.html
cat >Dockerfile <<'TEXT'
FROM busybox
COPY page /page
CMD ["httpd", "-f", "-h", "/page"]
TEXT
cat >docker-compose.yml <<'TEXT'
version: "2.4"
services:
  web:
    build: .
    image: my/shop
    restart: unless-stopped
    healthcheck: { test: ["CMD", "wget", "-qO-", "http://127.0.0.1/"], interval: 1s, retries: 20 }
    networks: { default: { aliases: [www] } }
  worker:
    image: busybox
    command: sh -c 'echo worker ready; trap "echo worker done; exit 0" TERM; while :; do sleep 0.1; done'
    depends_on: { web: { condition: service_healthy } }
    environment: { GREETING: "${GREETING:-hello}" }
    volumes: [ "store:/store", "./page:/page:ro", /scratch ]
    mem_limit: 128m
    labels: { role: worker }
volumes: { store: {} }
TEXT

step config compose config --services
step build compose build
step up compose up -d
step ps sh -c "docker-compose ps | sed 's/  */ /g'"
step logs compose logs --no-color worker
step exec compose exec -T worker sh -c 'echo $GREETING; ls /page; wget -qO- http://web/; wget -qO- http://www/; echo kept >/store/file'
step exec-exit compose exec -T worker sh -c 'exit 5'
step run run_until_seen
step run-exit compose run --rm -T --no-deps worker sh -c 'exit 6'
step up-again compose up -d
export GREETING=moin
step recreate compose up -d
step recreated compose exec -T worker sh -c 'echo $GREETING; cat /store/file'
step stop compose stop -t 2 worker
step start compose start worker
step restart compose restart -t 1 worker
step scale compose up -d --scale worker=2 worker
step scaled sh -c "docker-compose ps -q worker | wc -l"
step top sh -c "docker-compose top web | tail -n1 | grep -o httpd"
step kill compose kill -s KILL worker
step rm compose rm -f worker
step images sh -c "docker-compose images | awk 'NR > 2 { print \$2 }'"
step down compose down -v -t 1 --rmi local --remove-orphans
step down-again compose down -v
