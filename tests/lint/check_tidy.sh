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
tests=() sources=()
for file in "${files[@]}"; do
    case ${file#"$PWD/"} in
    tests/*) tests+=("$file") ;;
    *) sources+=("$file") ;;
    esac
done

# What the analyzer may explore of one function; its own limit, 225000, takes twice the time.
limit=()
for word in -Xclang -analyzer-config -Xclang max-nodes=60000; do
    limit+=("--extra-arg=$word")
done

# tidy FILES [OPTION...]: FILES is the name of an array. The -W options that only gcc knows
# are no finding. One file a process: the analyzer's valist checker sees things when a
# process has read another file before.
tidy() {
    local -n chosen=$1
    [ "${#chosen[@]}" -gt 0 ] || return 0
    printf '%s\0' "${chosen[@]}" |
        xargs -0 -n 1 -P "$(nproc)" clang-tidy-14 --quiet -p "$build" \
            --extra-arg=-Wno-unknown-warning-option "${@:2}" \
            2> >(grep -v -E '^[0-9]+ warnings? generated|^Error while processing' >&2)
}

# The analyzer takes nine tenths of the time: tests do without, they are run anyhow.
status=0
tidy sources "${limit[@]}" || status=1
tidy tests '--checks=-clang-analyzer-*' || status=1
exit "$status"
