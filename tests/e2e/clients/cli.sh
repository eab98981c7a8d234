#!/usr/bin/env bash
# What people do with the docker command line, as one story that prints what they would see: run against the bare
# Engine and through the door, the two prints must be the same. Not a test by itself: ../20-clients.sh compares.
#
#   cli.sh DOCKER WORK      DOCKER: the client's binary; WORK: an empty directory of the caller's own
set -uo pipefail

DOCKER=$1
WORK=$2
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=/dev/null
source "$HERE/steps.sh"
cd "$WORK" || exit 1
export DOCKER_BUILDKIT=0 DOCKER_CLI_HINTS=false

docker() { "$DOCKER" "$@"; }

running() {
    step run docker run --rm busybox echo hello
    step run-streams docker run --rm busybox sh -c 'echo to-out; echo to-err >&2'
    step run-exit docker run --rm busybox sh -c 'exit 42'
    step run-not-executable docker run --rm busybox /etc/passwd
    step run-not-found docker run --rm busybox no-such-program
    step run-bad-flag docker run --no-such-flag busybox
    step run-stdin-ends-at-once docker run --rm -i busybox cat </dev/null
    step run-stdin docker run --rm -i busybox sh -c 'cat; echo end' <<<"line in"
    step run-output-after-stdin docker run --rm -i busybox sh -c 'wc -c; sleep 0.2; echo later' < <(head -c 100000 /dev/zero)
    step run-terminal typed -- "$DOCKER" run --rm -t busybox sh -c 'test -t 0 && test -t 1 && tty'
    step run-typed typed name: 'alice\n' number: '7\n' -- "$DOCKER" run --rm -it busybox \
        sh -c 'stty -echo; echo name:; read a; echo number:; read n; echo $a; exit $n'
    step run-options docker run --rm --hostname ship --workdir /tmp --user 1000:100 --env A=1 --env-file <(echo B=2) \
        --entrypoint sh --label l=1 --read-only --tmpfs /scratch --init --cap-drop NET_RAW --ulimit nofile=64:64 \
        --add-host other:10.9.8.7 --dns 10.1.2.3 busybox \
        -c 'hostname; pwd; id; echo $A$B; touch /x; ulimit -n; grep other /etc/hosts; cat /etc/resolv.conf; cat /proc/1/comm'
    step run-small-limits docker run --rm --memory 64m --cpus 0.5 --pids-limit 50 --shm-size 8m busybox df /dev/shm
    step run-bind docker run --rm -v "$WORK/data:/data" -v "$WORK/data:/ro:ro" busybox \
        sh -c 'cat /data/file; echo written >/data/new; touch /ro/x; ls /data'
    step run-bind-seen cat "$WORK/data/new"
    step run-mount docker run --rm --mount "type=bind,source=$WORK/data,target=/m,readonly" --mount type=tmpfs,target=/t busybox \
        sh -c 'ls /m; touch /m/x; touch /t/y && ls /t'
    step run-mount-missing docker run --rm --mount "type=bind,source=$WORK/nowhere,target=/m" busybox true
    step run-cidfile docker run --cidfile "$WORK/cid" --name of-cid busybox true
    step rm-by-cidfile docker rm "$(cat "$WORK/cid")"
}

looking() {
    step run-detached docker run -d --name box --label colour=red -e X=1 busybox sh -c 'echo started; exec sleep 1000'
    step name-taken docker run -d --name box busybox true
    step ps docker ps --format '{{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Ports}} {{.Mounts}} {{.Networks}} {{.Labels}}'
    step ps-all-quiet docker ps -aq
    step ps-no-trunc docker ps --no-trunc --format '{{.ID}} {{.Command}}'
    step ps-filter docker ps -a --filter label=colour=red --filter status=running --format '{{.Names}}'
    step ps-filter-none docker ps -a --filter name=nobody --format '{{.Names}}'
    step ps-size docker ps -s --format '{{.Size}}'
    step inspect docker inspect -f '{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{.Config.Image}} {{.Config.Env}} {{.Config.Cmd}} {{.Path}} {{.Args}} {{.HostConfig.RestartPolicy}} {{.HostConfig.Runtime}} {{.HostConfig.NetworkMode}} {{.HostConfig.Binds}} {{.HostConfig.CgroupParent}} {{.HostConfig.DeviceRequests}} {{.Mounts}} {{.Config.Labels}}' box
    step inspect-absent docker inspect nothing-of-that-name
    step inspect-type docker inspect --type image -f '{{.Os}} {{.Config.Cmd}} {{.RepoTags}}' busybox
    step top sh -c "'$DOCKER' top box -eo pid,comm | awk '{ print \$2 }'"
    step stats docker stats --no-stream --format '{{.Name}} {{.PIDs}}' box
    step logs docker logs box
    step logs-tail docker logs --tail 0 box
    step logs-stamped docker logs -t box
    step port docker port box
    step diff docker diff box
    step rename docker rename box chest
    step renamed docker ps --format '{{.Names}}'
    step rename-back docker rename chest box
    step pause docker pause box
    step paused docker inspect -f '{{.State.Status}}' box
    step unpause docker unpause box
    step update docker update --restart on-failure:3 box
    step updated docker inspect -f '{{.HostConfig.RestartPolicy}}' box
    step update-back docker update --restart no box
    step update-quota docker update --cpu-quota 50000 box
    step healthy docker run -d --name healthy --health-cmd true --health-interval 1s busybox sleep 100
    step health until_true sh -c "'$DOCKER' inspect -f '{{.State.Health.Status}}' healthy | grep -qx healthy"
    step restart docker restart -t 0 healthy
    step rm-running docker rm healthy
    step rm-forced docker rm -f healthy
    step rm-absent docker rm -f healthy
}

