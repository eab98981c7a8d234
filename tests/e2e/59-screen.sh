#!/usr/bin/env bash
# What people look at: the dashboard on real terminals (tmux), in a shell that can put it into the background, with a window
# that changes and a door that goes away; gpu-status and check-limits drawn; the greeting at login.
source "$(dirname "$0")/lib.sh"

MACHINE=$SCRATCH/machine.json
CARD=GPU-11111111-aaaa-bbbb-cccc-000000000001
cat >"$MACHINE" <<JSON
{"driver": "580.65.06", "gpus": [
  {"uuid": "$CARD", "name": "NVIDIA H100 80GB HBM3", "minor": 3, "memory_mib": 81559},
  {"uuid": "GPU-22222222-aaaa-bbbb-cccc-000000000002", "name": "NVIDIA A100-SXM4-80GB", "minor": 0, "memory_mib": 81920,
   "mig": {"devices": [
    {"uuid": "MIG-33333333-aaaa-bbbb-cccc-000000000001", "profile": "3g.40gb", "gi": 1, "compute": 3, "memory_mib": 40192},
    {"uuid": "MIG-33333333-aaaa-bbbb-cccc-000000000002", "profile": "1g.10gb", "gi": 3, "compute": 1, "memory_mib": 9856}]}}]}
JSON
lab_start --nvidia "$MACHINE" --users scralice:student,scrbob:student

as scrbob docker run -d --name card --gpus device=0 busybox sleep 3600 >/dev/null
as scrbob docker run -d --name hidden busybox sleep 3600 >/dev/null
as scralice container deploy train --image busybox >/dev/null
as scralice docker run -d --name web busybox sleep 3600 >/dev/null
jq --argjson pid "$(engine inspect -f '{{.State.Pid}}' card)" \
    '(.gpus[0].utilization = 97) | (.gpus[0].processes = [{pid: $pid, memory_mib: 31000}])' "$MACHINE" >"$MACHINE.new"
mv "$MACHINE.new" "$MACHINE"
"$LAB" nvidia "$DIR" "$MACHINE"

# A terminal of its own for each of the windows below: what stands on it is what a person sees.
TMUX_SOCKET=$SCRATCH/tmux
terminal() { tmux -S "$TMUX_SOCKET" -f /dev/null "$@"; }
before_down() {
    local name
    # The status of the script's end is the caller's.
    # shellcheck disable=SC2154
    if ((rc != 0)); then
        for name in $(terminal list-sessions -F '#{session_name}' 2>/dev/null); do
            printf -- '--- the screen of %s\n' "$name" >&2
            screen "$name" >&2
        done
    fi
    terminal kill-server 2>/dev/null
}
window() { # NAME COLUMNS ROWS COMMAND…
    local name=$1 columns=$2 rows=$3
    shift 3
    terminal new-session -d -s "$name" -x "$columns" -y "$rows" "$LAB" as "$DIR" "$@"
}
screen() { terminal capture-pane -p -t "$1"; }
type_in() { terminal send-keys -t "$@"; }
shows() { screen "$1" | LC_ALL=C.UTF-8 grep -qE -- "$2"; }
lacks() { ! shows "$1" "$2"; }
await() { wait_for shows "$@"; }

# --- the dashboard ------------------------------------------------------------------------------------------------

window small 80 24 scralice bash --norc
type_in small "PS1='at the prompt> '; stty -a >before" Enter
await small 'at the prompt> *$'
type_in small dashboard Enter
await small '0 +H100 +97% .*30\.2/79\.6 GiB +scrbob/card'
await small 'train +1:1 1g\.10gb .*running'
await small 'granted +scralice/train +1:1'
assert_lacks "$(screen small)" hidden "somebody else's container"
note "80×24: cards, people and one's own containers; nothing of others that the door does not show"

type_in small / web Enter
await small 'Containers 1, by age'
type_in small w
await small '┌ why web'
type_in small Escape
wait_for lacks small '┌ why web'
type_in small Escape
await small 'Containers 2, by age'

type_in small s s s s
await small 'Containers 2, by memory'
type_in small s s / train Enter
await small 'Containers 1, by age'
type_in small K
await small 'keep train for how long\? 2h$'
type_in small BSpace BSpace 90m Enter
await small 'train is not stopped for an idle GPU for 1 h 30 min'
await small 'kept +scralice/train'
type_in small Escape
await small 'Containers 2, by age'
note "filter, sort, why and keep"

