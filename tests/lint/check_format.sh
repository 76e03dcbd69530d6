#!/usr/bin/env bash
# check_format.sh: clang-format 14 would leave every C file as it is.
set -euo pipefail
command -v clang-format-14 >/dev/null || { echo "SKIPPED: no clang-format-14"; exit 77; }
mapfile -t files < <(find src include tests -name '*.[ch]')
[ "${#files[@]}" -gt 0 ] || { echo "no C files under $PWD" >&2; exit 1; }
status=0
for file in "${files[@]}"; do
    clang-format-14 --dry-run -Werror "$file" 2>/dev/null || {
        echo "$file: run clang-format-14 -i on it"
        status=1
    }
done
exit $status
