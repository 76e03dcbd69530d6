/* Several runs: what each came to; and where their recipes differ, curves on top of
 * each other and the keys with several values. */
#include "report/page.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum {
    NAME_SIZE = 256,
    VALUE_SIZE = 256,
    MAX_KEYS = 100,
    MAX_COLUMNS = 12,
    MAX_OPEN_RUNS = 12
};

void page_write_overview(struct page *page)
{
    static const char *const heads[] = {
        "<run",       "<model",        "nodes",
        "ranks",      "cores",         "batch",
        "steps",      "loss",          "top-1, validation",
        "best top-1", "time in steps", "<how it ended"};
    char number[HTML_NUMBER_SIZE];
    fprintf(page->html, "<h2>Runs</h2>\n<details%s><summary>%d runs</summary>\n",
            page->report->n_views > MAX_OPEN_RUNS ? "" : " open",
            page->report->n_views);
    page_table_begin(page, "Runs", heads, sizeof heads / sizeof *heads);
    for (int i = 0; i < page->report->n_views; i++) {
        const struct run_view *view = &page->report->views[i];
        const struct metric_epoch *e = &view->last_epoch;
        const bool validates = e->step > 0 && e->val_samples > 0;
        const char *how = run_view_text(run_view_life(view), "how");
        page_row_begin(page);
        page_word(page, "%.300s", view->path);
        page_word(page, "%.100s", view->model);
        page_number(page, "%" PRIu64, view->place.nodes);
        page_number(page, "%" PRIu64, view->place.ranks);
        page_number(page, "%" PRIu64, view->place.cores);
        page_number(page, "%" PRIu64, view->place.batch);
        page_number(page, "%s", html_count(view->last.step, number));
        page_number(
            page, "%s",
            html_number(view->last.step ? view->last.loss : (double)NAN, number));
        page_number(page, "%s",
                    html_percent(validates ? e->val_top1 : (double)NAN, number));
        page_number(
            page, "%s",
            html_percent(view->best.step ? view->best.val_top1 : (double)NAN, number));
        page_number(page, "%s", html_seconds(view->training_s, number));
        page_word(page, "%.200s", how ? how : "\u2013");
        page_row_end(page);
    }
    page_table_end(page);
    fputs("</details>\n", page->html);
}

/* The runs whose recipes can be compared. */
struct comparison {
    const struct run_view **views; /* [n], borrowed */
    const char **facts;            /* [n], borrowed */
    int n;
    char (*keys)[NAME_SIZE]; /* [n_keys] that have several values */
    int n_keys;
};

/* Folders differ where trainings are the same. */
static bool is_compared(const char *key)
{
    static const char *const left_out[] = {"data.train", "data.val"};
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
        if (strcmp(key, left_out[i]) == 0)
            return false;
    return true;
}

static bool has_key(const struct comparison *c, const char *key)
{
    for (int i = 0; i < c->n_keys; i++)
        if (strcmp(c->keys[i], key) == 0)
            return true;
    return false;
}

