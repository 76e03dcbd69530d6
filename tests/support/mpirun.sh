#!/usr/bin/env bash
# mpirun.sh N PROGRAM [ARG...]: N ranks on this machine, whoever runs it, however few cores.
# CONVOY_MPIRUN_OPTIONS: others than --bind-to none.
set -euo pipefail
np=$1
shift
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# All ranks are on this machine: its network, which Open MPI 5 may complain of, is not used.
export OMPI_MCA_btl=^tcp
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
read -r -a options <<<"${CONVOY_MPIRUN_OPTIONS---bind-to none}"
exec mpirun ${options[@]+"${options[@]}"} -np "$np" "$@"
