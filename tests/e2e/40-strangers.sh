#!/usr/bin/env bash
# Bob cannot see, use, change or remove anything of alice's; whoever is inside a container acts as its owner; binds give
# nobody more than he has on the host.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student,bob:student
cp -r "$DS01_ROOT/tests/e2e/clients" "$SCRATCH/clients"
chmod -R a+rX "$SCRATCH/clients"
HOME_ALICE=$(getent passwd alice | cut -d: -f6)
HOME_BOB=$(getent passwd bob | cut -d: -f6)
WORKSPACE=$(mktemp -d "$HOME_ALICE/strangers.XXXXXX")
BOBS=$(mktemp -d "$HOME_BOB/strangers.XXXXXX")
chown alice: "$WORKSPACE"
chown bob: "$BOBS"

what_alice_has() {
    engine inspect -f '{{.Id}} {{.Name}} {{.State.Status}} {{.State.StartedAt}} {{.RestartCount}} {{.HostConfig.Memory}} {{json .NetworkSettings.Networks}}' alice-secret child
    engine exec alice-secret cat /etc/hostname /kept
    engine volume inspect alice-vol
    engine network inspect -f '{{.Id}} {{.Containers}}' alice-net
    engine images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort
}

nothing_is_there() {
    local id exec_id before listener
    as alice docker volume create alice-vol >/dev/null
    as alice docker network create alice-net >/dev/null
    as alice docker run -d --name alice-secret --label secret=yes -v alice-vol:/kept-in busybox sh -c 'echo kept >/kept; exec sleep 1000' >/dev/null
    as alice docker network connect alice-net alice-secret
    as alice docker run -d --name child --link alice-secret:friend busybox sleep 1000 >/dev/null
    wait_for as alice docker exec alice-secret test -e /kept
    as alice docker commit alice-secret ds01-alice/project:latest >/dev/null
    id=$(engine inspect -f '{{.Id}}' alice-secret)
    exec_id=$(as alice curl -s --unix-socket "${DOCKER_HOST#unix://}" -H 'Content-Type: application/json' -d '{"Cmd":["sleep","1000"]}' "http://door/v1.41/containers/$id/exec" | jq -r .Id)
    as bob docker network create bob-net >/dev/null
    as bob docker run -d --name bob-box --network bob-net busybox sh -c 'trap : USR1; while :; do sleep 1000 & wait; done' >/dev/null

    before=$(what_alice_has)
    hers=$(jq -cn --arg id "$id" --arg exec "$exec_id" --arg net "$(engine network inspect -f '{{.Id}}' alice-net)" \
        --arg image "$(engine inspect -f '{{.Id}}' ds01-alice/project:latest)" --arg until "$(date +%s)" \
        '{id: $id, name: "alice-secret", link: "child/friend", exec: $exec, volume: "alice-vol", network: "alice-net",
          network_id: $net, image: "ds01-alice/project:latest", image_id: $image, until: $until}')
    mkfifo "$SCRATCH/go"
    as bob /usr/bin/python3 "$SCRATCH/clients/strangers.py" "$hers" >"$SCRATCH/strangers.out" 2>&1 <"$SCRATCH/go" &
    listener=$!
    exec 8>"$SCRATCH/go"
    wait_for -t 60 grep -qE 'listening|Error|do not' "$SCRATCH/strangers.out"
    as alice docker run --rm --name alice-passing -v alice-vol:/v ds01-alice/project:latest true
    echo go >&8 || true
    exec 8>&-
    wait "$listener" || fail "strangers: $(<"$SCRATCH/strangers.out")"
    grep hold "$SCRATCH/strangers.out"
    assert_eq "$(what_alice_has)" "$before" "what alice has"
}

