# shellcheck shell=bash
# local.sh: for scripts that run convoy on this machine alone; to be sourced.

# Prints runs/NAME, or runs/NAME-2, runs/NAME-3, … where that is taken.
fresh_run() {
    local folder=runs/$1 n=2
    while [ -e "$folder" ]; do
        folder=runs/$1-$n
        n=$((n + 1))
    done
    echo "$folder"
}

# The cores that this process may use, of which hardware threads are parts.
count_cores() {
    local list range first last cpu siblings
    list=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
    for range in ${list//,/ }; do
        IFS=- read -r first last <<<"$range"
        for ((cpu = first; cpu <= ${last:-$first}; cpu++)); do
            siblings=/sys/devices/system/cpu/cpu$cpu/topology/thread_siblings_list
            cat "$siblings" 2>/dev/null || echo "$cpu"
        done
    done | sort -u | wc -l
}

# on_ranks N COMMAND...: 1: without mpirun; else on N ranks wherever this runs: as root, on
# one core, with Open MPI 4 or 5. These are not bound, so that each finds its share of the
# cores by itself and loads on whichever is free.
on_ranks() {
    if [ "$1" = 1 ]; then
        "${@:2}"
        return
    fi
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
        PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
        OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none \
        PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe \
        PRTE_MCA_hwloc_default_binding_policy=none \
        mpirun -np "$@"
}
