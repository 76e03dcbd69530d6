/* Efficiency, taken apart as the POP centre of excellence defines it
 * (https://co-design.pop-coe.eu/metrics; docs/scaling.md has it in words, with a worked
 * example). Pure functions of times. Local, all of it.
 *
 * Of a step of T seconds on P ranks, where useful_p is what rank p is busy with by
 * itself (compute, updates, the wait for its own loader: all that no other rank
 * causes), T_ideal the time that the step takes if messages take none, and working_p
 * the mean over the rank's lanes of the time in which a lane really computes:
 *
 *     parallel        = balance x communication     = mean(useful) / T
 *       balance       =                               mean(useful) / max(useful)
 *       communication = serialisation x transfer    = max(useful) / T
 *         serialisation =                             max(useful) / T_ideal
 *         transfer      =                             T_ideal / T
 *
 * and the hybrid split, into ranks and the threads within them:
 *
 *     hybrid          = parallel x threads          = mean(working) / T
 *       threads       = threads_balance x threads_communication
 *                                                   = mean(working) / mean(useful)
 *         threads_balance       = hybrid balance / balance,
 *                                 where hybrid balance is mean(working) / max(working)
 *         threads_communication =                     max(working) / max(useful)
 *
 * and against a reference, with useful core-seconds an image c = mean(useful) x cores /
 * batch (so that strong and weak scaling read alike):
 *
 *     global          = parallel x scaling,   scaling = c_reference / c
 *
 * Each factor is a quotient of two times, so factors multiply to their parent but for
 * rounding.
 *
 * A rank alone waits for no other: all of T is useful, T_ideal is T, and what its lanes
 * wait for each other is in the threads' factors. */
#ifndef REPORT_POP_H
#define REPORT_POP_H

/* A step, or the mean of many. */
struct pop_step {
    int n_ranks;
    const double *useful_s;  /* [n_ranks] */
    const double *working_s; /* [n_ranks]; NULL: not known */
    double step_s, ideal_s;  /* ideal_s 0: not known */
};

/* What the metrics need of it, in seconds. 0: not known. */
struct pop_times {
    double useful_s,
        useful_s_most; /* the mean over the ranks, and the most of a rank */
    double working_s, working_s_most;
    double step_s, ideal_s;
};

/* Efficiencies: 1 is all that could be had; not a number: not known. Serialisation and
 * transfer need ideal_s, the threads' and hybrid need working_s, their two factors need
 * working_s_most. */
struct pop {
    double parallel, balance, communication, serialisation, transfer;
    double hybrid, threads, threads_balance, threads_communication;
};

/* What a step costs, for computation scaling. */
struct pop_cost {
    double useful_s; /* the mean over the ranks */
    int cores;       /* of all ranks */
    double batch;    /* images of a step */
};

struct pop_times pop_times_of(const struct pop_step *step);
struct pop pop_of(const struct pop_times *times);

/* The same of a rank alone, whose measured useful time leaves out what lanes wait for
 * each other at the step's end. */
struct pop_times pop_times_alone(const struct pop_times *times);

/* Useful core-seconds an image, the reference's to this one's. Times pop's parallel:
 * the global efficiency. Not a number: not known. */
double pop_scaling(const struct pop_cost *reference, const struct pop_cost *cost);

#endif