command_line() {
    local command reference said id
    id=$(engine inspect -f '{{.Id}}' alice-secret)
    for command in 'inspect REF' 'exec REF id' 'stop REF' 'rename REF bobs' 'attach REF' 'cp REF:/etc/hostname -' 'cp /etc/hostname REF:/x' \
        'commit REF bobs' 'logs REF' 'wait REF' 'rm -f REF' 'start REF' 'top REF' 'stats --no-stream REF' 'diff REF' 'port REF' 'update --memory 64m REF'; do
        for reference in alice-secret "$id" "${id:0:12}" child/friend; do
            said=$(as bob sh -c "docker ${command//REF/$reference}" 2>&1 </dev/null) && [[ $command != rm* ]] && fail "bob: docker ${command//REF/$reference}: $said"
            [[ $said =~ [Nn]o\ such|page\ not\ found|no\ name\ or\ id ]] || fail "bob: docker ${command//REF/$reference} said: $said"
        done
    done
    assert_eq "$(as bob docker ps -a --format '{{.Names}}')" bob-box "bob's own list"
    assert_eq "$(engine inspect -f '{{.State.Running}}' alice-secret)" true "alice's container runs on"
    note "the command line: no such container"
}

builds_see_only_what_their_owner_sees() {
    printf 'FROM ds01-alice/project\nRUN cat /kept\n' >"$BOBS/Dockerfile"
    assert_fails "ds01-alice/project" as bob env DOCKER_BUILDKIT=0 docker build -t mine "$BOBS"
    printf 'ARG BASE=ds01-alice/project\nFROM ${BASE}\nRUN cat /kept\n' >"$BOBS/Dockerfile"
    assert_fails "ds01-alice/project" as bob env DOCKER_BUILDKIT=0 docker build -t mine "$BOBS"
    printf 'FROM busybox\nCOPY --from=ds01-alice/project /kept /kept\n' >"$BOBS/Dockerfile"
    assert_fails "ds01-alice/project" as bob env DOCKER_BUILDKIT=0 docker build -t mine "$BOBS"
    printf 'FROM %s\n' "$(engine inspect -f '{{.Id}}' ds01-alice/project | cut -d: -f2)" >"$BOBS/Dockerfile"
    assert_fails "o such image" as bob env DOCKER_BUILDKIT=0 docker build -t mine "$BOBS"
    note "a build's FROM and COPY --from: own images only"
}

# bob_builds: what runs in an image that he builds with one step on a shared one.
bob_builds() {
    printf 'FROM busybox\nRUN echo built >/made\n' >"$BOBS/Dockerfile"
    as bob env DOCKER_BUILDKIT=0 docker build -q -t bobs-own "$BOBS" &>/dev/null
    as bob docker inspect -f '{{json .Config.Cmd}}' bobs-own
    as bob docker rmi bobs-own >/dev/null
}

loads_name_and_feed_nobody() {
    local honest
    honest=$(bob_builds)
    engine build -q -t honest - &>/dev/null <<<$'FROM busybox\nRUN echo built >/made'
    engine save busybox honest | python3 "$SCRATCH/clients/poison.py" busybox:latest alice-own:1 >"$SCRATCH/poisoned.tar"
    engine rmi honest >/dev/null
    # That the archive does what it says.
    engine load -q -i "$SCRATCH/poisoned.tar" >/dev/null
    assert_contains "$(bob_builds)" poisoned "a build after the load on the bare Engine:"
    engine rmi alice-own:1 >/dev/null
    assert_contains "$(as alice docker load <"$SCRATCH/poisoned.tar")" "Loaded image: alice-own:1" "the load:"
    assert_eq "$(bob_builds)" "$honest" "bob's build after alice's load"
    assert_eq "$(as alice docker run --rm alice-own:1)" poisoned "her own image"
    assert_fails "o such image" as bob docker run --rm --pull never alice-own:1
    as alice docker save -o "$WORKSPACE/project.tar" ds01-alice/project
    install -o bob -g bob "$WORKSPACE/project.tar" "$BOBS/project.tar"
    assert_fails "not yours" as bob docker load -i "$BOBS/project.tar"
    assert_fails "busybox:latest is not yours" as bob sh -c 'docker save busybox | docker load'
    as alice docker rmi alice-own:1 >/dev/null
    note "docker load: own names only, and nothing in other people's builds"
}

