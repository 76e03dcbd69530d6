#!/usr/bin/env bash
# check_format.sh: clang-format 14 would leave every C file as it is.
set -euo pipefail
command -v clang-format-14 >/dev/null || { echo "SKIPPED: no clang-format-14"; exit 77; }
mapfile -t files < <(find src include tests -name '*.[ch]')
[ "${#files[@]}" -gt 0 ] || { echo "no C files under $PWD" >&2; exit 1; }
clang-format-14 --dry-run -Werror "${files[@]}" || {
    echo "run clang-format-14 -i on these"
    exit 1
}
