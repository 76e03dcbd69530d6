#!/usr/bin/env bash
# slurm-lab.sh - a small, real, throw-away Slurm cluster on one Linux machine.
#
#   slurm-lab.sh check                exit 0 where a cluster can be started, else say why not
#   slurm-lab.sh start [NODES]        start a cluster of NODES nodes (default 2)
#   slurm-lab.sh run -- CMD...        run CMD on the login host (sbatch, srun, ...)
#   slurm-lab.sh exec NODE -- CMD...  run CMD on compute node NODE (fault tests)
#   slurm-lab.sh down NODE            cut NODE's power: kill all of it at once
#   slurm-lab.sh up NODE              boot NODE again, or restart its slurmd
#   slurm-lab.sh status               what is up (exit 0 all up, 1 partly, 3 none)
#   slurm-lab.sh stop                 end everything, remove the state folder
#
# How it works
#   One "login" host, called ctl, runs munged and slurmctld; node1..nodeN run
#   one slurmd each.  Every host is a set of Linux namespaces made with
#   unshare(1): its own network, host name, System V IPC, /dev/shm and
#   /etc/hosts; the compute nodes have their own process ids as well.  The file
#   system is shared, as home folders on a cluster are.  The nodes hang on a
#   bridge inside ctl's network namespace:
#
#       ctl    10.213.0.254   bridge br0, munged, slurmctld, `run` commands
#       node1  10.213.0.1     slurmd and the jobs it starts
#       node2  10.213.0.2     ...
#
#   No interface, address, route or mount is made in the machine's own
#   namespaces, and the lab has no route out: its traffic cannot leave it.
#   The namespaces last as long as their processes, so when those have ended
#   there is no network set-up left to undo.  To pull and plug in a node's
#   network cable:  slurm-lab.sh run -- ip link set v-node2 down   (or up)
#   Each new cluster counts its jobs from 1 again.
#
# Needs: root (CAP_SYS_ADMIN and CAP_NET_ADMIN); no systemd, no cgroups and no
#   Docker.  Debian 12: slurm-wlm munge iproute2 util-linux procps, and
#   libpmix-dev for `srun --mpi=pmix` (the plugin opens libpmix.so by that
#   name, which only the -dev package has).  Nothing is installed here.
#
# Settings (environment)
#   SLURM_LAB_DIR       state folder (${TMPDIR:-/tmp}/slurm-lab); 60 characters
#                       at most, because Unix sockets are made under it
#   SLURM_LAB_CPUS      CPUs that each node advertises (2), whatever it has
#   SLURM_LAB_MEM       MiB that each node advertises (1024); never enforced
#   SLURM_LAB_CONF      file of extra slurm.conf lines, put last
#   SLURM_LAB_TIMEOUT   seconds to wait for the cluster to come up (30)
#   SLURM_LAB_LOGS      folder to copy the logs to at `stop` (none)

# Functions are called by name (cmd_*), and A && B || C is meant as it works.
# shellcheck disable=SC2317,SC2015
set -euo pipefail
shopt -s nullglob extglob
umask 022

SELF=$(readlink -f -- "${BASH_SOURCE[0]}")
LAB=${SLURM_LAB_DIR:-${TMPDIR:-/tmp}/slurm-lab}
LAB=${LAB%/}
readonly SELF LAB PROG=slurm-lab CONF=$LAB/slurm.conf MARK=$LAB/.slurm-lab
readonly NET=10.213.0 CTL_IP=10.213.0.254
readonly CPUS=${SLURM_LAB_CPUS:-2} MEM=${SLURM_LAB_MEM:-1024}
readonly TIMEOUT=${SLURM_LAB_TIMEOUT:-30}
# The daemons get this environment and no other, so that a cluster does not
# depend on the shell it was started from.
readonly CLEAN_ENV=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
                    LANG=C.UTF-8 SLURM_CONF="$CONF")

say()  { printf '%s: %s\n' "$PROG" "$*"; }
warn() { printf '%s: %s\n' "$PROG" "$*" >&2; }
die()  { warn "error: $*"; exit 1; }
usage() { sed -n '2,11s/^# \{0,1\}//p' "$SELF"; }

