/* Studies of scaling: a table, speed-up against the ideal, efficiency, and where the
 * time of a step goes by size. */
#include "report/page.h"

#include "report/report_facts.h"
#include "report/report_sentence.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { VALUE_SIZE = 256, N_PARTS = 4 };

static const struct report_row *row_at(const struct page *page,
                                       const struct report_table *table, int i)
{
    return &page->report->rows[table->rows[i]];
}

static double step_parts_s(const struct report_ranks *r)
{
    return r->compute_s + r->exchange_s + r->input_s + r->optimizer_s;
}

/* Where it ran: the first cells of every table. */
static void put_place(struct page *page, const struct report_row *row)
{
    const struct metric_start *p = &row->place;
    page_number(page, "%" PRIu64, p->nodes);
    page_number(page, "%" PRIu64, p->cores);
    page_number(page, "%" PRIu64 " \u00d7 %.4g \u00d7 %" PRIu64, p->ranks,
                (double)p->lanes / (double)p->ranks, p->threads);
}

static void put_speed(struct page *page, const struct report_row *row)
{
    char numbers[2][HTML_NUMBER_SIZE];
    put_place(page, row);
    page_number(page, "%s", html_count(row->place.batch, numbers[0]));
    page_number(page, "%s", html_seconds(row->step_s, numbers[0]));
    page_number(page, "%s\u2009\u2013\u2009%s",
                html_seconds(row->step_s_q1, numbers[0]),
                html_seconds(row->step_s_q3, numbers[1]));
    page_number(page, "%s", html_count(row->steps.weight, numbers[0]));
    page_number(page, "%d", row->n_runs);
    page_number(page, "%s", html_number(row->images_per_s, numbers[0]));
}

static void write_table(struct page *page, const struct report_table *table)
{
    static const char *const heads[] = {
        "nodes",         "cores",          "ranks \u00d7 lanes \u00d7 threads",
        "batch",         "a step, median", "quartiles",
        "steps",         "runs",           "images/s",
        "speed\u2011up", "ideal",          "efficiency"};
    char number[HTML_NUMBER_SIZE];
    page_table_begin(page, "Scaling", heads, sizeof heads / sizeof *heads);
    for (int i = 0; i < table->n_rows; i++) {
        const struct report_row *row = row_at(page, table, i);
        const struct report_scaling scaling = report_scale(row_at(page, table, 0), row);
        page_row_begin(page);
        put_speed(page, row);
        page_number(page, "%.2f", scaling.speedup);
        page_number(page, "%.4g", scaling.ideal);
        page_number(page, "%s", html_percent(scaling.efficiency, number));
        page_row_end(page);
    }
    page_table_end(page);
}

/* Of each row its speed-up or efficiency, with what the repetitions' medians give. */
static convoy_status measured(const struct page *page, const struct report_table *table,
                              bool is_efficiency, struct curve *curve)
{
    convoy_status status = CONVOY_OK;
    const bool by_nodes = report_counts_nodes(page->report, table);
    for (int i = 0; i < table->n_rows; i++) {
        const struct report_row *row = row_at(page, table, i);
        const struct report_scaling s = report_scale(row_at(page, table, 0), row);
        const double value = is_efficiency ? s.efficiency : s.speedup;
        TRY(curve_add_range(curve, (double)report_size_of(row, by_nodes), value,
                            value * row->step_s / row->most_s,
                            value * row->step_s / row->least_s));
    }
cleanup:
    return status;
}

static convoy_status ideal_of(const struct page *page, const struct report_table *table,
                              struct curve *curve)
{
    convoy_status status = CONVOY_OK;
    const bool by_nodes = report_counts_nodes(page->report, table);
    for (int i = 0; i < table->n_rows; i++) {
        const struct report_row *row = row_at(page, table, i);
        TRY(curve_add(curve, (double)report_size_of(row, by_nodes),
                      report_scale(row_at(page, table, 0), row).ideal));
    }
cleanup:
    return status;
}

static convoy_status write_speedup(struct page *page, const struct report_table *table)
{
    convoy_status status = CONVOY_OK;
    struct curve curve = {0}, ideal = {0}, efficiency = {0}, predicted = {0};
    char network[VALUE_SIZE], label[2 * VALUE_SIZE];
    const char *unit = report_counts_nodes(page->report, table) ? "nodes" : "cores";
    TRY(measured(page, table, false, &curve));
    TRY(measured(page, table, true, &efficiency));
    TRY(ideal_of(page, table, &ideal));
    TRY(page_predict(page, table, &predicted, network, sizeof network));
    snprintf(label, sizeof label, "predicted by convoy plan (%s)", network);
    plot_write(page->html, &page->plotter,
               &(struct plot){.title = "Speed-up",
                              .x_label = unit,
                              .y_label = "speed\u2011up",
                              .is_log = true,
                              .n_series = 3,
                              .series = {{"measured; bars: least and most of the runs",
                                          &curve, PLOT_POINTS, 0},
                                         {"ideal", &ideal, PLOT_DASHED, 6},
                                         {label, &predicted, PLOT_DASHED, 1}}});
    plot_write(page->html, &page->plotter,
               &(struct plot){.title = "Efficiency (dashed: 80 %)",
                              .x_label = unit,
                              .y_label = "efficiency, %",
                              .is_log_x = true,
                              .is_percent = true,
                              .has_zero = true,
                              .line = REPORT_GOOD_EFFICIENCY,
                              .n_series = 1,
                              .series = {{"measured", &efficiency, PLOT_POINTS, 0}}});
cleanup:
    curve_free(&curve);
    curve_free(&ideal);
    curve_free(&efficiency);
    curve_free(&predicted);
    return status;
}