executing() {
    local sum
    step exec docker exec box echo inside
    step exec-exit docker exec box sh -c 'exit 9'
    step exec-not-found docker exec box no-such-program
    step exec-streams docker exec box sh -c 'echo to-out; echo to-err >&2'
    step exec-options docker exec -e Y=2 -w /tmp -u 1000 box sh -c 'echo $X$Y; pwd; id -u'
    step exec-stdin docker exec -i box sh -c 'cat; echo end' <<<"line in"
    step exec-stdin-ends-at-once docker exec -i box cat </dev/null
    step exec-terminal typed -- "$DOCKER" exec -t box sh -c 'test -t 0 && test -t 1 && tty'
    step exec-typed typed number: '5\n' -- "$DOCKER" exec -it box sh -c 'stty -echo; echo number:; read n; exit $n'
    step exec-detached docker exec -d box touch /tmp/detached
    step exec-detached-done until_true "$DOCKER" exec box test -e /tmp/detached
    head -c 52428800 /dev/urandom >"$WORK/large"
    sum=$(sha256sum <"$WORK/large")
    step exec-50MB-in sh -c "'$DOCKER' exec -i box sha256sum <'$WORK/large' | grep -qF '$sum'"
    step exec-50MB-out sh -c "'$DOCKER' exec -i box sh -c 'cat >/tmp/large' <'$WORK/large' && '$DOCKER' exec box cat /tmp/large | sha256sum | grep -qF '$sum'"
    step exec-50MB-both-ways sh -c "'$DOCKER' exec -i box cat <'$WORK/large' | sha256sum | grep -qF '$sum'"
    step exec-of-stopped sh -c "'$DOCKER' create --name idle busybox true >/dev/null; '$DOCKER' exec idle true; rc=\$?; '$DOCKER' rm idle; exit \$rc"
}

copying() {
    mkdir -p "$WORK/tree/deep"
    echo one >"$WORK/tree/a"
    echo two >"$WORK/tree/deep/b"
    ln -sf a "$WORK/tree/link"
    step cp-in docker cp "$WORK/tree" box:/tmp/
    step cp-in-seen docker exec box sh -c 'cd /tmp/tree && find . | sort && cat a deep/b && readlink link'
    step cp-out docker cp box:/tmp/tree/. "$WORK/back"
    step cp-out-same diff -r "$WORK/tree" "$WORK/back"
    step cp-file docker cp "$WORK/tree/a" box:/etc/motd
    step cp-file-out docker cp box:/etc/motd "$WORK/motd"
    step cp-file-same cmp "$WORK/tree/a" "$WORK/motd"
    step cp-tar-in sh -c "tar -C '$WORK/tree' -cf - a | '$DOCKER' cp - box:/var/"
    step cp-tar-out sh -c "'$DOCKER' cp box:/var/a - | tar -xOf -"
    step cp-large-in docker cp "$WORK/large" box:/tmp/copied
    step cp-large-out sh -c "'$DOCKER' cp box:/tmp/copied '$WORK/large.back' && cmp '$WORK/large' '$WORK/large.back'"
    step cp-absent docker cp box:/no/such "$WORK/x"
    step cp-no-directory docker cp "$WORK/tree/a" box:/no/such/place
    step diff-after sh -c "'$DOCKER' diff box | sort"
    step export sh -c "'$DOCKER' export box | tar -tf - | grep -E '^(etc/motd|tmp/tree/.*)$' | sort"
}

