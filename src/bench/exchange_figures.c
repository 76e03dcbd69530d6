/* Bus bandwidth is as NCCL's tests define it (github.com/NVIDIA/nccl-tests,
 * doc/PERFORMANCE.md): of a vector's n bytes a rank has to send (ranks - 1) / ranks n
 * to have them summed, and as many to share the sums, and to receive as many. So the
 * figure can be held against the speed of a link, whatever the number of ranks. */
#include "bench/exchange_figures.h"

#include <stdlib.h>

uint64_t figures_next_size(uint64_t bytes, uint64_t most)
{
    if (bytes >= most)
        return 0;
    return bytes <= most / 4 ? 4 * bytes : most;
}

double figures_bus_bandwidth(uint64_t bytes, int ranks, double seconds)
{
    return 2.0 * (ranks - 1) / ranks * (double)bytes / seconds;
}

int figures_rounds(double round_s, double budget_s, int least, int most)
{
    if (round_s * most <= budget_s)
        return most;
    const int n = (int)(budget_s / round_s);
    return n > least ? n : least;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double figures_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return values[(n - 1) / 2];
}
