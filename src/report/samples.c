/* Quantiles of weighted samples: positions are counted in the list in which every value
 * is repeated, without writing it down. */
#include "report/samples.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

convoy_status samples_add(struct samples *s, double value, uint64_t weight)
{
    convoy_status status = CONVOY_OK;
    void *values = s->values;
    if (weight == 0)
        return CONVOY_OK;
    if ((s->n + 1) * sizeof *s->values > s->capacity) {
        const size_t n = s->n < 32 ? 64 : 2 * s->n;
        TRY(mem_reserve(&values, &s->capacity, n * sizeof *s->values));
        s->values = values;
    }
    s->values[s->n++] = (struct sample){value, weight};
    s->weight += weight;
cleanup:
    return status;
}

convoy_status samples_add_all(struct samples *s, const struct samples *others)
{
    convoy_status status = CONVOY_OK;
    for (size_t i = 0; i < others->n; i++)
        TRY(samples_add(s, others->values[i].value, others->values[i].weight));
cleanup:
    return status;
}

static int compare(const void *a, const void *b)
{
    const double x = ((const struct sample *)a)->value;
    const double y = ((const struct sample *)b)->value;
    return (x > y) - (x < y);
}

void samples_sort(struct samples *s)
{
    if (s->n > 0)
        qsort(s->values, s->n, sizeof *s->values, compare);
}

/* Value number i of the list with repetitions. */
static double at(const struct samples *s, uint64_t i)
{
    size_t k = 0;
    while (k + 1 < s->n && i >= s->values[k].weight)
        i -= s->values[k++].weight;
    return s->values[k].value;
}

double samples_quantile(const struct samples *s, double q)
{
    if (s->n == 0)
        return (double)NAN;
    const double place = q * (double)(s->weight - 1);
    const uint64_t below = (uint64_t)place;
    const double low = at(s, below), high = at(s, below + 1);
    return low + (place - (double)below) * (high - low);
}

void samples_free(struct samples *s)
{
    mem_free(s->values);
    *s = (struct samples){0};
}
