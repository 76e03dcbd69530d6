/* A report as text for people, and as CSV. */
#include "report/report_table.h"

#include "report/report_energy.h"
#include "report/report_facts.h"
#include "report/report_pop.h"
#include "report/report_sentence.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { VALUE_SIZE = 256 };

static const char *const kind_names[] = {"strong", "weak", "single"};

/* Text from a file, in one line. */
static void put_text(FILE *stream, const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < ' ' ? '?' : *text, stream);
}

/* A field of CSV (RFC 4180), in one line. */
static void put_field(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', stream);
        fputc((unsigned char)*text < ' ' ? '?' : *text, stream);
    }
    fputc('"', stream);
}

/* "1 node", "4 nodes". */
static void put_count(FILE *stream, uint64_t n, const char *noun)
{
    fprintf(stream, "%" PRIu64 " %s%s", n, noun, n == 1 ? "" : "s");
}

/* What runs have in common, and how others differ from the first of them. */
static void write_groups(const convoy_report *report, FILE *stream)
{
    static const char *const shown[] = {"convoy", "isa", "onednn", "mpi", "train_pack"};
    char first[VALUE_SIZE], other[VALUE_SIZE];
    const char *facts = report->groups[0].facts;
    if (report->n_groups > 1)
        fputs("group 1: ", stream);
    put_text(stream, report->groups[0].model);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        report_facts_value(facts, shown[i], first, sizeof first);
        fprintf(stream, ", %s ", shown[i]);
        put_text(stream, first);
    }
    fputc('\n', stream);
    for (int g = 1; g < report->n_groups; g++) {
        report_facts_difference(facts, report->groups[g].facts, first, other,
                                sizeof first);
        fprintf(stream, "group %d differs from group 1: '", g + 1);
        put_text(stream, other);
        fputs("' in place of '", stream);
        put_text(stream, first);
        fputs("'\n", stream);
    }
}

/* Where no table of speeds can be made: how far runs came. */
static void write_views(const convoy_report *report, FILE *stream)
{
    for (int i = 0; i < report->n_views; i++) {
        const struct run_view *view = &report->views[i];
        if (!run_view_shows(view))
            continue;
        put_text(stream, view->path);
        fprintf(stream, ": %" PRIu64 " steps", view->last.step);
        if (view->last.step > 0 && isfinite(view->last.loss))
            fprintf(stream, ", loss %.4g", view->last.loss);
        if (view->last_epoch.step > 0 && view->last_epoch.val_samples > 0)
            fprintf(stream, ", validation top-1 %.2f %%",
                    100 * view->last_epoch.val_top1);
        fputc('\n', stream);
    }
}

static void write_title(const convoy_report *report, const struct report_table *table,
                        FILE *stream)
{
    static const char *const titles[] = {
        [REPORT_STRONG] = "strong scaling: one batch size",
        [REPORT_WEAK] = "weak scaling: one batch size a core",
        [REPORT_SINGLE] = "one size"};
    fputc('\n', stream);
    if (report->n_groups > 1)
        fprintf(stream, "group %d, ", table->group + 1);
    fprintf(stream, "%s\n", titles[table->kind]);
    fprintf(stream, "%5s %6s %20s %6s  %-31s %7s %9s %8s %6s %10s  %s\n", "nodes",
            "cores", "ranks x lanes x thr.", "batch", "s/step (quartiles)", "n",
            "img/s", "speed-up", "ideal", "efficiency", "runs (s/step)");
}

static void write_row(const struct report_row *row, const struct report_row *base,
                      FILE *stream)
{
    const struct metric_start *p = &row->place;
    const struct report_scaling scaling = report_scale(base, row);
    char layout[64], seconds[96];
    snprintf(layout, sizeof layout, "%" PRIu64 " x %g x %" PRIu64, p->ranks,
             (double)p->lanes / (double)p->ranks, p->threads);
    snprintf(seconds, sizeof seconds, "%.4g (%.4g to %.4g)", row->step_s,
             row->step_s_q1, row->step_s_q3);
    fprintf(stream,
            "%5" PRIu64 " %6" PRIu64 " %20s %6" PRIu64 "  %-31s %7" PRIu64
            " %9.4g %8.2f %6.4g %10.2f  %d (%.4g to %.4g)\n",
            p->nodes, p->cores, layout, p->batch, seconds, row->steps.weight,
            row->images_per_s, scaling.speedup, scaling.ideal, scaling.efficiency,
            row->n_runs, row->least_s, row->most_s);
}

