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

# block PAGE HEADING LANGUAGE: what stands beneath a heading of the manual in blocks of that language for a machine as this one.
block() {
    awk -v heading="$2" -v language="\`\`\`$3" '
        /^```/ { if (fence) fence = taken = 0; else { fence = 1; taken = here == heading && $1 == language && $2 == "machine" }; next }
        !fence && /^#+ / { here = $0; sub(/^#+ /, "", here) }
        taken' "/root/manual/$1" | grep . || { echo "$1 has no $3 for a machine beneath '$2'" >&2; return 1; }
}
# manual PAGE HEADING: the commands that stand there, typed as they stand; each ends as the page says, and says what it shows.
manual() {
    local line person='' command='' shown=()
    block "$1" "$2" console >/tmp/block || return
    while IFS= read -r line; do
        if [[ $line == '# '* || $line == '$ '* ]]; then
            typed "$person" "$command" "${shown[@]}" || return
            person=root command=${line:2} shown=()
            [[ $line == '# '* ]] || person=alice
        else
            shown+=("$line")
        fi
    done </tmp/block
    typed "$person" "$command" "${shown[@]}"
}
typed() { # PERSON COMMAND [SHOWN…]
    local person=$1 command=$2 wanted=0 rc=0 line pattern at=0 said
    shift 2
    [[ -n $command ]] || return 0
    [[ ! $command =~ \ #\ exit\ ([0-9]+)$ ]] || wanted=${BASH_REMATCH[1]}
    # What a name leaves open is whatever is there.
    command=${command//…/*}
    echo "$person: $command"
    if [[ $person == root ]]; then bash -c "$command"; else as "$person" bash -c "$command"; fi </dev/null >/tmp/typed 2>&1 || rc=$?
    cat /tmp/typed
    is "$wanted" "$rc" || return
    mapfile -t said < <(tr -d '\r' </tmp/typed | tr -s ' ')
    for line; do
        pattern=$(tr -s ' ' <<<"$line" | sed 's/[][*?\\]/\\&/g; s/…/*/g')
        # Unquoted: it is a pattern.
        # shellcheck disable=SC2053
        until ((at == ${#said[@]})) || [[ ${said[at]} == $pattern ]]; do at=$((at + 1)); done
        ((at < ${#said[@]})) || { echo "not said: $line"; return 1; }
        at=$((at + 1))
    done
}
is() { [[ $2 == "$1" ]] || { echo "expected: $1"; echo "found:    $2"; return 1; }; }
group_of() { echo "/sys/fs/cgroup/ds01.slice/ds01-u$(id -u "$1").slice"; }
until_true() { for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.5; done; echo "still not true: $*"; return 1; }

installed() {
    manual install.md '1. The package' && manual install.md 'At login' &&
        is inactive "$(systemctl is-active ds01d.service)" && is active "$(systemctl is-active docker.service)"
}
set_up() {
    block install.md '2. The Engine' json >/etc/docker/daemon.json && manual install.md '2. The Engine' &&
        block install.md '3. The configuration' yaml >/etc/ds01/ds01.yaml && manual install.md '3. The configuration' &&
        manual install.md '5. Start'
}
looks_right() { manual install.md '6. Look'; }
# What the other checks are about.
set_limits() {
    echo '  aggregate: { memory: 1g, pids_limit: 300, max_cpus: 1.5 }' >>/etc/ds01/ds01.yaml
    manual operate.md 'Changing the configuration' && until_true bounds_known
}
bounds_known() { journalctl -u ds01d | grep -q 'the configuration was read again'; }
# Stopped for good, and not; and the package once more.
stopped_and_upgraded() {
    manual operate.md 'Restarting and upgrading' && systemctl stop ds01d && is other "$(as bob docker ps --format '{{.Names}}')" &&
        is active "$(systemctl is-active ds01d)"
}
classic_builds() { manual security-model.md 'Why there is no BuildKit' && is 0 "$(as alice bash -lc 'echo $DOCKER_BUILDKIT')"; }
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
    as bob docker rm -f other && as alice container retire thesis && manual install.md 'Taking it away' &&
        dpkg --remove ds01 && is inactive "$(systemctl is-active ds01d.socket)" && [[ -e /var/lib/ds01/ledger.db ]]
}

# The programs of the package stand in for what cargo would have built.
without_the_package() {
    dpkg -x /root/ds01_*.deb /root/unpacked && mkdir -p /root/target/release &&
        cp /root/unpacked/usr/sbin/* /root/unpacked/usr/bin/ds01 /root/target/release/ &&
        { ! getent group ds01-admin || groupdel ds01-admin; } && manual install.md 'Without the package' && hash -r &&
        is /usr/local/bin/container-deploy "$(command -v container-deploy)"
}

export DEBIAN_FRONTEND=noninteractive
cd /root
if [[ ! -e /root/rebooted ]]; then
    touch /root/rebooted
    until_true docker version
    docker load -q -i /root/images.tar
    useradd -m alice && useradd -m bob
    check "the package installs, and starts nothing" installed
    check "the steps of Installing" set_up
    check "what Installing says of them" looks_right
    check "a changed configuration is read" set_limits
    check "a line for everybody who logs in" classic_builds
    check "the door is where Docker's socket was, the Engine's socket is root's" door_is_there
    check "everybody gets a unit of his own" one_unit_each
    check "a user's containers have limits together" bounded_together
    check "too many processes are refused, and another's container answers" forks
    check "builds run beneath their user" builds
    check "files made inside are their owner's" files_are_hers
    check "stopped with its socket it stays stopped, alone it does not; an upgrade" stopped_and_upgraded
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
    check "and without the package" without_the_package
    say "the end"
    systemctl poweroff
fi
