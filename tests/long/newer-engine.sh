#!/usr/bin/env bash
# Every story of tests/e2e once more over the Engine of Debian's next release: other words, other defaults, a newer API.
#
#   DS01_STORIES="15-line 30-gpu-forms"   only these
source "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=/dev/null
source "$DS01_ROOT/tests/e2e/clients/newer.sh"

NEWER_DIR=$(newer docker.io containerd) || { note "a newer Engine cannot be had here: skipped"; exit 0; }
export PATH=$NEWER_DIR/usr/sbin:$NEWER_DIR/usr/bin:$PATH DS01_ROOT
note "$(dockerd --version); $(containerd --version | cut -d' ' -f3); $(runc --version | head -n 1)"

failed=()
for story in "$DS01_ROOT"/tests/e2e/[0-9]*.sh; do
    name=$(basename "$story" .sh)
    # The documents' own story is about their texts, whatever Engine there is.
    [[ $name != 80-docs && " ${DS01_STORIES:-$name} " == *" $name "* ]] || continue
    if timeout --kill-after=60 900 bash "$story" >"$SCRATCH/$name.log" 2>&1 </dev/null; then
        note "$name"
    else
        failed+=("$name")
        grep -v 'level=\|INFO\|WARN' "$SCRATCH/$name.log" | tail -n 40 >&2
    fi
done
((${#failed[@]} == 0)) || fail "over the newer Engine: ${failed[*]}"
