#!/usr/bin/env bash
# The doctor finds nothing wrong with a lab but what a lab has by nature; each of two dozen things that are then broken is
# found, and what he says helps. Files of the machine are looked for beneath $HOST first, so that none of it is touched.
source "$(dirname "$0")/lib.sh"
lab_start --users da:student,db:student

HOST=$SCRATCH/host
CONF=$DS01_CONFIG
doctor() { ds01 doctor --config "$CONF" --root "$HOST" "$@"; }
# host PATH: that file of the machine is what comes on standard input.
host() { mkdir -p -- "$(dirname "$HOST$1")" && cat >"$HOST$1"; }
# The report; that something is wrong is no failure of the question.
report() { doctor --json || (($? == 1)); }
# What is wrong: "verdict check", each once.
wrong() { report | jq -r '.findings[] | select(.verdict == "warning" or .verdict == "problem") | "\(.verdict) \(.check)"' | sort -u; }
entry() { report | jq -r --arg check "$1" '[.findings[] | select(.check == $check and .verdict != "ok")][0].'"$2"; }

# found VERDICT CHECK WORDS: that, and nothing beside what was wrong before, is told. $fix is what helps.
found() {
    local now
    now=$(wrong)
    assert_eq "$(comm -13 <(echo "$before") <(echo "$now"))" "$1 $2" "what was broken"
    assert_contains "$(entry "$2" found)" "$3" "$2"
    fix=$(entry "$2" fix)
    note "$1 $2: $3"
}
healed() { assert_eq "$(wrong)" "$before" "after what the doctor said"; }
# The first line of what helps is a command.
take_the_advice() { bash -euo pipefail -c "$(head -n 1 <<<"$fix")" && healed; }

# A machine on which all is well.
host /etc/passwd <<TEXT
root:x:0:0::/root:/bin/bash
$(getent passwd da db)
TEXT
host /etc/group <<<'docker:x:106:'
host /etc/subuid <<<$'da:1000000:65536\ndb:1065536:65536'
host /etc/subgid <<<$'da:1000000:65536\ndb:1065536:65536'
host /proc/1/comm <<<chronyd
host /proc/2/comm <<<nvidia-persiste
host /proc/sys/fs/protected_hardlinks <<<1
host /proc/sys/fs/protected_symlinks <<<1
host /proc/sys/fs/inotify/max_user_instances <<<8192
UUID=GPU-11111111-aaaa-bbbb-cccc-000000000001
host /proc/driver/nvidia/version <<<'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build'
host /proc/driver/nvidia/gpus/0000:01:00.0/information <<<"GPU UUID: $UUID"
host /dev/nvidia0 </dev/null
host /dev/nvidiactl </dev/null
chmod 0666 "$HOST"/dev/nvidia*
host /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.65.06 </dev/null
ln -s libnvidia-ml.so.580.65.06 "$HOST/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
host /usr/bin/nvidia-container-runtime </dev/null
TOOLKIT=/etc/nvidia-container-runtime/config.toml
host $TOOLKIT <<'TOML'
accept-nvidia-visible-devices-envvar-when-unprivileged = true
accept-nvidia-visible-devices-as-volume-mounts = false
[nvidia-container-runtime]
mode = "auto"
runtimes = ["docker-runc", "runc", "crun"]
TOML
toolkit_says() { printf '#!/bin/sh\necho "NVIDIA Container Toolkit CLI version %s"\n' "$1" | host /usr/bin/nvidia-ctk && chmod 0755 "$HOST/usr/bin/nvidia-ctk"; }
toolkit_says 1.19.1
host /var/run/cdi/nvidia.yaml <<<"{kind: nvidia.com/gpu, devices: [{name: $UUID}]}"

before=$(wrong)
# Not everything is the lab's to choose: the machine's kernel, disk and packages are what they are.
assert_eq "$(grep -vE '^warning (engine.(confinement|limits|logs|storage)|host.(cgroups|disks|mount-options))$| version\.' <<<"$before" || true)" "" \
    "a lab that is as it should be"
assert_contains "$before" "warning engine.logs"
note "nothing is wrong with a lab but what it has by nature"