# Processes.  A process is recorded as "PID STARTTIME", the second from
# /proc/PID/stat, so that a pid given again to a stranger is not taken for ours.

birth() {                       # birth PID: its start time; fails if it has ended
    local s
    s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    s=${s##*) }                 # the name, in brackets, may hold spaces
    # shellcheck disable=SC2086
    set -- $s
    [[ $1 != [ZX] ]] && echo "${20}"
}

record() {                      # record FILE PID
    local b
    b=$(birth "$2") || return 1
    echo "$2 $b" >"$1"
}

pid_in() {                      # pid_in FILE: prints the pid if it still runs
    local p b
    [[ -r $1 ]] && read -r p b <"$1" && [[ $(birth "$p") == "$b" ]] && echo "$p"
}

gone() {                        # gone SECONDS PID...: wait until all have ended
    local i p left n=$(($1 * 20))
    shift
    for ((i = 0; i < n; i++)); do
        left=
        for p; do birth "$p" >/dev/null && left=1; done
        [[ $left ]] || return 0
        sleep 0.05
    done
    return 1
}

end() {                         # end SECONDS PID...: TERM, then KILL
    local t=$1
    shift
    (($#)) || return 0
    kill -TERM "$@" 2>/dev/null || true
    gone "$t" "$@" && return 0
    kill -KILL "$@" 2>/dev/null || true
    gone 5 "$@"
}

netns_of() { stat -L -c %i "/proc/$1/ns/net" 2>/dev/null; }

lab_nets() {                    # the lab's networks, by inode
    # Only those of recorded processes that still run: an inode number on file
    # could by now be that of somebody else's network.
    local f p
    for f in "$LAB"/hosts.d/*/{init,slurmctld,munged}; do
        p=$(pid_in "$f") && netns_of "$p"
    done | sort -u
}

lab_pids() {                    # every process in one of the lab's networks
    local nets
    nets=$(lab_nets | tr '\n' ' ')
    [[ $nets ]] || return 0
    { stat -L -c '%i %n' /proc/[0-9]*/ns/net 2>/dev/null || true; } |
        awk -F'[ /]' -v nets="$nets" '
            BEGIN { split(nets, a, " "); for (i in a) want[a[i]] = 1 }
            $1 in want { print $4 }'
}

# State folder

node_names() { local d; for d in "$LAB"/hosts.d/node*; do echo "${d##*/}"; done | sort -V; }
host_pid()   { pid_in "$LAB/hosts.d/$1/init"; }
running()    { host_pid ctl >/dev/null; }
must_run()   { running || die "no cluster is running in $LAB (start one with: $0 start)"; }

lock() {                        # one start/stop/up/down at a time per folder
    local a b
    while :; do
        exec 9>>"$LAB/lock"
        flock -w 60 9 || die "another $PROG is busy in $LAB"
        a=$(stat -L -c %i /proc/self/fd/9) b=$(stat -c %i "$LAB/lock" 2>/dev/null) || b=
        [[ $a != "$b" ]] || return 0    # else a `stop` removed it meanwhile
        [[ -d $LAB ]] || return 1
    done
}

ours() { [[ -e $MARK ]]; }

remove_state() { ! ours || rm -rf --one-file-system -- "$LAB"; }

show_logs() {                   # the end of every log, to explain a failure
    local d f
    for d in "$LAB"/hosts.d/*/; do
        # boot.log only repeats a daemon's log once that has been opened
        for f in "$d"{munged,slurmctld,slurmd}.log; do
            [[ -s $f && $f != */munged.log ]] && break
            f=${d}boot.log
        done
        [[ -s $f ]] || continue
        printf -- '--- %s\n' "$f"
        tail -n 15 -- "$f"
    done >&2
}

# Checks before a start

