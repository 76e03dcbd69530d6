#!/usr/bin/env bash
# quickstart.sh: from nothing to a trained network. Installs what is missing (or lists it and
# stops), builds convoy, packs Fashion-MNIST, trains a LeNet on two MPI ranks (on one core:
# on one), and prints its accuracy on the test images and the hash of its weights, which is
# the same on any number of ranks and cores, and where the run's report is, a page with its
# curves. Packs and earlier runs stay as they are.
# Environment variables:
#   RANKS           1: trains without mpirun, on two cores where there are two; 2 unless set,
#                   1 on one core
#   FASHION_MNIST   another folder with the four files of Fashion-MNIST
#   STEPS           ends the training after so many steps, to try the script
#   CONVOY          a convoy that is there: installs and builds nothing
#   WORK            the folder for packs/ and runs/, where convoy lies unless set
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
data=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
convoy=${CONVOY:-$root/build/release/src/cli/convoy}
# shellcheck source=jobs/local.sh
. "$root/jobs/local.sh"

# pack_once SOURCE PACK
pack_once() {
    if [ ! -e "$2" ]; then
        "$convoy" pack "$1" -o "$2"
    fi
}

if [ -z "${CONVOY:-}" ]; then
    bash jobs/install-packages.sh build data
    bash jobs/install-packages.sh report || echo "The report will have tables, and no plots."
    cmake --preset release
    cmake --build --preset release --target convoy_cli
fi

cd "${WORK:-$root}"
mkdir -p packs runs
pack_once "$data/train-images-idx3-ubyte.gz" packs/fashion-mnist-train.h5
pack_once "$data/t10k-images-idx3-ubyte.gz" packs/fashion-mnist-test.h5

ranks=${RANKS:-2}
if [ -z "${RANKS:-}" ] && [ "$(count_cores)" = 1 ]; then
    ranks=1
fi
run=$(fresh_run fashion-mnist)
on_ranks "$ranks" "$convoy" train "$root/jobs/recipes/fashion-mnist.yaml" --out "$run" \
    ${STEPS:+--stop-after-steps "$STEPS"}

checkpoints=("$run"/checkpoints/step-*.h5) # the last name is the last step
echo
echo "Accuracy on the 10,000 test images:"
"$convoy" eval --weights "${checkpoints[-1]}" --data packs/fashion-mnist-test.h5
echo
echo "Hash of the weights, the same with any RANKS:"
"$convoy" weights hash "${checkpoints[-1]}"
echo
echo "The run is in $PWD/$run:"
echo "metrics.jsonl has every figure, run.json the circumstances,"
echo "recipe.yaml the complete recipe, checkpoints/ the weights."
echo "Its curves, to look at in a browser:"
"$convoy" report "$run" | sed -n "s|^report: |$PWD/|p"
