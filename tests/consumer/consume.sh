#!/usr/bin/env bash
# consume.sh BUILD VERSION: installs BUILD into a temporary folder, builds the project in
# project/ against it, and runs what both gave.
set -euo pipefail
build=$1
version=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix

cmake --install "$build" --prefix "$prefix" >"$scratch/install.log"
cmake -S "$(dirname "${BASH_SOURCE[0]}")/project" -B "$scratch/build" -G Ninja \
    "-DCMAKE_PREFIX_PATH=$prefix" "-DCONVOY_EXPECTED_VERSION=$version"
cmake --build "$scratch/build"
"$scratch/build/consumer" "$scratch/no-such-pack.h5"
case $("$prefix/bin/convoy" --version) in
*"$version"*) ;;
*)
    echo "convoy --version does not say $version" >&2
    exit 1
    ;;
esac
