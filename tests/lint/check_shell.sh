#!/usr/bin/env bash
# check_shell.sh: ShellCheck finds nothing in the scripts.
set -euo pipefail
command -v shellcheck >/dev/null || { echo "SKIPPED: no shellcheck"; exit 77; }
mapfile -t files < <(find .ci/run jobs tests datasets -type f \
    \( -name run -o -name '*.sh' -o -name '*.sbatch' \) | sort)
[ "${#files[@]}" -gt 10 ] || { echo "too few scripts under $PWD" >&2; exit 1; }
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" shellcheck -x