following() {
    step logs-follow-start docker run -d --name talker busybox sh -c 'for i in 1 2 3; do echo line $i; sleep 0.2; done; exit 6'
    step logs-follow docker logs -f talker
    step wait docker wait talker
    step logs-again docker logs --tail 2 talker
    step attach-start docker run -d --name ticker busybox sh -c 'trap "echo bye; exit 4" TERM; while :; do echo tick; sleep 0.05; done'
    ( docker attach --no-stdin ticker >"$WORK/attached" 2>&1; echo "exit $?" >>"$WORK/attached" ) &
    step attached until_true grep -q tick "$WORK/attached"
    step attach-stop docker kill --signal TERM ticker
    wait
    step attach uniq "$WORK/attached"
    step wait-ended docker wait ticker
    step kill-stopped docker kill ticker
    step create docker create -i --name reader busybox sh -c 'read line; echo "got $line"; cat; exit 3'
    step start-attached docker start -ai reader <<<$'first\nsecond'
    step start-again docker start -ai reader <<<"third"
    step create-and-start sh -c "'$DOCKER' start -a \$('$DOCKER' create --name once busybox echo made then started)"
    step start-detached docker start talker
    step start-running docker start box
    step stop-by-kill docker kill -s KILL box
    step killed docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' box
    step detach-keys typed ready '\x10\x11' -- "$DOCKER" run -it --name left busybox sh -c 'echo ready; exec sleep 1000'
    step left-running docker inspect -f '{{.State.Running}}' left
    step rm-several docker rm -f box talker ticker reader once left
}

telling() {
    local since
    since=$(date +%s.%N)
    docker run --name seen --label watched=yes busybox true
    docker rename seen noticed
    docker rm noticed >/dev/null
    step events docker events --since "$since" --until "$(date +%s.%N)" --filter label=watched=yes --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.image}} {{.Actor.Attributes.exitCode}}'
    docker events --filter label=watched=yes --filter event=die --format '{{.Action}} {{.Actor.Attributes.exitCode}}' >"$WORK/events" 2>&1 &
    step events-live until_true sh -c "'$DOCKER' run --rm --label watched=yes busybox sh -c 'exit 3'; grep -q . '$WORK/events'"
    kill $!
    wait
    step events-live-seen sort -u "$WORK/events"
}

sharing() {
    step volume-create docker volume create --label v=1 store
    step volume-list docker volume ls --format '{{.Name}} {{.Driver}} {{.Labels}}'
    step volume-inspect docker volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}} {{.Options}}' store
    step volume-write docker run --rm -v store:/s busybox sh -c 'echo kept >/s/file'
    step volume-read docker run --rm --mount type=volume,source=store,target=/s,readonly busybox cat /s/file
    step volume-in-use sh -c "'$DOCKER' create --name user -v store:/s busybox >/dev/null; '$DOCKER' volume rm store"
    step volumes-from docker run --rm --volumes-from user busybox cat /s/file
    step volume-mounts docker inspect -f '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.Driver}} {{.RW}}{{end}}' user
    step volume-anonymous docker run --rm -v /a busybox sh -c 'touch /a/x && ls /a'
    step volume-free sh -c "'$DOCKER' rm user && '$DOCKER' volume rm store"
    step volume-absent docker volume rm store
    step volume-prune docker volume prune -f
    step network-list docker network ls --filter name=bridge --format '{{.Name}} {{.Driver}} {{.Scope}}'
    step network-create docker network create --label n=1 ring
    step network-taken docker network create ring
    step network-inspect docker network inspect -f '{{.Name}} {{.Driver}} {{.Internal}} {{.Labels}} {{len .Containers}}' ring
    step network-server docker run -d --name server --network ring --network-alias srv busybox sh -c 'mkdir /w && echo page >/w/index.html && exec httpd -f -h /w'
    step network-served until_true "$DOCKER" run --rm --network ring busybox wget -qO- http://srv/
    step network-page docker run --rm --network ring busybox wget -qO- http://server/
    step network-container docker run --rm --network container:server busybox wget -qO- http://127.0.0.1/
    step network-members docker network inspect -f '{{range .Containers}}{{.Name}}{{end}}' ring
    step network-in-use docker network rm ring
    step network-connect docker network connect bridge server
    step network-connected docker inspect -f '{{range $name, $n := .NetworkSettings.Networks}}{{$name}} {{end}}' server
    step network-disconnect docker network disconnect ring server
    step network-none docker run --rm --network none busybox ls /sys/class/net
    step network-gone sh -c "'$DOCKER' rm -f server && '$DOCKER' network rm ring"
    step network-absent docker network inspect ring
}

