#!/usr/bin/env bash
# The small models on one GPU, in commands of ten minutes at most, with nothing but torch, numpy and safetensors. Stop it
# at any time: the same command goes on where it stopped.
#
#   runs/small_gpu.sh first     draws the cast, and X-Portrait small goes on from what is shipped         10 minutes
#   runs/small_gpu.sh second    X-Portrait 2 small, on what the first left     5 minutes, and 16,384 close-ups are drawn
#
# The weights, 10 MiB each, and the sheets to look at are put into OUT (for carrying home); all else stays in JOURNAL.
# Batches are eight times those of a CPU; docs/training.md has the recipes.
set -euo pipefail
cd "$(dirname "$0")/.."

OUT="${OUT:-carried}"
JOURNAL="${JOURNAL:-journal}"
PYTHON="${PYTHON:-python3}"
DEVICE="${DEVICE:-cuda}"
train() { "$PYTHON" -m understudy.recipes "$@" --device "$DEVICE" --shards "$JOURNAL/shards"; }
carry() { mkdir -p "$OUT"; cp "$JOURNAL/$1/$1.safetensors" "$OUT/"; cp "$JOURNAL/$1"/sheets/*held-out.png "$OUT/" || true; }

case "${1:-}" in
first)
    # Steps are of 256 questions; the rate falls to nothing when the time is over.
    train x-portrait-small-together start=x-portrait-small.safetensors pictures=16384 plan.batch=64 plan.warm_up=100 \
        plan.judge_every=2000 --out "$JOURNAL/x-portrait-small-together" --budget "${TOGETHER:-6m}"
    carry x-portrait-small-together
    train x-portrait-small-time "start=$JOURNAL/x-portrait-small-together/x-portrait-small-together.safetensors" \
        plan.batch=16 --out "$JOURNAL/x-portrait-small-time" --budget "${TIME:-70s}"
    carry x-portrait-small-time
    ;;
second)
    train x-portrait-2-small "start=$JOURNAL/x-portrait-small-time/x-portrait-small-time.safetensors" \
        closeups=16384 --out "$JOURNAL/x-portrait-2-small" --budget "${ALL:-4m}"
    mkdir -p "$OUT"
    cp "$JOURNAL/x-portrait-2-small/x-portrait-2-small.safetensors" "$OUT/"
    ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
