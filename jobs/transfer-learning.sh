#!/usr/bin/env bash
# transfer-learning.sh: what a trained network is worth where labels are few. Installs what
# is missing (or lists it and stops), builds convoy, and packs Fashion-MNIST in two halves:
# classes 0-4 whole, and of classes 5-9 a few labelled images each and all test images.
# Trains LeNet on the first half; then learns the second half twice from the same few labels,
# from random weights and from the first half's, and prints both accuracies.
# Packs and earlier runs stay as they are. Environment variables:
#   FASHION_MNIST   another folder with the four files of Fashion-MNIST
#   LABELS          labelled images of each class, 4 unless set
#   SEED            of all three trainings, 1 unless set
#   STEPS           ends each training after so many steps, to try the script
#   CONVOY          a convoy that is there: installs and builds nothing
#   WORK            the folder for packs/ and runs/, where convoy lies unless set
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
data=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
labels=${LABELS:-4}
convoy=${CONVOY:-$root/build/release/src/cli/convoy}

# Prints runs/NAME, or runs/NAME-2, runs/NAME-3, … where that is taken.
fresh_run() {
    local folder=runs/$1 n=2
    while [ -e "$folder" ]; do
        folder=runs/$1-$n
        n=$((n + 1))
    done
    echo "$folder"
}

# pack_once SOURCE PACK OPTION...
pack_once() {
    if [ ! -e "$2" ]; then
        "$convoy" pack "$1" -o "$2" "${@:3}"
    fi
}

# train RECIPE RUN OPTION...
train() {
    echo "training $2"
    "$convoy" train "$root/jobs/recipes/$1" --out "$2" --quiet --set "seed=${SEED:-1}" \
        ${STEPS:+--stop-after-steps "$STEPS"} "${@:3}"
}

# The file of a run's last step.
weights() {
    local checkpoints=("$1"/checkpoints/step-*.h5)
    echo "${checkpoints[-1]}"
}

# "top-1 79.26 %"
accuracy() {
    "$convoy" eval --quiet --weights "$(weights "$1")" \
        --data packs/fashion-mnist-5-9-test.h5 | sed 's/  top-5.*//'
}

if [ -z "${CONVOY:-}" ]; then
    bash jobs/install-packages.sh build data
    cmake --preset release
    cmake --build --preset release --target convoy_cli
fi

cd "${WORK:-$root}"
mkdir -p packs runs
few=packs/fashion-mnist-5-9-$labels-labels.h5
pack_once "$data/train-images-idx3-ubyte.gz" packs/fashion-mnist-0-4-train.h5 --classes 0-4
pack_once "$data/t10k-images-idx3-ubyte.gz" packs/fashion-mnist-0-4-test.h5 --classes 0-4
pack_once "$data/train-images-idx3-ubyte.gz" "$few" --classes 5-9 --max-per-class "$labels"
pack_once "$data/t10k-images-idx3-ubyte.gz" packs/fashion-mnist-5-9-test.h5 --classes 5-9

base=$(fresh_run transfer-base)
scratch=$(fresh_run transfer-scratch)
transferred=$(fresh_run transfer-few)
train transfer-base.yaml "$base"
train transfer-scratch.yaml "$scratch" --set "data.train=$few"
train transfer-few.yaml "$transferred" --set "data.train=$few" \
    --set "init.weights=$(weights "$base")"

echo
echo "Test images of classes 5-9 right, after learning from $labels labelled images of each:"
echo "    from random weights          $(accuracy "$scratch")"
echo "    from weights of classes 0-4  $(accuracy "$transferred")"
echo
echo "The runs are in $PWD/runs:"
echo "    ${base#runs/}, ${scratch#runs/}, ${transferred#runs/}"
