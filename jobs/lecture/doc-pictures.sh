#!/usr/bin/env bash
# doc-pictures.sh RUN: fills docs/seeing/ with the pictures that docs/seeing.md shows. RUN is
# what jobs/lecture.sh made, a folder runs/lecture; the page's commands are run there first.
# The environment variable CONVOY names the program, else it is the one that was built here.
set -euo pipefail
[ $# = 1 ] || {
    echo "usage: doc-pictures.sh RUN" >&2
    exit 2
}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
convoy=${CONVOY:-$root/build/release/src/cli/convoy}
cd "$1"
rm -rf landscape # of another build, it would be refused
while read -r _ line; do
    echo "convoy $line"
    # shellcheck disable=SC2086
    "$convoy" $line >/dev/null
done < <(sed -n 's/^    \(convoy .*\)/\1/p' "$root/docs/seeing.md")
mkdir -p "$root/docs/seeing"
for name in $(grep -o '(seeing/[^)]*)' "$root/docs/seeing.md" | tr -d '()'); do
    file=${name#seeing/}
    case $file in
    learnt.svg) cp "seismogram/$file" "$root/docs/seeing/$file" ;;
    landscape-*.svg) cp "${file%.svg}/contours.svg" "$root/docs/seeing/$file" ;;
    *) cp "$file" "$root/docs/seeing/$file" ;;
    esac
done
