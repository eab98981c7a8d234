# shellcheck shell=bash
# What every script in tests/e2e shares: a lab of its own, people, conditions, assertions. Sourced first:
#
#   source "$(dirname "$0")/lib.sh"
#   lab_start --users alice:student,bob:student      # any option of `scripts/lab up`
#   as alice docker run --rm --gpus all busybox true
#
# Whatever happens, the lab is taken away at the end and what it leaves behind fails the script; its logs are
# shown when the script failed.
set -euo pipefail

DS01_ROOT=${DS01_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
LAB=$DS01_ROOT/scripts/lab
TEST_NAME=$(basename "$0" .sh)
WAIT_SECONDS_MAX=${DS01_WAIT_SECONDS:-30}
SCRATCH=$(mktemp -d "/tmp/ds01-$TEST_NAME.XXXXXX")
chmod 0755 "$SCRATCH"
LABS=()
# Whether a failure shows the labs' logs.
SHOW_LOGS=yes

# lab_start [OPTION…]: a lab in a directory of its own; its exports are in force afterwards, and $DIR is where.
lab_start() {
    local directory
    directory=$SCRATCH/lab${#LABS[@]}
    LABS+=("$directory")
    "$LAB" up "$directory" --no-build "$@"
    lab_use "$directory"
}

# lab_use DIR: the lab that `as` and the exports mean, when a script has several.
lab_use() {
    DIR=$1
    eval "$("$LAB" env "$DIR")"
}

# as USER CMD…: as a person who has just logged in, through the door.
as() { "$LAB" as "$DIR" "$@"; }

# engine CMD…: the Engine itself, past the door: what is really there.
engine() { docker -H "$DS01_ENGINE" "$@"; }

# unit_of USER CONTAINER: the device nodes that can be opened inside, one a line.
units_open_in() { as "$1" docker exec "$2" sh -c 'for d in /dev/nvidia[0-9]*; do [ -e "$d" ] && : <"$d" 2>/dev/null && echo "$d"; done; true'; }

note() { printf '    %s\n' "$*"; }

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    local depth
    for ((depth = 1; depth < ${#FUNCNAME[@]} - 1; depth++)); do
        printf '   at %s:%s\n' "${BASH_SOURCE[depth + 1]##*/}" "${BASH_LINENO[depth]}" >&2
    done
    exit 1
}

# wait_for [-t SECONDS] COMMAND…: look again until it succeeds; the deadline is a failure.
wait_for() {
    local seconds=$WAIT_SECONDS_MAX
    if [[ $1 == -t ]]; then seconds=$2; shift 2; fi
    local deadline=$((SECONDS + seconds))
    until "$@" &>/dev/null; do
        ((SECONDS < deadline)) || fail "after $seconds s still not true: $*"
        sleep 0.05
    done
}

assert_eq() { [[ $1 == "$2" ]] || fail "${3:-values differ}: expected '$2', got '$1'"; }
assert_ne() { [[ $1 != "$2" ]] || fail "${3:-values are equal}: '$1'"; }
assert_contains() { [[ $1 == *"$2"* ]] || fail "${3:-text lacks} '$2' in: $1"; }
assert_lacks() { [[ $1 != *"$2"* ]] || fail "${3:-text has} '$2' in: $1"; }
assert_file() { [[ -e $1 ]] || fail "no file $1"; }
assert_ok() { "$@" || fail "exit $? from: $*"; }

# assert_fails WORDS COMMAND…: it must fail and say WORDS (on either stream).
assert_fails() {
    local words=$1 said rc=0
    shift
    said=$("$@" 2>&1 </dev/null) || rc=$?
    ((rc != 0)) || fail "succeeded, but should have failed: $*"
    [[ $said == *"$words"* ]] || fail "failed without '$words': $* said: $said"
}

# in_background NAME COMMAND…: its output in $SCRATCH/NAME.out, its exit status in $SCRATCH/NAME.rc when it ends.
in_background() {
    local name=$1
    shift
    rm -f -- "$SCRATCH/$name.rc"
    ( rc=0; "$@" >"$SCRATCH/$name.out" 2>&1 </dev/null || rc=$?; echo "$rc" >"$SCRATCH/$name.rc" ) &
}

ended() { [[ -s $SCRATCH/$1.rc ]]; }
said() { grep -qE -- "$2" "$SCRATCH/$1.out"; }

at_exit() {
    local rc=$? directory
    trap - EXIT INT TERM
    set +e
    # shellcheck disable=SC2046  # one word for each
    kill $(jobs -p) 2>/dev/null
    # What a script made beside its labs, by a function of its own.
    ! declare -F before_down >/dev/null || before_down
    if ((rc != 0)) && [[ $SHOW_LOGS == yes ]]; then
        for directory in "${LABS[@]}"; do
            [[ -d $directory ]] && "$LAB" logs "$directory" >&2
        done
    fi
    for directory in "${LABS[@]}"; do
        if ! "$LAB" down "$directory"; then
            echo "FAILED: $directory did not go away" >&2
            rc=1
        fi
    done
    rm -rf --one-file-system -- "$SCRATCH"
    exit "$rc"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
