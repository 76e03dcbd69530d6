/* How a job was started: what is wrong where a rank's threads have no cores of their
 * own, and which option of the launcher mends it. */
#ifndef COMM_LAUNCH_H
#define COMM_LAUNCH_H

#include "comm/cores.h"

enum launcher {
    LAUNCHER_NONE, /* a process by itself */
    LAUNCHER_MPIRUN,
    LAUNCHER_SRUN,
    LAUNCHER_OTHER
};

/* One rank's. */
struct launch {
    struct crowd crowd;
    enum launcher launcher;
    int cores;          /* that the rank counts on */
    int processors;     /* hardware threads in its mask */
    int core_threads;   /* hardware threads of a core of the machine */
    int lanes, threads; /* that compute: lanes, of so many threads; 0: not known */
    bool is_bound;      /* by OpenMP's environment */
    int asked, passed;  /* SLURM_CPUS_PER_TASK and SRUN_CPUS_PER_TASK; 0: not set */
    int job_cpus;       /* Slurm's CPUs of the job on a node, the least of them; 0: not
                           known. They are cores or hardware threads, by its set-up */
};

/* What can be wrong, the worst first. */
enum launch_rule {
    LAUNCH_CORES,   /* more ranks than cores */
    LAUNCH_BINDING, /* ranks share cores, or masks are the same in part */
    LAUNCH_CPUS,    /* of a Slurm task */
    LAUNCH_TEAMS,   /* more threads than the rank's cores */
    LAUNCH_IDLE,    /* cores that no rank may use */
    N_LAUNCH_RULES
};

enum launch_level { LAUNCH_GOOD, LAUNCH_NOTE, LAUNCH_REFUSED };

enum { LAUNCH_TEXT_SIZE = 512 };

/* found, which names a rank or host, and mend are set where it is not GOOD. */
struct launch_finding {
    enum launch_level level;
    char found[LAUNCH_TEXT_SIZE], mend[LAUNCH_TEXT_SIZE];
};

/* Reads what the launcher left in the environment; get gives "" for what is not set.
 * ranks: of the job. Local, as the next ones. */
void launch_read(struct launch *launch, int ranks,
                 const char *(*get)(const void *context, const char *name),
                 const void *context);

/* Of this rank, whose cores were shared, and which computes with use. */
void launch_here(const convoy_world *world, const struct cores *cores,
                 const struct cores_use *use, struct launch *launch);

void launch_look(const struct launch *launch, enum launch_rule rule,
                 struct launch_finding *finding);

/* Of the rank that breaks the worst rule, and of several the one with least cores, on
 * every rank. Collective. LIBRARY. */
convoy_status launch_worst(convoy_world *world, const struct launch *own,
                           struct launch *worst);

/* The first thing for which a training is refused. ARGUMENT: the text names rank, host
 * and option. Local. */
convoy_status launch_check(const struct launch *launch);

#endif
