#!/bin/bash
# What an administrator and his users do on a fresh machine, run on it as root by systemd: once after the first boot, once
# after the second. Every line of the console that begins with "story:" is for the test.
set -euo pipefail
exec >/dev/console 2>&1
say() { echo "story: $*"; }
ok() { say "ok $*"; }
bad() { say "FAILED $*"; }
check() { # check WHAT COMMAND…
    local what=$1
    shift
    if "$@" >/tmp/said 2>&1; then ok "$what"; else bad "$what"; cat /tmp/said; fi
}
as() { local user=$1; shift; runuser -u "$user" -- env HOME="/home/$user" "$@"; }
is() { [[ $2 == "$1" ]] || { echo "expected: $1"; echo "found:    $2"; return 1; }; }
group_of() { echo "/sys/fs/cgroup/ds01.slice/ds01-u$(id -u "$1").slice"; }
until_true() { for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.5; done; echo "still not true: $*"; return 1; }

installed() {
    dpkg -i /root/ds01_*.deb
    is inactive "$(systemctl is-active ds01d.service)" && is active "$(systemctl is-active docker.service)"
}
# As Installing has it, word for word.
set_up() {
    install -D -m 0644 /usr/share/ds01/docker.socket.conf /etc/systemd/system/docker.socket.d/ds01.conf
    cat >/etc/docker/daemon.json <<'TEXT'
{
  "live-restore": true,
  "default-runtime": "runc",
  "runtimes": {"ds01": {"path": "/usr/sbin/ds01-runtime"}},
  "log-driver": "json-file",
  "log-opts": {"max-size": "100m", "max-file": "3"}
}
TEXT
    cat >>/etc/ds01/ds01.yaml <<'TEXT'
  aggregate: { memory: 1g, pids_limit: 300, max_cpus: 1.5 }
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb, 3g.40gb] }
TEXT
    ds01d check && systemctl daemon-reload && systemctl restart docker.socket docker &&
        systemctl enable --now ds01d.socket ds01d
}
door_is_there() {
    is "srw-rw-rw-" "$(stat -c %A /run/docker.sock)" && is "drwx------" "$(stat -c %A /run/docker-engine)" &&
        is systemd "$(docker info --format '{{.CgroupDriver}}')" && is 2 "$(docker info --format '{{.CgroupVersion}}')" &&
        ! as alice docker -H unix:///run/docker-engine/docker.sock ps
}
one_unit_each() {
    is /dev/nvidia "$(as alice docker run --rm --gpus all busybox sh -c 'ls /dev/nvidia[0-9]*' | tr -d '0-9')" &&
        as alice container deploy thesis --image busybox --background &&
        as alice docker exec thesis._.alice sh -c ': <$(ls /dev/nvidia[0-9]*)' &&
        as bob docker run -d --name other --gpus all busybox sleep 100000 &&
        ! as bob docker run --rm --gpus all busybox true &&
        ! as bob docker inspect thesis._.alice
}
bounded_together() {
    local group
    group=$(group_of alice)
    is 1073741824 "$(cat "$group/memory.max")" && is 300 "$(cat "$group/pids.max")" &&
        is "150000 100000" "$(cat "$group/cpu.max")" && is 1 "$(ls -d "$group"/docker-*.scope | wc -l)"
}
forks() {
    { as alice docker run --rm --name bomb busybox sh -c 'for i in $(seq 400); do sleep 60 & done' 2>&1 || true; } | grep "can't fork" &&
        as bob docker exec other true
}
builds() {
    as alice sh -c 'mkdir -p ~/b && printf "FROM busybox\nRUN echo ok >/made\n" >~/b/Dockerfile && DOCKER_BUILDKIT=0 docker build -t ds01-alice/made ~/b' &&
        is ok "$(as alice docker run --rm ds01-alice/made cat /made)"
}
files_are_hers() {
    as alice docker exec thesis._.alice sh -c 'echo kept >/workspace/file' &&
        is alice "$(stat -c %U /home/alice/workspace/thesis/file)"
}
clients_wait() {
    systemctl restart ds01d &
    is other "$(as bob docker ps --format '{{.Names}}')"
    local rc=$?
    wait
    return "$rc"
}
reloaded() { systemctl daemon-reload && bounded_together && as alice docker exec thesis._.alice sh -c ': <$(ls /dev/nvidia[0-9]*)'; }
engine_again() { systemctl restart docker && is thesis._.alice "$(as alice docker ps --format '{{.Names}}')"; }
healthy() { ! ds01 doctor -q | grep PROBLEM; }
comes_back() { as bob docker rm -f other && as bob docker run -d --name other --restart always --gpus all busybox sleep 100000; }

is_back() {
    until_true as bob docker exec other true && is other "$(as bob docker ps --format '{{.Names}}')" &&
        is "" "$(as alice docker ps -q)" && is kept "$(cat /home/alice/workspace/thesis/file)"
}
starts_again() { as alice container start thesis && as alice docker exec thesis._.alice sh -c ': <$(ls /dev/nvidia[0-9]*)'; }
removed() {
    as bob docker rm -f other && as alice container retire thesis &&
        dpkg --remove ds01 && is inactive "$(systemctl is-active ds01d.socket)" && [[ -e /var/lib/ds01/ledger.db ]]
}

if [[ ! -e /root/rebooted ]]; then
    touch /root/rebooted
    until_true docker version
    docker load -q -i /root/images.tar
    useradd -m alice && useradd -m bob
    check "the package installs, and starts nothing" installed
    check "the steps of Installing" set_up
    check "the door is where Docker's socket was, the Engine's socket is root's" door_is_there
    check "everybody gets a unit of his own" one_unit_each
    check "a user's containers have limits together" bounded_together
    check "too many processes are refused, and another's container answers" forks
    check "builds run beneath their user" builds
    check "files made inside are their owner's" files_are_hers
    check "clients wait while ds01d is started anew" clients_wait
    check "limits and devices outlive a reload of systemd" reloaded
    check "containers outlive a restart of the Engine" engine_again
    check "the doctor finds no problem" healthy
    check "a container that is to come back" comes_back
    say "reboot"
    systemctl reboot
else
    check "after a reboot it has come back, with a unit, and nobody else has" is_back
    check "a container that the reboot stopped starts again" starts_again
    check "the package goes, and the ledger stays" removed
    say "the end"
    systemctl poweroff
fi
