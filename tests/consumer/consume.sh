#!/usr/bin/env bash
# consume.sh BUILD VERSION: installs BUILD into a temporary folder, builds the project in
# project/ and the examples against it, and runs what all gave.
set -euo pipefail
build=$1
version=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix

cmake --install "$build" --prefix "$prefix" >"$scratch/install.log"
here=$(dirname "${BASH_SOURCE[0]}")
cmake -S "$here/project" -B "$scratch/build" -G Ninja \
    "-DCMAKE_PREFIX_PATH=$prefix" "-DCONVOY_EXPECTED_VERSION=$version"
cmake --build "$scratch/build"
"$scratch/build/consumer" "$scratch/no-such-pack.h5"
cmake -S "$here/../../examples" -B "$scratch/examples" -G Ninja "-DCMAKE_PREFIX_PATH=$prefix"
cmake --build "$scratch/examples"
# expect TEXT EXAMPLE [ARGUMENT...]: the last line that it prints has this text.
expect() {
    local last
    last=$("$scratch/examples/$2" "${@:3}" 2>&1 | tail -n 1) || true
    case $last in
    *"$1"*) ;;
    *)
        echo "${*:2} says '$last', expected '$1'" >&2
        exit 1
        ;;
    esac
}
expect "76378 parameters" densenet
expect "densenet: layer 'transition2.avg_pool1'" densenet 3 3

case $("$prefix/bin/convoy" --version) in
*"$version"*) ;;
*)
    echo "convoy --version does not say $version" >&2
    exit 1
    ;;
esac
