#!/usr/bin/env bash
# configure_without.sh SOURCE: on a machine without CMocka, or without Python, convoy is
# configured without tests and says so; who insists on tests is told how to get them.
set -euo pipefail
source=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

configure() {
    cmake -S "$source" -B "$scratch/build" -G Ninja "$@" >"$scratch/out" 2>&1
}
fail() {
    echo "$1; cmake said:" >&2
    cat "$scratch/out" >&2
    exit 1
}
# CMake breaks the lines of its errors.
expect() {
    tr -s ' \n' ' ' <"$scratch/out" | grep -qF -- "$1" || fail "expected '$1'"
}

configure -DCMAKE_DISABLE_FIND_PACKAGE_Cmocka=ON || fail "does not configure without CMocka"
expect "convoy is built without its tests: they need CMocka (Debian package libcmocka-dev)"
[ "$(ctest --test-dir "$scratch/build" -N | tail -n 1)" = "Total Tests: 0" ] ||
    fail "there are tests without CMocka"
ninja -C "$scratch/build" -t targets all >"$scratch/targets"
if grep -q "^tests/" "$scratch/targets"; then
    fail "test programs are built without CMocka"
fi
grep -q "^src/cli/convoy:" "$scratch/targets" || fail "the program is not built"

configure -DCONVOY_PYTHON=/no/such/python3 || fail "does not configure without Python"
expect "they need CMocka (Debian package libcmocka-dev) and Python 3 (Debian package python3"

if configure -DCONVOY_TESTS=ON; then
    fail "CONVOY_TESTS=ON without CMocka is no error"
fi
expect "CONVOY_TESTS is ON, but the tests need CMocka"
expect "jobs/install-packages.sh test"

configure -DCONVOY_TESTS=OFF || fail "does not configure with CONVOY_TESTS=OFF"