# The Engine.
chmod 0755 "$DIR/engine"
chmod 0666 "$DIR/engine/docker.sock"
found problem engine.sockets "everybody on this machine can open $DIR/engine/docker.sock"
take_the_advice
chmod 0700 "$DIR/engine"
chmod 0711 "$DIR/engine/data"
found problem engine.data-root "has mode 0711"
take_the_advice
host /etc/group <<<'docker:x:106:da'
found problem engine.docker-group "the group docker (da)"
assert_eq "$fix" "gpasswd --delete da docker"
host /etc/group <<<'docker:x:106:'
daemon_json=$DIR/engine/daemon.json
cp "$daemon_json" "$SCRATCH/daemon.json"
jq '.hosts += ["tcp://127.0.0.1:2375"]' "$SCRATCH/daemon.json" >"$daemon_json"
found problem engine.hosts "the Engine listens at tcp://127.0.0.1:2375"
assert_contains "$fix" "in $daemon_json: take tcp://127.0.0.1:2375 out of"
jq '."live-restore" = false' "$SCRATCH/daemon.json" >"$daemon_json"
"$LAB" restart-engine "$DIR"
found warning engine.live-restore "off"
assert_contains "$fix" "in $daemon_json: \"live-restore\": true"
assert_contains "$fix" "systemctl reload docker"
jq '."live-restore" = true' "$SCRATCH/daemon.json" >"$daemon_json"
kill -HUP "$(<"$DIR/engine/dockerd.pid")"
lives() { [[ $(engine info --format '{{.LiveRestoreEnabled}}') == true ]]; }
wait_for lives
healed
assert_contains "$(entry engine.logs fix)" '"log-opts": {"max-size": "100m", "max-file": "3"}'
jq '. + {"log-opts": {"max-size": "100m", "max-file": "3"}}' "$SCRATCH/daemon.json" >"$daemon_json"
assert_lacks "$(wrong)" engine.logs
cp "$SCRATCH/daemon.json" "$daemon_json"
jq 'del(.runtimes)' "$SCRATCH/daemon.json" >"$daemon_json"
"$LAB" restart-engine "$DIR"
found problem engine.runtime "the Engine has no runtime ds01"
assert_contains "$fix" '"runtimes": {"ds01": {"path": '
cp "$SCRATCH/daemon.json" "$daemon_json"
"$LAB" restart-engine "$DIR"
healed

# The NVIDIA toolkit.
sed -i 's/unprivileged = true/unprivileged = false/' "$HOST$TOOLKIT"
found problem nvidia.toolkit "envvar-when-unprivileged is false"
assert_contains "$fix" "in $TOOLKIT: accept-nvidia-visible-devices-envvar-when-unprivileged = true"
sed -i 's/unprivileged = false/unprivileged = true/; s/mounts = false/mounts = true/' "$HOST$TOOLKIT"
found problem nvidia.toolkit "as-volume-mounts is true"
sed -i 's/mounts = true/mounts = false/; s/"auto"/"legacy"/' "$HOST$TOOLKIT"
found warning nvidia.mode "legacy"
assert_contains "$fix" 'mode = "jit-cdi"'
sed -i 's/"legacy"/"jit-cdi"/' "$HOST$TOOLKIT"
healed
ln -s "$DIR/bin/ds01-runtime" "$HOST/usr/bin/docker-runc"
found problem nvidia.low-level "the toolkit hands over to $DIR/bin/ds01-runtime"
rm "$HOST/usr/bin/docker-runc"
toolkit_says 1.17.7
found problem version.nvidia-toolkit "is 1.17.7: CVE-2025-23266, CVE-2025-23267, CVE-2026-24260"
toolkit_says 1.19.1
host /var/run/cdi/nvidia.yaml <<<"{kind: nvidia.com/gpu, devices: [{name: $UUID}, {name: ${UUID%1}2}]}"
found warning nvidia.cdi "names 1 GPU that the driver does not have: ${UUID%1}2"
assert_contains "$fix" "nvidia-ctk cdi generate"
host /var/run/cdi/nvidia.yaml <<<"{kind: nvidia.com/gpu, devices: [{name: $UUID}]}"
host /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05 </dev/null
ln -sf libnvidia-ml.so.580.95.05 "$HOST/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
found problem nvidia.library "the NVIDIA library is 580.95.05 and the loaded kernel module is 580.65.06"
ln -sf libnvidia-ml.so.580.65.06 "$HOST/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
chmod 0660 "$HOST/dev/nvidia0"
found problem nvidia.nodes "nvidia0 has mode 0660"
chmod 0666 "$HOST/dev/nvidia0"
healed

# The machine.
host /proc/sys/fs/protected_hardlinks <<<0
found problem host.links "hard links are not protected"
assert_contains "$fix" "fs.protected_hardlinks = 1"
host /proc/sys/fs/protected_hardlinks <<<1
host /etc/subuid <<<$'da:1000000:65536\ndb:1000500:65536'
found problem host.subordinate-ids "the ranges of da and db overlap at 1000500"
host /etc/subuid <<<$'da:1000000:65536\ndb:1065536:65536'
rm "$HOST/proc/1/comm"
found warning host.clock "nothing keeps the clock right"
host /proc/1/comm <<<chronyd
host /usr/libexec/docker/cli-plugins/docker-buildx </dev/null
mkdir -p "$HOST/etc/profile.d"
found warning ds01.buildkit "docker-buildx builds with BuildKit"
bash -c "${fix//>\/etc/>$HOST\/etc}"
healed