static void write_ranks_row(const struct report_row *row, FILE *stream)
{
    const struct report_ranks *r = &row->ranks;
    char compute[96];
    snprintf(compute, sizeof compute, "%.4g (%.4g to %.4g)", r->compute_s,
             r->compute_s_least, r->compute_s_most);
    fprintf(stream,
            "%5" PRIu64 " %6" PRIu64 " %6" PRIu64
            "  %-31s %8.4g %8.4g %6.0f %% %8.4g %9.4g %8.2f  ",
            row->place.nodes, row->place.cores, row->place.ranks, compute,
            r->exchange_s, r->hidden_s, 100 * report_ranks_hidden_share(r), r->input_s,
            r->optimizer_s, report_ranks_balance(r));
    if (row->place.ranks > 1 && *r->slowest_host) {
        fprintf(stream, "%" PRIu64 " on ", r->slowest_rank);
        put_text(stream, r->slowest_host);
    } else {
        fputs(row->place.ranks > 1 ? "not always the same" : "-", stream);
    }
    fputc('\n', stream);
}

/* Where the time of a step went, of those rows whose runs say it. */
static void write_ranks(const convoy_report *report, const struct report_table *table,
                        FILE *stream)
{
    bool is_titled = false;
    for (int i = 0; i < table->n_rows; i++) {
        const struct report_row *row = &report->rows[table->rows[i]];
        if (row->ranks.steps == 0)
            continue;
        if (!is_titled)
            fprintf(stream,
                    "seconds of a step, mean over the ranks\n"
                    "%5s %6s %6s  %-31s %8s %8s %8s %8s %9s %8s  %s\n",
                    "nodes", "cores", "ranks", "compute (least to most)", "exposed",
                    "hidden", "of it", "input", "optimizer", "balance", "slowest rank");
        is_titled = true;
        write_ranks_row(row, stream);
    }
    if (report_has_single_rank(report, table))
        fputs("One rank exchanges nothing: exposed, hidden are of its own lanes, which "
              "wait for each other.\n",
              stream);
}

/* "Largest size with an efficiency of 0.8 or more: 4 nodes, 8 cores (0.93)." */
static void write_sentence(const convoy_report *report,
                           const struct report_table *table, FILE *stream)
{
    const struct report_row *base = &report->rows[table->rows[0]];
    const struct report_row *largest = report_largest(report, table);
    char doubt[REPORT_SENTENCE_SIZE];
    if (table->kind == REPORT_SINGLE)
        return;
    fprintf(stream,
            "Largest size with an efficiency of %g or more: ", REPORT_GOOD_EFFICIENCY);
    put_count(stream, largest->place.nodes, "node");
    fputs(", ", stream);
    put_count(stream, largest->place.cores, "core");
    if (largest->place.cores == base->place.cores)
        fputs(", which is the smallest.\n", stream);
    else
        fprintf(stream, " (%.2f).\n", report_scale(base, largest).efficiency);
    report_doubt(report, table, doubt);
    if (doubt[0])
        fprintf(stream, "%s\n", doubt);
}

static void write_notes(const convoy_report *report, FILE *stream)
{
    uint64_t n_dropped = 0;
    for (int i = 0; i < report->n_rows; i++)
        n_dropped += report->rows[i].n_dropped;
    fputc('\n', stream);
    put_count(stream, n_dropped, "step");
    fputs(" at the starts of runs and epochs not counted.\n", stream);
}

/* "energy of runs/a: 1.234 kWh (RAPL of 2 nodes, 3600 s)", of runs that tell it. */
static void write_energy(const convoy_report *report, FILE *stream)
{
    bool asks = true;
    for (int i = 0; i < report->n_runs; i++) {
        struct report_energy energy;
        if (!report_energy_read(report->runs[i].path, &asks, &energy))
            continue;
        fputs("energy of ", stream);
        put_text(stream, report->runs[i].path);
        fprintf(stream, ": %.4g kWh (", energy.joules / 3.6e6);
        put_text(stream, energy.source);
        if (energy.nodes > 0)
            fprintf(stream, " of %d node%s", energy.nodes, energy.nodes > 1 ? "s" : "");
        if (energy.seconds > 0)
            fprintf(stream, ", %.0f s", energy.seconds);
        fputs(")\n", stream);
    }
}

