/* Where the time of a step goes, in the mean over the ranks as a bar, and by rank: from
 * timeline.json, which names every rank, or else from the least and the most that
 * metrics.jsonl tells. What is left of a step is the time between its parts. */
#include "report/page.h"

#include "base/memory.h"
#include "report/report_sentence.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_PARTS = 4, EXCHANGE = 3, MAX_LISTED = 16, MAX_NAMED = 5, MAX_RANKS = 1 << 20 };

static const struct {
    const char *key, *name;
    int colour;
} parts[N_PARTS] = {{"compute_s", "compute", 0},
                    {"input_s", "wait for input", 4},
                    {"optimizer_s", "optimizer", 2},
                    {"exchange_s", "exposed exchange", 1}};

/* A rank of timeline.json. */
struct rank_times {
    const struct json_value *object;
    double parts[N_PARTS], busy_s;
    size_t index;
};

struct ranks_view {
    struct rank_times *ranks; /* [n] */
    size_t n;
    double mean_busy_s, step_s;
};

static double zero_unless_known(double value)
{
    return isfinite(value) && value > 0 && value < 1e9 ? value : 0;
}

static void read_rank(const struct json_value *object, size_t index,
                      struct rank_times *rank)
{
    rank->object = object;
    rank->index = index;
    for (int p = 0; p < N_PARTS; p++)
        rank->parts[p] = zero_unless_known(run_view_number(object, parts[p].key));
    rank->busy_s = zero_unless_known(run_view_number(object, "busy_s"));
}

static convoy_status read_ranks(const struct run_view *view, struct ranks_view *ranks)
{
    convoy_status status = CONVOY_OK;
    const struct json_value *list = json_value_member(view->timeline, "ranks");
    const size_t n =
        json_value_type(list) == JSON_TYPE_LIST ? json_value_count(list) : 0;
    *ranks = (struct ranks_view){.step_s = run_view_number(view->timeline, "step_s")};
    if (n == 0 || n > MAX_RANKS)
        return CONVOY_OK;
    TRY(mem_alloc_array(n, sizeof *ranks->ranks, (void **)&ranks->ranks));
    ranks->n = n;
    for (size_t i = 0; i < n; i++) {
        read_rank(json_value_item(list, i), i, &ranks->ranks[i]);
        ranks->mean_busy_s += ranks->ranks[i].busy_s / (double)n;
    }
cleanup:
    return status;
}

static void put_name(FILE *out, const struct rank_times *rank)
{
    const char *host = run_view_text(rank->object, "host");
    const double number = run_view_number(rank->object, "rank");
    fprintf(out, "rank %.0f", isfinite(number) ? number : (double)rank->index);
    if (host && *host)
        fprintf(out, " on %.200s", host);
}

