#!/usr/bin/env bash
# train.sh PREFIX EXAMPLES SCRATCH: the example that trains, on two ranks, makes the weights
# of `convoy train` without mpirun by the recipe of the same net, and files that convoy
# takes. Of the convoy in PREFIX, with the examples that were built against it.
set -euo pipefail
convoy=$1/bin/convoy
example=$2/train_densenet
source=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../..
cd "$3"
mpirun=$source/tests/support/mpirun.sh
recipe=$source/jobs/recipes/fashion-mnist-densenet.yaml

# images NAME N SEED: NAME-images-idx3-ubyte and its labels, as Fashion-MNIST is distributed.
images() {
    python3 - "$@" <<'PY'
import random
import struct
import sys

name, n, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
noise = random.Random(seed)
with open(f"{name}-images-idx3-ubyte", "wb") as images:
    images.write(struct.pack(">4i", 0x803, n, 28, 28) + noise.randbytes(n * 784))
with open(f"{name}-labels-idx1-ubyte", "wb") as labels:
    labels.write(struct.pack(">2i", 0x801, n) + bytes(i * 7 % 10 for i in range(n)))
PY
    "$convoy" pack "$1-images-idx3-ubyte" -o "$1.h5" --quiet
}
images train 256 1
images t10k 64 2

bash "$mpirun" 2 "$example" train.h5 t10k.h5 own.h5 3 >example.log
grep -qx 'a step: 2 microbatches of 64; ranks: 2; lanes of rank 0: 1' example.log
grep -q '^step 2 of 20: .* right of 64$' example.log # an epoch has two steps
grep -q '^step 3 of 20: ' example.log
"$convoy" train "$recipe" --set data.train=train.h5 --set data.val=t10k.h5 \
    --out run --stop-after-steps 3 --quiet
"$convoy" weights hash own.h5 run/checkpoints/step-00000003.h5 | cut -d ' ' -f 1 >hashes
[ "$(sort -u hashes | wc -l)" = 1 ] || {
    echo "the example's weights are not the program's:" >&2
    cat hashes >&2
    exit 1
}
# A net that a program built is known by the file.
# (To files first: grep -q does not read on, and a program fails that cannot write.)
"$convoy" eval --weights own.h5 --data t10k.h5 --json >eval.json
grep -q '"top1"' eval.json
"$convoy" weights export own.h5 -o own.safetensors
"$convoy" info own.h5 >own.txt
grep -q 'dense3\.3\.new' own.txt
"$convoy" train "$recipe" --set data.train=train.h5 --set data.val=t10k.h5 \
    --out further --resume own.h5 --stop-after-steps 4 --quiet
# A pack that is missing, on all ranks: one speaks.
status=0
bash "$mpirun" 2 "$example" train.h5 none.h5 x.h5 >failed.log 2>&1 || status=$?
[ "$status" = 1 ]
[ "$(grep -c '^train_densenet: none\.h5' failed.log)" = 1 ]
