#!/usr/bin/env bash
# mpi-lab.sh - a small "cluster" of Linux namespaces on one machine, for testing
# MPI programs across several hosts with the distribution's own Open MPI.
#
#   mpi-lab.sh check                   exit 0 where a lab can be started, else say why not
#   mpi-lab.sh start N [RATE] [DELAY]  N hosts h1..hN behind one switch.
#                                      RATE  link speed, e.g. 1gbit, 200mbit; "-" = unlimited
#                                      DELAY one-way host-to-host latency to add,
#                                            e.g. 100us, 2ms; "-" = none
#   mpi-lab.sh mpirun ARGS...          mpirun, with ranks placed on h1..hN
#   mpi-lab.sh exec HOST CMD...        run one command on a host (or on "head")
#   mpi-lab.sh cut HOST                pull the host's network cable
#   mpi-lab.sh crash HOST              power the host off: every process on it dies
#   mpi-lab.sh heal HOST               plug the cable in again / boot the host again
#   mpi-lab.sh status                  hosts, links, traffic counters, processes
#   mpi-lab.sh stop                    end everything, remove everything
#
# What a host is: one process (pid 1 of its own PID namespace) that holds a
# network, UTS, IPC, mount and PID namespace.
#   net    its own address 10.77.0.i, reachable only through the switch
#   uts    its own host name; Open MPI derives session directory and shared
#          segment names from it, so ranks crash without this
#   ipc,   private SysV/POSIX shared memory (a private /dev/shm): ranks of
#   mount  different hosts cannot share memory by mistake; private /etc/hosts
#   pid    ending pid 1 ends everything on the host, and only that
# All other files (/tmp, /home, ...) are shared, like a network file system.
#
# The "head" holds the switch (a bridge, 10.77.0.254) and is where mpirun runs,
# like a login node. No rank runs there. mpirun starts its daemons on the hosts
# through "mpi-lab.sh agent HOST CMD", which takes the place of ssh.
#
# The machine's own network is not touched: every interface is created inside
# a namespace and disappears with it. Two labs can run side by side when they
# have different MPILAB_DIR.
#
# RATE is enforced by tbf in both directions of every link. DELAY does not use
# netem (many small kernels lack it): the link is then a pair of tap devices
# joined by a small program, wire.c, built at start with cc, that holds back each
# frame from host to switch for DELAY and forwards the other direction at once.
#
# Environment:
#   MPILAB_DIR     state directory            (default /tmp/mpi-lab-<uid>)
#   MPILAB_SLOTS   ranks per host             (default 2; read at start)
#   MPILAB_CC      TCP congestion control     (default cubic; read at start)
#   MPILAB_QUEUE   bytes a link may queue     (default 1mb; read at start)
#   MPILAB_CPU     percent of a core that a host may use, so that hosts which share
#                  cores are as fast in any number; needs control groups that can be
#                  written                    (default -, no limit; read at start)
#
# Needs root, Linux >= 5.x, Open MPI, iproute2, util-linux (unshare, nsenter, flock),
# coreutils >= 8.31; cc for DELAY.

# shellcheck disable=SC1091,SC2015,SC2174
set -euo pipefail
shopt -s nullglob

self=$(readlink -f "$0")
dir=${MPILAB_DIR:-/tmp/mpi-lab-$(id -u)}
net=10.77.0

