#!/usr/bin/env bash
# Every attack of the red-team corpus, and every legitimate request beside them, as one of two users who do not trust
# each other; what came of it is looked at on the host. REDTEAM_ONLY=ID,… runs some of them,
# REDTEAM_VERBOSE=1 says what was answered.
source "$(dirname "$0")/lib.sh"

mkdir -m 0755 "$SCRATCH/share"
echo shared >"$SCRATCH/share/shared.txt"

# Two equal slices: bob can take all that there is.
cat >"$SCRATCH/machine.yaml" <<YAML
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb, 3g.40gb] }

start_wait: 2s
binds:
  shares:
    - $SCRATCH/share
YAML

lab_start --machine "$SCRATCH/machine.yaml" --users rtalice:student,rtbob:student

python3 -B "$DS01_ROOT/tests/redteam/run.py" --lab "$DIR" --alice rtalice --bob rtbob --share "$SCRATCH/share" \
    ${REDTEAM_CASES:+--cases "$REDTEAM_CASES"} ${REDTEAM_ONLY:+--only "$REDTEAM_ONLY"} \
    ${REDTEAM_VERBOSE:+--verbose}
