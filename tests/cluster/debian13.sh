#!/usr/bin/env bash
# Debian 13 in a folder, to build and test convoy against its oneDNN 3.7, Open MPI 5.0,
# HDF5 1.14 and gcc 14 from a machine that runs something else. Needs root and debootstrap.
#   debian13.sh create           makes the box where there is none yet (a minute or two)
#   debian13.sh prepare          creates, and installs what convoy and its tests need
#   debian13.sh run COMMAND...   runs COMMAND inside, in this checkout
#   debian13.sh build            prepares, and builds convoy and its tests inside
#   debian13.sh test             builds, then runs the quick and the long tests inside, those
#                                against PyTorch included, but for those labelled anywhere:
#                                they come out alike whatever the libraries' versions
#   debian13.sh remove           deletes the box
# DEBIAN13_DIR is the box (default: debian13 below TMPDIR or /tmp), DEBIAN13_MIRROR where
# its packages come from (default: this machine's own mirror).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
box=${DEBIAN13_DIR:-${TMPDIR:-/tmp}/debian13}

fail() {
    echo "debian13.sh: $*" >&2
    exit 1
}

# The first Debian archive in apt's sources, old format or new.
mirror() {
    local found
    found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        sed -nE 's/^(URIs:|deb)( \[[^]]*\])? +(https?:[^ ]*\/debian)\/?( .*)?$/\3/p' |
        head -n 1) || true
    echo "${DEBIAN13_MIRROR:-${found:-http://deb.debian.org/debian}}"
}

# A half-made box has no .made and is made anew.
create() {
    [ ! -e "$box/.made" ] || return 0
    command -v debootstrap >/dev/null ||
        fail "no debootstrap here; install it (apt-get install debootstrap)"
    echo "debian13.sh: making $box from $(mirror)"
    debootstrap --variant=minbase trixie "$box" "$(mirror)" >"$box.log" 2>&1 || {
        tail -n 20 "$box.log" >&2
        fail "debootstrap failed; all it said is in $box.log"
    }
    touch "$box/.made"
}

# The mounts live in a namespace of their own: they go away with the command, however it
# ends, and nobody else sees them.
run() {
    [ -e "$box/.made" ] || fail "no box in $box; run: debian13.sh create"
    # shellcheck disable=SC2016
    unshare --mount -- bash -euc '
        box=$1 root=$2
        shift 2
        for folder in proc sys dev tmp; do
            mkdir -p "$box/$folder"
            mount --rbind "/$folder" "$box/$folder"
        done
        mkdir -p "$box$root"
        mountpoint -q "$box$root" || mount --bind "$root" "$box$root"
        cp -L /etc/resolv.conf "$box/etc/resolv.conf"
        exec chroot "$box" /usr/bin/env -C "$root" -u TMPDIR -u CONVOY_PYTHON "$@"
    ' bash "$box" "$root" "$@"
}

prepare() {
    create
    run bash jobs/install-packages.sh build data test parity
}

build() {
    prepare
    run CONVOY_TEST_BUILD=build/tests-debian13 bash tests/run.sh --build
}

if [ $# = 0 ]; then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    exit 2
fi
[ "$(id -u)" = 0 ] || fail "needs root: it mounts folders and changes the root folder"
command=$1
shift
case $command in
create) create ;;
prepare) prepare ;;
build) build ;;
run) run "$@" ;;
test)
    build
    run ctest --test-dir build/tests-debian13 -L '^(quick|long)$' -LE '^anywhere$' \
        --no-tests=error --output-on-failure -j "$((2 * $(nproc)))"
    ;;
remove)
    ! grep -q " $box/" /proc/mounts || fail "something is mounted below $box"
    rm -rf --one-file-system -- "$box" "$box.log"
    ;;
*) fail "no command '$command'; without one, this script explains itself" ;;
esac
