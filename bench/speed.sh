#!/usr/bin/env bash
# Measure, print, and keep the table beside this script under the commit's name. Options are those of `understudy bench`.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON="${PYTHON:-python3}"
[ -x .venv/bin/python ] && PYTHON=.venv/bin/python
commit="$(git describe --always --dirty=+ 2>/dev/null || echo release)"
"$PYTHON" -m understudy bench "$@" | tee "bench/speed-$commit.md"
echo "kept as bench/speed-$commit.md"
