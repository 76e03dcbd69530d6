#!/usr/bin/env bash
# quickstart.sh: from nothing to a trained network. Installs what is missing (or lists it and
# stops), builds convoy, packs Fashion-MNIST, trains a LeNet on two MPI ranks of one thread
# each, and prints its accuracy on the test images. Packs and earlier runs stay as they are.
# FASHION_MNIST names another folder with the four files of Fashion-MNIST.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
convoy=build/release/src/cli/convoy
data=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
recipe=jobs/recipes/fashion-mnist.yaml

# Prints runs/NAME, or runs/NAME-2, runs/NAME-3, … where that is taken.
fresh_run() {
    local folder=runs/$1 n=2
    while [ -e "$folder" ]; do
        folder=runs/$1-$n
        n=$((n + 1))
    done
    echo "$folder"
}

# pack_once SOURCE PACK
pack_once() {
    if [ ! -e "$2" ]; then
        "$convoy" pack "$1" -o "$2"
    fi
}

# Two ranks wherever this runs: as root, on one core, with Open MPI 4 or 5. Not bound to
# a core each, because loader threads and the rank would then share it.
two_ranks() {
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
        PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
        OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none \
        PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe \
        PRTE_MCA_hwloc_default_binding_policy=none \
        OMP_NUM_THREADS=1 mpirun -np 2 "$@"
}

bash jobs/install-packages.sh build data
cmake --preset release
cmake --build --preset release --target convoy_cli

mkdir -p packs runs
pack_once "$data/train-images-idx3-ubyte.gz" packs/fashion-mnist-train.h5
pack_once "$data/t10k-images-idx3-ubyte.gz" packs/fashion-mnist-test.h5

run=$(fresh_run fashion-mnist)
two_ranks "$convoy" train "$recipe" --out "$run" --set threads=1

checkpoints=("$run"/checkpoints/step-*.h5) # the last name is the last step
echo
echo "Accuracy on the 10,000 test images:"
OMP_NUM_THREADS=2 "$convoy" eval --weights "${checkpoints[-1]}" \
    --data packs/fashion-mnist-test.h5
echo
echo "The run is in $PWD/$run:"
echo "metrics.jsonl has every figure, run.json the circumstances,"
echo "recipe.yaml the complete recipe, checkpoints/ the weights."
