#!/usr/bin/env bash
# tests/e2e/60-chaos.sh at full size: 200 lives of containers by twenty users, ds01d killed at 30 random moments.
export CHAOS_USERS=${CHAOS_USERS:-20} CHAOS_OPS=${CHAOS_OPS:-200} CHAOS_KILLS=${CHAOS_KILLS:-30} CHAOS_LONG_LIVED=3
exec bash "$(dirname "$0")/../e2e/60-chaos.sh"
