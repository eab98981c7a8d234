#!/usr/bin/env bash
# The newest docker command line, where the machine has one: the same story as the distribution's in 20-clients.
source "$(dirname "$0")/lib.sh"
# shellcheck source=/dev/null
source "$DS01_ROOT/tests/e2e/clients/compare.sh"

CLIENT=${DS01_NEWEST_DOCKER:-/usr/local/bin/docker}
if [[ ! -x $CLIENT ]]; then
    note "no $CLIENT on this machine: skipped"
    exit 0
fi
compare_start
same_story "$("$CLIENT" --version)" cli.sh "$CLIENT" @WORK
