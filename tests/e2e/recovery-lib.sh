# shellcheck shell=bash
# What the scripts about recovery share: a lab with three units, what is held and by whom, daemons that are killed, and
# a lab that is empty again after each story. Sourced first in place of lib.sh; the stories come last:
#
#   source "$(dirname "$0")/recovery-lib.sh"
#   first_story() { … rm_all; note "what held"; }
#   stories first_story second_story -- "$@"
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cat >"$SCRATCH/machine.yaml" <<'YAML'
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g }
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb, 3g.40gb] }

start_wait: 60s
YAML
lab_start --machine "$SCRATCH/machine.yaml" --users alice:researcher,bob:researcher

# shellcheck disable=SC2154  # an export of the lab
HOME_ALICE=$DS01_HOME_alice
SOCKET=${DOCKER_HOST#unix://}

door() { curl -sS --max-time 70 --unix-socket "$SOCKET" "$@"; }
door_post() { door -X POST -o "$SCRATCH/answer" -w '%{http_code}' "http://door$1"; }
# "owner container", a line for each unit that is held. Which unit that is depends on who had it before.
held() {
    door http://door/ds01/v1/machine |
        jq -r '.cards[].units[] | select(.holder) | "\(.holder.owner) \(.holder.container)"' | sort
}
# A door that does not answer holds nothing, and says nothing about it.
held_is() {
    local now
    now=$(held) && [[ $now == "$1" ]]
}
is_held_only_by() {
    local now
    now=$(held) && [[ $(cut -d' ' -f2 <<<"$now") == "$1" ]]
}
units_are_fit() { [[ $(door http://door/ds01/v1/machine | jq -r '[.cards[].units[] | select(.health != "available")] | length') == 0 ]]; }
waiting_is() { [[ $(door http://door/ds01/v1/queue | jq '.waiting | length') == "$1" ]]; }
gpu() { as "$1" docker run -d --name "$2" --gpus 1 "${@:3}" busybox sleep 3600 >/dev/null; }
rm_all() {
    local ids
    ids=$(engine ps -aq)
    # shellcheck disable=SC2086  # one word for each
    [[ -z $ids ]] || engine rm -f $ids >/dev/null
    wait_for held_is ""
    wait_for nothing_staged
    wait_for no_receipts
    wait_for no_records
    wait_for units_are_fit
}
staged() { grep -c " $DIR/run/binds/" /proc/self/mountinfo || true; }
nothing_staged() { [[ $(staged) == 0 && -z $(ls "$DIR/run/binds") ]]; }
no_receipts() { ! compgen -G "$DIR/run/receipts/*.json" >/dev/null; }
no_records() { [[ $(sqlite3 "file:$DIR/state/ledger.db?mode=ro" 'SELECT count(*) FROM records') == 0 ]]; }
stopped() { "$LAB" stop-door "$DIR" "$@"; }
started() { "$LAB" start-door "$DIR"; }
pid_of() { engine inspect -f '{{.State.Pid}}' "$1"; }
is_running() { [[ $(engine inspect -f '{{.State.Running}}' "$1") == true ]]; }
is_over() { [[ $(engine inspect -f '{{.State.Running}}' "$1") == false ]]; }
is_gone() { ! engine inspect "$1" &>/dev/null; }
# The numbers of a container's GPU devices, as the host sees them.
devices() { { stat -c %t:%T "/proc/$(pid_of "$1")"/root/dev/nvidia* 2>/dev/null || true; } | sort; }
no_device_twice() {
    local container all=''
    for container in $(engine ps -q); do all+=$(devices "$container")$'\n'; done
    [[ -z $(grep -v '^$' <<<"$all" | sort | uniq -d) ]] || fail "a device stands in two running containers: $all"
}

# ds01d by itself, with another configuration perhaps: `lab start-door` waits until the Engine answers through it.
alone() {
    local other=${1:-}
    (
        # shellcheck source=/dev/null
        for part in common network engine door; do source "$DS01_ROOT/scripts/lab-lib/$part.sh"; done
        locate "$DIR"
        start_daemon ds01d "$DIR/log/ds01d.log" "$DIR/bin/ds01d" run --config "${other:-$CONFIG}"
    )
}
door_listens() { door http://door/ds01/v1/whoami -o /dev/null; }
daemon_pid() { cat "$DIR/lab/$1.pid"; }
kill_daemon() {
    local pid
    pid=$(daemon_pid "$1")
    kill "-$2" "$pid"
    wait_for daemon_is_gone "$pid"
}
daemon_is_gone() { [[ ! -d /proc/$1 || $(sed 's/.*) //' "/proc/$1/stat") == Z* ]]; }
logged() { grep -qE -- "$1" < <(tail -n +"$((LOG_FROM + 1))" "$DIR/log/ds01d.log"); }
mark_log() { LOG_FROM=$(wc -l <"$DIR/log/ds01d.log"); }

# stories NAME… -- [NAME…]: tells them all, or those that were asked for.
stories() {
    local all=() story
    while [[ $1 != -- ]]; do all+=("$1"); shift; done
    shift
    for story in "${@:-${all[@]}}"; do "$story"; done
}