# Mounting is really tried: a file system that cannot translate owners is told before anybody meets it.
mkdir "$SCRATCH"/{lower,upper,work,merged}
if mount -t overlay overlay -o "lowerdir=$SCRATCH/lower,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" "$SCRATCH/merged" 2>/dev/null; then
    CONF=$SCRATCH/with-overlay.yaml
    { cat "$DS01_CONFIG"; printf 'binds:\n  roots: [~, %s]\n' "$SCRATCH/merged"; } >"$CONF"
    found problem host.mounts "$SCRATCH/merged cannot be mounted into containers: overlay cannot translate owners"
    umount "$SCRATCH/merged"
    sed -i "s#, $SCRATCH/merged##" "$CONF"
    healed
    CONF=$DS01_CONFIG
fi

# DS01 itself.
echo 'defaults_: {}' >>"$CONF"
found problem ds01.configuration "unknown key \`defaults_\`"
assert_contains "$fix" "ds01d check $CONF"
sed -i '$d' "$CONF"
chmod 0666 "$CONF"
found problem ds01.configuration-file "everybody on this machine can write $CONF"
take_the_advice
chmod 0600 "$DIR/docker.sock"
found problem ds01.door "has mode 0600"
take_the_advice
chmod 0755 "$DIR/run"
chmod 0666 "$DIR/run/hinge.sock"
found problem ds01.hinge "everybody on this machine can get at $DIR/run/hinge.sock"
take_the_advice
chmod 0755 "$DIR/state"
chmod 0644 "$DIR/state/ledger.db"
found problem ds01.ledger "everybody on this machine can get at $DIR/state/ledger.db"
take_the_advice
chmod 0700 "$DIR/run" "$DIR/state"
chmod o+w "$DIR/bin/ds01-runtime.json"
found problem ds01.runtime-settings "others than root can write"
take_the_advice
sed -i.bak 's#run/hinge.sock#run/other.sock#' "$DIR/bin/ds01-runtime.json"
found problem ds01.runtime-settings "ds01-runtime has socket $DIR/run/other.sock, and ds01d $DIR/run/hinge.sock"
assert_contains "$fix" "\"socket\": \"$DIR/run/hinge.sock\""
mv "$DIR/bin/ds01-runtime.json.bak" "$DIR/bin/ds01-runtime.json"
cp "$DIR/bin/ds01d" "$DIR/bin/ds01d.new"
mv "$DIR/bin/ds01d.new" "$DIR/bin/ds01d"
found warning ds01.versions "ds01d runs from a program that was replaced since"
"$LAB" restart-door "$DIR"
healed
"$LAB" stop-door "$DIR"
assert_contains "$(wrong)" "problem ds01.door"
assert_contains "$(entry ds01.versions why)" "ds01d does not answer"
"$LAB" start-door "$DIR"
healed

# A program that others can replace is told of and not run, least of all by root.
printf '#!/bin/sh\ntouch %q\n' "$SCRATCH/was-run" >"$DIR/bin/ds01d.new"
chmod 0755 "$DIR/bin/ds01d.new"
cp "$DIR/bin/ds01d" "$SCRATCH/ds01d"
mv "$DIR/bin/ds01d.new" "$DIR/bin/ds01d"
chmod 0777 "$DIR/bin"
assert_contains "$(doctor || true)" "ds01d cannot be asked: $DIR/bin/ds01d is not run, as others than root can write $DIR/bin"
[[ ! -e $SCRATCH/was-run ]] || fail "a program that anybody could replace was run as root"
chmod 0755 "$DIR/bin"
cp "$SCRATCH/ds01d" "$DIR/bin/ds01d"
note "what others could have put there is not run"

# The ways to ask.
rc=0
said=$(doctor -q) || rc=$?
assert_eq "$rc" "$(($(grep -c '^problem' <<<"$before" || true) > 0))" "exit code"
assert_lacks "$said" "ok "
chmod 0600 "$DIR/docker.sock"
assert_fails "PROBLEM      $DIR/docker.sock has mode 0600" doctor -q
chmod 0666 "$DIR/docker.sock"
said=$(as da ds01 doctor --config "$CONF" || true)
assert_eq "$(grep -c 'needs root' <<<"$said")" 1 "a user is told once what only root sees"
assert_contains "$said" "who reaches the Engine's and containerd's sockets"
assert_contains "$said" "ok           the Engine answers through the door"
assert_contains "$(as da ds01 doctor -q --config "$CONF" 2>&1 || true)" "some things only root can look at: sudo ds01 doctor"
note "quiet, exit codes, and what a user sees"
