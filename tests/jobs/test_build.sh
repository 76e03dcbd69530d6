#!/usr/bin/env bash
# build.sh, with a faked cmake: which libraries are built, with which options, before convoy;
# none twice; what is said when one is missing.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "$*"
    cat "$scratch/out"
    exit 1
}

# Each call is a line of $CALLS; --install makes the program.
mkdir "$scratch/bin"
cat >"$scratch/bin/cmake" <<'END'
#!/bin/bash
echo "$*" >>"$CALLS"
[ -z "${REFUSE:-}" ] || { echo "Could NOT find Dnnl"; exit 1; }
if [ "$1" = --install ]; then
    mkdir -p "$PREFIX/bin"
    printf '#!/bin/sh\necho convoy 0\n' >"$PREFIX/bin/convoy"
    chmod +x "$PREFIX/bin/convoy"
fi
END
chmod +x "$scratch/bin/cmake"
archive() { # NAME FOLDER: an archive with NAME/FOLDER/CMakeLists.txt
    mkdir -p "$scratch/sources/$1/$2"
    touch "$scratch/sources/$1/$2/CMakeLists.txt"
    tar -czf "$scratch/$1.tar.gz" -C "$scratch/sources" "$1"
}
build() {
    PATH=$scratch/bin:$PATH CONVOY_SITE=generic bash "$root/jobs/build.sh" --prefix "$PREFIX" \
        "$@" >"$scratch/out" 2>&1
}
export CALLS=$scratch/calls PREFIX=$scratch/prefix
archive oneDNN-3.7.2 .
archive xxHash-0.8.3 cmake_unofficial

build "$scratch/oneDNN-3.7.2.tar.gz" "$scratch/xxHash-0.8.3.tar.gz" || fail "build.sh fails"
mapfile -t configured < <(grep -- '^-S ' "$CALLS")
[ ${#configured[@]} = 3 ] || fail "not three builds: ${configured[*]}"
[[ ${configured[0]} == *oneDNN-3.7.2* && ${configured[0]} == *" -DDNNL_CPU_RUNTIME=OMP "* ]] ||
    fail "no oneDNN first: ${configured[0]}"
[[ ${configured[1]} == *xxHash-0.8.3/cmake_unofficial* ]] || fail "xxHash: ${configured[1]}"
[[ ${configured[2]} == "-S $root -B "*" -DCMAKE_INSTALL_PREFIX=$PREFIX "* ]] ||
    fail "no convoy at last: ${configured[2]}"
grep -qF "export PATH=$PREFIX/bin:" "$scratch/out" || fail "does not say where convoy is"

rm "$CALLS"
build "$scratch/oneDNN-3.7.2.tar.gz" || fail "build.sh fails when it is run again"
[ "$(grep -c -- '^-S ' "$CALLS")" = 1 ] || fail "builds a library twice: $(cat "$CALLS")"

if REFUSE=yes build; then fail "a library that is missing is no failure"; fi
grep -qF "Could NOT find Dnnl" "$scratch/out" || fail "does not say what CMake said"
grep -qF "its archive an argument of this script" "$scratch/out" || fail "does not say what to do"
if build nowhere.tar.gz; then fail "an archive that is missing is no failure"; fi
grep -qF "nowhere.tar.gz: there is no such archive" "$scratch/out" || fail "no archive"
