#!/usr/bin/env bash
# ablations.sh [GROUP...]: what parts of a recipe are worth, on Fashion-MNIST. Trains the net of
# jobs/recipes/ablations/fashion-mnist.yaml in many ways, each from several seeds, and prints a
# table of how many of the 10,000 test images each got right (docs/recipes.md). Groups:
# optimizers, averages, mixing, crops; all of them unless named. A run that is there already is
# not done again; one that was stopped goes on.
# Environment variables:
#   SEEDS           "1 2 3" unless set
#   FASHION_MNIST   another folder with the four files of Fashion-MNIST
#   STEPS           ends each training after so many steps, an epoch's or more, to try the
#                   script
#   CONVOY          a convoy that is there: installs and builds nothing
#   WORK            the folder for packs/ and runs/, where convoy lies unless set
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
data=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
convoy=${CONVOY:-$root/build/release/src/cli/convoy}
recipe=$root/jobs/recipes/ablations/fashion-mnist.yaml
read -ra seeds <<<"${SEEDS:-1 2 3}"

# pack_once SOURCE PACK
pack_once() {
    if [ ! -e "$2" ]; then
        "$convoy" pack "$1" -o "$2"
    fi
}

# The last of a run's figures of this name, 0 to 1: last RUN FIGURE
last() {
    local figure
    figure=$(sed -n "s/.*\"$2\": \([0-9.e-]*\).*/\1/p" "$1/metrics.jsonl" | tail -n 1)
    if [ -z "$figure" ]; then
        echo "ablations.sh: $1 has no $2: did it end before its first epoch?" >&2
        return 1
    fi
    echo "$figure"
}

# Trains with these settings, unless that is done: train RUN KEY=VALUE...
train() {
    local run=$1 settings=() setting
    for setting in "${@:2}"; do
        settings+=(--set "$setting")
    done
    if [ ! -e "$run/done" ]; then
        echo "training $run" >&2
        "$convoy" train "$recipe" --out "$run" --quiet "${settings[@]}" \
            ${STEPS:+--stop-after-steps "$STEPS"} >&2 || return
        touch "$run/done"
    fi
}

# A line of the table, with mean and standard deviation over the seeds; its runs are
# NAME-SEED: row NAME FIGURE KEY=VALUE...
row() {
    local seed run
    for seed in "${seeds[@]}"; do
        run=runs/ablations/$1-$seed
        train "$run" "seed=$seed" "${@:3}"
        last "$run" "$2"
    done | awk -v name="$1" -v settings="${*:3}" '
        { x[n++] = 100 * $1; mean += 100 * $1 }
        END {
            mean /= n > 0 ? n : 1
            for (i = 0; i < n; i++) squares += (x[i] - mean) ^ 2
            spread = (n > 1) ? sqrt(squares / (n - 1)) : 0
            printf "| %s | %.2f | %.2f | `%s` |\n", name, mean, spread, settings
        }'
}

# A line at the learning rate of several with which the first seed gets most right; one at
# which training fails is no choice: rated NAME RATES KEY=VALUE...
rated() {
    local rate run figure
    rate=$(for rate in $2; do
        run=runs/ablations/$1-lr-$rate-${seeds[0]}
        figure=0
        if train "$run" "seed=${seeds[0]}" "schedule.lr=$rate" "${@:3}"; then
            figure=$(last "$run" val_top1)
        fi
        echo "$figure $rate"
    done | sort -s -g -k 1,1 | tail -n 1 | cut -d ' ' -f 2)
    row "$1-lr-$rate" val_top1 "schedule.lr=$rate" "${@:3}"
}

optimizers() {
    local scaled=(optimizer.name=lars optimizer.momentum_form=scaled)
    local unscaled=(optimizer.name=lars optimizer.momentum_form=unscaled)
    rated sgd-128 "0.1 0.2 0.4" batch.size=128
    rated sgd-1024 "0.8 1.6 3.2" batch.size=1024
    rated sgd-4096 "1.6 3.2 6.4" batch.size=4096
    rated lars-scaled-128 "4 8 16" batch.size=128 "${scaled[@]}"
    rated lars-scaled-1024 "8 16 32" batch.size=1024 "${scaled[@]}"
    rated lars-scaled-4096 "8 16 32" batch.size=4096 "${scaled[@]}"
    rated lars-unscaled-128 "4 8 16" batch.size=128 "${unscaled[@]}"
    rated lars-unscaled-1024 "8 16 32" batch.size=1024 "${unscaled[@]}"
    rated lars-unscaled-4096 "4 8 16" batch.size=4096 "${unscaled[@]}"
    rated lamb-128 "0.01 0.02 0.04" batch.size=128 optimizer.name=lamb
    rated lamb-1024 "0.04 0.08 0.16" batch.size=1024 optimizer.name=lamb
    rated lamb-4096 "0.04 0.08 0.16" batch.size=4096 optimizer.name=lamb
}

averages() {
    local with=(batch.size=128 schedule.lr=0.1 schedule.decay=constant)
    row constant val_top1 "${with[@]}"
    row constant-ema ema_top1 "${with[@]}" ema.decay=0.9998 ema.every_steps=8
}

mixing() {
    row plain val_top1 batch.size=128
    row mixup-0.2 val_top1 batch.size=128 data.augment.mixup=0.2
    row cutmix-1 val_top1 batch.size=128 data.augment.cutmix=1
}

crops() {
    local resized=data.augment.resized_crop=true
    row crop-28 val_top1 batch.size=128 "$resized"
    row crop-20 val_top1 batch.size=128 "$resized" data.crop=20 data.val_crop=28
    row crop-20-to-28 val_top1 batch.size=128 "$resized" \
        "data.crop=[{epoch: 0, crop: 20}, {epoch: 2, crop: 24}, {epoch: 4, crop: 28}]"
}

groups=("$@")
if [ "$#" = 0 ]; then
    groups=(optimizers averages mixing crops)
fi
for group in "${groups[@]}"; do
    case $group in
    optimizers | averages | mixing | crops) ;;
    *)
        echo "ablations.sh: there is no group '$group': optimizers, averages, mixing, crops" >&2
        exit 2
        ;;
    esac
done

if [ -z "${CONVOY:-}" ]; then
    bash jobs/install-packages.sh build data >&2
    cmake --preset release >&2
    cmake --build --preset release --target convoy_cli >&2
fi
cd "${WORK:-$root}"
mkdir -p packs runs
pack_once "$data/train-images-idx3-ubyte.gz" packs/fashion-mnist-train.h5 >&2
pack_once "$data/t10k-images-idx3-ubyte.gz" packs/fashion-mnist-test.h5 >&2

echo "| | top-1 % | ± | settings |"
echo "|---|---|---|---|"
for group in "${groups[@]}"; do
    "$group"
done
