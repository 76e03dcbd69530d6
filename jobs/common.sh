# shellcheck shell=bash
# common.sh: what the job scripts share; they source it. A script says, in this order,
#     begin "$@"                  # its own arguments are then in "${arguments[@]}"
#     launch train R.yaml --out D || finish $?    # convoy on all ranks of the job
#     finish 0
# Here a run is given what it needs of the machine, and a job that is stopped is queued
# again. Environment, of all scripts:
#   CONVOY            the program; else convoy in PATH, else build/release of this folder
#   CONVOY_HOME       convoy's folder, where jobs are submitted from elsewhere
#   CONVOY_SITE       a file in jobs/sites, without .sh; else the first that knows the machine
#   CONVOY_LAUNCHER   srun, mpirun, or the words of another command; else found by looking
#   RANKS             ranks of a run without Slurm, by mpirun; unset or 1: without mpirun
# With --dry-run as its first word a script prints what it would run, and runs nothing.
# convoy train is told in CONVOY_KILL_WAIT how many seconds Slurm leaves between SIGTERM and
# SIGKILL, and in SLURM_JOB_END_TIME, where Slurm does not tell, when the job ends.

# The number of the first job of an array stands for all of them: a job of one goes by both.
job_id=${SLURM_JOB_ID:-}
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    job_id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
fi
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
launcher=()  # the words before convoy
arguments=() # the script's, without --dry-run
dry_run=
child=    # the launcher's process, while it runs
stopping= # the last signal that asked to stop
signaled= # set by each signal

say() {
    echo "${SLURM_JOB_NAME:-${0##*/}}: $*"
}

fail() {
    say "$*" >&2
    exit 1
}

# find_site: sources the site's file, over generic.sh.
find_site() {
    local file name=${CONVOY_SITE:-}
    # shellcheck source=jobs/sites/generic.sh
    . "$home/jobs/sites/generic.sh"
    for file in "$home"/jobs/sites/*.sh; do
        [ -z "$name" ] || break
        # shellcheck disable=SC1090
        if [[ $file != */generic.sh ]] && (. "$file" && site_here) >/dev/null 2>&1; then
            name=$(basename "$file" .sh)
        fi
    done
    site=${name:-generic}
    [ -e "$home/jobs/sites/$site.sh" ] ||
        fail "CONVOY_SITE=$site: there is no jobs/sites/$site.sh; there are:" \
            "$(cd "$home/jobs/sites" && echo *.sh | sed 's/\.sh//g')"
    # shellcheck disable=SC1090
    . "$home/jobs/sites/$site.sh"
}

find_convoy() {
    local built=$home/build/release/src/cli/convoy
    if [ -n "${CONVOY:-}" ]; then
        convoy=$(command -v "$CONVOY") || fail "CONVOY=$CONVOY is no program"
    else
        convoy=$(command -v convoy || command -v "$built") ||
            fail "there is no convoy in PATH, nor $built: build it there (cmake --preset" \
                "release && cmake --build --preset release) or name one in CONVOY"
    fi
}

# The name by which srun knows PMIx, which Open MPI needs of it; fails where it does not.
pmix() {
    srun --mpi=list 2>&1 | grep -owE 'pmix(_v[0-9]+)?' | sort | head -n 1 | grep .
}

# srun's options. Slurm 22.05 to 23.02 takes the processors of a task from neither sbatch's
# options nor from SLURM_CPUS_PER_TASK; a job submitted with --export=NONE would have srun
# leave out the environment, and without --kill-on-bad-exit ranks hang when one dies.
use_srun() {
    local cpus=${SLURM_CPUS_PER_TASK:-} kind
    launcher=(srun --kill-on-bad-exit=1 --export=ALL)
    if [ -n "$cpus" ]; then
        export SRUN_CPUS_PER_TASK=$cpus
        launcher+=("--cpus-per-task=$cpus")
    fi
    if [ -z "${SLURM_MPI_TYPE:-}" ] && kind=$(pmix); then
        launcher+=("--mpi=$kind")
        # By its other ways a rank's first message can reach one that is still in MPI_Init,
        # which then crashes (22.05, 4 of 69 starts on four nodes; by tree rarely).
        export SLURM_PMIX_FENCE=${SLURM_PMIX_FENCE:-tree}
    fi
}

