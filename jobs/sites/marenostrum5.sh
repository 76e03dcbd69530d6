# shellcheck shell=bash
# marenostrum5.sh: the general-purpose part (GPP) of MareNostrum 5 at BSC: 112 cores (two
# Intel Xeon 8480+) and 256 GB a node, AVX-512, AMX. generic.sh tells what the functions of
# a site are.
#
# None of this was tried on MareNostrum itself; the facts are those of EESSI's published test
# settings and of other people's job scripts.
#
# - A job is sent to a QOS, not to a partition: PARTITION is its name, as gp_ehpc or gp_debug;
#   `bsc_queues` lists those of an account.
# - An account is mandatory: sbatch --account=…, or SBATCH_ACCOUNT.
# - --mem must not be given; a job has the memory of its cores.
# - Nothing can be downloaded there: copy archives for jobs/build.sh with rsync.

site_here() {
    [ "${BSC_MACHINE:-}" = mn5 ] || [ "${SLURM_CLUSTER_NAME:-}" = mn5 ]
}

# What has no module jobs/build.sh builds.
site_modules() {
    module purge
    module load gcc openmpi/4.1.5-gcc hdf5/1.14.1-2-gcc-openmpi cmake
}

# Without these Open MPI may try libfabric on the InfiniBand cards, and end with "Failed to
# modify UD QP to INIT on mlx5_0: Operation not permitted".
site_environment() {
    export OMPI_MCA_pml=ucx OMPI_MCA_mtl=^ofi OMPI_MCA_btl=^ofi
}

# EESSI's tests start with mpirun there; whether srun would do is not known.
site_launcher() {
    echo mpirun
}

# A rank on each socket, of 56 cores: memory is one domain a socket. NODES is 1/2 or a number
# of whole nodes.
site_options() {
    local qos=$1 nodes=$2 slice
    if [[ $qos != gp_* ]]; then
        echo "marenostrum5.sh: QOS '$qos' is none of GPP's, which begin with gp_, as gp_ehpc;" \
            "bsc_queues lists yours" >&2
        return 1
    fi
    case $nodes in
    1/2) slice="--nodes=1 --ntasks-per-node=1" ;;
    '' | *[!0-9]* | 0*)
        echo "marenostrum5.sh: nodes are '$nodes', expected 1/2 or a number of whole nodes" >&2
        return 1
        ;;
    *) slice="--nodes=$nodes --ntasks-per-node=2 --exclusive" ;;
    esac
    echo "--qos=$qos $slice --cpus-per-task=56"
}
