/* Of the sizes of a study: the parts of a step and what it needs, and efficiency taken
 * apart as report/pop.h has it. */
#include "report/page.h"

#include "report/report_pop.h"
#include "report/report_sentence.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { N_FACTORS = 5, N_PARTS_HEADS = 7, N_NEEDS = 3 };

static const struct report_row *row_at(const struct page *page,
                                       const struct report_table *table, int i)
{
    return &page->report->rows[table->rows[i]];
}

/* What runs of a row tell of a node; NaN: none does. */
struct node_needs {
    double memory_bytes; /* the most */
    double read_s;       /* bytes a second that it read */
    double epoch_j;      /* energy of an epoch, of all nodes */
};

static bool is_of_row(const struct page *page, const struct run_view *view,
                      const struct report_row *row)
{
    const struct metric_start *a = &view->place, *b = &row->place;
    return a->nodes == b->nodes && a->ranks == b->ranks && a->lanes == b->lanes &&
           a->batch == b->batch &&
           strcmp(view->model, page->report->groups[row->group].model) == 0;
}

/* Joules of an epoch, from the power of those nodes that could be read. */
static double epoch_energy(const struct run_view *view, const struct report_row *row)
{
    const struct json_value *energy = json_value_member(view->timeline, "energy");
    const double power_w =
        run_view_number(energy, "joules") / run_view_number(energy, "seconds");
    const double nodes_read = run_view_number(energy, "nodes_read");
    return power_w * (double)row->place.nodes / nodes_read * row->step_s *
           run_view_number(view->run, "steps_per_epoch");
}

/* What was read since the run began; of one that was resumed, when is not known. */
static double reading_speed(const struct run_view *view)
{
    const struct json_value *read = json_value_member(view->timeline, "read");
    if (!(run_view_number(run_view_life(view), "from_step") == 0))
        return (double)NAN;
    return run_view_number(read, "bytes") / view->training_s /
           (double)view->place.nodes;
}

static struct node_needs needs_of(const struct page *page, const struct report_row *row)
{
    struct node_needs needs = {(double)NAN, (double)NAN, (double)NAN};
    for (int i = 0; i < page->report->n_views; i++) {
        const struct run_view *view = &page->report->views[i];
        const double bytes = (double)view->last_epoch.peak_memory_bytes;
        if (!is_of_row(page, view, row))
            continue;
        if (bytes > 0)
            needs.memory_bytes =
                fmax(needs.memory_bytes,
                     bytes * (double)row->place.ranks / (double)row->place.nodes);
        needs.read_s = fmax(needs.read_s, reading_speed(view));
        needs.epoch_j = fmax(needs.epoch_j, epoch_energy(view, row));
    }
    return needs;
}

static void put_size(struct page *page, const struct report_row *row)
{
    page_row_begin(page);
    page_number(page, "%" PRIu64, row->place.nodes);
    page_number(page, "%" PRIu64, row->place.cores);
    page_number(page, "%" PRIu64, row->place.ranks);
}

static void write_parts_row(struct page *page, const struct report_row *row,
                            const bool shows[N_NEEDS])
{
    char number[HTML_NUMBER_SIZE];
    const struct report_ranks *r = &row->ranks;
    const struct node_needs needs = needs_of(page, row);
    const double step_s = r->compute_s + r->exchange_s + r->input_s + r->optimizer_s;
    const bool knows = r->steps > 0 && step_s > 0;
    const double none = (double)NAN;
    put_size(page, row);
    page_number(page, "%s", html_seconds(knows ? r->compute_s : none, number));
    page_number(page, "%s",
                html_percent(knows ? r->exchange_s / step_s : none, number));
    page_number(page, "%s",
                html_percent(knows ? report_ranks_hidden_share(r) : none, number));
    page_number(page, "%s", html_percent(knows ? r->input_s / step_s : none, number));
    if (shows[0])
        page_number(page, "%s", html_bytes(needs.memory_bytes, number));
    if (shows[1])
        page_number(page, "%s", html_number(needs.read_s / 1e6, number));
    if (shows[2])
        page_number(page, "%s", html_number(needs.epoch_j / 3.6e6, number));
    page_row_end(page);
}