say() { printf 'mpi-lab: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# ---------------------------------------------------------------- processes --
# Each process of the lab is recorded as "PID STARTTIME" in $dir/NAME.pid, so
# that a recycled PID is never taken for ours.

starttime() {                      # starttime PID: clock ticks since boot, "" if gone
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
    stat=${stat##*) }              # drop "PID (COMM) "; COMM may hold anything
    # shellcheck disable=SC2086
    set -- $stat
    [[ ${1-Z} == Z ]] || echo "${20}"  # field 22 of the line
}

record() { printf '%s %s\n' "$2" "$(starttime "$2")" >"$dir/$1.pid"; }

pid_of() {                         # pid_of NAME: print the PID if it still runs
    local pid start
    read -r pid start 2>/dev/null <"$dir/$1.pid" || return 1
    [[ -n $start && $(starttime "$pid") == "$start" ]] && echo "$pid"
}

end() {                            # end NAME: SIGKILL the process, wait until it is gone
    local pid i
    if pid=$(pid_of "$1"); then
        kill -KILL "$pid" 2>/dev/null || true
        for ((i = 0; i < 500; i++)); do
            pid_of "$1" >/dev/null || break
            sleep 0.01
        done
    fi
    rm -f "$dir/$1.pid"
}

# spawn NAME UNSHARE-FLAGS...: start a namespace holder called NAME
spawn() {
    local name=$1 i; shift
    MPILAB_DIR=$dir setsid unshare "$@" --mount --propagation private -- "$self" hold "$name" \
        </dev/null >/dev/null 2>"$dir/$name.log" 9>&- &
    disown
    for ((i = 0; i < 500; i++)); do [[ -e $dir/$name.up ]] && break; sleep 0.01; done
    [[ -e $dir/$name.up ]] || die "cannot create $name: $(<"$dir/$name.log")"
    record "$name" "$(<"$dir/$name.up")"
    rm -f "$dir/$name.up" "$dir/$name.log"
}

# hold NAME: (internal) runs inside the new namespaces, becomes the holder.
# It tells its PID as seen from outside, which /proc shows until the host's own
# /proc is mounted. Ignoring SIGCHLD makes the kernel reap orphans left to it.
cmd_hold() {
    local pid rest
    read -r pid rest </proc/self/stat
    hostname "$1"
    mount --bind "$dir/hosts" /etc/hosts
    if [[ $1 != head ]]; then
        mount -t tmpfs -o mode=1777 tmpfs /dev/shm
        mount -t proc proc /proc
    fi
    ip link set lo up
    echo "$pid" >"$dir/$1.new"
    mv "$dir/$1.new" "$dir/$1.up"
    exec env --ignore-signal=CHLD sleep infinity
}

# group NAME: the control group in which what runs on NAME is; of version 1 or 2
group() {
    local root=/sys/fs/cgroup
    [[ ! -d $root/cpu ]] || root+=/cpu
    echo "$root/mpi-lab-$(stat -c %i "$dir")-$1"
}

limit() {                          # limit NAME: make its control group
    local g period=5000; g=$(group "$1")
    [[ $cpu != - ]] || return 0
    echo +cpu 2>/dev/null >/sys/fs/cgroup/cgroup.subtree_control || true
    mkdir -p "$g" 2>/dev/null || true
    if [[ -w $g/cpu.cfs_quota_us ]]; then
        echo $period >"$g/cpu.cfs_period_us"
        echo $((period * cpu / 100)) >"$g/cpu.cfs_quota_us"
    elif [[ -w $g/cpu.max ]]; then
        echo "$((period * cpu / 100)) $period" >"$g/cpu.max"
    else
        die "MPILAB_CPU=$cpu: control groups cannot be made here"
    fi
}

# enter NAME CMD...: replace this shell by CMD running on NAME, in this directory
enter() {
    local name=$1 pid flags=(--net --uts --ipc --mount --pid); shift
    pid=$(pid_of "$name") || die "$name is not running"
    # head has no PID namespace: record what runs there, so that stop can end it
    if [[ $name == head ]]; then flags=(--net --uts --mount); record "job-$$" $$; fi
    if [[ -d $(group "$name") ]]; then echo $$ >"$(group "$name")/cgroup.procs"; fi
    exec nsenter --target "$pid" "${flags[@]}" --wd="$PWD" -- "$@" 9>&-
}

# onnet NAME CMD...: run CMD in NAME's network namespace only
onnet() {
    local pid; pid=$(pid_of "$1") || die "$1 is not running"; shift
    nsenter --target "$pid" --net -- "$@"
}

# --------------------------------------------------------------------- links --

shape() {                          # shape NAME DEVICE: limit what DEVICE sends
    [[ $rate == - ]] ||
        onnet "$1" tc qdisc replace dev "$2" root tbf rate "$rate" burst 128kb limit "$queue"
}

plug() {                           # plug HOST: join its eth0 to the switch port of the same name
    local host=$1 i=${1#h} hp sp n; hp=$(pid_of "$host"); sp=$(pid_of head)
    if [[ $delay == - ]]; then
        ip link add name "$host" netns "$sp" type veth peer name eth0 netns "$hp"
    else
        rm -f "$dir/$host.wired"
        setsid "$dir/wire" "$hp" eth0 "$sp" "$host" "$delay_ns" "$dir/$host.wired" \
            </dev/null >/dev/null 2>"$dir/wire-$host.log" 9>&- &
        record "wire-$host" $!
        disown
        for ((n = 0; n < 500; n++)); do [[ -e $dir/$host.wired ]] && break; sleep 0.01; done
        [[ -e $dir/$host.wired ]] || die "no wire to $host: $(cat "$dir/wire-$host.log")"
        rm -f "$dir/$host.wired" "$dir/wire-$host.log"
    fi
    onnet "$host" ip link set eth0 up address "02:4d:50:49:00:$(printf %02x "$i")"
    onnet "$host" ip addr add "$net.$i/24" dev eth0 noprefixroute
    # Per route, because the sysctl accepts only what the root namespace allows.
    onnet "$host" ip route add "$net.0/24" dev eth0 src "$net.$i" congctl "$cc"
    onnet head ip link set "$host" master switch up
    shape "$host" eth0             # host -> switch
    shape head "$host"             # switch -> host
}

boot() { limit "$1"; spawn "$1" --net --uts --ipc --pid --fork; plug "$1"; }

host_arg() { [[ ${1-} =~ ^h[0-9]+$ && -e $dir/config ]] && ((${1#h} >= 1 && ${1#h} <= hosts)) ||
    die "no such host: ${1-}"; }

nanoseconds() {                    # 100us -> 100000
    [[ $1 =~ ^([0-9]+)(ns|us|ms|s)$ ]] || die "bad DELAY '$1' (want e.g. 100us)"
    case ${BASH_REMATCH[2]} in
        ns) echo "${BASH_REMATCH[1]}" ;;      us) echo "${BASH_REMATCH[1]}000" ;;
        ms) echo "${BASH_REMATCH[1]}000000" ;; s) echo "${BASH_REMATCH[1]}000000000" ;;
    esac
}

# ------------------------------------------------------------------ commands --

ours() { [[ -O $dir && ! -L $dir ]] || die "$dir is not ours"; }

load() {
    [[ -e $dir/config ]] || die "not running (mpi-lab.sh start N first)"
    ours; . "$dir/config"
}

# One start, stop, heal or crash at a time. Stop removes the directory with the
# lock in it, so make sure that the lock we got is still the one in place.
lock() {
    while mkdir -p -m 700 "$dir"; do
        ours; exec 9>"$dir/lock"; flock 9
        [[ /proc/self/fd/9 -ef $dir/lock ]] && return
    done
}

cmd_check() {
    local c
    for c in mpirun ip tc unshare nsenter flock setsid hostname; do
        command -v "$c" >/dev/null || die "not installed: $c"
    done
    ((EUID == 0)) || die "must be root, to make namespaces"
    unshare --net --uts --ipc --pid --fork --mount --propagation private true ||
        die "namespaces cannot be made here"
    unshare --net ip link add v0 type veth peer name v1 || die "no veth in this kernel"
}

cmd_start() {
    [[ ${1-} =~ ^[0-9]+$ ]] && (($1 >= 1 && $1 <= 250)) || die "start N [RATE] [DELAY], N = 1..250"
    ((EUID == 0)) || die "needs root"
    hosts=$1 rate=${2:--} delay=${3:--} delay_ns=0
    cc=${MPILAB_CC:-cubic} queue=${MPILAB_QUEUE:-1mb}
    cpu=${MPILAB_CPU:--}
    local slots=${MPILAB_SLOTS:-2} want i
    [[ $cpu =~ ^(-|[1-9][0-9]{0,3})$ ]] || die "MPILAB_CPU=$cpu: percent of a core"
    [[ $delay =~ ^0*(ns|us|ms|s)?$ ]] && delay=-
    [[ $delay == - ]] || delay_ns=$(nanoseconds "$delay")
    want=$(printf '%s=%q\n' hosts "$hosts" rate "$rate" delay "$delay" delay_ns "$delay_ns" \
                            cc "$cc" queue "$queue" cpu "$cpu" slots "$slots")
    lock
    if [[ -e $dir/config && $(<"$dir/config") == "$want" ]]; then   # what is asked for exists:
        for ((i = 1; i <= hosts; i++)); do pid_of "h$i" >/dev/null || boot "h$i"; done
        return
    fi
    teardown
    trap 'teardown; rm -rf "$dir"' EXIT      # a half-built lab is not left behind
    { cat /etc/hosts; echo "$net.254 head"
      for ((i = 1; i <= hosts; i++)); do echo "$net.$i h$i"; done; } >"$dir/hosts"
    for ((i = 1; i <= hosts; i++)); do echo "h$i slots=$slots"; done >"$dir/hostfile"
    [[ $delay == - ]] || cc -O2 -Wall -o "$dir/wire" "${self%/*}/wire.c" ||
        die "cannot build the wire"
    mkdir "$dir/tmp"
    spawn head --net --uts
    onnet head ip link add switch type bridge
    onnet head ip link set switch up
    onnet head ip addr add "$net.254/24" dev switch
    for ((i = 1; i <= hosts; i++)); do boot "h$i"; done
    echo "$want" >"$dir/config"
    trap - EXIT
}

teardown() {                       # end every recorded process; namespaces and links go with them
    local f
    for f in "$dir"/job-*.pid "$dir"/*.pid; do f=${f##*/}; end "${f%.pid}"; done
    for f in $(group "h*"); do rmdir "$f" 2>/dev/null || { sleep 1; rmdir "$f" || true; }; done
    find "$dir" -mindepth 1 ! -name lock -delete
}

cmd_stop() { [[ -d $dir ]] || return 0; lock; teardown; rm -rf "$dir"; }

cmd_mpirun() {
    load
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 MPILAB_DIR="$dir"
    # As environment variables, so that --mca on the command line overrides them.
    export OMPI_MCA_orte_tmpdir_base="$dir/tmp"  # session directories go when the lab goes
    export OMPI_MCA_plm=rsh
    export OMPI_MCA_plm_rsh_agent="$self agent"
    export OMPI_MCA_plm_rsh_no_tree_spawn=1      # only the head can reach into hosts
    export OMPI_MCA_orte_default_hostfile="$dir/hostfile"
    export OMPI_MCA_rmaps_base_oversubscribe=1
    export OMPI_MCA_oob_tcp_if_include="$net.0/24"
    export OMPI_MCA_btl_tcp_if_include="$net.0/24"
    export OMPI_MCA_mpi_yield_when_idle=1        # hosts share the cores: do not hog them
    export OMPI_MCA_hwloc_base_binding_policy=none  # else rank 0 of every host sits on core 0
    enter head mpirun "$@"
}

cmd_agent() {                      # what ssh would do: CMD arrives as text for a shell
    local host=$1; shift
    enter "$host" /bin/sh -c "$*"
}

cmd_exec() {
    load
    local name=${1-}; shift
    [[ $name == head ]] || host_arg "$name"
    enter "$name" "$@"
}

cmd_cut() { load; host_arg "${1-}"; onnet head ip link set "$1" down; }

cmd_crash() { load; host_arg "${1-}"; lock; end "wire-$1"; end "$1"; }

cmd_heal() {
    load; host_arg "${1-}"; lock
    if pid_of "$1" >/dev/null; then onnet head ip link set "$1" up; else boot "$1"; fi
}

cmd_status() {
    [[ -e $dir/config ]] || { echo "not running"; return; }
    load
    echo "hosts $hosts, rate $rate, delay $delay, $slots slots per host, tcp $cc, state in $dir"
    local i h pid link rx tx ns p procs
    for p in "$dir"/job-*.pid; do
        p=${p##*/} p=${p%.pid}
        if pid=$(pid_of "$p"); then
            echo "head runs $pid:$(<"/proc/$pid/comm")"
        else
            rm -f "$dir/$p.pid"
        fi
    done
    for ((i = 1; i <= hosts; i++)); do
        h=h$i
        if ! pid=$(pid_of $h); then echo "$h $net.$i crashed"; continue; fi
        link=up; [[ $(onnet head ip -o link show "$h") == *,UP* ]] || link=CUT
        read -r rx tx < <(onnet "$h" sed -n 's/^ *eth0: *//p' /proc/self/net/dev |
            awk '{print $1, $9}')
        ns=$(readlink "/proc/$pid/ns/pid") procs=
        for p in /proc/[0-9]*; do
            [[ ${p#/proc/} != "$pid" && $(readlink "$p/ns/pid" 2>/dev/null) == "$ns" ]] &&
                procs+=" ${p#/proc/}:$(tr -d '\n' <"$p/comm" 2>/dev/null)"
        done
        echo "$h $net.$i link $link rx $rx tx $tx bytes; processes:${procs:- none}"
    done
}

case ${1-} in
    check|start|stop|mpirun|exec|cut|crash|heal|status|agent|hold) cmd=$1; shift; "cmd_$cmd" "$@" ;;
    *) sed -n '2,/^$/{/^#/!q;s/^# \{0,1\}//;p}' "$self"; exit 2 ;;
esac