# mpirun's options: unbound, the ranks of a node divide its cores. SIGTERM, which Slurm sends
# to all processes of a job, would have mpirun and its daemons kill the ranks a second later:
# they are kept from it, as from a terminal's Ctrl-C. The ranks are not, and this script
# passes on SIGUSR1. A host that is lost it would notice after 8 minutes, now in 11 s (of Open
# MPI 5's names the first part is another).
use_mpirun() {
    local prefix
    launcher=(mpirun --bind-to none)
    for prefix in OMPI_MCA PRTE_MCA; do
        export "${prefix}_oob_tcp_keepalive_time=2" "${prefix}_oob_tcp_keepalive_intvl=1" \
            "${prefix}_oob_tcp_keepalive_probes=9"
    done
    if [ -z "${SLURM_JOB_ID:-}" ]; then
        if env --block-signal=INT true 2>/dev/null; then
            launcher=(env --block-signal=INT "${launcher[@]}")
        fi
        launcher+=(${RANKS:+-np "$RANKS"})
        return
    fi
    if env --block-signal=TERM true 2>/dev/null; then
        launcher=(env --block-signal=TERM "${launcher[@]}")
        export OMPI_MCA_orte_launch_agent="env --block-signal=TERM orted"
        export PRTE_MCA_prte_launch_agent="env --block-signal=TERM prted"
    fi
    if [ -n "${SLURM_NTASKS:-}" ]; then
        launcher+=(-np "$SLURM_NTASKS")
    else
        launcher+=(--map-by ppr:1:node)
    fi
}

choose_launcher() {
    local words=${CONVOY_LAUNCHER:-}
    if [ -z "${SLURM_JOB_ID:-}" ]; then
        [ "${RANKS:-1}" = 1 ] || words=${words:-mpirun}
    else
        words=${words:-$(site_launcher)}
        if [ -z "$words" ]; then
            words=srun
            pmix >/dev/null || ! command -v mpirun >/dev/null || words=mpirun
        fi
    fi
    case $words in
    srun) use_srun ;;
    mpirun) use_mpirun ;;
    *) read -r -a launcher <<<"$words" ;;
    esac
    [ "${#launcher[@]}" = 0 ] || command -v "${launcher[0]}" >/dev/null ||
        fail "the launcher '${launcher[0]}' is not here; CONVOY_LAUNCHER names another"
}

