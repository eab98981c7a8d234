#!/usr/bin/env bash
# What people do with compose 2, as one story that prints what they would see; as compose.sh.
#
#   compose2.sh WORK COMPOSE      WORK: an empty directory of the caller's own; COMPOSE: the program
set -uo pipefail

WORK=$1 COMPOSE=$2
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=/dev/null
source "$HERE/steps.sh"
mkdir -p "$WORK/shop" && cd "$WORK/shop" || exit 1
export DOCKER_BUILDKIT=0 COMPOSE_PROGRESS=plain COMPOSE_ANSI=never

# Progress is told in whatever order the threads come, with how long it took and how well it was compressed.
compose() {
    "$COMPOSE" "$@" 2> >(sed -e 's/  */ /g' -e 's/ *[0-9.]*s *$//' -e 's/ [0-9.]*k*B$//' | sort -u >&2; echo "done" >"$WORK/.said")
    local rc=$?
    until_true test -e "$WORK/.said"
    rm -f "$WORK/.said"
    return "$rc"
}

mkdir -p page conf
echo "welcome" >page/index.html
echo "token" >conf/token
cat >Dockerfile <<'TEXT'
FROM busybox
COPY page /page
CMD ["httpd", "-f", "-h", "/page"]
TEXT
cat >compose.yaml <<'TEXT'
services:
  web:
    build: .
    image: my/shop
    restart: unless-stopped
    healthcheck: { test: ["CMD", "wget", "-qO-", "http://127.0.0.1/"], interval: 1s, retries: 20 }
    networks: { default: { aliases: [www] } }
    secrets: [token]
  worker:
    image: busybox
    command: sh -c 'echo worker ready; trap "echo worker done; exit 0" TERM; while :; do sleep 0.1; done'
    depends_on: { web: { condition: service_healthy } }
    environment: { GREETING: "${GREETING:-hello}" }
    volumes: [ "store:/store", "./page:/page:ro", /scratch ]
    deploy: { resources: { limits: { cpus: "0.5", memory: 128m } } }
    labels: { role: worker }
  tool:
    image: busybox
    profiles: [tools]
volumes: { store: {} }
secrets: { token: { file: ./conf/token } }
TEXT

step config compose config --services
step build compose build
step up compose up -d --wait web worker
step ps sh -c "'$COMPOSE' ps --format '{{.Name}} {{.Service}} {{.State}} {{.Health}} {{.ExitCode}}'"
step ls sh -c "'$COMPOSE' ls --format json | grep -o '\"Status\":\"[^\"]*\"'"
step logs compose logs --no-color worker
step exec compose exec -T worker sh -c 'echo $GREETING; ls /page; wget -qO- http://web/; wget -qO- http://www/; echo kept >/store/file'
step secret compose exec -T web cat /run/secrets/token
step exec-exit compose exec -T worker sh -c 'exit 5'
step run compose run --rm -T --no-deps worker cat /store/file
step run-exit compose run --rm -T --no-deps worker sh -c 'exit 6'
step run-in compose run --rm -T --no-deps tool cat <<<'typed in'
step port compose port web 80
step up-again compose up -d
export GREETING=moin
step recreate compose up -d
step recreated compose exec -T worker sh -c 'echo $GREETING; cat /store/file'
step cp compose cp conf/token worker:/scratch/token
step cp-back sh -c "'$COMPOSE' cp worker:/scratch/token - | tar -xO"
step pause compose pause worker
step unpause compose unpause worker
step stop compose stop -t 2 worker
step start compose start worker
step restart compose restart -t 1 worker
step scale compose up -d --scale worker=2 worker
step scaled sh -c "'$COMPOSE' ps -q worker | wc -l"
step top sh -c "'$COMPOSE' top web | tail -n1 | grep -o httpd"
step kill compose kill -s KILL worker
step rm compose rm -f worker
step images sh -c "'$COMPOSE' images --format json | grep -o '\"Repository\":\"[^\"]*\"' | sort -u"
step watch-up sh -c "timeout 20 '$COMPOSE' up --exit-code-from worker --abort-on-container-exit -t 1 2>&1 | grep -c 'worker ready'"
step down compose down -v -t 1 --rmi local --remove-orphans
step down-again compose down -v
