/* Growing lists of points, and thinning them in place by means of neighbours: a point
 * of n / most old ones, so that each stands for as many (the last for the rest). */
#include "report/curve.h"

#include "base/memory.h"

#include <math.h>

static double shown(double value)
{
    return isfinite(value) && fabs(value) < 1e300 ? value : (double)NAN;
}

convoy_status curve_add_range(struct curve *curve, double x, double y, double low,
                              double high)
{
    convoy_status status = CONVOY_OK;
    void *points = curve->points;
    if (isnan(shown(x)))
        return CONVOY_OK;
    if ((curve->n + 1) * sizeof *curve->points > curve->capacity) {
        const size_t n = curve->n < 32 ? 64 : 2 * curve->n;
        TRY(mem_reserve(&points, &curve->capacity, n * sizeof *curve->points));
        curve->points = points;
    }
    curve->points[curve->n++] =
        (struct curve_point){x, shown(y), shown(low), shown(high)};
cleanup:
    return status;
}

convoy_status curve_add(struct curve *curve, double x, double y)
{
    return curve_add_range(curve, x, y, y, y);
}

/* The mean of n points. */
static struct curve_point mean_of(const struct curve_point *points, size_t n)
{
    struct curve_point mean = {0, (double)NAN, (double)NAN, (double)NAN};
    size_t count = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        mean.x += points[i].x / (double)n;
        if (isnan(points[i].y))
            continue;
        mean.low = fmin(mean.low, points[i].low); /* fmin takes the number */
        mean.high = fmax(mean.high, points[i].high);
        sum += points[i].y;
        count++;
    }
    if (count > 0)
        mean.y = sum / (double)count;
    return mean;
}

void curve_thin(struct curve *curve, size_t most)
{
    if (curve->n <= most || most == 0)
        return;
    const size_t each = (curve->n + most - 1) / most;
    size_t kept = 0;
    for (size_t i = 0; i < curve->n; i += each)
        curve->points[kept++] =
            mean_of(&curve->points[i], curve->n - i < each ? curve->n - i : each);
    curve->n = kept;
    curve->is_thinned = true;
}

size_t curve_count(const struct curve *curve)
{
    size_t n = 0;
    for (size_t i = 0; i < curve->n; i++)
        n += isnan(curve->points[i].y) ? 0 : 1;
    return n;
}

void curve_free(struct curve *curve)
{
    mem_free(curve->points);
    *curve = (struct curve){0};
}
