#!/usr/bin/env bash
# The site files: none claims this machine; what they ask sbatch for; which modules they
# choose from what a faked `module` offers.
set -euo pipefail
sites=$(dirname "${BASH_SOURCE[0]}")/../../jobs/sites
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# in_site SITE COMMAND...: COMMAND in a shell of its own that has sourced the site, without
# what this machine's environment may say of sites.
in_site() {
    # shellcheck disable=SC2016
    env -u SLURM_CLUSTER_NAME -u BSC_MACHINE -u SNELLIUS_YEAR -u SCRATCH_NODE \
        bash -euo pipefail -c 'source "$1/$2.sh"; "${@:3}"' in_site "$sites" "$@"
}

fail() {
    echo "$*"
    failures=$((failures + 1))
}

# expect SITE PARTITION NODES OPTIONS
expect() {
    local got
    got=$(in_site "$1" site_options "$2" "$3") || true
    read -r got <<<"$got" # without blanks at the end
    [ "$got" = "$4" ] || fail "$1 $2 $3: expected '$4', got '$got'"
}

# refused SITE PARTITION NODES TEXT: fails, with TEXT on standard error and nothing else.
refused() {
    if in_site "$1" site_options "$2" "$3" >"$scratch/out" 2>"$scratch/err"; then
        fail "$1 $2 $3: is no failure"
    fi
    grep -qF -- "$4" "$scratch/err" || fail "$1 $2 $3: no '$4' in: $(cat "$scratch/err")"
    [ ! -s "$scratch/out" ] || fail "$1 $2 $3: prints $(cat "$scratch/out")"
}

for site in snellius lumi-c marenostrum5; do
    if in_site "$site" site_here; then fail "$site: claims this machine"; fi
done
SLURM_CLUSTER_NAME=snellius bash -c "source '$sites/snellius.sh'; site_here" || fail "snellius"
SLURM_CLUSTER_NAME=lumi bash -c "source '$sites/lumi-c.sh'; site_here" || fail "lumi"
BSC_MACHINE=mn5 bash -c "source '$sites/marenostrum5.sh'; site_here" || fail "marenostrum5"

# What stands in "sbatch $(...)" makes sbatch fail, too.
printed=$(bash "$sites/../site-options.sh" snellius gpu_a100 1 2>/dev/null) && fail "no failure"
[ "$printed" = --these-nodes-are-not-to-be-had ] || fail "sbatch would run with '$printed'"

rome="--partition=rome --nodes"
genoa="--partition=genoa --nodes"
expect snellius rome 1/8 "$rome=1 --ntasks-per-node=1 --mem=28G --cpus-per-task=16"
expect snellius rome 1/4 "$rome=1 --ntasks-per-node=2 --mem=56G --cpus-per-task=16"
expect snellius rome 1 "$rome=1 --ntasks-per-node=8 --exclusive --cpus-per-task=16"
expect snellius rome 64 "$rome=64 --ntasks-per-node=8 --exclusive --cpus-per-task=16"
expect snellius genoa 1/8 "$genoa=1 --ntasks-per-node=1 --mem=42G --cpus-per-task=24"
expect snellius genoa 1/2 "$genoa=1 --ntasks-per-node=4 --mem=168G --cpus-per-task=24"
expect snellius genoa 2 "$genoa=2 --ntasks-per-node=8 --exclusive --cpus-per-task=24"
refused snellius gpu_a100 1 "partition 'gpu_a100' is unknown; there are: rome genoa"
refused snellius rome 1/3 "nodes are '1/3', expected 1/8, 1/4, 1/2"
refused snellius rome 0 "nodes are '0'"
refused snellius rome "" "nodes are ''"
with_disk=$(SCRATCH_NODE=1 bash -c "source '$sites/snellius.sh'; site_options genoa 2")
[[ $with_disk == *" --constraint=scratch-node" ]] || fail "snellius: no disk in '$with_disk'"

lumi="--ntasks-per-node=8 --cpus-per-task=16 --hint=nomultithread"
expect lumi-c standard 64 "--partition=standard --nodes=64 $lumi --mem=0"
expect lumi-c standard 1 "--partition=standard --nodes=1 $lumi --mem=0"
expect lumi-c debug 2 "--partition=debug --nodes=2 $lumi --mem-per-cpu=1750"
expect lumi-c small 1/8 "--partition=small --nodes=1 ${lumi/=8/=1} --mem-per-cpu=1750"
refused lumi-c standard 1/8 "nodes are '1/8', expected 1 to 512 in partition standard"
refused lumi-c small 64 "nodes are '64', expected 1 to 4 in partition small"
refused lumi-c rome 1 "partition 'rome' is unknown; there are: standard small debug"
[ "$(in_site lumi-c site_launcher)" = srun ] || fail "lumi-c: another launcher than srun"

expect marenostrum5 gp_ehpc 64 \
    "--qos=gp_ehpc --nodes=64 --ntasks-per-node=2 --exclusive --cpus-per-task=56"
expect marenostrum5 gp_debug 1/2 \
    "--qos=gp_debug --nodes=1 --ntasks-per-node=1 --cpus-per-task=56"
refused marenostrum5 standard 1 "QOS 'standard' is none of GPP's"
refused marenostrum5 gp_ehpc 1/8 "nodes are '1/8', expected 1/2"
[ "$(in_site marenostrum5 site_launcher)" = mpirun ] || fail "marenostrum5: no mpirun"

# What Lmod answers, on standard error; of two versions the newer one of the toolchain.
# shellcheck disable=SC2317
module() {
    case "$*" in
    "-t avail HDF5/") printf '%s\n' /sw: HDF5/1.14.5-iimpi-2024a HDF5/1.14.5-gompi-2024a \
        HDF5/1.14.3-gompi-2023b ;;
    "-t avail xxHash/") printf '%s\n' "xxHash/0.8.3-GCCcore-13.3.0(default)" \
        xxHash/0.8.2-GCCcore-13.3.0 xxHash/0.8.2-GCCcore-12.3.0 ;;
    "-t avail "*) ;;
    *) echo "$*" >>"$MODULE_CALLS" ;;
    esac >&2
}
export -f module
export MODULE_CALLS=$scratch/calls
in_site snellius site_modules
sort -o "$MODULE_CALLS" "$MODULE_CALLS"
diff - "$MODULE_CALLS" <<END || fail "snellius: other modules than expected"
load 2024 foss/2024a
load HDF5/1.14.5-gompi-2024a
load xxHash/0.8.3-GCCcore-13.3.0
purge
END
if SNELLIUS_YEAR=2022 bash -c "source '$sites/snellius.sh'; site_modules" 2>"$scratch/err"; then
    fail "snellius: 2022 is no failure"
fi
grep -qF "SNELLIUS_YEAR is '2022'" "$scratch/err" || fail "snellius: $(cat "$scratch/err")"

if command -v shellcheck >/dev/null; then
    shellcheck -x "$sites"/*.sh || fail "shellcheck"
fi
exit $((failures > 0))
