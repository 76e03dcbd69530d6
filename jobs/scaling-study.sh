#!/usr/bin/env bash
# scaling-study.sh RECIPE --nodes "1 2 4" [OPTION...] [-- SBATCH-OPTION...]: trains RECIPE for
# some steps on each of these numbers of nodes, several times, and reports on it
# (docs/scaling.md):
#     bash jobs/scaling-study.sh R.yaml --nodes "1 2 4 8" -o runs/study -- \
#         --partition=genoa --exclusive --ntasks-per-node=8 --cpus-per-task=24 --time=00:20:00
# The runs are jobs/train.sbatch's: an array of jobs a number of nodes, into
# DIR/nodesN-repR, beside each its log. When all have ended, one more job writes
# DIR/report.txt, DIR/report.csv and DIR/report.html.
#   -o, --output DIR   where to; it must hold no study yet (runs/study-RECIPE)
#   --repetitions R    runs on each number of nodes (3)
#   --steps N          steps of a run (60)
#   --strong           the recipe's batch on any number of nodes (so it is without --weak)
#   --weak             the recipe's batch on one node, twice as much on two, ...
#   --set KEY=VALUE    changes the recipe; may be repeated
#   --chain            one job after the other, so that they do not disturb each other
#   --wait             waits until the report is there
#   --here             without Slurm, here, one run after the other (so it is, too, where
#                      there is no sbatch): a "node" is then a rank with CORES cores of its
#                      own (the machine's, divided by the most nodes); options behind -- are
#                      mpirun's, in place of those that bind the ranks
#   --dry-run          prints what it would run
# Environment: as jobs/common.sh says, and CORES.
set -euo pipefail
# shellcheck source=jobs/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

nodes=() repetitions=3 steps=60 weak='' chain='' wait='' here='' out='' recipe=''
sets=()    # --set KEY=VALUE ...
options=() # sbatch's or mpirun's
jobs=()    # numbers of what was submitted
shield=''  # words before mpirun

# count NAME TEXT
count() {
    [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 is '$2', and has to be a whole number above 0"
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --strong | --weak | --chain | --wait | --here | --dry-run) ;;
        --nodes | --repetitions | --steps | --set | -o | --output)
            [ $# -gt 1 ] || fail "$1 lacks its value"
            ;;
        esac
        case $1 in
        --nodes) read -r -a nodes <<<"$2" && shift ;;
        --repetitions) repetitions=$2 && shift ;;
        --steps) steps=$2 && shift ;;
        --set) sets+=(--set "$2") && shift ;;
        -o | --output) out=$2 && shift ;;
        --strong) weak='' ;;
        --weak) weak=yes ;;
        --chain) chain=yes ;;
        --wait) wait=yes ;;
        --here) here=yes ;;
        --dry-run) dry_run=yes ;;
        --)
            shift
            options=("$@")
            return
            ;;
        -*) fail "$1 is no option; options of sbatch come behind --" ;;
        *)
            [ -z "$recipe" ] || fail "one recipe at a time, not also '$1'"
            recipe=$1
            ;;
        esac
        shift
    done
}

check() {
    local n
    [ -n "$recipe" ] || fail "which recipe? scaling-study.sh RECIPE --nodes \"1 2 4\""
    need_file recipe "$recipe"
    [ "${#nodes[@]}" -gt 0 ] || fail "on how many nodes? --nodes \"1 2 4\""
    for n in "${nodes[@]}"; do count --nodes "$n"; done
    [ -z "$(printf '%s\n' "${nodes[@]}" | sort | uniq -d)" ] ||
        fail "--nodes names a number twice; --repetitions runs each several times"
    count --repetitions "$repetitions"
    count --steps "$steps"
    out=${out:-runs/study-$(basename "$recipe" .yaml)}
    if compgen -G "$out/nodes*-rep*" >/dev/null; then
        fail "$out holds a study already; give another folder with -o, or remove it"
    fi
    [ -n "$here" ] || command -v sbatch >/dev/null || here=yes
}

# The ranks that a node gets, by the options.
ranks_per_node() {
    local ranks=1 word before=
    [ -z "$here" ] || options=()
    for word in ${options[@]+"${options[@]}"}; do
        [ "$before" != --ntasks-per-node ] || ranks=$word
        [[ $word != --ntasks-per-node=* ]] || ranks=${word#*=}
        before=$word
    done
    count --ntasks-per-node "$ranks"
    echo "$ranks"
}

# The microbatches of a step are what ranks can divide.
check_batch() {
    local facts ranks n
    facts=$("$convoy" info "$recipe" --json ${sets[@]+"${sets[@]}"}) || exit 1
    microbatch=$(sed -n 's/.*"microbatch": \([0-9]*\).*/\1/p' <<<"$facts")
    microbatches=$(sed -n 's/.*"microbatches": \([0-9]*\).*/\1/p' <<<"$facts")
    [ -n "$microbatches" ] || fail "$recipe is no recipe"
    ranks=$(ranks_per_node)
    for n in "${nodes[@]}"; do
        [ -z "$weak" ] || n=1
        [ $((n * ranks)) -le "$microbatches" ] ||
            fail "$n node(s) with $ranks rank(s) each are more ranks than a step has" \
                "microbatches ($microbatches of $microbatch samples): take fewer nodes or" \
                "ranks, a smaller batch.microbatch, a larger batch.size$(
                    [ -n "$weak" ] || echo ', or --weak')"
    done
}