on_signal() {
    stopping=$1 signaled=yes
    [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null || true
}

# Ctrl-C at a terminal does not reach what runs behind a script: the first saves as another
# signal does, the second ends at once.
on_interrupt() {
    if [ "$stopping" = INT ] && [ -n "$child" ]; then
        kill -KILL "$child" 2>/dev/null || true
        exit 130
    fi
    on_signal INT
}

# begin ARGUMENT...: looks at the machine, and catches signals from now on.
begin() {
    local kill_wait end
    if [ "${1:-}" = --dry-run ]; then
        dry_run=yes
        shift
    fi
    arguments=("$@")
    find_site
    set +u # module systems use variables that may be unset
    site_modules || fail "jobs/sites/$site.sh could not load its modules"
    set -u
    find_convoy
    if [ -n "${SLURM_JOB_ID:-}" ]; then
        kill_wait=$(scontrol show config | sed -n 's/^KillWait *= *\([0-9]*\) sec.*/\1/p') || true
        [ -z "$kill_wait" ] || export CONVOY_KILL_WAIT=$kill_wait
        end=$(job_field EndTime) && end=$(date -d "${end:-unknown}" +%s 2>/dev/null) || end=
        [ -z "$end" ] || export SLURM_JOB_END_TIME=${SLURM_JOB_END_TIME:-$end}
        site_environment
    fi
    choose_launcher
    trap 'on_signal USR1' USR1 USR2 HUP XCPU
    trap 'on_signal TERM' TERM
    trap on_interrupt INT
}

# need_file WHAT PATH
need_file() {
    [ -e "$2" ] || fail "$2: there is no such $1, seen from $PWD"
}

# run_once COMMAND...: runs it, passes signals on to it, gives its status. A signal ends a
# wait, not the child.
run_once() {
    local status
    "$@" &
    child=$!
    # One that came before there was a child to pass it on to.
    [ -z "$stopping" ] || kill -USR1 "$child" 2>/dev/null || true
    signaled=yes
    while [ -n "$signaled" ]; do
        signaled=
        status=0
        wait "$child" || status=$?
    done
    child=
    return "$status"
}

# launch COMMAND ARGUMENT...: runs convoy COMMAND on all ranks and gives its status. After a
# node was lost the first srun of a batch job may fail to launch, and ranks may crash as MPI
# starts; then it is tried once more. convoy removes the file CONVOY_LAUNCHED, on the script's
# own node, where the first rank is, when the ranks have met.
launch() {
    local status attempt
    if [ -n "$dry_run" ]; then
        printf '%q ' "${launcher[@]}" "$convoy" "$@" && echo
        return
    fi
    [ -z "$stopping" ] || return 75
    if [[ ${launcher[0]:-} != srun || ${ENVIRONMENT:-} != BATCH ]]; then
        run_once "${launcher[@]}" "$convoy" "$@"
        return
    fi
    CONVOY_LAUNCHED=$(mktemp)
    export CONVOY_LAUNCHED
    for attempt in 1 2; do
        status=0
        run_once "${launcher[@]}" "$convoy" "$@" || status=$?
        if [ "$status" = 0 ] || [ ! -e "$CONVOY_LAUNCHED" ]; then break; fi
        say "srun could not launch convoy (status $status)" >&2
        [ -z "$stopping" ] || status=75
        if [ -n "$stopping" ] || [ "$attempt" = 2 ]; then break; fi
        sleep 2
    done
    rm -f "$CONVOY_LAUNCHED"
    return "$status"
}

# is_over JOB: whether Slurm says that all of it has ended; of other people's jobs it may
# say nothing.
is_over() {
    local known states
    known=$(scontrol show job "$1" 2>&1) || true
    [[ $known != *"Invalid job id"* ]] || return 0
    states=$(grep -o 'JobState=[A-Z_]*' <<<"$known") &&
        ! grep -qvE '=(BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|TIMEOUT)$' \
            <<<"$states"
}

# remove_stale_lock OUT: removes the run.lock of a job that was killed, on whatever host:
# convoy, which knows its own host only, would wait whether it is renewed. The lock is set aside first, and looked at once more:
# another job may have removed it, too, and have put its own there.
remove_stale_lock() {
    local job lock=$1/run.lock aside=$1/run.lock.$$.tmp
    [ -z "$dry_run" ] && [ -n "${SLURM_JOB_ID:-}" ] && [ -O "$lock" ] || return 0
    job=$(sed -n 's/^job: //p' "$lock" 2>/dev/null) || return 0
    [ -n "$job" ] && [ "$job" != "$SLURM_JOB_ID" ] && is_over "$job" || return 0
    mv "$lock" "$aside" 2>/dev/null || return 0
    if grep -qxF "job: $job" "$aside"; then
        say "$1 was job $job's, which is over: $lock is removed"
    else
        ln "$aside" "$lock" || true
    fi
    rm -f "$aside"
}

# train RECIPE OUT [OPTION...]: trains on all ranks, and gives the status. In OUT %a stands
# for the job's number in its array. With CONVOY_DOCTOR=yes convoy doctor looks first, at the
# recipe as the options change it.
train() {
    local i sets=() out=${2//%a/${SLURM_ARRAY_TASK_ID:-}}
    if [ "${CONVOY_DOCTOR:-}" = yes ]; then
        for ((i = 3; i <= $#; i++)); do
            case ${!i} in
            --set) sets+=("${@:i:2}") ;;
            --set=*) sets+=("${!i}") ;;
            esac
        done
        launch doctor "$1" "${sets[@]}" || return
    fi
    remove_stale_lock "$out"
    launch train "$1" --out "$out" "${@:3}"
}

# job_field NAME: what Slurm says of this job; empty where it has no value.
job_field() {
    scontrol show job "$job_id" 2>/dev/null | tr -s ' ' '\n' |
        sed -n "s|^$1=||p" | grep -vE '^(\(null\)|N/A|UNLIMITED|0)$' | head -n 1 || true
}

# Whether somebody has cancelled the job: SIGTERM came, and not for the time limit. (After
# the loss of a node too, but then Slurm itself queues the job again.)
is_cancelled() {
    [ "$stopping" = TERM ] && [[ $(job_field JobState) =~ ^(COMPLETING|CANCELLED)$ ]] &&
        [[ $(job_field Reason) != TimeLimit ]]
}

# The options of this job, one a line, for one like it.
job_options() {
    local field option value
    while read -r field option; do
        value=$(job_field "$field")
        [ -z "$value" ] || echo "--$option=$value"
    done <<END
Partition partition
Account account
QOS qos
Reservation reservation
Features constraint
TimeLimit time
NumNodes nodes
NumTasks ntasks
CPUs/Task cpus-per-task
MinMemoryNode mem
MinMemoryCPU mem-per-cpu
ExcNodeList exclude
END
    [ -z "${SLURM_NTASKS_PER_NODE:-}" ] || echo "--ntasks-per-node=$SLURM_NTASKS_PER_NODE"
    [ -z "${SLURM_ARRAY_TASK_ID:-}" ] || echo "--array=$SLURM_ARRAY_TASK_ID"
    [ "$(job_field OverSubscribe)" != NO ] || echo "--exclusive"
    scontrol show job "$job_id" | sed -n 's/^ *StdOut=/--output=/p; s/^ *StdErr=/--error=/p'
}

# Submits a job like this one, which begins when this one has ended. This one's variables,
# its restart count among them, are not to be that one's.
submit_successor() {
    local options name
    mapfile -t options < <(job_options)
    (
        export CONVOY_HOME=$home
        options+=("--job-name=$SLURM_JOB_NAME" "--dependency=afterany:$job_id")
        for name in $(compgen -e SLURM_); do
            [ "$name" = SLURM_CONF ] || unset "$name"
        done
        sbatch --parsable "${options[@]}" "$0" "${arguments[@]}"
    )
}

# Queues this job again, or where that is refused another like it. Slurm ends what a job that
# it queues again still runs: this request too, which must not be taken for refused.
go_on_later() {
    local successor
    if (trap '' TERM && exec scontrol requeue "$job_id"); then
        say "stopped, to go on later: job $job_id is queued again"
    elif successor=$(submit_successor); then
        say "stopped, to go on later: Slurm refuses to queue this job again, so job" \
            "$successor takes its place"
    else
        say "stopped, but Slurm takes no job to go on: submit this one again yourself" >&2
    fi
}

# Whether ranks ended since another was lost, and srun (mpirun: 205) knows of no signal that
# ended it: its host was lost.
lost_host() {
    [[ $1 = 3 || $1 = 205 ]] && [ "${ENVIRONMENT:-}" = BATCH ] && [ -n "${SLURM_JOB_ID:-}" ] &&
        [ "${SLURM_JOB_NUM_NODES:-1}" -gt 1 ]
}

# Gives Slurm time to see it: it then ends this script, and queues the job again.
await_loss() {
    local left
    left=$(scontrol show config | sed -n 's/^SlurmdTimeout *= *\([0-9]*\) sec.*/\1/p') || true
    say "a host was lost: Slurm queues the job again when it has seen that, in ${left:-300} s or so"
    left=$((${left:-300} + 60))
    [ "$left" -le 600 ] || left=600
    while [ "$left" -gt 0 ] && [ -z "$stopping" ]; do
        sleep 1 &
        wait $! || true
        left=$((left - 1))
    done
}

# finish STATUS: ends the script. A batch job that was stopped goes on later, unless it was
# cancelled. A rank whose end takes long may be killed after it has saved, so that a status
# is above 128 in place of 75.
finish() {
    local status=$1
    if [ "$status" -gt 128 ] && [ -n "$stopping" ]; then
        status=75
    elif lost_host "$status"; then
        await_loss
        # If Slurm has not seen it by then, no host was lost: a rank died of itself.
        [ -z "$stopping" ] || status=75
    fi
    if [ "$status" = 75 ] && [ "${ENVIRONMENT:-}" = BATCH ] && [ -n "${SLURM_JOB_ID:-}" ]; then
        if is_cancelled; then
            say "ended by Slurm before the time limit; if squeue --me does not show the job," \
                "submit the same line to go on"
        else
            go_on_later
        fi
    fi
    exit "$status"
}