/* Columns that no row could fill are left out. */
void page_write_parts(struct page *page, const struct report_table *table)
{
    const char *heads[N_PARTS_HEADS + N_NEEDS] = {
        "nodes",
        "cores",
        "ranks",
        "compute a step",
        report_exchange_name(report_most_ranks(page->report, table)),
        "hidden, of all exchange",
        "wait for input",
    };
    static const char *const of_needs[N_NEEDS] = {"memory a node", "read a node, MB/s",
                                                  "energy an epoch, kWh"};
    bool shows[N_NEEDS] = {false};
    int n = N_PARTS_HEADS;
    for (int i = 0; i < table->n_rows; i++) {
        const struct node_needs needs = needs_of(page, row_at(page, table, i));
        shows[0] = shows[0] || isfinite(needs.memory_bytes);
        shows[1] = shows[1] || isfinite(needs.read_s);
        shows[2] = shows[2] || isfinite(needs.epoch_j);
    }
    for (int i = 0; i < N_NEEDS; i++)
        if (shows[i])
            heads[n++] = of_needs[i];
    page_table_begin(page, "Parts of a step", heads, n);
    for (int i = 0; i < table->n_rows; i++)
        write_parts_row(page, row_at(page, table, i), shows);
    page_table_end(page);
    if (report_has_single_rank(page->report, table))
        page_paragraph(page, "One rank has nobody to exchange with: what stands there "
                             "for it is that lanes wait for those that end later.");
}

static void write_pop_row(struct page *page, const struct report_row *row,
                          const struct report_pop *p)
{
    char number[HTML_NUMBER_SIZE];
    const double factors[] = {
        p->global,       p->scaling,           p->pop.parallel,
        p->pop.balance,  p->pop.communication, p->pop.serialisation,
        p->pop.transfer, p->pop.hybrid,        p->pop.threads};
    put_size(page, row);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
        page_number(page, "%s", html_percent(factors[i], number));
    page_row_end(page);
}

/* One line a factor. */
static void write_pop_plot(struct page *page, const struct report_table *table,
                           const struct curve factors[N_FACTORS])
{
    static const char *const names[N_FACTORS] = {"computation scaling", "load balance",
                                                 "serialisation", "transfer",
                                                 "global efficiency"};
    static const int colours[N_FACTORS] = {2, 3, 4, 1, 0};
    struct plot plot = {.title = "Efficiency, taken apart",
                        .x_label = report_counts_nodes(page->report, table) ? "nodes"
                                                                            : "cores",
                        .y_label = "efficiency, %",
                        .is_log_x = true,
                        .is_percent = true,
                        .has_zero = true,
                        .line = REPORT_GOOD_EFFICIENCY,
                        .n_series = N_FACTORS};
    for (int i = 0; i < N_FACTORS; i++)
        plot.series[i] =
            (struct plot_series){names[i], &factors[i], PLOT_MARKED, colours[i]};
    plot_write(page->html, &page->plotter, &plot);
}

convoy_status page_draw_pop(struct page *page, const struct report_table *table)
{
    convoy_status status = CONVOY_OK;
    struct curve curves[N_FACTORS] = {{0}};
    const bool by_nodes = report_counts_nodes(page->report, table);
    for (int i = 0; i < table->n_rows; i++) {
        const struct report_row *row = row_at(page, table, i);
        struct report_pop p;
        if (!report_pop(row_at(page, table, 0), row, &p))
            continue;
        const double factors[N_FACTORS] = {
            p.scaling, p.pop.balance, p.pop.serialisation, p.pop.transfer, p.global};
        for (int f = 0; f < N_FACTORS; f++)
            TRY(curve_add(&curves[f], (double)report_size_of(row, by_nodes),
                          factors[f]));
    }
    write_pop_plot(page, table, curves);
cleanup:
    for (int f = 0; f < N_FACTORS; f++)
        curve_free(&curves[f]);
    return status;
}

void page_write_pop(struct page *page, const struct report_table *table)
{
    static const char *const heads[] = {"nodes",
                                        "cores",
                                        "ranks",
                                        "global",
                                        "computation scaling",
                                        "parallel",
                                        "load balance",
                                        "communication",
                                        "serialisation",
                                        "transfer",
                                        "with threads",
                                        "threads"};
    struct report_pop pop;
    bool is_begun = false;
    for (int i = 0; i < table->n_rows; i++) {
        const struct report_row *row = row_at(page, table, i);
        if (!report_pop(row_at(page, table, 0), row, &pop))
            continue;
        if (!is_begun) {
            page_paragraph(page, "Efficiency taken apart, as the POP centre of "
                                 "excellence defines it: global = computation scaling "
                                 "\u00d7 parallel, parallel = load balance \u00d7 "
                                 "communication, communication = serialisation \u00d7 "
                                 "transfer; with threads = parallel \u00d7 threads.");
            page_table_begin(page, "Efficiency, taken apart", heads,
                             sizeof heads / sizeof *heads);
        }
        is_begun = true;
        write_pop_row(page, row, &pop);
    }
    if (is_begun)
        page_table_end(page);
}
