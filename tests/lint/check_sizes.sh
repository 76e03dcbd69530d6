#!/usr/bin/env bash
# check_sizes.sh: no source file above 600 lines.
set -euo pipefail
limit=600
mapfile -t files < <(find src include tests jobs cmake -type f \
    \( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' -o -name '*.cmake' \))
[ "${#files[@]}" -gt 0 ] || { echo "no source files under $PWD" >&2; exit 1; }
wc -l "${files[@]}" | awk -v limit=$limit '$2 != "total" && $1 > limit {
    print $2 ": " $1 " lines, at most " limit ": split it"; bad = 1
} END { exit bad }'
