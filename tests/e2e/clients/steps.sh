# shellcheck shell=bash
# One step of a story: sourced by the stories of this directory, which set WORK.

# step NAME COMMAND…: a heading, what the command says on each stream, and its exit status.
step() {
    local name=$1 rc=0 began
    began=$(date +%s%N)
    shift
    "$@" >"$WORK/.out" 2>"$WORK/.err" || rc=$?
    printf '[%s]\n' "$name"
    sed 's/^/  /' "$WORK/.out"
    sed 's/^/  ! /' "$WORK/.err"
    printf '  exit %d\n' "$rc"
    [[ -z ${STEP_TIMES:-} ]] || printf '%s %s\n' "$((($(date +%s%N) - began) / 1000000))" "$name" >>"$STEP_TIMES"
}

# typed [EXPECTED TYPED]… -- COMMAND…: the command on a terminal of its own.
typed() { /usr/bin/python3 "$HERE/terminal.py" "$@"; }

# until_true COMMAND…: look again until it succeeds.
until_true() {
    local deadline=$((SECONDS + 20))
    until "$@" &>/dev/null; do ((SECONDS < deadline)) || { echo "never true: $*"; return 1; }; sleep 0.05; done
}