type_in small C-z
await small 'Stopped'
await small 'at the prompt> *$'
type_in small 'stty -a | diff - before && echo as ever' Enter
await small '^as ever'
type_in small fg Enter
await small 'Containers 2, by'
type_in small C-z
await small 'at the prompt> *$'
type_in small 'fg' Enter
await small 'Containers 2, by'
note "Ctrl-Z gives the terminal back as it was, fg brings the dashboard back, twice"

as scralice docker run --rm busybox true
as scralice container deploy second --image busybox --cpu-only >/dev/null
await small 'second .*running'
type_in small x
await small 'stop (train|second|web)\?'
type_in small n
wait_for lacks small 'y/n'
type_in small / train Enter
await small 'Containers 1, by'
type_in small x y
await small 'train is stopped'
has_ended() { [[ $(engine inspect -f '{{.State.Status}}' "$1") == exited ]]; }
wait_for has_ended train._.scralice
type_in small Escape
await small 'released +scralice/train'
note "x asks, and stops; what happens is told as it happens"

terminal resize-window -t small -x 200 -y 60
await small 'USER +GPUS +UNITS.* +TIME +EVENT'
terminal resize-window -t small -x 80 -y 24
wait_for lacks small 'USER +GPUS.* TIME +EVENT'
"$LAB" stop-door "$DIR"
await small 'ds01d does not answer'
await small 'web .*running'
"$LAB" start-door "$DIR"
wait_for lacks small 'ds01d does not answer'
note "the window may change, and the door may go away and come back"

type_in small C-c
await small 'at the prompt> *$'
type_in small 'echo "it ended with $?"; stty -a | diff - before && echo as it was' Enter
await small '^it ended with 130'
await small '^as it was'
assert_lacks "$(screen small)" '─ GPUs' "what the dashboard drew"

window plain 80 24 scralice env LC_ALL=C NO_COLOR=1 dashboard
await plain '^- GPUs ----'
assert_eq "$(screen plain | LC_ALL=C grep -c '[^ -~]' || true)" 0 "lines with other than ASCII"
assert_eq "$(terminal capture-pane -p -e -t plain | grep -cE $'\e\\[([0-9]+;)*3[0-8][;m]' || true)" 0 "lines with colours"
type_in plain q
assert_fails 'needs a terminal to draw on' as scralice dashboard
assert_fails 'needs a terminal to draw on' as scralice env TERM=dumb script -qec dashboard /dev/null

window admin 120 40 root dashboard
await admin 'hidden +scrbob'
type_in admin / hidden Enter x
await admin 'hidden is not yours'
type_in admin q
note "an administrator sees everybody's, and stops nobody's by a slip"

# --- drawn once -----------------------------------------------------------------------------------------------------

window cards 80 24 scralice bash --norc
type_in cards gpu-status Enter
await cards '┌─ 0 · H100 80GB HBM3 · 79.6 GiB ─+┐'
await cards '│ 0 +whole +█+.?░+ +30\.2/79\.6 GiB +97% +scrbob/card .*│'
type_in cards 'clear; check-limits' Enter
await cards 'running containers +█*.?░* +2 +8'
type_in cards 'clear; LC_ALL=C gpu-status' Enter
await cards '^\+- 0 - H100 80GB HBM3'
assert_contains "$(as scralice gpu-status)" 'UNIT   MODEL'
assert_lacks "$(as scralice gpu-status)$(as scralice check-limits)" '░' "a pipe's text"
type_in cards 'clear; gpu-status --watch=1' Enter
await cards 'every 1 s; Ctrl-C ends it'
await cards '┌─ 1 · A100-SXM4-80GB'
note "gpu-status and check-limits are drawn on terminals, in their characters, and are plain in pipes"

# --- the greeting ---------------------------------------------------------------------------------------------------

said=$(as scralice ds01 greeting)
assert_contains "$said" '2 of 3 GPU units free'
assert_contains "$said" 'Yours: '
assert_eq "$(wc -l <<<"$said")" 3 "lines of a greeting"
"$LAB" stop-door "$DIR"
began=$(date +%s%N)
assert_eq "$(as scralice ds01 greeting 2>&1)" "" "what is said without a door"
took=$((($(date +%s%N) - began) / 1000000))
((took < 2000)) || fail "a login waited $took ms"
"$LAB" start-door "$DIR"
note "a login is told in three lines, and without a door nothing: $took ms"
