#!/usr/bin/env bash
# install-packages.sh on a machine without apt: says what is missing and fails; is silent
# where nothing is missing.
set -euo pipefail
script=$(dirname "${BASH_SOURCE[0]}")/../../jobs/install-packages.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A PATH with what the script itself uses, and nothing that installs.
mkdir "$scratch/bin"
for tool in bash cat cut env id mktemp rm sed sort tr; do
    ln -s "$(command -v "$tool")" "$scratch/bin/$tool"
done
data=$scratch/data
check() {
    PATH=$scratch/bin FASHION_MNIST=$data bash "$script" "$@" >"$scratch/out" 2>&1
}
expect() {
    grep -qF -- "$1" "$scratch/out" || {
        echo "expected '$1' in:"
        cat "$scratch/out"
        exit 1
    }
}

if check data; then
    echo "a missing file is no failure"
    exit 1
fi
expect "missing on this machine"
expect "the file $data/train-images-idx3-ubyte.gz (Debian package dataset-fashion-mnist)"
expect "apt-get install dataset-fashion-mnist"

if check fuzz; then
    echo "a missing compiler is no failure"
    exit 1
fi
expect "the program clang-14 (Debian package clang-14)"
expect "libFuzzer for clang 14 (Debian package libclang-rt-14-dev)"
expect "apt-get install clang-14 libclang-rt-14-dev libomp-14-dev llvm-14"

mkdir "$data"
touch "$data/train-images-idx3-ubyte.gz"
check data
if [ -s "$scratch/out" ]; then
    echo "not silent although nothing is missing:"
    cat "$scratch/out"
    exit 1
fi
if check; then
    echo "no group is no failure"
    exit 1
fi
expect "install-packages.sh GROUP"
