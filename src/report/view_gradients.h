/* The lengths of layers' gradients over a run: some of the lines that tell them. Local,
 * all of it. */
#ifndef REPORT_VIEW_GRADIENTS_H
#define REPORT_VIEW_GRADIENTS_H

#include "json/json_value.h"
#include "report/curve.h"

enum { VIEW_GRADIENT_ROWS = 64, VIEW_GRADIENT_CURVES = 4 };

/* Begin with {0}; free with view_gradients_free. */
struct view_gradients {
    int n_layers;
    double *rows; /* [VIEW_GRADIENT_ROWS, n_layers] */
    uint64_t steps[VIEW_GRADIENT_ROWS];
    int n_rows;             /* kept; the newest line is the row behind them */
    uint64_t n_seen, every; /* lines; of these every so many-th is kept */
};

/* Takes what a line tells, an object of numbers. The first such line decides how many
 * layers there are; others with another number do not count. MEMORY. */
convoy_status view_gradients_add(struct view_gradients *gradients, uint64_t step,
                                 const struct json_value *norms);

/* Over layers, counted from 1, at the first line, at the newest, and at lines between
 * them: as many of curves as it returns, and the steps that they are of. Lengths that
 * are 0 or no numbers are gaps. Curves are {0} before, and to be freed, on error, too.
 * MEMORY. */
convoy_status view_gradients_curves(const struct view_gradients *gradients,
                                    struct curve curves[VIEW_GRADIENT_CURVES],
                                    uint64_t steps[VIEW_GRADIENT_CURVES], int *n);

void view_gradients_free(struct view_gradients *gradients);

#endif
