#!/usr/bin/env bash
# Every command of the hand prints what its snapshot says, on a terminal, on pipes and as JSON, and ends with the number
# that is promised. `tests/e2e/55-hand.sh --update [SCENE…]` writes the snapshots of tests/e2e/hand anew: read the
# difference before you keep it.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student,bob:student,carol:researcher

HAND=$DS01_ROOT/tests/e2e/hand
/usr/bin/python3 -B "$DS01_ROOT/tests/e2e/clients/hand.py" "$LAB" "$DIR" "$HAND" "$@"
assert_eq "$(engine ps --all --format '{{.Names}}')" "" "containers that a scene left behind"
