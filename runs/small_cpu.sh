#!/usr/bin/env bash
# All small models from nothing, unattended, on two CPU cores. Stop it at any time: the same command goes on where it
# stopped.
#
# What to expect: docs/training.md, which has what was measured and when. Nothing is downloaded. Room needed: 10 GB.
#
#   runs/small_cpu.sh              an hour for the autoencoder, eight for X-Portrait, as many for X-Portrait 2, an hour for
#                                  the decoder again, two for X-Actor
#   HOURS=16 runs/small_cpu.sh     or longer
#   RECORDED=800 runs/small_cpu.sh                X-Actor learns from festival's voices, too (docs/x-actor.md says which)
#   OUT=/elsewhere THREADS=4 DEVICE=cuda runs/small_cpu.sh
set -euo pipefail
cd "$(dirname "$0")/.."

OUT="${OUT:-journal}"
HOURS="${HOURS:-8}"
THREADS="${THREADS:-2}" # 1 where another program keeps a core busy: spin barriers make two slower than one
DEVICE="${DEVICE:-auto}"
RECORDED="${RECORDED:-0}"
UNDERSTUDY="${UNDERSTUDY:-python -m understudy}"
if [ "$RECORDED" != 0 ]; then # what is missing is to be known now, and not after 18 hours
    python -c 'from understudy.cast.speak.espeak import Said
from understudy.cast.speak.festival import SPEAKERS, said
for name in SPEAKERS: said([Said("12", name, 165, 50, 50)])'
fi
if [ "$UNDERSTUDY" != "${UNDERSTUDY% -m understudy}" ] && ! ${UNDERSTUDY% -m understudy} -c "import espeakng_loader"; then
    echo 'X-Actor learns from a cast that speaks: pip install "understudy[tts]" first' >&2 # and not after 17 hours
    exit 1
fi

# A heap in large pages that is not given back between steps (glibc): steps take two thirds of the time, docs/training.md.
export GLIBC_TUNABLES="${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}"
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=67108864

# 1. The autoencoder: first draws people of the cast (once), then learns to squeeze them. Look at
#    OUT/autoencoder-small/sheets: the first sheet is there before the first step, later ones show people who are held out.
$UNDERSTUDY train autoencoder-small --out "$OUT/autoencoder-small" --shards "$OUT/shards" --device "$DEVICE" \
    --threads "$THREADS" --budget 1h

# 2. X-Portrait, in its five stages. Each begins with the one before; the sheets show portrait, driver, result, what the
#    autoencoder makes of the truth, and the truth.
$UNDERSTUDY train x-portrait-small "autoencoder=$OUT/autoencoder-small/autoencoder-small.safetensors" \
    --out "$OUT/x-portrait-small" --shards "$OUT/shards" --device "$DEVICE" --threads "$THREADS" --budget "${HOURS}h"

# 3. X-Portrait 2, in its four stages, on the backbone and the reference net of X-Portrait. What is shipped lies seven
#    tenths of the way from weights that were not made clear to this (`understudy weights between`, docs/training.md).
$UNDERSTUDY train x-portrait-2-small "autoencoder=$OUT/autoencoder-small/autoencoder-small.safetensors" \
    "start=$OUT/x-portrait-small/x-portrait-small.safetensors" \
    --out "$OUT/x-portrait-2-small" --shards "$OUT/shards" --device "$DEVICE" --threads "$THREADS" --budget "${HOURS}h"

# 4. The decoder again, taught by what the two generators say: soft pictures become sharper ones.
$UNDERSTUDY train autoencoder-small-finish "start=$OUT/autoencoder-small/autoencoder-small.safetensors" \
    "generators=$OUT/x-portrait-small/x-portrait-small.safetensors+$OUT/x-portrait-2-small/x-portrait-2-small.safetensors" \
    --out "$OUT/autoencoder-small-finish" --shards "$OUT/shards" --device "$DEVICE" --threads "$THREADS" --budget 45m

# 5. X-Actor: the cast speaks (pip install "understudy[tts]"), then an actor learns to act what is said. Sheets show curves
#    of held-out voices: true ones grey, performed ones red.
$UNDERSTUDY train x-actor-small "recorded=$RECORDED" --out "$OUT/x-actor-small" --shards "$OUT/shards" \
    --device "$DEVICE" --threads "$THREADS" --budget "${ACTOR:-2h}"

# What the package ships (and finds, since it looks there):
#    cp "$OUT/autoencoder-small-finish/autoencoder-small-finish.safetensors" understudy/pretrained/autoencoder-small.safetensors
#    cp "$OUT/x-portrait-small/x-portrait-small.safetensors" understudy/pretrained/
#    cp "$OUT/x-actor-small/x-actor-small.safetensors" understudy/pretrained/
#    cp "$OUT/x-portrait-2-small/x-portrait-2-small.safetensors" understudy/pretrained/
echo "done: see $OUT/*/sheets"
