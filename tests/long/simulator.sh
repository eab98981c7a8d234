#!/usr/bin/env bash
# Ten thousand stories of the simulator: users, jobs, crashes and hours that pass in milliseconds. Needs no Engine.
#
#   SIM_SEEDS=1000 SIM_FIRST=5000   others than the first ten thousand
set -euo pipefail
cd "$(dirname "$0")/../.."
exec cargo run --quiet --release --locked -p sim -- --first "${SIM_FIRST:-0}" --seeds "${SIM_SEEDS:-10000}"
