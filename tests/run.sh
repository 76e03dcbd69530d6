#!/usr/bin/env bash
# run.sh [--quick]: builds convoy with warnings as errors and runs its tests.
#   --quick   the quick tests only: no PyTorch, no lint, no fuzzing
# Installs what is missing (see jobs/install-packages.sh), or lists it and stops.
# CONVOY_TEST_BUILD names the build folder (default build/tests), CONVOY_PYTHON the Python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# optional GROUP TESTS: installs GROUP or says visibly which tests go without.
skipped=()
optional() {
    bash jobs/install-packages.sh "$1" || skipped+=("$2")
}

# optional_clang GROUP TESTS PROGRAM...: the same where clang 14 can be had. Debian 13 and
# later have none; other versions format, warn and sanitize differently.
optional_clang() {
    if command -v "${@:3}" >/dev/null || apt-cache show "$3" >/dev/null 2>&1; then
        optional "$1" "$2"
    else
        skipped+=("$2: clang 14 is not to be had here")
    fi
}

quick=
case ${1:-} in
--quick) quick=yes ;;
"") ;;
*)
    sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac

bash jobs/install-packages.sh build data test
if [ -z "$quick" ]; then
    optional parity "parity tests (no PyTorch and torchvision)"
    optional_clang lint "lint tests (no clang-format-14, clang-tidy-14 and shellcheck)" \
        clang-tidy-14 clang-format-14
    optional cluster "cluster tests (no Slurm, or no JUBE)"
    optional_clang fuzz "fuzz tests (no clang-14 with libFuzzer and libomp)" clang-14
fi

build=${CONVOY_TEST_BUILD:-build/tests}
jobs=$(nproc)
# Many tests mostly wait, for mpirun to start or for Slurm to notice. Those that do not, or
# that need much memory, have the property PROCESSORS 2.
at_once=$((jobs + 1))
cmake --preset dev -B "$build" ${CONVOY_PYTHON:+"-DCONVOY_PYTHON=$CONVOY_PYTHON"}
cmake --build "$build" -j "$jobs"

status=0
ctest --test-dir "$build" ${quick:+-L '^quick$'} --no-tests=error --output-on-failure \
    -j "$at_once" </dev/null || status=$?
for what in "${skipped[@]}"; do
    echo "tests/run.sh: SKIPPED $what"
done
exit "$status"