/* Bars of a step's parts, one a row, with shares of the step. */
static convoy_status write_parts(struct page *page, const struct report_table *table)
{
    convoy_status status = CONVOY_OK;
    struct curve parts[N_PARTS] = {{0}};
    uint64_t names[PAGE_MAX_BARS];
    const bool by_nodes = report_counts_nodes(page->report, table);
    int n = 0;
    for (int i = 0; i < table->n_rows && n < PAGE_MAX_BARS; i++) {
        const struct report_row *row = row_at(page, table, i);
        const double step_s = step_parts_s(&row->ranks);
        const double seconds[N_PARTS] = {row->ranks.compute_s, row->ranks.input_s,
                                         row->ranks.optimizer_s, row->ranks.exchange_s};
        if (row->ranks.steps == 0 || !(step_s > 0))
            continue;
        for (int p = 0; p < N_PARTS; p++)
            TRY(curve_add(&parts[p], n, seconds[p] / step_s));
        names[n++] = report_size_of(row, by_nodes);
    }
    plot_write(page->html, &page->plotter,
               &(struct plot){.title = "Where the time of a step goes",
                              .x_label = by_nodes ? "nodes" : "cores",
                              .y_label = "share of a step, %",
                              .is_percent = true,
                              .has_zero = true,
                              .marks_points = true,
                              .x_names = names,
                              .n_series = N_PARTS,
                              .series = {{"compute", &parts[0], PLOT_BOXES, 0},
                                         {"wait for input", &parts[1], PLOT_BOXES, 4},
                                         {"optimizer", &parts[2], PLOT_BOXES, 2},
                                         {report_exchange_name(
                                              report_most_ranks(page->report, table)),
                                          &parts[3], PLOT_BOXES, 1}}});
cleanup:
    for (int p = 0; p < N_PARTS; p++)
        curve_free(&parts[p]);
    return status;
}

static void put_group(struct page *page, int group)
{
    if (page->report->n_groups > 1)
        html_print(page->html, " (group %d: %.100s)", group + 1,
                   page->report->groups[group].model);
}

static convoy_status write_study(struct page *page, const struct report_table *table)
{
    convoy_status status = CONVOY_OK;
    char sentence[REPORT_SENTENCE_SIZE];
    fputs("<h2>", page->html);
    html_text(page->html, table->kind == REPORT_STRONG
                              ? "Strong scaling: one batch size"
                              : "Weak scaling: one batch size a core");
    put_group(page, table->group);
    fputs("</h2>\n<p class=\"key-sentence\">", page->html);
    report_sentence(page->report, table, sentence);
    html_text(page->html, sentence);
    fputs("</p>\n", page->html);
    write_table(page, table);
    fputs("<div class=\"plots\">\n", page->html);
    TRY(write_speedup(page, table));
    TRY(write_parts(page, table));
    TRY(page_draw_pop(page, table));
    fputs("</div>\n", page->html);
    page_write_parts(page, table);
    page_write_pop(page, table);
    page_write_proposal(page, table);
cleanup:
    return status;
}

/* Rows that are in no study. */
static void write_singles(struct page *page)
{
    static const char *const heads[] = {
        "nodes", "cores",          "ranks \u00d7 lanes \u00d7 threads",
        "batch", "a step, median", "quartiles",
        "steps", "runs",           "images/s",
        "<group"};
    const convoy_report *report = page->report;
    const int n_heads = report->n_groups > 1 ? 10 : 9;
    bool is_begun = false;
    for (int t = 0; t < report->n_tables; t++) {
        if (report->tables[t].kind != REPORT_SINGLE)
            continue;
        if (!is_begun) {
            fputs("<h2>Steady steps</h2>\n", page->html);
            page_table_begin(page, "Steady steps", heads, n_heads);
        }
        is_begun = true;
        page_row_begin(page);
        put_speed(page, row_at(page, &report->tables[t], 0));
        if (n_heads == 10)
            page_word(page, "%d: %.100s", report->tables[t].group + 1,
                      report->groups[report->tables[t].group].model);
        page_row_end(page);
    }
    if (is_begun)
        page_table_end(page);
}

/* What runs have in common, and how other groups differ from the first. */
static void write_groups(struct page *page)
{
    static const char *const shown[] = {"convoy", "isa", "onednn", "mpi"};
    char first[VALUE_SIZE], other[VALUE_SIZE];
    const convoy_report *report = page->report;
    fputs("<p class=\"note\">", page->html);
    html_print(page->html, "%s", report->groups[0].model);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        report_facts_value(report->groups[0].facts, shown[i], first, sizeof first);
        html_print(page->html, ", %s %s", shown[i], first);
    }
    fputs("</p>\n", page->html);
    for (int g = 1; g < report->n_groups; g++) {
        report_facts_difference(report->groups[0].facts, report->groups[g].facts, first,
                                other, sizeof first);
        page_paragraph(page, "Group %d differs from group 1: %s in place of %s", g + 1,
                       other, first);
    }
}

convoy_status page_write_studies(struct page *page)
{
    convoy_status status = CONVOY_OK;
    if (page->report->n_rows == 0)
        return CONVOY_OK;
    for (int t = 0; t < page->report->n_tables; t++)
        if (page->report->tables[t].kind != REPORT_SINGLE)
            TRY(write_study(page, &page->report->tables[t]));
    write_singles(page);
    write_groups(page);
    page_write_costs(page);
cleanup:
    return status;
}
