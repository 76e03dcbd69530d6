#!/usr/bin/env bash
# check_tidy.sh BUILD [FILE...]: clang-tidy 14 (.clang-tidy) finds nothing in the C files
# that BUILD compiles, or in those FILEs.
set -euo pipefail
build=$1
shift
command -v clang-tidy-14 >/dev/null || { echo "SKIPPED: no clang-tidy-14"; exit 77; }
if [ $# = 0 ]; then
    mapfile -t files < <(sed -n 's/^  "file": "\(.*\)",\{0,1\}$/\1/p' \
        "$build/compile_commands.json" | grep -F "$PWD/" | sort -u)
else
    files=("$@")
fi
[ "${#files[@]}" -gt 0 ] || { echo "no compiled files in $build" >&2; exit 1; }
# The -W options that only gcc knows are no finding. One file a process: the analyzer's
# valist checker sees things when a process has read another file before.
printf '%s\0' "${files[@]}" |
    xargs -0 -n 1 -P "$(nproc)" clang-tidy-14 --quiet -p "$build" \
        --extra-arg=-Wno-unknown-warning-option \
        2> >(grep -v -E '^[0-9]+ warnings? generated|^Error while processing' >&2)
