# shellcheck shell=bash
# generic.sh: a machine of which nothing is known, and the example for a site file. A site
# file is sourced by jobs/common.sh and defines these five functions; what it names is that
# machine's, what it leaves out is found out by looking.

# Whether this is that machine, on a login node and in a job. generic.sh is taken where no
# other file says yes.
site_here() {
    true
}

# Loads the modules that convoy needs, to build and to run. Prints nothing unless it fails.
site_modules() {
    true
}

# Exports what MPI needs on this network. Called in jobs, after site_modules.
site_environment() {
    true
}

# Prints the launcher, as CONVOY_LAUNCHER takes it; nothing: jobs/common.sh looks.
site_launcher() {
    true
}

# site_options PARTITION NODES: prints, on one line, sbatch's options for whole nodes of this
# partition, with one rank on each socket (better: each NUMA domain or L3 cache).
site_options() {
    local sockets cores threads
    if [[ ! $2 =~ ^[1-9][0-9]*$ ]]; then
        echo "nodes are '$2', expected a number of whole nodes" >&2
        return 1
    fi
    read -r sockets cores threads < <(sinfo -h -p "$1" -o '%X %Y %Z' | sort -n) || {
        echo "sinfo knows no partition '$1' here; sinfo -s lists them" >&2
        return 1
    }
    # Of nodes that differ sinfo says "2+": the least of them.
    sockets=${sockets%+} cores=${cores%+} threads=${threads%+}
    echo "--partition=$1 --nodes=$2 --exclusive --ntasks-per-node=$sockets" \
        "--cpus-per-task=$((cores * threads))"
}
