/* Sizes come from few cores to many, so what a study shows is where efficiency leaves
 * 0.8 for the first time. A size of several rows (other ranks or lanes on the same
 * cores) counts with its best. */
#include "report/report_sentence.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>

/* Above it an efficiency is no noise of good ones. */
#define DOUBTFUL_EFFICIENCY 1.05

bool report_counts_nodes(const convoy_report *report, const struct report_table *table)
{
    const uint64_t first = report->rows[table->rows[0]].place.nodes;
    for (int i = 1; i < table->n_rows; i++)
        if (report->rows[table->rows[i]].place.nodes != first)
            return true;
    return false;
}

uint64_t report_size_of(const struct report_row *row, bool counts_nodes)
{
    return counts_nodes ? row->place.nodes : row->place.cores;
}

/* Of the rows with the size of the table's row i the one with the best efficiency. */
static const struct report_row *best_of_size(const convoy_report *report,
                                             const struct report_table *table, int i)
{
    const bool by_nodes = report_counts_nodes(report, table);
    const struct report_row *base = &report->rows[table->rows[0]];
    const struct report_row *best = &report->rows[table->rows[i]];
    const uint64_t size = report_size_of(best, by_nodes);
    for (int k = 0; k < table->n_rows; k++) {
        const struct report_row *row = &report->rows[table->rows[k]];
        if (report_size_of(row, by_nodes) == size &&
            report_scale(base, row).efficiency > report_scale(base, best).efficiency)
            best = row;
    }
    return best;
}

static double efficiency(const convoy_report *report, const struct report_table *table,
                         const struct report_row *row)
{
    return report_scale(&report->rows[table->rows[0]], row).efficiency;
}

static void put_size(char *out, const struct report_row *row, bool by_nodes)
{
    const uint64_t n = report_size_of(row, by_nodes);
    text_append(out, REPORT_SENTENCE_SIZE, "%" PRIu64 " %s%s", n,
                by_nodes ? "node" : "core", n == 1 ? "" : "s");
}

const char *report_exchange_name(uint64_t ranks)
{
    return ranks == 1 ? "lanes wait for each other" : "exposed exchange";
}

uint64_t report_most_ranks(const convoy_report *report,
                           const struct report_table *table)
{
    uint64_t most = 0;
    for (int i = 0; i < table->n_rows; i++)
        if (report->rows[table->rows[i]].place.ranks > most)
            most = report->rows[table->rows[i]].place.ranks;
    return most;
}

bool report_has_single_rank(const convoy_report *report,
                            const struct report_table *table)
{
    for (int i = 0; i < table->n_rows; i++) {
        const struct report_row *row = &report->rows[table->rows[i]];
        if (row->place.ranks == 1 && row->ranks.steps > 0)
            return true;
    }
    return false;
}

/* What is lost there, of what its runs tell. */
static void put_reason(char *out, const struct report_row *row)
{
    const struct report_ranks *r = &row->ranks;
    const double step_s = r->compute_s + r->exchange_s + r->input_s + r->optimizer_s;
    if (r->steps == 0 || !(step_s > 0)) {
        text_append(out, REPORT_SENTENCE_SIZE, ".");
        return;
    }
    if (row->place.ranks == 1)
        text_append(out, REPORT_SENTENCE_SIZE,
                    ", where lanes wait for each other for %.0f %% of a step",
                    100 * r->exchange_s / step_s);
    else
        text_append(out, REPORT_SENTENCE_SIZE, ", where %.0f %% of a step is %s",
                    100 * r->exchange_s / step_s,
                    report_exchange_name(row->place.ranks));
    if (r->input_s > 0.05 * step_s)
        text_append(out, REPORT_SENTENCE_SIZE, ", %.0f %% is waiting for input",
                    100 * r->input_s / step_s);
    if (report_ranks_balance(r) < 0.95)
        text_append(out, REPORT_SENTENCE_SIZE, " and the load balance is %.2f",
                    report_ranks_balance(r));
    text_append(out, REPORT_SENTENCE_SIZE, ".");
}

