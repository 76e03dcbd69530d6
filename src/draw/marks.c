/* On a logarithmic axis numbers do not depend on where its range ends: two drawings of
 * ranges that are about as long have the same marks in the part that both show. */
#include "draw/marks.h"

#include <math.h>

/* Of numbers that a sum or a power does not meet exactly. */
static const double slack = 1e-9;

double marks_step(double length, int most)
{
    const double least = length / most;
    const double power = pow(10, floor(log10(least)));
    const double ratio = least / power;
    return power * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10);
}

void marks_even(double low, double high, int most, struct marks *marks)
{
    const double step = marks_step(high - low, most);
    const double first = ceil(low / step - slack), last = floor(high / step + slack);
    marks->n = 0;
    for (int k = 0; first + k <= last && marks->n < MARKS_MAX; k++)
        marks->at[marks->n++] = (first + k) * step;
}

/* parts: of each power of ten, its end is 0. */
static void mark_decades(double low, double high, const double *parts,
                         struct marks *marks)
{
    const int last = (int)floor(log10(high) + slack);
    marks->n = 0;
    for (int k = (int)floor(log10(low) + slack); k <= last; k++)
        for (const double *part = parts; *part > 0; part++) {
            const double value = *part * pow(10, k);
            if (value >= low * (1 - slack) && value <= high * (1 + slack) &&
                marks->n < MARKS_MAX)
                marks->at[marks->n++] = value;
        }
}

void marks_log(double low, double high, int most, struct marks *marks)
{
    static const double parts[][16] = {
        {1},
        {1, 3},
        {1, 2, 5},
        {1, 1.5, 2, 3, 5, 7},
        {1, 1.2, 1.5, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9},
    };
    const int n_parts = sizeof parts / sizeof *parts;
    struct marks finer;
    mark_decades(low, high, parts[0], marks);
    for (int i = 1; i < n_parts; i++) {
        mark_decades(low, high, parts[i], &finer);
        if (finer.n > most)
            return;
        *marks = finer;
    }
}