cmd_check() {
    local c p miss=() pk=()
    while read -r c p; do
        command -v "$c" >/dev/null || { miss+=("$c"); pk+=("$p"); }
    done <<-'END'
	slurmctld slurm-wlm
	slurmd slurm-wlm
	sinfo slurm-wlm
	scontrol slurm-wlm
	munged munge
	ip iproute2
	unshare util-linux
	nsenter util-linux
	setpriv util-linux
	flock util-linux
	setsid util-linux
	mount mount
	ps procps
	hostname hostname
	END
    if ((${#miss[@]})); then
        die "not installed: ${miss[*]}; on Debian: apt-get install" \
            "$(printf '%s\n' "${pk[@]}" | sort -u | tr '\n' ' ')"
    fi
    [[ $(id -u) == 0 ]] || die "must be root (namespaces, and slurmd starts jobs as their users)"
    ((${#LAB} <= 60)) || die "SLURM_LAB_DIR is longer than 60 characters: $LAB"
    [[ $LAB =~ ^/[A-Za-z0-9._/+@-]+$ ]] || die "SLURM_LAB_DIR must be an absolute path of letters, digits and ._+@- only: $LAB"
    [[ $CPUS == [1-9]*([0-9]) && $MEM == [1-9]*([0-9]) ]] || die "SLURM_LAB_CPUS and SLURM_LAB_MEM must be whole numbers"
    unshare --net --uts --ipc --mount --pid --fork --propagation slave --mount-proc true 2>/dev/null ||
        die "may not create namespaces here (unshare failed: CAP_SYS_ADMIN is needed)"
    unshare --net ip link add probe0 type veth peer name probe1 2>/dev/null ||
        die "may not create veth interfaces here (CAP_NET_ADMIN or the kernel's veth is missing)"
    unshare --net ip link add probe0 type bridge 2>/dev/null ||
        die "may not create a bridge here (the kernel's bridge is missing)"
}

has_timens() { unshare --time --boottime=0 --fork true 2>/dev/null; }

have_pmix() { local f=(/usr/lib/*/pmix2/lib/libpmix.so); ((${#f[@]})); }

# slurm.conf

write_conf() {                  # write_conf NODES
    local i mpi=pmi2
    if have_pmix; then mpi=pmix; else
        warn "no libpmix.so (apt-get install libpmix-dev): Open MPI programs can't be started by srun, only by mpirun in a job"
    fi
    {
        echo "127.0.0.1 localhost"
        echo "$CTL_IP ctl"
        for ((i = 1; i <= $1; i++)); do echo "$NET.$i node$i"; done
    } >"$LAB/hosts"
    cat >"$CONF" <<-END
	# Written by $PROG; thrown away at stop.
	ClusterName=lab
	SlurmctldHost=ctl($CTL_IP)
	SlurmUser=root
	SlurmdUser=root
	AuthType=auth/munge
	CredType=cred/munge
	# cred_expire is also how long a requeued job is held back (default 120 s).
	AuthInfo=socket=$LAB/munge/socket,cred_expire=10
	# Nothing here needs cgroups, accounting or a database.
	ProctrackType=proctrack/linuxproc
	TaskPlugin=task/none
	JobAcctGatherType=jobacct_gather/none
	AccountingStorageType=accounting_storage/none
	# One line for every finished job.  \`sacct -c\` shows them; a plain sacct
	# would need slurmdbd and a database.
	JobCompType=jobcomp/filetxt
	JobCompLoc=$LAB/jobcomp.log
	SelectType=select/cons_tres
	SelectTypeParameters=CR_Core
	# Schedule at once.
	SchedulerType=sched/backfill
	SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=5,bf_interval=5
	MpiDefault=$mpi
	SwitchType=switch/none
	# A busy machine's node may not answer for long.  Tests of a lost node set less.
	# Nodes that answer again are taken back.  (With 2 in place of 1, a node that was
	# booted again within that time would be taken back with its lost jobs left hanging.)
	SlurmdTimeout=60
	ReturnToService=1
	KillWait=5
	# Show ended jobs (scontrol show job) for an hour.
	MinJobAge=3600
	# KillOnBadExit and other settings that a job script should not rely on
	# are left at Slurm's own defaults.
	# Nodes may advertise more than the machine has.
	SlurmdParameters=config_overrides
	SlurmctldPort=6817
	SlurmdPort=6818
	StateSaveLocation=$LAB/hosts.d/ctl/state
	SlurmctldPidFile=$LAB/hosts.d/ctl/slurmctld.pid
	SlurmctldLogFile=$LAB/hosts.d/ctl/slurmctld.log
	SlurmdSpoolDir=$LAB/hosts.d/%n/spool
	SlurmdPidFile=$LAB/hosts.d/%n/slurmd.pid
	SlurmdLogFile=$LAB/hosts.d/%n/slurmd.log
	# One for each node: the PMIx server's folders in it bear only job numbers.
	TmpFS=$LAB/hosts.d/%n/tmp
	SlurmctldDebug=info
	SlurmdDebug=info
	END
    # slurmd loads a cgroup plugin even where nothing uses it.  Named, the v1
    # one does nothing until it is used; left to be detected, slurmd would fail
    # without /sys/fs/cgroup, or with cgroups v2 and no systemd.
    echo "CgroupPlugin=cgroup/v1" >"$LAB/cgroup.conf"
    for ((i = 1; i <= $1; i++)); do
        echo "NodeName=node$i NodeAddr=$NET.$i Boards=1 SocketsPerBoard=1 CoresPerSocket=$CPUS ThreadsPerCore=1 RealMemory=$MEM State=UNKNOWN"
    done >>"$CONF"
    echo "PartitionName=lab Nodes=ALL Default=YES MaxTime=INFINITE State=UP" >>"$CONF"
    if [[ ${SLURM_LAB_CONF:-} ]]; then cat -- "$SLURM_LAB_CONF" >>"$CONF"; fi
}

# Hosts.  host_main runs inside the new namespaces and stays as long as the
# host is up; boot_* start it from outside.

host_setup() {                  # host_setup NAME ADDRESS INTERFACE
    hostname "$1"
    # IPv4 only: link-local IPv6 addresses only confuse MPI libraries.
    { echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; } 2>/dev/null || true
    ip link set lo up
    ip addr add "$2/24" dev "$3"
    ip link set "$3" up
    mount --bind "$LAB/hosts" /etc/hosts
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
}

host_main() {                   # host_main NAME
    local d=$LAB/hosts.d/$1 i=0
    cd /
    if [[ $1 == ctl ]]; then
        ip link add br0 type bridge
        host_setup ctl "$CTL_IP" br0
        # --force: a folder above that is closed to other users is no obstacle.
        munged --foreground --force --key-file="$LAB/munge/key" --socket="$LAB/munge/socket" \
            --pid-file="$LAB/munge/pid" --seed-file="$LAB/munge/seed" \
            --log-file="$d/munged.log" --num-threads=2 &
        record "$d/munged" $!
        while [[ ! -S $LAB/munge/socket ]]; do
            ((++i <= 200)) && pid_in "$d/munged" >/dev/null || { echo "munged did not start"; exit 1; }
            sleep 0.05
        done
        slurmctld -D -f "$CONF" &
        record "$d/slurmctld" $!
        trap 'kill $(jobs -p); wait; exit 0' TERM
    else
        # The interface comes from boot_node, once it knows this process's id.
        # (/sys is no place to look: it shows the machine's own interfaces.)
        until ip link show eth0 >/dev/null 2>&1; do
            ((++i <= 200)) || { echo "no network interface came"; exit 1; }
            sleep 0.05
        done
        host_setup "$1" "$NET.${1#node}" eth0
        slurmd -D -f "$CONF" &
    fi
    : >"$d/ready"
    # A node's process 1 must stay, and collect orphans: bash does, in `wait`.
    while :; do sleep 86400 & wait $! || true; done
}

detach() {                      # exec a command in a session of its own
    # Keep no file of the caller's open: it may wait for an end of file.
    local f
    for f in /proc/"$BASHPID"/fd/*; do
        f=${f##*/}
        ((f <= 2 || f == 255)) || eval "exec $f>&-" 2>/dev/null || true
    done
    exec setsid "$@"
}

start_host() {                  # start_host NAME UNSHARE-OPTION...
    local n=$1 d=$LAB/hosts.d/$1
    shift
    # A node starts with empty disks, as one without disks does; logs are kept.
    rm -rf "$d"/{spool,tmp,state,ready,init,launcher,slurmd.pid}
    mkdir -p "$d"/{spool,tmp,state}
    chmod 1777 "$d/tmp"
    (detach "${CLEAN_ENV[@]}" SLURM_LAB_DIR="$LAB" \
        unshare --net --uts --ipc --mount --propagation slave "$@" -- \
        bash "$SELF" __host "$n") </dev/null >>"$d/boot.log" 2>&1 &
    LAUNCHED=$!
}

boot_ctl() {                    # no --fork: the launched process is the host's
    local i
    start_host ctl
    record "$LAB/hosts.d/ctl/init" "$LAUNCHED" || return 1
    for ((i = 0; i < 200; i++)); do
        birth "$LAUNCHED" >/dev/null || return 1
        [[ ! -e $LAB/hosts.d/ctl/ready ]] || return 0
        sleep 0.05
    done
    return 1
}

boot_node() {                   # boot_node NAME
    local d=$LAB/hosts.d/$1 i p='' c t=()
    # A time namespace makes the node's uptime start at 0: by that Slurm sees
    # that a node has been booted again and has lost its jobs.
    ! has_timens || t=(--time --boottime="-$(cut -d. -f1 /proc/uptime)")
    start_host "$1" "${t[@]}" --pid --fork --kill-child --mount-proc
    record "$d/launcher" "$LAUNCHED" || return 1
    for ((i = 0; i < 100; i++)); do     # its child is the node's process 1
        p=$(ps -o pid= --ppid "$LAUNCHED" | tr -d ' ') && [[ $p ]] && break
        birth "$LAUNCHED" >/dev/null || return 1
        sleep 0.05
    done
    [[ $p ]] && record "$d/init" "$p" || return 1
    # Both ends are made inside the lab; the machine never sees the cable.
    c=$(host_pid ctl) || return 1
    nsenter -t "$c" -n ip link add "v-$1" type veth peer name eth0 netns "$p" || return 1
    nsenter -t "$c" -n ip link set "v-$1" master br0 up || return 1
}

kill_node() {                   # the kernel ends all of it with its process 1
    local d=$LAB/hosts.d/$1 p c both=()
    if p=$(host_pid "$1"); then
        both+=("$p")
        kill -KILL "$p" 2>/dev/null || true
    fi
    if p=$(pid_in "$d/launcher"); then both+=("$p"); fi
    gone 5 "${both[@]}" || end 0 "${both[@]}" || return 1
    rm -f "$d"/{init,launcher,ready}
    # The cable normally goes with the node's network, a moment later.
    if c=$(host_pid ctl); then nsenter -t "$c" -n ip link del "v-$1" 2>/dev/null || true; fi
}

node_ns() {                     # NS=(nsenter's options for the node of process PID)
    NS=(-t "$1" -m -u -i -n -p)
    [[ $(stat -L -c %i "/proc/$1/ns/time" 2>/dev/null) == \
        "$(stat -L -c %i /proc/self/ns/time 2>/dev/null)" ]] || NS+=(-T)
}

in_ctl() {                      # run a command on the login host
    nsenter -t "$(host_pid ctl)" -m -u -i -n -- env -C / SLURM_CONF="$CONF" "$@"
}

wait_idle() {                   # wait_idle NODE...: until Slurm can use them
    local t0=$SECONDS list bad n
    list=$(IFS=,; echo "$*")
    while :; do
        # A suffix on the state (idle*) says that the node does not answer.
        if bad=$(in_ctl sinfo -h -N -n "$list" -o '%N %T' 2>&1); then
            bad=$(grep -vE ' (idle|mixed|allocated|completing)$' <<<"$bad" || true)
            [[ $bad ]] || return 0
        fi
        pid_in "$LAB/hosts.d/ctl/slurmctld" >/dev/null || { warn "slurmctld has ended"; return 1; }
        for n; do host_pid "$n" >/dev/null || { warn "$n has ended"; return 1; }; done
        ((SECONDS - t0 < TIMEOUT)) || { warn "not ready after $TIMEOUT s: $bad"; return 1; }
        sleep 0.2
    done
}

# Subcommands

cmd_start() {
    local n=${1:-2} i names=() t0=${EPOCHREALTIME/./}
    [[ $n == [1-9]*([0-9]) ]] && ((n <= 64)) || die "NODES must be a number from 1 to 64, not '$n'"
    cmd_check
    [[ ! -L $LAB ]] && { [[ ! -e $LAB ]] || [[ -d $LAB && -O $LAB ]]; } ||
        die "$LAB is not a folder of this user's"
    if [[ -d $LAB && ! -e $MARK && $(find "$LAB" -mindepth 1 -maxdepth 1 ! -name lock) ]]; then
        die "$LAB exists, is not empty and was not made by $PROG; set SLURM_LAB_DIR"
    fi
    while :; do
        mkdir -p -- "$LAB" || die "can't create $LAB"
        lock && break
    done
    for ((i = 1; i <= n; i++)); do names+=("node$i"); done
    if running; then
        [[ "$(node_names)" == "$(printf '%s\n' "${names[@]}")" ]] ||
            die "a cluster of $(node_names | wc -l) node(s) already runs in $LAB; stop it first"
        pid_in "$LAB/hosts.d/ctl/slurmctld" >/dev/null || die "slurmctld has ended; stop the cluster first"
        for i in "${names[@]}"; do node_up "$i"; done
        for i in "${names[@]}"; do node_join "$i"; done
        say "already running: $n node(s) in $LAB"
        return
    fi
    # Left over from a cluster that ended without `stop`.
    halt || die "processes of an earlier cluster in $LAB won't end"
    : >"$MARK"
    find "$LAB" -mindepth 1 -maxdepth 1 ! -name lock ! -path "$MARK" -exec rm -rf --one-file-system {} +
    chmod 755 "$LAB"
    mkdir -m 755 "$LAB/munge" "$LAB/hosts.d"
    (umask 077; head -c 128 /dev/urandom >"$LAB/munge/key")
    trap 'warn "start failed; ending what was started"; show_logs || true; halt || true; remove_state' EXIT
    write_conf "$n"
    boot_ctl || die "the login host did not come up"
    for i in "${names[@]}"; do boot_node "$i" || die "$i did not boot"; done
    wait_idle "${names[@]}" || die "the cluster did not come up"
    trap - EXIT
    say "$n node(s) up in $(((${EPOCHREALTIME/./} - t0) / 1000)) ms; SLURM_CONF=$CONF"
}

halt() {                        # end every process of the lab
    local h p all left=()
    # The daemons, and what `run` started, are known by their network.
    mapfile -t all < <(lab_pids)
    for h in $(node_names); do kill_node "$h" || return 1; done
    if p=$(pid_in "$LAB/hosts.d/ctl/slurmctld"); then end 5 "$p" || return 1; fi
    for p in "${all[@]}"; do
        if birth "$p" >/dev/null; then left+=("$p"); fi
    done
    end 3 "${left[@]}"
}

cmd_stop() {
    [[ -d $LAB ]] && ours || { say "nothing to stop in $LAB"; return 0; }
    lock || { say "nothing to stop in $LAB"; return 0; }
    ! in_lab || die "run stop from outside the cluster"
    halt || die "some processes won't end: $(lab_pids | tr '\n' ' ')"
    if [[ ${SLURM_LAB_LOGS:-} ]]; then
        mkdir -p -- "$SLURM_LAB_LOGS"
        local h f
        for h in ctl $(node_names); do
            for f in "$LAB/hosts.d/$h"/*.log; do cp -- "$f" "$SLURM_LAB_LOGS/$h-${f##*/}"; done
        done
        cp -- "$CONF" "$SLURM_LAB_LOGS/" 2>/dev/null || true
        cp -- "$LAB/jobcomp.log" "$SLURM_LAB_LOGS/" 2>/dev/null || true
    fi
    remove_state
    say "stopped; $LAB removed"
}

in_lab() { lab_nets | grep -qx -- "$(netns_of self)"; }

cmd_run() {
    [[ ${1:-} != -- ]] || shift
    (($#)) || die "usage: run -- CMD..."; must_run
    # No process-id namespace is entered, so nsenter does not fork: CMD takes
    # this process's place, with its signals, terminal and exit status.
    exec nsenter -t "$(host_pid ctl)" -m -u -i -n -- env -C "$PWD" SLURM_CONF="$CONF" "$@"
}

node_arg() {
    must_run
    [[ ${1:-} == node* && -d $LAB/hosts.d/$1 ]] || die "no such node: '${1:-}' (there are: $(node_names | tr '\n' ' '))"
}

cmd_exec() {
    local n=${1:-} p
    node_arg "$n"
    shift
    [[ ${1:-} != -- ]] || shift
    (($#)) || die "usage: exec NODE -- CMD..."
    p=$(host_pid "$n") || die "$n is down"
    # nsenter must fork to enter a process-id namespace; CMD dies with it.
    node_ns "$p"
    exec nsenter "${NS[@]}" -- setpriv --pdeathsig TERM \
        env -C "$PWD" SLURM_CONF="$CONF" "$@"
}

cmd_down() {
    node_arg "${1:-}"
    lock || die "no cluster in $LAB"
    kill_node "$1" || die "$1 won't end"
    : >"$LAB/hosts.d/$1/off"
    say "$1 is off"
}

node_up() {                     # node_up NAME: boot it, or only restart its slurmd
    local d=$LAB/hosts.d/$1 p q
    if ! p=$(host_pid "$1"); then
        kill_node "$1" || die "$1 won't end"    # left by a kill from elsewhere
        # Slurm compares whole seconds to tell that a node was booted again.
        while q=$(stat -c %Y "$d/off" 2>/dev/null) && ((EPOCHSECONDS - q < 3)); do sleep 0.2; done
        boot_node "$1" || { show_logs; die "$1 did not boot"; }
    else
        # slurmd's pid file holds its pid inside the node.
        q=$(cat "$d/slurmd.pid" 2>/dev/null) || q=
        node_ns "$p"
        [[ ! $q || $(nsenter "${NS[@]}" -- ps -o comm= -p "$q") != slurmd ]] || return 0
        (detach nsenter "${NS[@]}" -- "${CLEAN_ENV[@]}" slurmd) </dev/null >>"$d/boot.log" 2>&1 ||
            { show_logs; die "slurmd on $1 did not start"; }
    fi
}

node_join() {                   # node_join NAME: wait until Slurm has taken it back
    local i want have
    # slurmctld must know the slurmd of today, which is as old as its pid file.
    for ((i = 0; i < TIMEOUT * 5; i++)); do
        if want=$(stat -c %Y "$LAB/hosts.d/$1/slurmd.pid" 2>/dev/null) &&
            have=$(in_ctl scontrol show node "$1" | sed -n 's/.*SlurmdStartTime=//p') &&
            have=$(date -d "$have" +%s 2>/dev/null) && ((have >= want - 1)); then
            break
        fi
        sleep 0.2
    done
    # Slurm keeps a node that was booted again unexpectedly down, until told.
    if in_ctl sinfo -h -n "$1" -o %T | grep -qx down; then
        in_ctl scontrol update NodeName="$1" State=RESUME
    fi
    wait_idle "$1" || { show_logs; die "$1 did not join the cluster"; }
}

cmd_up() {
    node_arg "${1:-}"
    lock || die "no cluster in $LAB"
    node_up "$1"
    node_join "$1"
    say "$1 is up"
}

cmd_status() {
    local h p rc=0
    if ! running; then
        p=$(lab_pids | tr '\n' ' ')
        say "not running in $LAB${p:+; left behind (stop ends them): $p}"
        return 3
    fi
    for h in ctl $(node_names); do
        if p=$(host_pid "$h"); then say "$h: up, process $p"; else say "$h: down"; rc=1; fi
    done
    for h in munged slurmctld; do
        pid_in "$LAB/hosts.d/ctl/$h" >/dev/null || { say "$h has ended"; rc=1; }
    done
    in_ctl sinfo -N -o '%N %.10T %.4c %.6m %E' || rc=1
    in_ctl squeue || rc=1
    return "$rc"
}

case ${1:-} in
    check|start|run|exec|down|up|status|stop) c=$1; shift; "cmd_$c" "$@" ;;
    __host) host_main "$2" ;;
    -h|--help|help) usage ;;
    *) usage >&2; exit 2 ;;
esac
