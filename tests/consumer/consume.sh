#!/usr/bin/env bash
# consume.sh BUILD VERSION [SOURCE]: installs BUILD into a temporary folder, builds the
# project in project/ and the examples against it, and runs what all gave. With SOURCE,
# convoy is first built from there as a shared library, and that is installed.
set -euo pipefail
build=$1
version=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
if [ $# -gt 2 ]; then
    build=$scratch/shared
    cmake -S "$3" -B "$build" -G Ninja -DBUILD_SHARED_LIBS=ON -DCONVOY_TESTS=OFF \
        -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 >"$scratch/shared.log"
    cmake --build "$build" >>"$scratch/shared.log"
fi

cmake --install "$build" --prefix "$prefix" >"$scratch/install.log"

# What is not public cannot meet a program's own names.
libraries=$(find "$prefix" -name 'libconvoy.a' -o -name 'libconvoy.so')
for library in $libraries; do
    dynamic=
    case $library in *.so) dynamic=-D ;; esac
    nm -g $dynamic --defined-only "$library" | awk 'NF == 3 {print $3}' >"$scratch/names"
    grep -qx convoy_trainer_step "$scratch/names"
    if grep -v '^convoy_' "$scratch/names"; then
        echo "$library: exports these names that are not convoy's own" >&2
        exit 1
    fi
done
[ -n "$libraries" ]

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
bash "$here/train.sh" "$prefix" "$scratch/examples" "$scratch"

case $("$prefix/bin/convoy" --version) in
*"$version"*) ;;
*)
    echo "convoy --version does not say $version" >&2
    exit 1
    ;;
esac
