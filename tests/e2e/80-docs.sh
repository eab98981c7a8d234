#!/usr/bin/env bash
# What the user's manual says is so: every command of its runnable blocks ends as the page says, and says what the
# page says. The convention stands at the top of docs/index.md.
source "$(dirname "$0")/lib.sh"

lab_start --users alice:student,bob:student,carol:researcher

# Debian's Python, whatever other Python comes first on the path; no network, no packages.
/usr/bin/python3 "$DS01_ROOT/tests/e2e/clients/manual.py" "$DS01_ROOT/docs/index.md" "$LAB" "$DIR"

# A page takes away what it makes.
assert_eq "$(engine ps --all --format '{{.Names}}')" "" "containers that a page left behind"