imaging() {
    step images docker images --format '{{.Repository}}:{{.Tag}}' busybox
    step images-absent docker images -q no-such-image
    step tag docker tag busybox my/copy:v1
    step tagged docker images --format '{{.Repository}}:{{.Tag}} {{.ID}}' my/copy
    step history docker history --format '{{.CreatedBy}} {{.Size}}' my/copy:v1
    step commit-from docker run --name source busybox sh -c 'echo new >/made'
    step commit docker commit -m said -a me --change 'CMD cat /made' source my/committed
    step committed docker run --rm my/committed
    step committed-inspect docker inspect -f '{{.Comment}} {{.Author}} {{.Config.Cmd}}' my/committed
    step export-import sh -c "'$DOCKER' export source | '$DOCKER' import --change 'CMD cat /made' - my/imported"
    step imported docker run --rm my/imported
    step save sh -c "'$DOCKER' save my/copy:v1 | tar -tf - | grep -E '^(manifest.json|repositories)$' | sort"
    # An archive names its images in whatever order they came.
    step save-load sh -c "'$DOCKER' save my/copy:v1 my/committed | '$DOCKER' load | sort"
    step load-file sh -c "'$DOCKER' save -o saved.tar my/committed && gzip saved.tar && '$DOCKER' rmi my/committed >/dev/null && '$DOCKER' load -i saved.tar.gz && '$DOCKER' run --rm my/committed"
    step load-quiet sh -c "'$DOCKER' load -q -i saved.tar.gz"
    step load-nameless sh -c "'$DOCKER' save \$('$DOCKER' images -q my/committed) | '$DOCKER' load | cut -c 1-23"
    step untag docker rmi my/copy:v1
    step rmi sh -c "'$DOCKER' rm source; '$DOCKER' rmi my/committed my/imported >/dev/null"
    step rmi-absent docker rmi my/committed
    step image-missing docker image inspect my/committed
    mkdir -p "$WORK/context"
    echo copied >"$WORK/context/file"
    echo secret >"$WORK/context/ignored"
    echo ignored >"$WORK/context/.dockerignore"
    printf '%s\n' 'FROM busybox' 'ARG WORD=none' 'ENV SAID=$WORD' 'COPY . /ctx' 'RUN echo ran $WORD >/ran' \
        'LABEL made=here' 'WORKDIR /ctx' 'CMD cat /ran; ls -A; echo $SAID' >"$WORK/context/Dockerfile"
    step build docker build --build-arg WORD=spoken -t my/built "$WORK/context"
    step built docker run --rm my/built
    step build-cached sh -c "'$DOCKER' build --build-arg WORD=spoken -t my/built '$WORK/context' | grep -c 'Using cache'"
    step build-quiet docker build -q -t my/quiet "$WORK/context"
    step build-stdin docker build -q - <<<$'FROM busybox\nENV Z=1'
    step build-nameless sh -c "id=\$(printf 'FROM busybox\nRUN echo nameless >/n\n' | '$DOCKER' build -q -) && '$DOCKER' run --rm \$id cat /n && '$DOCKER' rmi \$id | grep -c '^Deleted'"
    step build-file sh -c "printf 'FROM my/built\nRUN cat /ran\n' >'$WORK/Other'; '$DOCKER' build --no-cache -f '$WORK/Other' -t my/other '$WORK/context'"
    step build-cache-absent sh -c "'$DOCKER' build -q --cache-from my/absent --cache-from my/built -t my/quiet '$WORK/context'"
    step build-fails docker build --force-rm -t my/broken - <<<$'FROM busybox\nRUN exit 4'
    step build-target sh -c "printf 'FROM busybox AS one\nRUN echo 1 >/n\nFROM busybox\nCOPY --from=one /n /n\nCMD cat /n\n' | '$DOCKER' build -q -t my/staged - >/dev/null && '$DOCKER' run --rm my/staged"
    step build-clean sh -c "'$DOCKER' rmi my/built my/quiet my/other my/staged >/dev/null"
}

machine() {
    step version docker version --format '{{.Server.Version}} {{.Server.APIVersion}} {{.Server.Os}}/{{.Server.Arch}}'
    step info docker info --format '{{.ServerVersion}} {{.Driver}} {{.OSType}} {{.Architecture}} {{.NCPU}} {{.MemTotal}} {{.CgroupVersion}} {{.LiveRestoreEnabled}} {{.Containers}} {{.ContainersRunning}} {{.DefaultRuntime}} {{.Swarm.LocalNodeState}} {{.Plugins.Volume}}'
    step df sh -c "'$DOCKER' system df --format '{{.Type}} {{.TotalCount}} {{.Active}}' | grep -v Images"
    step prune docker container prune -f
    step pull-refused-registry sh -c "'$DOCKER' pull 127.0.0.1:1/no/image 2>&1 | head -c 40"
    step link-absent docker run --rm --link no-such busybox true
    step left-containers docker ps -aq
    step left-volumes docker volume ls -q
}

mkdir -p "$WORK/data"
echo in-file >"$WORK/data/file"
for part in running looking executing copying following telling sharing imaging machine; do
    "$part"
done
