#!/usr/bin/env bash
# run.sh MINUTES [TARGET...]: builds the fuzz targets with clang 14 and runs them (all, or
# those named) for MINUTES together, as many at a time as there are cores. Fails where one
# crashes, hangs or takes too much memory: prints the input and how to run it again.
# CONVOY_FUZZ_BUILD is the build folder (default build/fuzz). What was found to reach new
# code stays in its folder corpus/ and is where the next run goes on.
# Exit status 77: no clang 14 with libFuzzer here (jobs/install-packages.sh fuzz).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(realpath -m "${CONVOY_FUZZ_BUILD:-$root/build/fuzz}")
python=${CONVOY_PYTHON:-/usr/bin/python3}
jobs=$(nproc)

# Of any input. No target needs half of it: what does is work or memory out of all
# proportion to what the file holds.
limits=(-timeout=20 -rss_limit_mb=1024 -max_len=20000)

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    exit 2
}

has_clang() {
    echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang-14 -x c - -o /dev/null -fsanitize=fuzzer,address -fopenmp 2>/dev/null &&
        command -v llvm-symbolizer-14 >/dev/null
}

compile() {
    has_clang || {
        echo "SKIPPED: no clang 14 with libFuzzer and OpenMP (jobs/install-packages.sh fuzz)"
        exit 77
    }
    (cd "$root" && cmake --preset fuzz -B "$build" >"$build.log") || {
        cat "$build.log" >&2
        exit 1
    }
    cmake --build "$build" --target fuzz -j "$jobs"
}

make_seeds() {
    "$python" -B "$root/tests/fuzz/make_seeds.py" "$build/seeds"
    "$build/tests/fuzz/fuzz_seeds" "$build/seeds"
}

# HDF5 (1.10.8 at least) has memory errors of its own in reading damaged files, which
# convoy can neither foresee nor prevent. is_of_hdf5 LOG: in each stack of the report (where
# it happened, who got the memory, who freed it) HDF5 comes before convoy. Such a crash is
# told, counted and passed over.
is_of_hdf5() {
    awk '/^ *#0 / { found = 0 }
        /^ *#[0-9]+ / && !found {
            if ($0 ~ /libhdf5/) found = of_hdf5 = 1
            else if ($0 ~ /\/(src|tests\/fuzz)\/[a-z0-9_\/]*\.[ch]:[0-9]/) found = ours = 1
        }
        END { exit !(of_hdf5 && !ours) }' "$1"
}

report() {
    local what=$1 log=$2 input=$3
    echo "fuzz_$what FAILED:"
    grep -E -m 1 -A 25 'ERROR: |runtime error:|this must never be' "$log" || tail -n 30 "$log"
    if [ -e "$input" ]; then
        echo "the input, $input, in base64:"
        base64 -w 100 "$input"
        echo "to run it again: base64 -d >input, then"
        echo "    CONVOY_FUZZ_BUILD=$build bash tests/fuzz/run.sh again $what input"
    fi
}

# The environment and the arguments that all targets have in common.
fuzz() {
    local what=$1
    shift
    env OMP_NUM_THREADS=1 FUZZ_SEEDS="$build/seeds" \
        ASAN_SYMBOLIZER_PATH="$(command -v llvm-symbolizer-14)" \
        ASAN_OPTIONS="detect_stack_use_after_return=0:allocator_may_return_null=1" \
        UBSAN_OPTIONS=print_stacktrace=1 \
        LSAN_OPTIONS="suppressions=$root/tests/support/lsan.supp:print_suppressions=0" \
        "$build/tests/fuzz/fuzz_$what" "${limits[@]}" "$@"
}

# run_one SECONDS TARGET: until the time is over or something is found.
run_one() {
    local seconds=$1 what=$2 end n=0 of_hdf5=0 status input log=$build/logs/$2
    local dict=()
    [ ! -e "$build/seeds/$what.dict" ] || dict=("-dict=$build/seeds/$what.dict")
    mkdir -p "$build/corpus/$what" "$build/found/$what"
    end=$((SECONDS + seconds))
    while [ $SECONDS -lt $end ]; do
        input=$build/found/$what/$(date +%s.%N)
        status=0
        fuzz "$what" "${dict[@]}" -print_final_stats=1 -max_total_time=$((end - SECONDS)) \
            -exact_artifact_path="$input" "$build/corpus/$what" "$build/seeds/$what" \
            >"$log" 2>&1 || status=$?
        n=$((n + $(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1) + 0))
        [ $status != 0 ] || break
        if ! is_of_hdf5 "$log"; then
            report "$what" "$log" "$input"
            return 1
        fi
        of_hdf5=$((of_hdf5 + 1))
    done
    echo "fuzz_$what: $n inputs, $(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" |
        tail -n 1) edges"
    [ $of_hdf5 = 0 ] ||
        echo "fuzz_$what: PASSED OVER $of_hdf5 on which HDF5 itself failed," \
            "the files of $build/found/$what"
}

[ $# -ge 1 ] || usage
# The inputs' files are many and small, and what a crash leaves is to go, too.
if [ "$1" != one ]; then
    TMPDIR=$(mktemp -d -p /dev/shm convoy-fuzz-XXXXXX 2>/dev/null || mktemp -d)
    export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
fi
if [ "$1" = again ]; then
    [ $# = 3 ] || usage
    compile
    make_seeds
    fuzz "$2" "$3"
    exit
fi
if [ "$1" = one ]; then
    run_one "$2" "$3"
    exit
fi
case $1 in
*[!0-9]*) usage ;;
esac
mkdir -p "$build/logs"
compile
make_seeds
minutes=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets <"$build/fuzz-targets"
seconds=$((minutes * 60 * jobs / ${#targets[@]}))
status=0
printf '%s\0' "${targets[@]}" |
    xargs -0 -n 1 -P "$jobs" bash "${BASH_SOURCE[0]}" one "$seconds" || status=1
exit $status
