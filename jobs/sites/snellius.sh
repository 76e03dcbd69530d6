# shellcheck shell=bash
# snellius.sh: Snellius, SURF's cluster. rome: 128 cores (two AMD EPYC 7H12), 224 GiB, AVX2;
# genoa: 192 cores (two AMD EPYC 9654), 336 GiB, AVX-512. generic.sh tells what the
# functions of a site are.
#
# None of this was tried on Snellius itself. Partitions, sizes and file systems are those of
# SURF's public pages, modules those of EasyBuild's published recipes and of other people's
# job scripts. Whether a job may be requeued is said nowhere; the scripts work either way.
#
# Environment variables:
#   SNELLIUS_YEAR    the year of the modules: 2023, 2024 (unless set) or 2025. Not 2022: its
#                    CMake is too old, and its hwloc is one that can crash in a Slurm job
#   SCRATCH_NODE=1   asks for nodes with a disk of their own; $TMPDIR is on it then. Without
#                    it $TMPDIR is on the shared file system, and `data.read: stage` gains
#                    nothing; `data.read: memory` works on every node

site_here() {
    [ "${SLURM_CLUSTER_NAME:-}" = snellius ] || [[ $(hostname -f 2>/dev/null) == *.snellius.surf.nl ]]
}

# snellius_toolchain YEAR: foss's version and GCC's.
snellius_toolchain() {
    case $1 in
    2023) echo "2023a 12.3.0" ;;
    2024) echo "2024a 13.3.0" ;;
    2025) echo "2025a 14.2.0" ;;
    *)
        echo "snellius.sh: SNELLIUS_YEAR is '$1', expected 2023, 2024 or 2025" >&2
        return 1
        ;;
    esac
}

# snellius_module NAME FOSS GCC: the newest module NAME that was built with this toolchain,
# if there is one. Versions of libraries are not written down here, as they change.
snellius_module() {
    { module -t avail "$1/" 2>&1 || true; } |
        sed -nE "s#^($1/[^ ()]*-(GCCcore-$3|GCC-$3|gompi-$2|foss-$2))(\(.*)?\$#\1#p" |
        sort -V | tail -n 1
}

# What the site has no module of (oneDNN, as far as is known) jobs/build.sh builds.
site_modules() {
    local year=${SNELLIUS_YEAR:-2024} foss gcc name found toolchain
    toolchain=$(snellius_toolchain "$year") || return 1
    read -r foss gcc <<<"$toolchain"
    module purge
    module load "$year" "foss/$foss"
    for name in HDF5 hwloc libyaml Jansson libjpeg-turbo libpng libarchive xxHash oneDNN \
        CMake Ninja pkgconf; do
        found=$(snellius_module "$name" "$foss" "$gcc")
        [ -z "$found" ] || module load "$found"
    done
}

# Open MPI 5.0's component han made collectives slow on nodes with many NUMA domains.
site_environment() {
    export OMPI_MCA_coll_han_priority=0
}

# srun where it offers pmix, else mpirun: common.sh looks.
site_launcher() { :; }

# An eighth of a node is a NUMA domain, of 16 or 24 cores: one rank each, and the least that
# is sold. NODES is 1/8, 1/4, 1/2 or a number of whole nodes.
site_options() {
    local partition=$1 nodes=$2 cores memory slice
    case $partition in
    rome) cores=16 memory=28 ;;
    genoa) cores=24 memory=42 ;;
    fat_rome) cores=16 memory=120 ;;
    fat_genoa) cores=24 memory=180 ;;
    *)
        echo "snellius.sh: partition '$partition' is unknown; there are: rome genoa fat_rome fat_genoa" >&2
        return 1
        ;;
    esac
    case $nodes in
    1/8) slice="--nodes=1 --ntasks-per-node=1 --mem=${memory}G" ;;
    1/4) slice="--nodes=1 --ntasks-per-node=2 --mem=$((2 * memory))G" ;;
    1/2) slice="--nodes=1 --ntasks-per-node=4 --mem=$((4 * memory))G" ;;
    '' | *[!0-9]* | 0*)
        echo "snellius.sh: nodes are '$nodes', expected 1/8, 1/4, 1/2, or a number of whole nodes" >&2
        return 1
        ;;
    *) slice="--nodes=$nodes --ntasks-per-node=8 --exclusive" ;;
    esac
    echo "--partition=$partition $slice --cpus-per-task=$cores" \
        "${SCRATCH_NODE:+--constraint=scratch-node}"
}