/* All lines of this key: one, but of lists. */
static void value_of(const char *facts, const char *key, char out[VALUE_SIZE])
{
    const size_t length = strlen(key);
    size_t n = 0;
    out[0] = '\0';
    for (const char *line = facts; *line;
         line += strcspn(line, "\n"), line += *line != 0)
        if (strncmp(line, key, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1;
            const int size = (int)strcspn(value, "\n");
            if (n < VALUE_SIZE)
                n += (size_t)snprintf(out + n, VALUE_SIZE - n, "%s%.*s", n ? ";" : "",
                                      size, value);
        }
}

static bool differs(const struct comparison *c, const char *key)
{
    char first[VALUE_SIZE], other[VALUE_SIZE];
    value_of(c->facts[0], key, first);
    for (int i = 1; i < c->n; i++) {
        value_of(c->facts[i], key, other);
        if (strcmp(first, other) != 0)
            return true;
    }
    return false;
}

/* The keys of run i with values that others have not, behind those that are there. */
static void find_keys(struct comparison *c, int i)
{
    char key[NAME_SIZE];
    for (const char *line = c->facts[i]; *line;
         line += strcspn(line, "\n"), line += *line != 0) {
        snprintf(key, sizeof key, "%.*s", (int)strcspn(line, ":\n"), line);
        if (c->n_keys < MAX_KEYS && is_compared(key) && !has_key(c, key) &&
            differs(c, key))
            memcpy(c->keys[c->n_keys++], key, sizeof key);
    }
}

static convoy_status compare(const convoy_report *report, struct comparison *c)
{
    convoy_status status = CONVOY_OK;
    const size_t n = (size_t)report->n_views;
    TRY(mem_alloc_array(n, sizeof *c->views, (void **)&c->views));
    TRY(mem_alloc_array(n, sizeof *c->facts, (void **)&c->facts));
    TRY(mem_alloc_array(MAX_KEYS, sizeof *c->keys, (void **)&c->keys));
    for (size_t i = 0; i < n; i++) {
        if (!report->views[i].facts)
            continue;
        c->facts[c->n] = report->views[i].facts;
        c->views[c->n++] = &report->views[i];
    }
    for (int i = 0; i < c->n; i++)
        find_keys(c, i);
cleanup:
    return status;
}

/* Of weak scaling the batch is the study, and no other recipe. */
static bool is_worth_it(const convoy_report *report, const struct comparison *c)
{
    bool is_weak = false;
    for (int t = 0; t < report->n_tables; t++)
        is_weak = is_weak || report->tables[t].kind == REPORT_WEAK;
    return c->n_keys > 1 || (c->n_keys == 1 && !(is_weak && has_key(c, "batch.size")));
}

static void write_curves(struct page *page, const struct comparison *c,
                         enum view_curve curve, struct plot plot)
{
    for (int i = 0; i < c->n && i < PLOT_MAX_SERIES; i++)
        plot.series[plot.n_series++] =
            (struct plot_series){.label = c->views[i]->name,
                                 .curve = &c->views[i]->curves[curve],
                                 .style = PLOT_LINE,
                                 .colour = i % PLOT_N_COLOURS};
    plot_write(page->html, &page->plotter, &plot);
}

static void write_differences(struct page *page, const struct comparison *c)
{
    const char *heads[MAX_COLUMNS + 1] = {"<key"};
    char names[MAX_COLUMNS][NAME_SIZE], value[VALUE_SIZE];
    const int n = c->n < MAX_COLUMNS ? c->n : MAX_COLUMNS;
    for (int i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "<%.200s", c->views[i]->name);
        heads[i + 1] = names[i];
    }
    fputs("<h3>What differs between the recipes</h3>\n", page->html);
    page_table_begin(page, "What differs", heads, n + 1);
    for (int k = 0; k < c->n_keys; k++) {
        page_row_begin(page);
        page_word(page, "%s", c->keys[k]);
        for (int i = 0; i < n; i++) {
            value_of(c->facts[i], c->keys[k], value);
            page_word(page, "%s", value[0] ? value + (value[0] == ' ') : "\u2013");
        }
        page_row_end(page);
    }
    page_table_end(page);
    if (n < c->n)
        page_paragraph(page, "The first %d of %d runs.", n, c->n);
}

convoy_status page_write_comparison(struct page *page)
{
    convoy_status status = CONVOY_OK;
    struct comparison c = {0};
    TRY(compare(page->report, &c));
    if (is_worth_it(page->report, &c)) {
        fputs("<h2>Recipes compared</h2>\n", page->html);
        if (c.n > PLOT_MAX_SERIES)
            page_paragraph(page, "Curves are of the first %d of %d runs.",
                           PLOT_MAX_SERIES, c.n);
        fputs("<div class=\"plots\">\n", page->html);
        write_curves(page, &c, VIEW_VAL_TOP1,
                     (struct plot){.title = "Right answers, validation",
                                   .x_label = "epochs",
                                   .y_label = "top-1, %",
                                   .is_percent = true});
        write_curves(page, &c, VIEW_VAL_LOSS,
                     (struct plot){.title = "Loss, validation",
                                   .x_label = "epochs",
                                   .y_label = "loss"});
        write_curves(page, &c, VIEW_LOSS,
                     (struct plot){.title = "Loss, training",
                                   .x_label = "epochs",
                                   .y_label = "loss"});
        fputs("</div>\n", page->html);
        write_differences(page, &c);
    }
cleanup:
    mem_free(c.facts);
    mem_free(c.views);
    mem_free(c.keys);
    return status;
}
