/* What `convoy plan` predicts for a study's sizes and some beyond, from a run of its
 * smallest size, on the network that plans take where none was measured. A study whose
 * runs tell too little for a plan has no such curve. */
#include "report/page.h"

#include "report/report_sentence.h"

#include <convoy/plan.h>

#include <math.h>
#include <string.h>

enum { MAX_SIZES = 32, BEYOND = 4 };

static const struct report_row *row_at(const struct page *page,
                                       const struct report_table *table, int i)
{
    return &page->report->rows[table->rows[i]];
}

/* Of the runs of this row the one whose step is closest to the row's: an outlier would
 * shift the whole curve. NULL: there is none whose newest life is in the row. */
static const struct run_view *run_of(const struct page *page,
                                     const struct report_row *row)
{
    const struct run_view *closest = NULL;
    double least_s = (double)INFINITY;
    for (int i = 0; i < page->report->n_views; i++) {
        const struct run_view *view = &page->report->views[i];
        const double away_s =
            fabs(run_view_number(view->timeline, "step_s") - row->step_s);
        if (away_s < least_s && view->timeline &&
            view->place.nodes == row->place.nodes &&
            view->place.ranks == row->place.ranks &&
            view->place.lanes == row->place.lanes &&
            view->place.batch == row->place.batch &&
            strcmp(view->model, page->report->groups[row->group].model) == 0) {
            closest = view;
            least_s = away_s;
        }
    }
    return closest;
}

/* The study's numbers of nodes, each once, and twice the largest, and so on. */
static int list_sizes(const struct page *page, const struct report_table *table,
                      int sizes[MAX_SIZES])
{
    int n = 0;
    for (int i = 0; i < table->n_rows && n < MAX_SIZES; i++) {
        const uint64_t nodes = row_at(page, table, i)->place.nodes;
        if (nodes <= CONVOY_PLAN_MAX_NODES && (n == 0 || (int)nodes > sizes[n - 1]))
            sizes[n++] = (int)nodes;
    }
    const int largest = n > 0 ? sizes[n - 1] : 0;
    while (n > 0 && n < MAX_SIZES && 2 * sizes[n - 1] <= BEYOND * largest &&
           2 * sizes[n - 1] <= CONVOY_PLAN_MAX_NODES) {
        sizes[n] = 2 * sizes[n - 1];
        n++;
    }
    return n;
}

static convoy_status add_rows(const convoy_plan *plan, double base_images_per_s,
                              struct curve *curve)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < convoy_plan_n_rows(plan); i++) {
        const convoy_plan_row *row = convoy_plan_row_at(plan, i);
        if (!row->refused && row->images_per_s > 0)
            TRY(curve_add(curve, row->nodes, row->images_per_s / base_images_per_s));
    }
cleanup:
    return status;
}

convoy_status page_predict(const struct page *page, const struct report_table *table,
                           struct curve *speedup, char *network, size_t size)
{
    convoy_status status = CONVOY_OK;
    convoy_plan *plan = NULL;
    int sizes[MAX_SIZES];
    const struct report_row *base = row_at(page, table, 0);
    const struct run_view *run = run_of(page, base);
    const convoy_plan_options options = {.nodes = sizes,
                                         .n_nodes = list_sizes(page, table, sizes),
                                         .weak = table->kind == REPORT_WEAK};
    network[0] = '\0';
    if (!run || options.n_nodes == 0 || !report_counts_nodes(page->report, table))
        return CONVOY_OK;
    status = convoy_plan_create(run->path, &options, &plan);
    if (status != CONVOY_OK && status != CONVOY_ERROR_MEMORY) {
        convoy_status_clear();
        return CONVOY_OK;
    }
    TRY(status);
    snprintf(network, size, "%.*s", (int)strcspn(convoy_plan_network(plan), ":"),
             convoy_plan_network(plan));
    TRY(add_rows(plan, base->images_per_s, speedup));
cleanup:
    convoy_plan_destroy(plan);
    return status;
}