void report_doubt(const convoy_report *report, const struct report_table *table,
                  char out[REPORT_SENTENCE_SIZE])
{
    const struct report_row *base = &report->rows[table->rows[0]], *best = base;
    const bool has_runs = base->n_runs > 1;
    out[0] = '\0';
    for (int i = 1; i < table->n_rows; i++)
        if (efficiency(report, table, &report->rows[table->rows[i]]) >
            efficiency(report, table, best))
            best = &report->rows[table->rows[i]];
    if (table->kind == REPORT_SINGLE ||
        efficiency(report, table, best) <= DOUBTFUL_EFFICIENCY)
        return;
    text_append(out, REPORT_SENTENCE_SIZE, "An efficiency above 100 %% (%.0f %% on ",
                100 * efficiency(report, table, best));
    put_size(out, best, report_counts_nodes(report, table));
    text_append(out, REPORT_SENTENCE_SIZE,
                ") says that the first row, which all are compared with, seems slow "
                "(%s from %.3g to %.3g s), or that smaller shares fit caches better: "
                "measure it again, with repetitions.",
                has_runs ? "medians of its runs" : "quartiles of its steps",
                has_runs ? base->least_s : base->step_s_q1,
                has_runs ? base->most_s : base->step_s_q3);
}

static void append_doubt(const convoy_report *report, const struct report_table *table,
                         char out[REPORT_SENTENCE_SIZE])
{
    char doubt[REPORT_SENTENCE_SIZE];
    report_doubt(report, table, doubt);
    if (doubt[0])
        text_append(out, REPORT_SENTENCE_SIZE, " %s", doubt);
}

void report_sentence(const convoy_report *report, const struct report_table *table,
                     char out[REPORT_SENTENCE_SIZE])
{
    const bool by_nodes = report_counts_nodes(report, table);
    /* The smallest size is as efficient as itself. */
    const struct report_row *good = &report->rows[table->rows[0]], *bad = NULL;
    out[0] = '\0';
    for (int i = 0; i < table->n_rows && !bad; i++) {
        const struct report_row *row = best_of_size(report, table, i);
        if (efficiency(report, table, row) >= REPORT_GOOD_EFFICIENCY)
            good = row;
        else
            bad = row;
    }
    if (table->kind == REPORT_SINGLE) {
        text_append(out, REPORT_SENTENCE_SIZE, "Only one size was measured, ");
        put_size(out, &report->rows[table->rows[0]], true);
        text_append(out, REPORT_SENTENCE_SIZE,
                    ", so there is no efficiency to tell: run the same on others.");
    } else if (!bad) {
        text_append(out, REPORT_SENTENCE_SIZE,
                    "Efficiency stays above 80 %% on all sizes that were measured, up "
                    "to ");
        put_size(out, good, by_nodes);
        text_append(out, REPORT_SENTENCE_SIZE, " (%.0f %%).",
                    100 * efficiency(report, table, good));
    } else if (good == best_of_size(report, table, 0)) {
        text_append(out, REPORT_SENTENCE_SIZE,
                    "Efficiency falls to %.0f %% already on ",
                    100 * efficiency(report, table, bad));
        put_size(out, bad, by_nodes);
        text_append(out, REPORT_SENTENCE_SIZE, ", the next size after the smallest");
        put_reason(out, bad);
    } else {
        text_append(out, REPORT_SENTENCE_SIZE, "Efficiency stays above 80 %% up to ");
        put_size(out, good, by_nodes);
        text_append(out, REPORT_SENTENCE_SIZE, " (%.0f %%); on ",
                    100 * efficiency(report, table, good));
        put_size(out, bad, by_nodes);
        text_append(out, REPORT_SENTENCE_SIZE, " it is %.0f %%",
                    100 * efficiency(report, table, bad));
        put_reason(out, bad);
    }
    append_doubt(report, table, out);
}