static convoy_status outcome(FILE *stream)
{
    if (ferror(stream))
        return FAIL(CONVOY_ERROR_IO, "cannot write the report");
    return CONVOY_OK;
}

convoy_status convoy_report_write_passed(const convoy_report *report, FILE *stream)
{
    for (int i = 0; i < report->n_passed; i++) {
        fputs("Passed over: ", stream);
        put_text(stream, report->passed[i]);
        fputc('\n', stream);
    }
    return outcome(stream);
}

convoy_status convoy_report_write_text(const convoy_report *report, FILE *stream)
{
    if (report->n_rows > 0)
        write_groups(report, stream);
    else
        write_views(report, stream);
    for (int t = 0; t < report->n_tables; t++) {
        const struct report_table *table = &report->tables[t];
        write_title(report, table, stream);
        for (int i = 0; i < table->n_rows; i++)
            write_row(&report->rows[table->rows[i]], &report->rows[table->rows[0]],
                      stream);
        write_sentence(report, table, stream);
        write_ranks(report, table, stream);
        report_pop_write_text(report, table, stream);
    }
    if (report->n_rows > 0)
        write_notes(report, stream);
    write_energy(report, stream);
    return convoy_report_write_passed(report, stream);
}

/* Fields are empty where no run of the row says it. */
static void write_csv_ranks(const struct report_ranks *r, FILE *stream)
{
    if (r->steps == 0) {
        fputs(",,,,,,,,,", stream);
        return;
    }
    fprintf(stream, "%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,", r->compute_s,
            r->compute_s_least, r->compute_s_most, r->exchange_s, r->hidden_s,
            report_ranks_hidden_share(r), r->input_s, r->optimizer_s,
            report_ranks_balance(r));
    put_field(stream, r->slowest_host);
}

static void write_csv_row(const convoy_report *report, const struct report_table *table,
                          const struct report_row *row, FILE *stream)
{
    const struct metric_start *p = &row->place;
    const struct report_scaling scaling =
        report_scale(&report->rows[table->rows[0]], row);
    fprintf(stream, "%s,%d,", kind_names[table->kind], table->group + 1);
    put_field(stream, report->groups[table->group].model);
    fprintf(stream,
            ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
            ",%" PRIu64 ",%d,%" PRIu64 ",%" PRIu64,
            p->nodes, p->cores, p->ranks, p->lanes, p->threads, p->batch, p->microbatch,
            row->n_runs, row->steps.weight, row->n_dropped);
    fprintf(stream, ",%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,", row->step_s,
            row->step_s_q1, row->step_s_q3, row->least_s, row->most_s,
            row->images_per_s, scaling.speedup, scaling.ideal, scaling.efficiency);
    write_csv_ranks(&row->ranks, stream);
    report_pop_write_fields(&report->rows[table->rows[0]], row, stream);
    fputc('\n', stream);
}

convoy_status convoy_report_write_csv(const convoy_report *report, FILE *stream)
{
    if (report->n_rows == 0)
        return report_need_rows(report);
    fputs("table,group,model,nodes,cores,ranks,lanes,threads,batch,microbatch,runs,"
          "steps,dropped,step_s,step_s_q1,step_s_q3,step_s_least,step_s_most,"
          "images_per_s,speedup,ideal,efficiency,compute_s,compute_s_least,compute_s_"
          "most,"
          "exchange_s,hidden_s,hidden_share,input_s,optimizer_s,balance,slowest_host",
          stream);
    report_pop_write_names(stream);
    fputc('\n', stream);
    for (int t = 0; t < report->n_tables; t++)
        for (int i = 0; i < report->tables[t].n_rows; i++)
            write_csv_row(report, &report->tables[t],
                          &report->rows[report->tables[t].rows[i]], stream);
    return outcome(stream);
}
