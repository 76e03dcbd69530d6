/* Link speeds are the standards' data rates, of which long messages of MPI get about
 * SHARE; latencies are of an empty message from one rank to another, with switches.
 * docs/scaling.md names the sources. */
#include "plan/plan_network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double share = 0.95;          /* of a link: the rest is headers */
static const double sum_bytes_per_s = 8e9; /* of a thread that adds up */
static const double default_overhead_us = 0.5;

static const struct plan_named_network networks[] = {
    {"hdr100", 100, 1.5, 0.5}, {"hdr200", 200, 1.5, 0.5},
    {"ndr200", 200, 1.5, 0.5}, {"ndr400", 400, 1.5, 0.5},
    {"edr", 100, 1.5, 0.5},    {"slingshot200", 200, 2.0, 0.5},
    {"100gbe", 100, 15, 5},    {"25gbe", 25, 20, 5},
    {"10gbe", 10, 25, 5},      {"1gbe", 1, 50, 5},
};

enum { N_NETWORKS = (int)(sizeof networks / sizeof *networks) };

static struct plan_network make(double gbit_per_s, double latency_us,
                                double overhead_us)
{
    return (struct plan_network){gbit_per_s / 8 * 1e9 * share, latency_us * 1e-6,
                                 overhead_us * 1e-6, sum_bytes_per_s};
}

/* A number >= 0 that ends at one of the characters of ends; *text is moved behind it.
 */
static bool take_number(const char **text, double *number)
{
    char *end;
    if (!strchr("0123456789.", **text) || !**text)
        return false;
    *number = strtod(*text, &end);
    if (!isfinite(*number) || end == *text || (*end && *end != ':'))
        return false;
    *text = *end ? end + 1 : end;
    return true;
}

static bool parse(const char *text, struct plan_network *network)
{
    double gbit, latency, overhead = default_overhead_us;
    if (!take_number(&text, &gbit) || !take_number(&text, &latency))
        return false;
    if (*text && !take_number(&text, &overhead))
        return false;
    if (*text || gbit <= 0)
        return false;
    *network = make(gbit, latency, overhead);
    return true;
}

convoy_status plan_network_find(const char *name, struct plan_network *network)
{
    char names[512] = "";
    size_t n = 0;
    if (parse(name, network))
        return CONVOY_OK;
    for (int i = 0; i < N_NETWORKS; i++) {
        const struct plan_named_network *w = &networks[i];
        if (strcmp(w->name, name) == 0) {
            *network = make(w->gbit_per_s, w->latency_us, w->overhead_us);
            return CONVOY_OK;
        }
        n += (size_t)snprintf(names + n, sizeof names - n, " %s,", w->name);
    }
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "there is no network '%s': known are%s measured (with --bench FILE), "
                "or say GBIT:LATENCY or GBIT:LATENCY:OVERHEAD, in Gbit/s and "
                "microseconds, such as 100:1.5:0.5",
                name, names);
}
