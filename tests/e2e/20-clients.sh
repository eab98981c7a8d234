#!/usr/bin/env bash
# Real, unmodified clients notice nothing: the distribution's docker command line and docker-py tell the same story
# against the bare Engine and through the door.
source "$(dirname "$0")/lib.sh"
# shellcheck source=/dev/null
source "$DS01_ROOT/tests/e2e/clients/compare.sh"

compare_start
same_story "docker-py" sdk.py
same_story "docker $(/usr/bin/docker version --format '{{.Client.Version}}' 2>/dev/null || true)" cli.sh /usr/bin/docker @WORK