# settings NODES: sets what a run is to do: enough epochs for all its steps, a line of
# metrics for each, no evaluation, and no more than the checkpoint that ends a run.
settings() {
    settings=(--stop-after-steps "$steps" --set schedule.epochs=1000000
        --set metrics.every_steps=1 --set checkpoint.every_epochs=0
        --set checkpoint.keep=1 --set 'data.val=""' ${sets[@]+"${sets[@]}"})
    [ -z "$weak" ] ||
        settings+=(--set "batch.size=$((microbatch * microbatches * $1))")
}

# job NAME OPTION...: submits a job and sets submitted to its number.
job() {
    if [ -n "$dry_run" ]; then
        submitted="<${1#--job-name=}>"
        printf '%q ' sbatch --parsable "$@" && echo
        return
    fi
    # With --wait its status is that of the job.
    submitted=$(sbatch --parsable "$@") || [ -n "$submitted" ] ||
        fail "sbatch took no job; --here would run the study without Slurm"
    submitted=${submitted%%;*}
}

# submit_size NODES: its repetitions, as an array.
submit_size() {
    local array=1-$repetitions after=()
    if [ -n "$chain" ]; then
        array+=%1
        [ "${#jobs[@]}" = 0 ] || after=("--dependency=afterany:${jobs[-1]}")
    fi
    settings "$1"
    job "--job-name=study-$1" "--array=$array" "--output=$out/nodes$1-rep%a.log" \
        --signal=B:USR1@60 ${options[@]+"${options[@]}"} "--nodes=$1" \
        ${after[@]+"${after[@]}"} "$home/jobs/train.sbatch" "$recipe" \
        "$out/nodes$1-rep%a" "${settings[@]}"
    jobs+=("$submitted")
}

submit() {
    local n ids word few=()
    for n in "${nodes[@]}"; do submit_size "$n"; done
    ids=$(IFS=: && echo "${jobs[*]}")
    for word in ${options[@]+"${options[@]}"}; do
        [[ $word = --exclusive* ]] || few+=("$word") # one core is enough
    done
    job --job-name=study-report "--output=$out/report.log" --open-mode=append \
        ${few[@]+"${few[@]}"} --nodes=1 --ntasks=1 --cpus-per-task=1 \
        "--dependency=afterany:$ids" ${wait:+--wait} \
        --wrap "bash $(printf '%q --report %q' "$home/jobs/scaling-study.sh" "$out")"
    [ -z "$dry_run" ] || return 0
    say "jobs ${jobs[*]} train; job $submitted then writes $out/report.txt"
    if [ -n "$wait" ]; then
        cat "$out/report.txt" || fail "there is no report: $(tail -n 1 "$out/report.log")"
    fi
}

# run_here NODES REPETITION
run_here() {
    local run=$out/nodes$1-rep$2 words=(bash "$home/jobs/train.sbatch")
    settings "$1"
    words+=("$recipe" "$run" "${settings[@]}")
    export CONVOY_LAUNCHER="${shield}mpirun -np $1 ${options[*]}"
    if [ -n "$dry_run" ]; then
        printf 'CONVOY_LAUNCHER=%q ' "$CONVOY_LAUNCHER"
        printf '%q ' "${words[@]}" && echo
    elif "${words[@]}" >"$run.log" 2>&1; then
        say "$run: $(sed -n 's/^step_s: \(.*\)/\1 s a step/p' "$run.log")"
    else
        say "$run: failed: $(tail -n 1 "$run.log")"
    fi
}

here() {
    local r n most
    most=$(printf '%s\n' "${nodes[@]}" | sort -n | tail -n 1)
    if [ "${#options[@]}" = 0 ]; then
        CORES=${CORES:-$(($(nproc) / most))}
        options=(--bind-to core --map-by "slot:PE=$((CORES > 0 ? CORES : 1))")
    fi
    # Ctrl-C reaches jobs/train.sbatch too, which lets the run save: this script ends when
    # that has. mpirun would kill the ranks within a second, so it is kept from it.
    trap 'exit 130' INT
    ! env --block-signal=INT true 2>/dev/null || shield='env --block-signal=INT '
    for ((r = 1; r <= repetitions; r++)); do
        for n in "${nodes[@]}"; do run_here "$n" "$r"; done
    done
    [ -n "$dry_run" ] || report "$out"
}

# lost DIR: names the runs that ended before they had a folder.
lost() {
    local log
    for log in "$1"/nodes*-rep*.log; do
        [ ! -e "$log" ] || [ -e "${log%.log}/metrics.jsonl" ] ||
            echo "${log%.log}: no run; the end of its log: $(tail -n 1 "$log")"
    done
}

# report DIR
report() {
    local text
    text=$("$convoy" report "$1" && lost "$1") || { lost "$1" >&2 && exit 1; }
    echo "$text" >"$1/report.txt"
    "$convoy" report --csv "$1" >"$1/report.csv"
    echo "$text"
}

find_site
set +u # module systems use variables that may be unset
site_modules || fail "jobs/sites/$site.sh could not load its modules"
set -u
find_convoy
if [ "${1:-}" = --report ] && [ $# = 2 ]; then
    report "$2"
    exit
fi
parse "$@"
check
check_batch
# shellcheck disable=SC2031 # common.sh sets another in a subshell of its own
export CONVOY_HOME=$home
[ -n "$dry_run" ] || mkdir -p "$out"
if [ -n "$here" ]; then here; else submit; fi