inside_is_the_owner() {
    local user
    as alice docker run -d --name alice-inside -v /var/run/docker.sock:/var/run/docker.sock -v "$WORKSPACE:/w" ds01-python sleep 1000 >/dev/null
    as bob docker run -d --name bob-inside -v /var/run/docker.sock:/var/run/docker.sock ds01-python sleep 1000 >/dev/null
    for user in 0 1000 65534; do
        assert_ok as alice docker exec -i -u "$user" -e DOCKER_HOST=unix:///var/run/docker.sock alice-inside sh -c \
            'mkdir -p /tmp/c && cd /tmp/c && tar -xf - 2>/dev/null; exec python3 inside.py alice bob-box bob-inside' < <(tar -C "$SCRATCH/clients" -cf - door.py inside.py)
    done
    tar -C "$SCRATCH/clients" -cf - door.py inside.py | as bob docker exec -i bob-inside tar -C /tmp -xf -
    assert_ok as bob docker exec bob-inside python3 /tmp/inside.py bob alice-secret alice-inside
    # Root's own container: whoever is inside is not the host's root.
    docker run -d --name root-inside -v /var/run/docker.sock:/var/run/docker.sock ds01-python sleep 1000 >/dev/null
    tar -C "$SCRATCH/clients" -cf - door.py | docker exec -i root-inside tar -C /tmp -xf -
    assert_eq "$(docker exec -w /tmp root-inside python3 -c 'import door; print(door.ask("GET", "/ds01/v1/whoami").json.get("admin"))')" False "root inside a container is no administrator"
    docker rm -f root-inside >/dev/null
}

root_inside_is_the_owner_outside() {
    as alice docker run --rm -v "$WORKSPACE:/w" busybox sh -c 'echo by-root >/w/made; mkdir /w/dir; cp /bin/busybox /w/suid; chmod 4755 /w/suid; mknod /w/null c 1 3; true' 2>/dev/null
    assert_eq "$(stat -c %U:%G "$WORKSPACE/made")" alice:alice "a file that container root made"
    assert_eq "$(stat -c %U:%G "$WORKSPACE/dir")" alice:alice "a directory that container root made"
    assert_eq "$(stat -c %U "$WORKSPACE/suid")" alice "a set-id program that container root made"
    [[ ! -e $WORKSPACE/null ]] || fail "container root made a device node on the host"
    as alice sh -c "echo hers >'$WORKSPACE/private' && chmod 600 '$WORKSPACE/private'"
    assert_eq "$(as alice docker run --rm -v "$WORKSPACE:/w" busybox cat /w/private)" hers "her own file from inside"
    # A file of bob's that lies in her directory.
    install -o bob -g bob -m 0600 <(echo bobs) "$WORKSPACE/of-bob"
    assert_fails "ermission denied" as alice docker run --rm -v "$WORKSPACE:/w" busybox cat /w/of-bob
    assert_eq "$(stat -c '%U %a' "$WORKSPACE/of-bob")" "bob 600" "bob's file"
    # A directory of bob's that she may enter is read-only for her: container root could make its files hers.
    install -d -o bob -g bob -m 0755 "$WORKSPACE/dir-of-bob"
    install -o bob -g bob -m 0600 <(echo bobs) "$WORKSPACE/dir-of-bob/file"
    assert_fails "ermission denied" as alice docker run --rm -v "$WORKSPACE/dir-of-bob:/w" busybox cat /w/file
    assert_fails "Read-only" as alice docker run --rm -v "$WORKSPACE/dir-of-bob:/w" busybox chown 0 /w/file
    assert_eq "$(stat -c '%U %a' "$WORKSPACE/dir-of-bob/file")" "bob 600" "the file in bob's directory"
    # docker cp writes as root of the Engine: through a bind it is hers all the same.
    as alice docker create --name alice-copy -v "$WORKSPACE:/w" busybox >/dev/null
    echo copied | as alice sh -c "cat >'$WORKSPACE/source' && docker cp '$WORKSPACE/source' alice-copy:/w/copied"
    assert_eq "$(stat -c %U "$WORKSPACE/copied")" alice "a file copied through a bind"
    assert_lacks "$(as alice docker cp alice-copy:/w/of-bob - | tail -c +513 | tr -d '\0')" bobs "bob's file by docker cp:"
    as alice docker rm alice-copy >/dev/null
    note "root inside is the owner outside"
}

