#!/usr/bin/env bash
# The demo checks every claim as it makes it; a claim that does not hold fails it.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec ./demo
