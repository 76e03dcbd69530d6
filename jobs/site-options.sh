#!/usr/bin/env bash
# site-options.sh [SITE] PARTITION NODES: prints sbatch's options for NODES nodes of a
# partition, with one rank a NUMA domain or L3 cache and all its cores for that rank:
#     sbatch $(bash jobs/site-options.sh snellius genoa 2) jobs/train.sbatch R.yaml runs/a
# Some sites sell parts of a node; 1/8, 1/4, 1/2 in the place of NODES asks for one.
# SITE is a file in jobs/sites without its .sh; left out: the machine that this is.
set -euo pipefail
jobs=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=jobs/common.sh
. "$jobs/common.sh"

# In "sbatch $(...)" sbatch would run all the same, with its defaults: it is to refuse.
trap '[ $? = 0 ] || echo --these-nodes-are-not-to-be-had' EXIT
if [ $# = 3 ]; then
    export CONVOY_SITE=$1
    shift
fi
[ $# = 2 ] || fail "which partition, and how many nodes? site-options.sh [SITE] PARTITION NODES"
[[ $2 =~ ^([1-9][0-9]*(-[1-9][0-9]*)?|1/[248])$ ]] || fail "'$2' is no number of nodes"
find_site
site_options "$1" "$2"
