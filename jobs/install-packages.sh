#!/usr/bin/env bash
# install-packages.sh GROUP...: makes sure that what convoy needs is on this machine.
#   build    compilers, CMake and the libraries that convoy links
#   data     Fashion-MNIST as Debian packages it
#   report   gnuplot, for the plots of convoy report
#   test     CMocka, and Python with NumPy, h5py, Pillow, protobuf and crc32c
#   simulate SimGrid, to hold predictions against
#   parity   PyTorch and torchvision, to compare with
#   lint     clang-format and clang-tidy 14, and ShellCheck
#   fuzz     clang 14 with libFuzzer, the sanitizers and OpenMP
#   box      debootstrap, to test on another Debian
#   browser  Chromium and poppler, to look at reports
#   cluster  Slurm and iproute2, to test jobs on clusters of namespaces, and JUBE
# Looks for each thing first. Where nothing is missing it installs nothing and touches no
# network. Otherwise it installs with apt-get, as root or through sudo; where it cannot, it
# lists what is missing and ends with status 1.
# Libraries outside the compiler's folders are found through CMAKE_PREFIX_PATH, <NAME>_ROOT
# and pkg-config. CONVOY_PYTHON and FASHION_MNIST name another Python and data folder.
set -euo pipefail

python=${CONVOY_PYTHON:-/usr/bin/python3}
[ -n "${CONVOY_PYTHON:-}" ] || [ -x "$python" ] || python=python3
export PATH=$PATH:/usr/sbin:/sbin # where a user's debootstrap is
fashion_mnist=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}

