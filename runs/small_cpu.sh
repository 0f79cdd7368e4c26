#!/usr/bin/env bash
# All small models from nothing, unattended, on two CPU cores. Stages are added to this file as they come to be trained;
# the first is the autoencoder, which all of them need. Stop it at any time: the same command goes on where it stopped.
#
# What to expect: docs/training.md, which has what was measured and when. Nothing is downloaded. Room needed: 1.5 GB.
#
#   runs/small_cpu.sh              two hours for the autoencoder
#   HOURS=8 runs/small_cpu.sh      or longer: it gets sharper
#   OUT=/elsewhere THREADS=4 DEVICE=cuda runs/small_cpu.sh
set -euo pipefail
cd "$(dirname "$0")/.."

OUT="${OUT:-journal}"
HOURS="${HOURS:-2}"
THREADS="${THREADS:-2}" # 1 where another program keeps a core busy: spin barriers make two slower than one
DEVICE="${DEVICE:-auto}"
UNDERSTUDY="${UNDERSTUDY:-python -m understudy}"

# 1. The autoencoder: first draws 6,000 people of the cast (once), then learns to squeeze them. Look at
#    OUT/autoencoder-small/sheets: the first sheet is there before the first step, later ones show people who are held out.
$UNDERSTUDY train autoencoder-small --out "$OUT/autoencoder-small" --device "$DEVICE" --threads "$THREADS" \
    --budget "${HOURS}h"

# What the package ships (and finds, since it looks there):
#    cp "$OUT/autoencoder-small/autoencoder-small.safetensors" understudy/pretrained/
echo "done: $OUT/autoencoder-small/autoencoder-small.safetensors"
