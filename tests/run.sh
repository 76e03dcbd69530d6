#!/usr/bin/env bash
# run.sh [--quick | --build]: builds convoy with warnings as errors and runs its tests.
#   --quick   the quick tests only: no PyTorch, no lint, no fuzzing
#   --build   no tests
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

quick='' only_build=''
case ${1:-} in
--quick) quick=yes ;;
--build) quick=yes only_build=yes ;;
"") ;;
*)
    sed -n '2,6s/^# //p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac

bash jobs/install-packages.sh build data test
optional report "plots of reports (no gnuplot)"
if [ -z "$quick" ]; then
    optional parity "parity tests (no PyTorch and torchvision)"
    optional_clang lint "lint tests (no clang-format-14, clang-tidy-14 and shellcheck)" \
        clang-tidy-14 clang-format-14
    optional browser "the report in a browser (no Chromium)"
    optional simulate "the test of predictions against simulations (no SimGrid)"
    optional cluster "cluster tests (no Slurm, or no JUBE)"
    optional_clang fuzz "fuzz tests (no clang-14 with libFuzzer and libomp)" clang-14
fi

build=${CONVOY_TEST_BUILD:-build/tests}
jobs=$(nproc)
# PROCESSORS counts half cores: most tests wait half of the time, for mpirun to start or for
# Slurm to notice. Those that keep a core busy have 2, those that keep two busy have 3.
at_once=$((2 * jobs))
cmake --preset dev -B "$build" ${CONVOY_PYTHON:+"-DCONVOY_PYTHON=$CONVOY_PYTHON"}
cmake --build "$build" -j "$jobs"
[ -z "$only_build" ] || exit 0

status=0
ctest --test-dir "$build" ${quick:+-L '^quick$'} --no-tests=error --output-on-failure \
    -j "$at_once" </dev/null || status=$?
for what in "${skipped[@]}"; do
    echo "tests/run.sh: SKIPPED $what"
done
exit "$status"
