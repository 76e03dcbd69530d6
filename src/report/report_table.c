/* Rows are found by comparing each part of a run with the rows so far; there are few.
 *
 * A table is begun by each row that is in none of its kind yet, and takes all rows that
 * go with it: of strong scaling those of the same batch, of weak scaling those of the
 * same batch a core. It stands if its rows have at least two numbers of cores. The base
 * is the fastest row of the fewest cores; a speed-up is a quotient of images a second,
 * which in strong scaling is that of the times of a step. */
#include "report/report_table.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static convoy_status find_group(convoy_report *report, const struct report_run *run,
                                int *group)
{
    for (*group = 0; *group < report->n_groups; (*group)++)
        if (strcmp(report->groups[*group].facts, run->facts) == 0)
            return CONVOY_OK;
    report->groups[report->n_groups++] = (struct report_group){run->facts, run->model};
    return CONVOY_OK;
}

static bool is_row_of(const struct report_row *row, int group,
                      const struct metric_start *place)
{
    const struct metric_start *p = &row->place;
    return row->group == group && p->nodes == place->nodes &&
           p->ranks == place->ranks && p->lanes == place->lanes &&
           p->cores == place->cores && p->threads == place->threads &&
           p->batch == place->batch && p->microbatch == place->microbatch;
}

static convoy_status add_part(convoy_report *report, int group,
                              const struct report_part *part)
{
    const double median_s = samples_quantile(&part->steps, 0.5);
    struct report_row *row = report->rows;
    const struct report_row *end = row + report->n_rows;
    while (row < end && !is_row_of(row, group, &part->place))
        row++;
    if (row == end) {
        *row = (struct report_row){.group = group,
                                   .place = part->place,
                                   .least_s = median_s,
                                   .most_s = median_s};
        report->n_rows++;
    }
    row->n_runs++;
    row->n_dropped += part->n_dropped;
    report_ranks_add(&row->ranks, &part->ranks);
    row->least_s = median_s < row->least_s ? median_s : row->least_s;
    row->most_s = median_s > row->most_s ? median_s : row->most_s;
    return samples_add_all(&row->steps, &part->steps);
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Of the same cores the fastest first: the smallest size's is the base. */
static int compare_rows(const void *a, const void *b)
{
    const struct report_row *x = a, *y = b;
    int result = (x->group > y->group) - (x->group < y->group);
    result = result ? result : order(x->place.cores, y->place.cores);
    result = result ? result : order(x->place.batch, y->place.batch);
    return result ? result : (x->step_s > y->step_s) - (x->step_s < y->step_s);
}

static convoy_status make_rows(convoy_report *report)
{
    convoy_status status = CONVOY_OK;
    size_t n = 0;
    for (int i = 0; i < report->n_runs; i++)
        n += (size_t)report->runs[i].n_parts;
    TRY(mem_alloc_array(n, sizeof *report->rows, (void **)&report->rows));
    TRY(mem_alloc_array((size_t)report->n_runs, sizeof *report->groups,
                        (void **)&report->groups));
    for (int i = 0; i < report->n_runs; i++) {
        int group = 0;
        TRY(find_group(report, &report->runs[i], &group));
        for (int p = 0; p < report->runs[i].n_parts; p++)
            TRY(add_part(report, group, &report->runs[i].parts[p]));
    }
    for (int i = 0; i < report->n_rows; i++) {
        struct report_row *row = &report->rows[i];
        samples_sort(&row->steps);
        row->step_s = samples_quantile(&row->steps, 0.5);
        row->step_s_q1 = samples_quantile(&row->steps, 0.25);
        row->step_s_q3 = samples_quantile(&row->steps, 0.75);
        row->images_per_s = (double)row->place.batch / row->step_s;
    }
    qsort(report->rows, (size_t)report->n_rows, sizeof *report->rows, compare_rows);
cleanup:
    return status;
}

static bool go_together(enum report_kind kind, const struct report_row *a,
                        const struct report_row *b)
{
    if (a->group != b->group || a->place.microbatch != b->place.microbatch)
        return false;
    return kind == REPORT_STRONG
               ? a->place.batch == b->place.batch
               : a->place.batch * b->place.cores == b->place.batch * a->place.cores;
}

/* Marks of a row: in a table of this kind, in any. */
enum { IN_KIND = 1, IN_ANY = 2 };

/* The table of row first and all that go with it, if it is one. */
static convoy_status add_table(convoy_report *report, enum report_kind kind, int first,
                               unsigned char *marks)
{
    convoy_status status = CONVOY_OK;
    struct report_table *table = &report->tables[report->n_tables];
    const struct report_row *base = &report->rows[first];
    bool scales = false;
    *table = (struct report_table){.kind = kind, .group = base->group};
    TRY(mem_alloc_array((size_t)report->n_rows, sizeof *table->rows,
                        (void **)&table->rows));
    for (int i = first; i < report->n_rows; i++) {
        if (!go_together(kind, base, &report->rows[i]))
            continue;
        table->rows[table->n_rows++] = i;
        marks[i] |= IN_KIND;
        scales = scales || report->rows[i].place.cores != base->place.cores;
    }
    for (int i = 0; i < table->n_rows && scales; i++)
        marks[table->rows[i]] |= IN_ANY;
    report->n_tables++;
    if (!scales) {
        mem_free(table->rows);
        report->n_tables--;
    }
cleanup:
    return status;
}

static convoy_status add_single(convoy_report *report, int row)
{
    struct report_table *table = &report->tables[report->n_tables];
    *table =
        (struct report_table){.kind = REPORT_SINGLE, .group = report->rows[row].group};
    const convoy_status status =
        mem_alloc_array(1, sizeof *table->rows, (void **)&table->rows);
    if (status != CONVOY_OK)
        return status;
    table->rows[table->n_rows++] = row;
    report->n_tables++;
    return CONVOY_OK;
}

convoy_status report_arrange(convoy_report *report)
{
    convoy_status status = CONVOY_OK;
    unsigned char *marks = NULL;
    TRY(make_rows(report));
    /* Each row begins one table of each kind at most. */
    const size_t n = (size_t)report->n_rows;
    TRY(mem_alloc_array(3 * n, sizeof *report->tables, (void **)&report->tables));
    TRY(mem_alloc(n, (void **)&marks));
    for (enum report_kind kind = REPORT_STRONG; kind <= REPORT_WEAK; kind++) {
        for (size_t i = 0; i < n; i++)
            marks[i] &= IN_ANY;
        for (int i = 0; i < report->n_rows; i++)
            if (!(marks[i] & IN_KIND))
                TRY(add_table(report, kind, i, marks));
    }
    for (int i = 0; i < report->n_rows; i++)
        if (!(marks[i] & IN_ANY))
            TRY(add_single(report, i));
cleanup:
    mem_free(marks);
    return status;
}

struct report_scaling report_scale(const struct report_row *base,
                                   const struct report_row *row)
{
    const double speedup = row->images_per_s / base->images_per_s;
    const double ideal = (double)row->place.cores / (double)base->place.cores;
    return (struct report_scaling){speedup, ideal, speedup / ideal};
}

const struct report_row *report_largest(const convoy_report *report,
                                        const struct report_table *table)
{
    const struct report_row *base = &report->rows[table->rows[0]], *largest = base;
    for (int i = 0; i < table->n_rows; i++) {
        const struct report_row *row = &report->rows[table->rows[i]];
        if (report_scale(base, row).efficiency >= REPORT_GOOD_EFFICIENCY)
            largest = row;
    }
    return largest;
}
