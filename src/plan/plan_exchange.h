/* How long the exchange of a step takes on a network: played with the costs of single
 * messages. Local, all of it; nothing is allocated. */
#ifndef PLAN_PLAN_EXCHANGE_H
#define PLAN_PLAN_EXCHANGE_H

#include <stdbool.h>

/* What messages cost, in the terms of LogGP: L, o, 1/G. */
struct plan_network {
    double bytes_per_s; /* of a node's link, each way */
    double latency_s;   /* of a message on its way */
    double overhead_s;  /* of the thread that sends a message, and of who receives it */
    double sum_bytes_per_s; /* of values that one thread adds up */
};

enum plan_algorithm { PLAN_DIRECT, PLAN_TWO_LEVEL, PLAN_NATIVE };

/* Who exchanges. */
struct plan_ranks {
    enum plan_algorithm algorithm;
    int nodes, node_ranks; /* node_ranks: of each node */
    int n_leaves;          /* microbatches of a step: at least a rank's each */
    int flights;           /* buckets under way at a time */
};

struct plan_bucket {
    double bytes, ready_s; /* ready: on all ranks; in ascending order */
};

/* When the last bucket's sum is there, on a clock that starts at 0 as ready_s does.
 * Nothing is sent before from_s. n >= 1; one rank alone has its sums at once. */
double plan_exchange_s(const struct plan_network *network,
                       const struct plan_ranks *ranks,
                       const struct plan_bucket *buckets, int n, double from_s);

/* Before the exchange ranks tell each other their scores: how long that takes. */
double plan_scores_s(const struct plan_network *network,
                     const struct plan_ranks *ranks);

#endif
