#!/usr/bin/env bash
# A lab comes up twice in the same place, two stand side by side, and whatever happens to them nothing stays:
# mounts, processes, links, users, cgroups, files are as before.
source "$(dirname "$0")/lib.sh"

ONE=$SCRATCH/one
TWO=$SCRATCH/two
LABS=("$ONE" "$TWO")
USERS=labtest1:student,labtest2:researcher

# Other labs may come and go meanwhile: only what can belong to these two is compared.
machine_state() {
    echo "mounts:"; awk '{print $5}' /proc/self/mountinfo | grep -F "$SCRATCH" || true
    echo "processes:"; pgrep -f "^[^ ]*(containerd|dockerd|ds01d|docker-proxy)[^ ]* .*$SCRATCH" || true
    echo "links:"; ip -br link | awk '{print $1}' | grep -E "$IDS" || true
    echo "namespaces:"; ip netns list 2>/dev/null | grep -E "$IDS" || true
    echo "rules:"; iptables-save 2>/dev/null | grep -E "$IDS" || true
    echo "users:"; grep -E '^labtest[12]:' /etc/passwd /etc/group /etc/subuid /etc/subgid || true
    echo "homes:"; ls -d /var/lib/ds01-lab/home/labtest* /var/mail/labtest* 2>/dev/null || true
    echo "cgroups:"; find /sys/fs/cgroup -maxdepth 2 -name 'ds01-lab-*' | grep -E "$IDS" || true
    echo "registry:"; find /run/ds01-lab 2>/dev/null | grep -E "$IDS|labtest" || true
}

id_of() { printf %s "$1" | sha256sum | cut -c1-8; }
IDS="$(id_of "$ONE")|$(id_of "$TWO")"
before=$(machine_state)

unchanged() {
    local after
    after=$(machine_state)
    [[ $after == "$before" ]] || fail "$1 left something: $(diff <(echo "$before") <(echo "$after"))"
}

at() { docker -H "unix://$1/engine/docker.sock" "${@:2}"; }
page() { curl -fsS --max-time 5 "$1"; }
serve() { at "$1" run -d --name web -p "$2:80" busybox sh -c "mkdir /w && echo from $3 >/w/index.html && exec httpd -f -h /w" >/dev/null; }
address() { at "$1" inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' web; }

up_and_down_twice() {
    local round
    for round in 1 2; do
        "$LAB" up "$ONE" --no-door --no-build --users "$USERS"
        "$LAB" status "$ONE" >/dev/null || fail "round $round: status"
        assert_eq "$(at "$ONE" run --rm busybox echo hello)" hello
        assert_fails "has a lab already" "$LAB" up "$ONE" --no-door --no-build --users "$USERS"
        "$LAB" down "$ONE"
        unchanged "down $round"
    done
    "$LAB" down "$ONE" || fail "down of nothing must succeed"
    note "up and down twice: nothing stayed"
}

side_by_side() {
    "$LAB" up "$ONE" --no-door --no-build --users "$USERS"
    serve "$ONE" 0 one
    "$LAB" up "$TWO" --no-door --no-build --users "$USERS"
    serve "$TWO" 127.0.0.1:0 two
    local port_one port_two
    port_one=$(at "$ONE" port web 80/tcp | sed -n '1s/.*://p')
    port_two=$(at "$TWO" port web 80/tcp | sed -n '1s/.*://p')
    wait_for page "http://127.0.0.1:$port_one"
    wait_for page "http://127.0.0.1:$port_two"
    assert_eq "$(page "http://127.0.0.1:$port_one")" "from one"
    assert_eq "$(page "http://127.0.0.1:$port_two")" "from two"
    assert_eq "$(page "http://$(address "$ONE")")" "from one" "by the container's own address"
    assert_eq "$(page "http://$(address "$TWO")")" "from two" "by the container's own address"
    at "$ONE" network create side >/dev/null
    at "$ONE" run --rm --network side busybox ip -4 addr show eth0 >/dev/null
    local container
    container=$(at "$ONE" inspect -f '{{.State.Pid}}' web)
    "$LAB" restart-engine "$ONE"
    assert_eq "$(at "$ONE" inspect -f '{{.State.Pid}}' web)" "$container" "the container lived through the restart"
    wait_for page "http://127.0.0.1:$port_one"
    assert_eq "$(page "http://127.0.0.1:$port_two")" "from two" "the other lab is untouched"
    note "side by side: both reachable, an Engine's restart keeps containers and ports"
}

users_are_shared() {
    assert_contains "$(id -un labtest1)" labtest1
    "$LAB" down "$ONE"
    getent passwd labtest1 >/dev/null || fail "labtest1 went although the other lab has her still"
    assert_eq "$(page "http://$(address "$TWO")")" "from two" "the other lab is untouched by down"
    "$LAB" down "$TWO"
    unchanged "two labs"
    note "users went with the last lab"
}

killed_labs() {
    "$LAB" up "$ONE" --no-door --no-build --users "$USERS"
    at "$ONE" run -d busybox sleep 600 >/dev/null
    kill -KILL "$(<"$ONE/lab/dockerd.pid")"
    "$LAB" down "$ONE"
    unchanged "down after the Engine was killed"
    "$LAB" up "$ONE" --no-door --no-build --users "$USERS"
    at "$ONE" run -d busybox sleep 600 >/dev/null
    kill -KILL "$(<"$ONE/lab/containerd.pid")" "$(<"$ONE/lab/dockerd.pid")"
    rm -rf "${ONE:?}/lab" "${ONE:?}/bin" "${ONE:?}/etc"
    "$LAB" down "$ONE" || true
    "$LAB" down "$ONE"
    unchanged "down of a half lab"
    note "killed and halved labs: nothing stayed"
}

half_up() {
    local pid
    "$LAB" up "$ONE" --no-door --no-build --users "$USERS" &>/dev/null &
    pid=$!
    wait_for test -e "$ONE/engine/daemon.json"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
    DS01_LAB_LOCK_SECONDS=10 "$LAB" down "$ONE"
    unchanged "down of a lab whose up was killed"
    note "an interrupted up: nothing stayed"
}

refusals() {
    local long
    long=$SCRATCH/$(printf 'x%.0s' {1..90})
    assert_fails "too long" "$LAB" up "$long" --no-door
    mkdir "$SCRATCH/mine" && touch "$SCRATCH/mine/thesis"
    assert_fails "not empty" "$LAB" up "$SCRATCH/mine" --no-door
    assert_fails "left as it is" "$LAB" down "$SCRATCH/mine"
    assert_file "$SCRATCH/mine/thesis"
    assert_fails "no lab made it" "$LAB" up "$ONE" --no-door --users root:student
    unchanged "refused labs"
    note "refusals change nothing"
}

up_and_down_twice
side_by_side
users_are_shared
killed_labs
half_up
refusals
