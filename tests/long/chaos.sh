#!/usr/bin/env bash
# tests/e2e/60-chaos.sh at full size: 400 lives of containers by twenty users, ds01d killed every few seconds.
export CHAOS_USERS=${CHAOS_USERS:-20} CHAOS_OPS=${CHAOS_OPS:-400} CHAOS_KILLS=${CHAOS_KILLS:-30}
export CHAOS_LONG_LIVED=3 CHAOS_GAP=${CHAOS_GAP:-5} CHAOS_PATIENT=yes
exec bash "$(dirname "$0")/../e2e/60-chaos.sh"