static int by_busy(const void *a, const void *b)
{
    const struct rank_times *x = a, *y = b;
    if (x->busy_s != y->busy_s)
        return x->busy_s < y->busy_s ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* The mean over the ranks, as one bar that needs no gnuplot. */
static void write_bar(struct page *page, size_t n_ranks, const double seconds[N_PARTS],
                      double hidden_s)
{
    char number[HTML_NUMBER_SIZE], share[HTML_NUMBER_SIZE];
    double sum = 0;
    for (int p = 0; p < N_PARTS; p++)
        sum += seconds[p];
    if (!(sum > 0))
        return;
    fputs("<div class=\"bar\" role=\"img\" aria-label=\"parts of a step\">",
          page->html);
    for (int p = 0; p < N_PARTS; p++)
        if (seconds[p] > 0)
            fprintf(page->html, "<span class=\"c%d\" style=\"width:%.2f%%\"></span>",
                    parts[p].colour, 100 * seconds[p] / sum);
    fputs("</div>\n<ul class=\"legend\">", page->html);
    for (int p = 0; p < N_PARTS; p++) {
        fprintf(page->html, "<li><span class=\"key c%d\"></span>", parts[p].colour);
        html_print(page->html, "%s: %s (%s)",
                   p == EXCHANGE ? report_exchange_name(n_ranks) : parts[p].name,
                   html_seconds(seconds[p], number),
                   html_percent(seconds[p] / sum, share));
        fputs("</li>", page->html);
    }
    fputs("</ul>\n", page->html);
    if (hidden_s > 0 && n_ranks != 1)
        page_paragraph(page,
                       "Beside them, hidden behind compute and optimizer: %s of "
                       "exchange, %s of all exchange.",
                       html_seconds(hidden_s, number),
                       html_percent(hidden_s / (hidden_s + seconds[EXCHANGE]), share));
}

/* Ranks come with the busiest first. */
static void write_stragglers(struct page *page, const struct ranks_view *ranks)
{
    char text[2048] = "", number[HTML_NUMBER_SIZE];
    FILE *out = fmemopen(text, sizeof text, "w");
    int n = 0;
    if (!out)
        return;
    for (size_t i = 0; i < ranks->n && i < MAX_NAMED; i++) {
        const double above = ranks->ranks[i].busy_s / ranks->mean_busy_s - 1;
        if (!(above > 0.05))
            break;
        fputs(n++ ? "; " : "", out);
        put_name(out, &ranks->ranks[i]);
        fprintf(out, ", busy for %s longer than the mean of the ranks",
                html_percent(above, number));
    }
    fclose(out);
    text[sizeof text - 1] = '\0';
    if (n > 0) {
        page_paragraph(page,
                       "Stragglers: %s. The others wait for them in their exposed "
                       "exchange.",
                       text);
    } else if (ranks->n > 1 && ranks->mean_busy_s > 0) {
        const double above = ranks->ranks[0].busy_s / ranks->mean_busy_s - 1;
        page_paragraph(page,
                       "There is no straggler: the slowest rank is busy for %s "
                       "longer than the mean of the ranks.",
                       html_percent(above > 0 ? above : 0, number));
    }
}

static convoy_status write_bars(struct page *page, const struct ranks_view *ranks)
{
    convoy_status status = CONVOY_OK;
    struct curve curves[N_PARTS] = {{0}};
    struct plot plot = {.title = "Where the time of a step goes, by rank",
                        .x_label = "rank",
                        .has_zero = true,
                        .marks_points = true,
                        .n_series = N_PARTS};
    double most = 0;
    for (size_t i = 0; i < ranks->n; i++)
        most = fmax(most, ranks->ranks[i].busy_s);
    const double unit = most < 1 ? 1e3 : 1;
    plot.y_label = most < 1 ? "milliseconds" : "seconds";
    for (int p = 0; p < N_PARTS; p++) {
        for (size_t i = 0; i < ranks->n; i++)
            TRY(curve_add(&curves[p], (double)i, unit * ranks->ranks[i].parts[p]));
        curve_thin(&curves[p], PAGE_MAX_BARS);
        plot.series[p] = (struct plot_series){parts[p].name, &curves[p], PLOT_BOXES,
                                              parts[p].colour};
    }
    plot_write(page->html, &page->plotter, &plot);
cleanup:
    for (int p = 0; p < N_PARTS; p++)
        curve_free(&curves[p]);
    return status;
}

static void write_row(struct page *page, const struct rank_times *rank)
{
    char number[HTML_NUMBER_SIZE];
    static const char *const times[] = {"compute_s", "exchange_s",  "hidden_s",
                                        "input_s",   "optimizer_s", "busy_s",
                                        "working_s"};
    const char *host = run_view_text(rank->object, "host");
    page_row_begin(page);
    page_number(page, "%.0f", fmax(run_view_number(rank->object, "rank"), 0));
    page_word(page, "%.200s", host ? host : "");
    page_number(page, "%.0f", fmax(run_view_number(rank->object, "lanes"), 0));
    page_number(page, "%.0f", fmax(run_view_number(rank->object, "cores"), 0));
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        page_number(page, "%s",
                    html_seconds(run_view_number(rank->object, times[i]), number));
    page_number(page, "%s",
                html_bytes(run_view_number(rank->object, "peak_memory_bytes"), number));
    page_row_end(page);
}

/* The slowest ranks first. */
static void write_table(struct page *page, const struct ranks_view *ranks)
{
    static const char *const heads[] = {"rank",      "<host",   "lanes",   "cores",
                                        "compute",   "exposed", "hidden",  "input",
                                        "optimizer", "busy",    "working", "memory"};
    if (ranks->n > MAX_LISTED)
        page_paragraph(page,
                       "The %d ranks that are busy for longest, of %zu:", MAX_LISTED,
                       ranks->n);
    page_table_begin(page, "Time of a step by rank", heads,
                     sizeof heads / sizeof *heads);
    for (size_t i = 0; i < ranks->n && i < MAX_LISTED; i++)
        write_row(page, &ranks->ranks[i]);
    page_table_end(page);
}

static convoy_status write_timeline(struct page *page, const struct run_view *view,
                                    struct ranks_view *ranks)
{
    convoy_status status = CONVOY_OK;
    double mean[N_PARTS] = {0}, hidden_s = 0;
    for (size_t i = 0; i < ranks->n; i++) {
        const struct rank_times *rank = &ranks->ranks[i];
        for (int p = 0; p < N_PARTS; p++)
            mean[p] += rank->parts[p] / (double)ranks->n;
        hidden_s += zero_unless_known(run_view_number(rank->object, "hidden_s")) /
                    (double)ranks->n;
    }
    write_bar(page, ranks->n, mean, hidden_s);
    if (ranks->n > 1) {
        fputs("<div class=\"plots\">\n", page->html);
        status = write_bars(page, ranks);
        fputs("</div>\n", page->html);
        TRY(status);
    }
    qsort(ranks->ranks, ranks->n, sizeof *ranks->ranks, by_busy);
    write_stragglers(page, ranks);
    write_table(page, ranks);
    const double steps = run_view_number(view->timeline, "steps");
    if (isfinite(steps))
        page_paragraph(page, "Means over %.0f steady steps of the newest life.", steps);
cleanup:
    return status;
}

/* Where every rank is not told: the mean and the ends. */
static void write_summary(struct page *page, const struct run_view *view)
{
    const struct report_ranks *r = &view->ranks;
    char numbers[4][HTML_NUMBER_SIZE];
    const double seconds[N_PARTS] = {r->compute_s, r->input_s, r->optimizer_s,
                                     r->exchange_s};
    write_bar(page, view->place.ranks, seconds, r->hidden_s);
    page_paragraph(page,
                   "Compute takes %s to %s by rank. A rank is busy by itself for "
                   "%s in the mean, the slowest for %s.",
                   html_seconds(r->compute_s_least, numbers[0]),
                   html_seconds(r->compute_s_most, numbers[1]),
                   html_seconds(r->busy_s, numbers[2]),
                   html_seconds(r->busy_s_most, numbers[3]));
    if (*r->slowest_host)
        page_paragraph(page, "The slowest is always rank %" PRIu64 " on %s.",
                       r->slowest_rank, r->slowest_host);
}

void page_write_ranks(struct page *page, const struct run_view *view)
{
    struct ranks_view ranks = {0};
    struct failure failure;
    convoy_status status = read_ranks(view, &ranks);
    if (status == CONVOY_OK && (ranks.n > 0 || view->ranks.steps > 0))
        fputs("<h2>Where the time of a step goes</h2>\n", page->html);
    if (status == CONVOY_OK && ranks.n > 0)
        status = write_timeline(page, view, &ranks);
    else if (status == CONVOY_OK && view->ranks.steps > 0)
        write_summary(page, view);
    mem_free(ranks.ranks);
    if (status != CONVOY_OK) {
        status_save(status, &failure);
        convoy_status_clear();
        page_paragraph(page, "It cannot be shown: %s", failure.text);
    }
}
