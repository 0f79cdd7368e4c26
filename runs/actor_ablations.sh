#!/usr/bin/env bash
# What each part of the small actor is worth: the same net, the same takes, as long, with one thing otherwise; each is
# measured as the whole is. Stop it at any time: the same command goes on where it stopped, and what is measured is not
# measured again.
#
#   runs/actor_ablations.sh                        all, half an hour of two cores each, and 20 minutes to measure each
#   BUDGET=2h runs/actor_ablations.sh regression   some of them, longer
#   START=x-actor-small.safetensors BUDGET=8m runs/actor_ablations.sh teacher context    go on from weights, not from nothing
#   MINUTES=5 runs/actor_ablations.sh              measured on 5 minutes without end instead of 30
#
# Results: OUT/NAME.json, one object each. What they compare is in docs/x-actor.md, "How it learns".
set -euo pipefail
cd "$(dirname "$0")/.."

OUT="${OUT:-journal/actor-ablations}"
SHARDS="${SHARDS:-$OUT/shards}" # takes are spoken once for all
BUDGET="${BUDGET:-30m}"
START="${START:-}" # weights from which they go on
OWN="${OWN:-10m}" # of the second stage
MINUTES="${MINUTES:-30}"
TAKES="${TAKES:-800}"
THREADS="${THREADS:-2}"
DEVICE="${DEVICE:-auto}"
UNDERSTUDY="${UNDERSTUDY:-python -m understudy}"
ASKED="${*:-whole regression teacher history context levels past own}"

learn() { # NAME RECIPE BUDGET FIELD=VALUE...
    local name="$1" recipe="$2" budget="$3"
    shift 3
    case " $ASKED " in *" $name "*) ;; *) return 0 ;; esac
    $UNDERSTUDY train "$recipe" "name=x-actor-small-$name" "takes=$TAKES" ${START:+"start=$START"} "$@" \
        --out "$OUT/$name" --shards "$SHARDS" --device "$DEVICE" --threads "$THREADS" --budget "$budget"
    if [ ! -s "$OUT/$name.json" ]; then
        local rival="$OUT/regression/x-actor-small-regression.safetensors"
        $UNDERSTUDY evaluate x-actor-small --weights "$OUT/$name/x-actor-small-$name.safetensors" \
            $([ -f "$rival" ] && [ "$name" != regression ] && echo --rival "$rival") \
            --minutes "$MINUTES" --device "$DEVICE" --json | tail -n 1 >"$OUT/$name.json.new"
        mv "$OUT/$name.json.new" "$OUT/$name.json"
    fi
}

mkdir -p "$OUT"
# The baseline that an actor has to beat: the mean of all performances, at once.
learn regression x-actor-small "$BUDGET" objective=regression tempo.steps=1 tempo.lag=1 tempo.stabilise=0 tempo.guidance=1
# The whole, without the stage in which it learns from a past of its own.
learn whole x-actor-small "$BUDGET"
# Teacher forcing: a past that is always true, which a performance never has. It should drift.
learn teacher x-actor-small "$BUDGET" objective=teacher tempo.lag=8 tempo.stabilise=0
# Finished frames taken at their word: no noise on the past, in learning and in performing.
learn history x-actor-small "$BUDGET" history=0 tempo.stabilise=0
# 0.64 s of context instead of 8.3 s.
learn context x-actor-small "$BUDGET" config.context=16
# Levels of the original diffusion forcing: one for each frame, and never as in a performance.
learn levels x-actor-small "$BUDGET" used=0 by_frame=1
# A past that tells the mood in every part, so that it need not be heard.
learn past x-actor-small "$BUDGET" alike=0
# The second stage: half of the parts have a past that the actor has imagined. Without it: `whole`.
learn own x-actor-small-own "$OWN" "start=$OUT/whole/x-actor-small-whole.safetensors"
echo "done: $OUT/*.json"
