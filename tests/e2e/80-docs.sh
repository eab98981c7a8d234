#!/usr/bin/env bash
# What the manual and the README say is so: every command of their runnable blocks ends as the page says, and says what the
# page says; every part of a configuration is one that ds01d takes. The convention stands at the end of docs/index.md.
#
#   80-docs.sh [PAGE.md…]     only these pages
source "$(dirname "$0")/lib.sh"

# Nothing of a page that is wrong stands in a log.
SHOW_LOGS=no
lab_start --users alice:student,bob:student,carol:researcher
# A framework's image, as if somebody had fetched it.
engine tag ds01-python:latest aimehub/pytorch-2.8.0-cuda12.6.3
# The lab of the README stands beside this one, and has no other name for its people.
before_down() { [[ ! -e $SCRATCH/lab ]] || "$LAB" down "$SCRATCH/lab"; }
mkdir "$SCRATCH/backup"
# What mails, for the hook of an administrator.
printf '#!/bin/sh\necho "to $*" >%q; cat >>%q\n' "$SCRATCH/mail" "$SCRATCH/mail" >"$DIR/bin/sendmail"
chmod 0755 "$DIR/bin/sendmail"

# Debian's Python, whatever other Python comes first on the path; no network, no packages.
/usr/bin/python3 -B "$DS01_ROOT/tests/e2e/clients/manual.py" "$DS01_ROOT" "$LAB" "$DIR" "$SCRATCH" "$@"

(($#)) || assert_eq "$(cat "$SCRATCH/mail")" $'to alice\nSubject: train warned\n\ntrain: is to be stopped in 5 min (idle)' "a mail"
# A page takes away what it makes.
assert_eq "$(engine ps --all --format '{{.Names}}')" "" "containers that a page left behind"