# group | Debian package | kind | what; kinds: command NAME, compile HEADER LIBRARY
# PKG-CONFIG, clang NAME SANITIZERS [FLAG] (a program so built links), python MODULE,
# file PATH. Of PMIx Slurm's plugin opens a name that only the -dev package has.
needs() {
    cat <<END
build  | build-essential       | command | cc
build  | cmake                 | command | cmake
build  | ninja-build           | command | ninja
build  | pkg-config            | command | pkg-config
build  | libopenmpi-dev        | command | mpicc
build  | openmpi-bin           | command | mpirun
build  | libdnnl-dev           | compile | oneapi/dnnl/dnnl.h dnnl dnnl
build  | libhdf5-dev           | compile | hdf5.h hdf5 hdf5
build  | libyaml-dev           | compile | yaml.h yaml yaml-0.1
build  | libjansson-dev        | compile | jansson.h jansson jansson
build  | libjpeg-dev           | compile | jpeglib.h jpeg libjpeg
build  | libpng-dev            | compile | png.h png libpng
build  | libarchive-dev        | compile | archive.h archive libarchive
build  | libxxhash-dev         | compile | xxhash.h xxhash libxxhash
build  | libhwloc-dev          | compile | hwloc.h hwloc hwloc
data   | dataset-fashion-mnist | file    | $fashion_mnist/train-images-idx3-ubyte.gz
report | gnuplot-nox           | command | gnuplot
browser | chromium             | command | chromium
browser | fonts-dejavu-core    | file    | /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
browser | poppler-utils        | command | pdftotext
test   | libcmocka-dev         | compile | cmocka.h cmocka cmocka
test   | python3               | command | $python
test   | python3-numpy         | python  | numpy
test   | python3-h5py          | python  | h5py
test   | python3-pil           | python  | PIL
test   | python3-protobuf      | python  | google.protobuf
test   | python3-crc32c        | python  | crc32c
simulate | libsimgrid-dev     | command | smpicc
simulate | libsimgrid-dev     | command | smpirun
parity | python3-torch         | python  | torch
parity | python3-torchvision   | python  | torchvision
parity | python3-scipy         | python  | scipy
lint   | clang-format-14       | command | clang-format-14
lint   | clang-tidy-14         | command | clang-tidy-14
lint   | shellcheck            | command | shellcheck
fuzz   | clang-14              | command | clang-14
fuzz   | llvm-14               | command | llvm-symbolizer-14
fuzz   | libclang-rt-14-dev    | clang   | libFuzzer fuzzer,address,undefined
fuzz   | libomp-14-dev         | clang   | OpenMP undefined -fopenmp
box    | debootstrap           | command | debootstrap
cluster | slurm-wlm            | command | slurmctld
cluster | slurm-wlm            | command | slurmd
cluster | slurm-wlm            | command | sbatch
cluster | munge                | command | munged
cluster | iproute2             | command | ip
cluster | iproute2             | command | tc
cluster | util-linux           | command | unshare
cluster | procps               | command | ps
cluster | libpmix-dev          | file    | /usr/lib/*/pmix2/lib/libpmix.so
cluster | hostname             | command | hostname
cluster | jube                 | command | jube
END
}

# Compiler flags for libraries in folders that the user names.
prefix_flags() {
    local prefix
    for prefix in ${CMAKE_PREFIX_PATH//[:;]/ } $(env | sed -n 's/^[A-Za-z0-9]*_ROOT=//p'); do
        printf -- '-I%s/include -L%s/lib -L%s/lib64 ' "$prefix" "$prefix" "$prefix"
    done
}

# has_library HEADER LIBRARY PKG: a program that includes and links it can be built. The
# headers before it are what jpeglib.h and cmocka.h rely on; mpicc because a parallel HDF5
# includes mpi.h.
has_library() {
    local flags compiler
    compiler=$(command -v mpicc || echo cc)
    flags="$(prefix_flags) $(pkg-config --cflags --libs "$3" 2>/dev/null || true)"
    # shellcheck disable=SC2086
    "$compiler" -x c - -o "$scratch/a.out" $flags "-l$2" <<END 2>/dev/null
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <$1>
int main(void) { return 0; }
END
}

# clang_builds SANITIZERS [FLAG]
clang_builds() {
    local main='int main(void)'
    [[ $1 != fuzzer* ]] || main='int LLVMFuzzerTestOneInput(void)'
    echo "$main { return 0; }" | clang-14 -x c - -o "$scratch/a.out" "-fsanitize=$1" ${2:+"$2"}
}

# has KIND WHAT...
has() {
    case $1 in
    command) command -v "$2" ;;
    compile) has_library "$2" "$3" "$4" ;;
    clang) clang_builds "$3" ${4:+"$4"} ;;
    python) "$python" -c "import importlib.util, sys
sys.exit(importlib.util.find_spec('$2') is None)" ;;
    file) [ -e "$2" ] ;;
    esac >/dev/null 2>&1
}

# describe KIND WHAT...
describe() {
    case $1 in
    command) echo "the program $2" ;;
    compile) echo "the header $2 and the library lib$3" ;;
    clang) echo "$2 for clang 14" ;;
    python) echo "the Python module $2, for $python" ;;
    file) echo "the file $2" ;;
    esac
}

# Lines "package:description" for each missing need of the given groups.
missing() {
    local group package kind what wanted=" $* "
    while IFS='|' read -r group package kind what; do
        group=${group// /} package=${package// /} kind=${kind// /}
        [[ $wanted == *" $group "* ]] || continue
        # shellcheck disable=SC2086
        has "$kind" $what || echo "$package:$(describe "$kind" $what)"
    done < <(needs)
}

# How to become root: nothing, "sudo", or fails where neither is possible.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        return 0
    fi
    command -v sudo >/dev/null || return 1
    if [ -t 0 ]; then echo "sudo"; else sudo -n true 2>/dev/null && echo "sudo -n"; fi
}

# install PACKAGE...
install() {
    local root
    command -v apt-get >/dev/null || return 1
    root=$(as_root) || return 1
    echo "install-packages.sh: installing $*"
    # Old lists may do where a mirror is out of reach: the installation itself decides.
    $root apt-get update -q || echo "install-packages.sh: apt-get update failed" >&2
    $root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qy --no-install-recommends "$@" </dev/null
}

report() {
    local package what
    echo "install-packages.sh: missing on this machine, and not installed:"
    while IFS=: read -r package what; do
        echo "    $what (Debian package $package)"
    done <<<"$1"
    command -v cc >/dev/null || echo "(without a C compiler no library can be found)"
    echo "Install these, or name their folders in CMAKE_PREFIX_PATH. On Debian and Ubuntu:"
    echo "    apt-get install $(cut -d: -f1 <<<"$1" | sort -u | tr '\n' ' ')"
}

if [ $# = 0 ]; then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"
    exit 2
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
left=$(missing "$@")
if [ -n "$left" ]; then
    mapfile -t packages < <(cut -d: -f1 <<<"$left" | sort -u)
    install "${packages[@]}" || true
    left=$(missing "$@")
fi
if [ -n "$left" ]; then
    report "$left" >&2
    exit 1
fi
