/* Networks: those with a name, and the fit to what a bench measured. Local, all of it.
 */
#ifndef PLAN_PLAN_NETWORK_H
#define PLAN_PLAN_NETWORK_H

#include "base/status.h"
#include "plan/plan_exchange.h"

#include <stddef.h>

struct plan_named_network {
    const char *name;
    double gbit_per_s, latency_us, overhead_us;
};

/* By a name, or "GBIT:LATENCY[:OVERHEAD]". Error: ARGUMENT (lists the names). */
convoy_status plan_network_find(const char *name, struct plan_network *network);

/* The costs by which the exchange of algorithm comes nearest to what the files of
 * `convoy bench exchange --json` say. *error: the typical factor between the two, less
 * 1. Errors: IO, FORMAT (no such file, or no time of this algorithm on several
 * nodes), MEMORY. */
convoy_status plan_network_fit(const char *const *files, int n,
                               enum plan_algorithm algorithm,
                               struct plan_network *network, double *error);

#endif
