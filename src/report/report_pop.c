/* The POP metrics of rows (pop.h). A line of "ranks" is a region of the run, with a
 * slowest rank of its own; those of a row are of the means over its lines, like the
 * shares of report_ranks.c. Lines that lack the times do not count. */
#include "report/report_pop.h"

#include <math.h>

void report_pop_take(const struct metric_ranks *line, struct report_ranks *ranks)
{
    const struct pop_times times = {.useful_s = line->busy_s,
                                    .useful_s_most = line->busy_s_most,
                                    .working_s = line->working_s,
                                    .working_s_most = line->working_s_most,
                                    .step_s = line->step_s,
                                    .ideal_s = line->ideal_s};
    const double sum = times.useful_s + times.useful_s_most + times.working_s +
                       times.working_s_most + times.step_s + times.ideal_s;
    ranks->pop_steps = isfinite(sum) && times.step_s > 0 ? line->steps : 0;
    ranks->pop = times;
}

static void mix(double *mean, double other, double share)
{
    *mean += share * (other - *mean);
}

void report_pop_add(struct report_ranks *mean, const struct report_ranks *other)
{
    struct pop_times *m = &mean->pop;
    const struct pop_times *o = &other->pop;
    if (other->pop_steps == 0)
        return;
    if (mean->pop_steps == 0)
        *m = (struct pop_times){.step_s = 0};
    mean->pop_steps += other->pop_steps;
    const double share = (double)other->pop_steps / (double)mean->pop_steps;
    mix(&m->useful_s, o->useful_s, share);
    mix(&m->useful_s_most, o->useful_s_most, share);
    mix(&m->working_s, o->working_s, share);
    mix(&m->working_s_most, o->working_s_most, share);
    mix(&m->step_s, o->step_s, share);
    mix(&m->ideal_s, o->ideal_s, share);
}

static struct pop_cost cost_of(const struct report_row *row)
{
    return (struct pop_cost){.useful_s = row->ranks.pop.useful_s,
                             .cores = (int)row->place.cores,
                             .batch = (double)row->place.batch};
}

bool report_pop(const struct report_row *base, const struct report_row *row,
                struct report_pop *pop)
{
    const struct pop_cost reference = cost_of(base), cost = cost_of(row);
    if (row->ranks.pop_steps == 0)
        return false;
    pop->pop = pop_of(&row->ranks.pop);
    pop->scaling =
        base->ranks.pop_steps > 0 ? pop_scaling(&reference, &cost) : (double)NAN;
    pop->global = pop->pop.parallel * pop->scaling;
    return true;
}

/* "0.93", "-" for what is not known. */
static void put(FILE *stream, int width, double value)
{
    if (isfinite(value))
        fprintf(stream, " %*.3f", width, value);
    else
        fprintf(stream, " %*s", width, "-");
}

static void write_row(const struct report_row *row, const struct report_pop *p,
                      FILE *stream)
{
    fprintf(stream, "%5llu %6llu %6llu ", (unsigned long long)row->place.nodes,
            (unsigned long long)row->place.cores, (unsigned long long)row->place.ranks);
    put(stream, 8, p->pop.parallel);
    put(stream, 8, p->pop.balance);
    put(stream, 8, p->pop.communication);
    put(stream, 8, p->pop.serialisation);
    put(stream, 8, p->pop.transfer);
    put(stream, 9, p->scaling);
    put(stream, 8, p->global);
    put(stream, 9, p->pop.threads);
    put(stream, 8, p->pop.hybrid);
    fputc('\n', stream);
}

void report_pop_write_text(const convoy_report *report,
                           const struct report_table *table, FILE *stream)
{
    const struct report_row *base = &report->rows[table->rows[0]];
    bool is_titled = false;
    for (int i = 0; i < table->n_rows; i++) {
        const struct report_row *row = &report->rows[table->rows[i]];
        struct report_pop pop;
        if (!report_pop(base, row, &pop))
            continue;
        if (!is_titled)
            fprintf(stream,
                    "efficiency, taken apart (POP): parallel = balance x communic., "
                    "communic. = serial. x transfer;\n"
                    "global = parallel x scaling; hybrid = parallel x threads\n"
                    "%5s %6s %6s  %8s %8s %8s %8s %8s %9s %8s %9s %8s\n",
                    "nodes", "cores", "ranks", "parallel", "balance", "communic.",
                    "serial.", "transfer", "scaling", "global", "threads", "hybrid");
        is_titled = true;
        write_row(row, &pop, stream);
    }
}

void report_pop_write_names(FILE *stream)
{
    fputs(",working_s,ideal_s,pop_parallel,pop_balance,pop_communication,"
          "pop_serialisation,pop_transfer,pop_scaling,pop_global,pop_threads,"
          "pop_threads_balance,pop_threads_communication,pop_hybrid",
          stream);
}

void report_pop_write_fields(const struct report_row *base,
                             const struct report_row *row, FILE *stream)
{
    struct report_pop p;
    if (!report_pop(base, row, &p)) {
        fputs(",,,,,,,,,,,,,", stream);
        return;
    }
    const double values[] = {row->ranks.pop.working_s,
                             row->ranks.pop.ideal_s,
                             p.pop.parallel,
                             p.pop.balance,
                             p.pop.communication,
                             p.pop.serialisation,
                             p.pop.transfer,
                             p.scaling,
                             p.global,
                             p.pop.threads,
                             p.pop.threads_balance,
                             p.pop.threads_communication,
                             p.pop.hybrid};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        fputc(',', stream);
        if (isfinite(values[i]))
            fprintf(stream, "%.9g", values[i]);
    }
}
