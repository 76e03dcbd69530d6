# shellcheck shell=bash
# lumi-c.sh: LUMI-C, the part of LUMI without GPUs: 128 cores (two AMD EPYC 7763) and 224 GiB
# a node, AVX2. generic.sh tells what the functions of a site are.
#
# None of this was tried on LUMI itself; the facts are those of LUMI's public user guide. Nor
# was convoy tried with Cray MPICH, which is the MPI there; it uses MPI-3 only.
#
# - There is no mpirun.
# - An account is mandatory: sbatch --account=project_…, or SBATCH_ACCOUNT.
# - No node has a disk: /tmp is memory, and counts as the job's: say `data.read:
#   memory`, not `stage`.
# - A lost node's job is requeued unless it says --no-requeue, and its log is cut off
#   then unless it says --open-mode=append, which convoy's scripts do.
# - Two hardware threads a core: one is asked for here.

site_here() {
    [ "${SLURM_CLUSTER_NAME:-}" = lumi ] || [ -d /appl/lumi/SW ]
}

# HDF5 is Cray's; pkg-config and CMake are in buildtools. What is left (oneDNN, and those
# of libyaml, Jansson, libarchive and xxHash that are not there) jobs/build.sh builds, with
# CC=cc, the compiler that knows of Cray MPICH.
site_modules() {
    module load "LUMI/${LUMI_STACK:-24.03}" partition/C PrgEnv-gnu cray-hdf5 buildtools
    export CC=cc CXX=CC
}

# Cray MPICH is started by a plug-in of its own; without this pmix would be taken if offered.
site_environment() {
    export SLURM_MPI_TYPE=${SLURM_MPI_TYPE:-cray_shasta}
}

site_launcher() {
    echo srun
}

# standard sells whole nodes, small and debug cores. A rank on each of the 8 NUMA domains, of
# 16 cores. NODES is 1/8, 1/4, 1/2 (small and debug) or a number of whole nodes.
site_options() {
    local partition=$1 nodes=$2 most memory="--mem=0" ranks=8
    case $partition in
    standard) most=512 ;;
    small | debug) most=4 memory="--mem-per-cpu=1750" ;;
    *)
        echo "lumi-c.sh: partition '$partition' is unknown; there are: standard small debug" >&2
        return 1
        ;;
    esac
    if [ "$partition" != standard ]; then
        case $nodes in
        1/8) nodes=1 ranks=1 ;;
        1/4) nodes=1 ranks=2 ;;
        1/2) nodes=1 ranks=4 ;;
        esac
    fi
    if [[ ! $nodes =~ ^[1-9][0-9]*$ ]] || [ "$nodes" -gt "$most" ]; then
        echo "lumi-c.sh: nodes are '$nodes', expected 1 to $most in partition $partition" \
            "(1/8, 1/4 or 1/2 in small and debug)" >&2
        return 1
    fi
    echo "--partition=$partition --nodes=$nodes --ntasks-per-node=$ranks --cpus-per-task=16" \
        "--hint=nomultithread $memory"
}
