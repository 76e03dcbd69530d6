#!/usr/bin/env bash
# run.sh: builds convoy with ThreadSanitizer and runs what has threads of its own: the
# tests of lanes, leaves, exchange and loader, and the program (test_program.py).
# CONVOY_TSAN_BUILD is the build folder (default build/tsan).
# Exit status 77: no compiler with ThreadSanitizer here.
#
# It sees convoy's memory and the locks of everybody, but not what libraries do in memory,
# nor how libgomp's threads wait for each other. So all runs are of one OpenMP thread a
# team, then there are none of libgomp's, and nothing needs to be suppressed: a report,
# whatever library stands in it, is of threads that convoy made.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(realpath -m "${CONVOY_TSAN_BUILD:-$root/build/tsan}")
tests=(base.test_lanes comm.test_leaves net.test_net_lanes load.test_loader
    load.test_loader_consumers load.test_loader_ring load.test_record_store
    train.test_trainer)

# Sets `plainly` to what a program with ThreadSanitizer has to be started with: older ones
# cannot do with addresses as random as newer kernels make them.
plainly=()
probe() {
    local scratch
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' RETURN
    echo 'int main(void) { return 0; }' |
        "${CC:-cc}" -x c - -o "$scratch/a.out" -fsanitize=thread 2>/dev/null || return 1
    "$scratch/a.out" 2>/dev/null || {
        plainly=(setarch -R)
        "${plainly[@]}" "$scratch/a.out" 2>/dev/null
    }
}

probe || {
    echo "SKIPPED: no C compiler with ThreadSanitizer whose programs run here"
    exit 77
}
(cd "$root" && cmake --preset tsan -B "$build" >"$build.log") || {
    cat "$build.log" >&2
    exit 1
}
targets=("${tests[@]//./_}")
cmake --build "$build" -j "$(nproc)" --target convoy_cli mpi_test_exchange "${targets[@]}"

# Open MPI's hooks for freed memory are called by threads that end, after the sanitizer's
# part in them has.
export OMP_NUM_THREADS=1 OMPI_MCA_memory=^patcher TSAN_OPTIONS=exitcode=66
status=0
names=$(IFS='|' && echo "${tests[*]}")
"${plainly[@]}" ctest --test-dir "$build" -R "^(${names//./[.]})\$" --no-tests=error \
    --output-on-failure -j "$(nproc)" || status=1
# Open MPI takes its own locks in more than one order.
export TSAN_OPTIONS="$TSAN_OPTIONS detect_deadlocks=0"
for ranks in 1 2; do
    bash "$root/tests/support/mpirun.sh" "$ranks" "${plainly[@]}" \
        "$build/tests/mpi/mpi_test_exchange" one-thread || status=1
done
CONVOY=$build/src/cli/convoy "${plainly[@]}" "${CONVOY_PYTHON:-/usr/bin/python3}" -B \
    "$root/tests/tsan/test_program.py" || status=1
exit $status
