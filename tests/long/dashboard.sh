#!/usr/bin/env bash
# Ten minutes of the dashboard beside a hundred running containers, as an administrator who sees them all: it stays below 2 %
# of a core and does not grow.
#
#   DASHBOARD_SECONDS=120 DASHBOARD_CONTAINERS=20   shorter, smaller
source "$(dirname "$0")/../e2e/lib.sh"

SECONDS_OF_IT=${DASHBOARD_SECONDS:-600}
CONTAINERS=${DASHBOARD_CONTAINERS:-100}
WITH_GPU=$((CONTAINERS / 2))
CPU_PERCENT_MAX=2
# The curves fill up in ten minutes: 300 samples for each of some sixty units.
GROWTH_KIB_MAX=2048

(cd "$DS01_ROOT" && cargo build --quiet --release --locked -p ds01-cli)
# Under this name it is the command.
install -m 0755 "$DS01_ROOT/target/release/ds01" "$SCRATCH/dashboard"
lab_start --machine "$DS01_ROOT/scripts/bench.d/machine.yaml" --users scrone:student

for ((n = 0; n < CONTAINERS; n++)); do
    gpu=()
    ((n >= WITH_GPU)) || gpu=(--gpus 1)
    as root docker run -d --name "crowd-$n" "${gpu[@]}" busybox sleep 100000 >/dev/null
done
note "$CONTAINERS containers run, $WITH_GPU of them with a GPU"

TMUX_SOCKET=$SCRATCH/tmux
terminal() { tmux -S "$TMUX_SOCKET" -f /dev/null "$@"; }
before_down() { terminal kill-server 2>/dev/null || true; }
terminal new-session -d -s it -x 200 -y 60 "$LAB" as "$DIR" root "$SCRATCH/dashboard"
shows() { terminal capture-pane -p -t it | grep -qE -- "$1"; }
wait_for shows "Containers $CONTAINERS, by age"
PID=$(terminal display-message -p -t it '#{pane_pid}')
assert_eq "$(readlink "/proc/$PID/exe")" "$SCRATCH/dashboard" "what is measured"

ticks() { awk '{print $14 + $15}' "/proc/$PID/stat"; }
resident() { awk '/^VmRSS:/ {print $2}' "/proc/$PID/status"; }
written() { awk '/^wchar:/ {print $2}' "/proc/$PID/io"; }
# What it takes to begin is not what it takes to stay: wait until use has been asked of all that are seen.
warm() { (($(terminal capture-pane -p -t it | grep -cE 'crowd-[0-9]+ .*[0-9]% ') >= 15)); }
wait_for -t 90 warm

before=$(ticks) from=$SECONDS kib=$(resident) bytes=$(written)
most=$kib
while ((SECONDS - from < SECONDS_OF_IT)); do
    sleep 5
    now=$(resident)
    ((now <= most)) || most=$now
done
took=$((SECONDS - from))
used=$((($(ticks) - before) * 100000 / $(getconf CLK_TCK) / took))
growth=$(($(resident) - kib))
printf '    %s s: %s.%03d %% of a core, %s KiB resident at first, %s KiB more in the end, %s KiB at most, %s bytes/s to the terminal\n' \
    "$took" "$((used / 1000))" "$((used % 1000))" "$kib" "$growth" "$most" "$((($(written) - bytes) / took))"
((used < CPU_PERCENT_MAX * 1000)) || fail "it uses $used thousandths of a percent of a core"
((growth < GROWTH_KIB_MAX)) || fail "it has grown by $growth KiB"

terminal send-keys -t it q
gone() { ! kill -0 "$PID" 2>/dev/null; }
wait_for gone
