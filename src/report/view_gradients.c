/* However long a run is, at most VIEW_GRADIENT_ROWS of its lines are kept, as evenly as
 * there is room: when there is none left, every second one goes. */
#include "report/view_gradients.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

static double *row_at(const struct view_gradients *g, int row)
{
    return g->rows + (size_t)row * (size_t)g->n_layers;
}

static void copy_row(struct view_gradients *g, int from, int to)
{
    if (from == to)
        return;
    memcpy(row_at(g, to), row_at(g, from), (size_t)g->n_layers * sizeof *g->rows);
    g->steps[to] = g->steps[from];
}

static convoy_status begin(struct view_gradients *g, size_t n_layers)
{
    g->n_layers = (int)n_layers;
    g->every = 1;
    return mem_alloc_array(VIEW_GRADIENT_ROWS * n_layers, sizeof *g->rows,
                           (void **)&g->rows);
}

static void thin(struct view_gradients *g)
{
    for (int i = 0; i < VIEW_GRADIENT_ROWS / 2; i++)
        copy_row(g, 2 * i, i);
    g->n_rows = VIEW_GRADIENT_ROWS / 2;
    g->every *= 2;
}

convoy_status view_gradients_add(struct view_gradients *g, uint64_t step,
                                 const struct json_value *norms)
{
    convoy_status status = CONVOY_OK;
    struct json_member member = {0};
    const bool is_object = json_value_type(norms) == JSON_TYPE_OBJECT;
    const size_t n = is_object ? json_value_count(norms) : 0;
    if (n == 0 || n > INT32_MAX || (g->rows && n != (size_t)g->n_layers))
        return CONVOY_OK;
    if (!g->rows)
        TRY(begin(g, n));
    /* The newest so far stays where its turn has come, and this one lies behind it. */
    if (g->n_seen > 0 && (g->n_seen - 1) % g->every == 0)
        g->n_rows++;
    if (g->n_rows == VIEW_GRADIENT_ROWS)
        thin(g);
    double *row = row_at(g, g->n_rows);
    for (size_t i = 0; json_value_next(norms, &member) && i < n; i++)
        row[i] = json_value_number(member.value);
    g->steps[g->n_rows] = step;
    g->n_seen++;
cleanup:
    return status;
}

static convoy_status make_curve(const struct view_gradients *g, int row,
                                struct curve *curve)
{
    convoy_status status = CONVOY_OK;
    const double *norms = row_at(g, row);
    for (int i = 0; i < g->n_layers; i++)
        TRY(curve_add(curve, i + 1, norms[i] > 0 ? norms[i] : (double)NAN));
cleanup:
    return status;
}

convoy_status view_gradients_curves(const struct view_gradients *g,
                                    struct curve curves[VIEW_GRADIENT_CURVES],
                                    uint64_t steps[VIEW_GRADIENT_CURVES], int *n)
{
    convoy_status status = CONVOY_OK;
    const int most = VIEW_GRADIENT_CURVES - 1;
    int before = -1;
    *n = 0;
    for (int k = 0; g->n_seen > 0 && k <= most; k++) {
        const int row = g->n_rows * k / most; /* n_rows: the newest's place */
        if (row == before)
            continue;
        before = row;
        TRY(make_curve(g, row, &curves[*n]));
        steps[(*n)++] = g->steps[row];
    }
cleanup:
    return status;
}

void view_gradients_free(struct view_gradients *g)
{
    mem_free(g->rows);
    *g = (struct view_gradients){0};
}