binds_stay_inside() {
    local path
    ln -sfn /etc "$WORKSPACE/to-etc"
    ln -sfn "$HOME_BOB" "$WORKSPACE/to-bob"
    chmod 0700 "$BOBS"
    for path in / /etc /root /proc /sys /dev /home "$DIR/engine/docker.sock" "$DIR/run" "$DIR/state" "$BOBS" "$HOME_ALICE/../../../../etc" \
        /proc/1/root/etc /proc/self/root "$WORKSPACE/to-etc" "$WORKSPACE/to-etc/shadow" "$WORKSPACE/to-bob/${BOBS##*/}"; do
        assert_fails "Error response from daemon" as alice docker create -v "$path:/x" busybox
        assert_fails "Error response from daemon" as alice docker create --mount "type=bind,source=$path,target=/x" busybox
    done
    assert_fails "" as alice docker volume create -d local -o type=none -o o=bind -o device=/etc sneaky
    assert_fails "" as alice docker create --mount type=volume,target=/x,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/etc busybox
    assert_eq "$(as alice docker ps -aq --filter name=^x)" "" "nothing was created"
    note "binds outside are refused"
}

swaps_win_nothing() {
    local round swapper seen=0
    mkdir "$WORKSPACE/real" && echo mine >"$WORKSPACE/real/shadow" && chown -R alice: "$WORKSPACE/real"
    # Between create and start.
    as alice docker create --name alice-swap -v "$WORKSPACE/real:/s" busybox cat /s/shadow >/dev/null
    as alice sh -c "cd '$WORKSPACE' && mv real kept && ln -s /etc real"
    assert_eq "$(as alice docker start -a alice-swap)" mine "a directory swapped between create and start"
    as alice sh -c "cd '$WORKSPACE' && rm real && mv kept real"
    as alice docker rm alice-swap >/dev/null
    # While it is created and started.
    as alice sh -c "cd '$WORKSPACE' && ln -s /etc trap && while [ ! -e stop ]; do mv -T real kept; mv -T trap real; mv -T real trap; mv -T kept real; done" 2>/dev/null &
    swapper=$!
    for round in 1 2 3 4 5 6 7 8 9 10 11 12; do
        said=$(as alice docker run --rm -v "$WORKSPACE/real:/s" busybox cat /s/shadow 2>&1 || true)
        assert_lacks "$said" "root:" "round $round of the swap showed the host's file:"
        [[ $said != mine ]] || seen=$((seen + 1))
    done
    touch "$WORKSPACE/stop"
    wait "$swapper" || true
    note "swapped directories: $seen of 12 rounds got the real one, none the host's"
}

connections_change_hands() {
    assert_ok /usr/bin/python3 "$SCRATCH/clients/handed.py" "${DOCKER_HOST#unix://}" alice bob >"$SCRATCH/handed.out"
    note "a connection is whose it was made by, whoever holds it: $(grep -c 'as it should be' "$SCRATCH/handed.out") ways"
}

nothing_is_there
command_line
connections_change_hands
inside_is_the_owner
root_inside_is_the_owner_outside
binds_stay_inside
swaps_win_nothing
builds_see_only_what_their_owner_sees
loads_name_and_feed_nobody
rm -rf -- "$WORKSPACE" "$BOBS"
