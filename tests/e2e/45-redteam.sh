#!/usr/bin/env bash
# Every attack of the red-team corpus, and every legitimate request beside them, as one of two users who do not trust
# each other; what came of it is looked at on the host. REDTEAM_ONLY=ID,… runs some of them, REDTEAM_CASES=DIR those of
# another directory, REDTEAM_SHARE=DIR shows another read-only share, REDTEAM_RELEASE=1 takes the programs of the
# release profile, REDTEAM_VERBOSE=1 says what was answered, REDTEAM_QUIET=1 leaves it at the rows when one failed.
source "$(dirname "$0")/lib.sh"

share=${REDTEAM_SHARE:-$SCRATCH/share}
if [[ -z ${REDTEAM_SHARE:-} ]]; then
    mkdir -m 0755 "$share"
    echo shared >"$share/shared.txt"
fi
# Two runs side by side must not meet in one home.
alice=rta$$ bob=rtb$$

# Two equal slices: bob can take all that there is.
cat >"$SCRATCH/machine.yaml" <<YAML
machine:
  simulated:
    cards:
      - { model: NVIDIA A100-SXM4-80GB, memory: 80g, mig: [3g.40gb, 3g.40gb] }

start_wait: 2s
binds:
  shares:
    - $share
YAML

lab_start --machine "$SCRATCH/machine.yaml" --users "$alice:student,$bob:student" ${REDTEAM_RELEASE:+--release}

[[ -z ${REDTEAM_QUIET:-} ]] || SHOW_LOGS=no
# In the background, so that a signal to this script is not held up until the last case.
python3 -B "$DS01_ROOT/tests/redteam/run.py" --lab "$DIR" --alice "$alice" --bob "$bob" --share "$share" \
    ${REDTEAM_CASES:+--cases "$REDTEAM_CASES"} ${REDTEAM_ONLY:+--only "$REDTEAM_ONLY"} \
    ${REDTEAM_VERBOSE:+--verbose} &
wait $!
