#!/usr/bin/env bash
# build.sh [--prefix DIR] [ARCHIVE...]: builds convoy with the modules of this machine and
# installs it below DIR (~/convoy unless given). Run it on a compute node where login nodes
# are not for building:
#     srun --partition=rome --ntasks=1 --cpus-per-task=16 --time=1:00:00 \
#         bash jobs/build.sh ~/archives/oneDNN-3.7.2.tar.gz
# ARCHIVEs are the sources of libraries that no module has, as their projects publish them:
# oneDNN (2.6.3 or 3.x), Jansson, libyaml, xxHash, libarchive. They are built first, once
# each. Nothing is downloaded. Environment:
#   CONVOY_SITE   a file in jobs/sites, without .sh; else the first that knows the machine
set -euo pipefail
jobs=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=jobs/common.sh
. "$jobs/common.sh"

prefix=$HOME/convoy
if [ "${1:-}" = --prefix ]; then
    prefix=${2:?--prefix needs a folder}
    shift 2
fi
[[ "${1:-}" != -* ]] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 2; }
for archive in "$@"; do need_file archive "$archive"; done
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
parallel=${SLURM_CPUS_PER_TASK:-$(nproc)}

# library_options NAME: what a library's CMake is to be told.
library_options() {
    case ${1,,} in
    onednn*) echo -DDNNL_CPU_RUNTIME=OMP -DDNNL_GPU_RUNTIME=NONE -DDNNL_BUILD_TESTS=OFF \
        -DDNNL_BUILD_EXAMPLES=OFF -DONEDNN_BUILD_GRAPH=OFF ;;
    jansson*) echo -DJANSSON_BUILD_SHARED_LIBS=ON -DJANSSON_BUILD_DOCS=OFF \
        -DJANSSON_WITHOUT_TESTS=ON ;;
    libarchive*) echo -DENABLE_TEST=OFF ;;
    esac
}

# build_library ARCHIVE: where it is not below the prefix yet. xxHash's CMakeLists.txt is in
# a folder below. The archives of GitHub are called v3.7.2.tar.gz, but unpack to
# oneDNN-3.7.2.
build_library() {
    local folder=$work/library name options source
    rm -rf "$folder"
    mkdir "$folder"
    tar -xf "$1" -C "$folder"
    source=$(ls -d "$folder"/*/)
    name=$(basename "$source")
    [ ! -e "$prefix/share/convoy-libraries/$name" ] || return 0
    for source in "$source" "${source}cmake_unofficial" "${source}build/cmake"; do
        [ ! -e "$source/CMakeLists.txt" ] || break
    done
    [ -e "$source/CMakeLists.txt" ] || fail "$1: there is no CMakeLists.txt in $name/"
    read -r -a options < <(library_options "$name") || true
    say "building $name"
    install_with_cmake "$source" "$folder/build" -DBUILD_SHARED_LIBS=ON "${options[@]}"
    mkdir -p "$prefix/share/convoy-libraries"
    touch "$prefix/share/convoy-libraries/$name"
}

# install_with_cmake SOURCE BUILD OPTION...: below the prefix, in lib/ on every system, so
# that the program finds its libraries also where no module is loaded.
install_with_cmake() {
    local found=${CMAKE_PREFIX_PATH:-} # what modules say of themselves
    if ! {
        cmake -S "$1" -B "$2" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" \
            -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_PREFIX_PATH="$prefix;${found//:/;}" \
            -DCMAKE_INSTALL_RPATH_USE_LINK_PATH=ON "${@:3}" &&
            cmake --build "$2" --parallel "$parallel" &&
            cmake --install "$2"
    } >"$work/cmake.out" 2>&1; then
        tail -n 30 "$work/cmake.out" >&2
        fail "$1 could not be built. A library that CMake did not find has to be a module" \
            "(jobs/sites/$site.sh), or its archive an argument of this script"
    fi
}

find_site
say "site $site, into $prefix"
set +u # module systems use variables that may be unset
site_modules || fail "jobs/sites/$site.sh could not load its modules"
set -u
for archive in "$@"; do build_library "$archive"; done
say "building convoy"
install_with_cmake "$home" "$work/convoy" -DCONVOY_TESTS=OFF
"$prefix/bin/convoy" --version
say "now: export PATH=$prefix/bin:\$PATH"
