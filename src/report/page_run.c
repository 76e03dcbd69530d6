/* One run: how it went, in a sentence, in figures, and in curves over its epochs. */
#include "report/page.h"
#include "report/report_energy.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SENTENCE_SIZE = 2048, MAX_REASON = 200 };

/* The row that the newest life counts for; NULL: none of its steps are steady. */
static const struct report_row *row_of(const struct page *page,
                                       const struct run_view *view)
{
    for (int i = 0; i < page->report->n_rows; i++) {
        const struct metric_start *a = &page->report->rows[i].place, *b = &view->place;
        if (a->nodes == b->nodes && a->ranks == b->ranks && a->lanes == b->lanes &&
            a->cores == b->cores && a->threads == b->threads && a->batch == b->batch &&
            a->microbatch == b->microbatch)
            return &page->report->rows[i];
    }
    return NULL;
}

static double images_per_s(const struct page *page, const struct run_view *view)
{
    const struct report_row *row = row_of(page, view);
    if (row)
        return row->images_per_s;
    return view->last.step > 0 ? view->last.images_per_s : (double)NAN;
}

static void put_place(FILE *out, const struct run_view *view)
{
    const char *hosts = run_view_text(view->run, "hosts");
    const struct metric_start *p = &view->place;
    if (p->ranks == 0)
        return;
    fprintf(out, " on %" PRIu64 " %s, %" PRIu64 " %s with %" PRIu64 " %s", p->nodes,
            page_plural(p->nodes, "node", "nodes"), p->ranks,
            page_plural(p->ranks, "rank", "ranks"), p->cores,
            page_plural(p->cores, "core", "cores"));
    if (hosts && *hosts && strlen(hosts) < 120)
        fprintf(out, " (%s)", hosts);
}

/* The whole of a long reason stands in the table of lives. */
static void put_end(FILE *out, const char *how)
{
    size_t n = strlen(how);
    const bool is_cut = n > MAX_REASON;
    for (n = is_cut ? MAX_REASON : n; is_cut && n > 1 && how[n] != ' ';)
        n--;
    fprintf(out, " It ended before its last epoch: %.*s%s", (int)n, how,
            is_cut ? " \u2026" : ".");
}

static void put_outcome(FILE *out, const struct page *page, const struct run_view *view)
{
    char number[HTML_NUMBER_SIZE];
    const struct metric_epoch *e = &view->last_epoch;
    const char *how = run_view_text(run_view_life(view), "how");
    if (e->step > 0 && e->val_samples > 0)
        fprintf(out, " It had %s of the validation images right (top-1).",
                html_percent(e->val_top1, number));
    else if (view->last.step > 0 && isfinite(view->last.loss))
        fprintf(out, " Its training loss came to %.4g.", view->last.loss);
    if (isfinite(images_per_s(page, view)))
        fprintf(out, " It computed %s images a second.",
                html_number(images_per_s(page, view), number));
    if (how && strcmp(how, "done") == 0)
        fputs(" It is done.", out);
    else if (how && !run_view_is_stopped(view))
        put_end(out, how);
    else if (!how && view->run)
        fputs(" It had not ended when this was written, or was killed.", out);
}

static void write_lead(struct page *page, const struct run_view *view)
{
    char text[SENTENCE_SIZE] = "";
    const double total = run_view_number(view->run, "total_steps");
    const uint64_t step = view->last_epoch.step > view->last.step
                              ? view->last_epoch.step
                              : view->last.step;
    FILE *out = fmemopen(text, sizeof text, "w");
    if (!out)
        return;
    fprintf(out, "%s trained", view->model[0] ? view->model : "A net");
    put_place(out, view);
    if (step > 0 && run_view_is_stopped(view))
        fprintf(out, ", %" PRIu64 " %s (--stop-after-steps)", step,
                page_plural(step, "step", "steps"));
    else if (step > 0 && isfinite(total))
        fprintf(out, ", %" PRIu64 " of %.0f steps", step, total);
    fputc('.', out);
    put_outcome(out, page, view);
    fclose(out);
    text[sizeof text - 1] = '\0';
    fputs("<p class=\"lead\">", page->html);
    html_text(page->html, text);
    fputs("</p>\n", page->html);
}

static void write_accuracy_tiles(struct page *page, const struct run_view *view)
{
    char number[HTML_NUMBER_SIZE], text[2 * HTML_NUMBER_SIZE + 32];
    const struct metric_epoch *e = &view->last_epoch, *best = &view->best;
    if (e->step > 0 && e->val_samples > 0) {
        page_tile(page, html_percent(e->val_top1, number), "top-1, validation");
        page_tile(page, html_percent(e->val_top5, number), "top-5, validation");
        page_tile(page, html_number(e->val_loss, number), "loss, validation");
    }
    if (best->step > 0 && best->epoch != e->epoch) {
        html_percent(best->val_top1, number);
        snprintf(text, sizeof text, "best top-1, epoch %" PRIu64, best->epoch);
        page_tile(page, number, text);
    }
    if (view->last.step > 0)
        page_tile(page, html_number(view->last.loss, number), "loss, training");
}

static void write_speed_tiles(struct page *page, const struct run_view *view)
{
    char number[HTML_NUMBER_SIZE], text[128];
    const struct report_row *row = row_of(page, view);
    const struct report_ranks *ranks = &view->ranks;
    if (isfinite(images_per_s(page, view)))
        page_tile(page, html_number(images_per_s(page, view), number), "images/s");
    if (row) {
        snprintf(text, sizeof text, "a step of %" PRIu64 " images", row->place.batch);
        page_tile(page, html_seconds(row->step_s, number), text);
    }
    if (view->training_s > 0)
        page_tile(page, html_seconds(view->training_s, number), "in training steps");
    if (ranks->steps > 0) {
        const double step_s =
            ranks->compute_s + ranks->exchange_s + ranks->input_s + ranks->optimizer_s;
        page_tile(page, html_percent(ranks->input_s / step_s, number),
                  "of a step waits for input");
        page_tile(page, html_percent(ranks->exchange_s / step_s, number),
                  view->place.ranks == 1 ? "of a step lanes wait for each other"
                                         : "of a step is exposed exchange");
    } else if (view->last.step > 0) {
        page_tile(page, html_percent(view->last.input_wait, number),
                  "of the time waits for input");
    }
    if (view->last_epoch.peak_memory_bytes > 0)
        page_tile(page, html_bytes((double)view->last_epoch.peak_memory_bytes, number),
                  "memory, of the rank with most");
}

/* Where the run read none, that of its jobs, if sacct tells it. */
static void write_job_energy_tile(struct page *page, const struct run_view *view)
{
    char number[HTML_NUMBER_SIZE], value[HTML_NUMBER_SIZE + 8], text[128];
    struct report_energy energy;
    bool asks = true;
    if (!report_energy_read(view->path, &asks, &energy))
        return;
    snprintf(value, sizeof value, "%s\u00a0kWh",
             html_number(energy.joules / 3.6e6, number));
    snprintf(text, sizeof text, "energy of the whole job (%s)", energy.source);
    page_tile(page, value, text);
}

/* What the nodes took, of those that say. */
static void write_energy_tiles(struct page *page, const struct run_view *view)
{
    char number[HTML_NUMBER_SIZE], value[HTML_NUMBER_SIZE + 8], text[128];
    const struct json_value *energy = json_value_member(view->timeline, "energy");
    const double power_w =
        run_view_number(energy, "joules") / run_view_number(energy, "seconds");
    const double nodes = run_view_number(energy, "nodes_read");
    if (isfinite(power_w) && power_w > 0 && nodes > 0) {
        snprintf(value, sizeof value, "%s\u00a0W", html_number(power_w, number));
        snprintf(text, sizeof text, "processors' power, of %.0f %s", nodes,
                 nodes > 1 ? "nodes" : "node");
        page_tile(page, value, text);
    }
    if (view->energy_j > 0) {
        snprintf(value, sizeof value, "%s\u00a0kWh",
                 html_number(view->energy_j / 3.6e6, number));
        snprintf(text, sizeof text, "processors' energy, of %" PRIu64 " %s",
                 view->last_epoch.energy_nodes,
                 page_plural(view->last_epoch.energy_nodes, "node", "nodes"));
        page_tile(page, value, text);
    }
    if (!energy && !(view->energy_j > 0))
        write_job_energy_tile(page, view);
}

static struct plot_series series(const struct run_view *view, enum view_curve curve,
                                 const char *label, int colour)
{
    return (struct plot_series){.label = label,
                                .curve = &view->curves[curve],
                                .style = PLOT_LINE,
                                .colour = colour};
}

static void write_learning(struct page *page, const struct run_view *view)
{
    plot_write(
        page->html, &page->plotter,
        &(struct plot){.title = "Loss",
                       .x_label = "epochs",
                       .y_label = "loss",
                       .n_series = 2,
                       .series = {series(view, VIEW_LOSS, "training", 5),
                                  series(view, VIEW_VAL_LOSS, "validation", 1)}});
    plot_write(
        page->html, &page->plotter,
        &(struct plot){.title = "Right answers",
                       .x_label = "epochs",
                       .y_label = "share of the images, %",
                       .is_percent = true,
                       .n_series = 5,
                       .series = {series(view, VIEW_TOP1, "training, top-1", 5),
                                  series(view, VIEW_TOP5, "training, top-5", 3),
                                  series(view, VIEW_VAL_TOP1, "validation, top-1", 1),
                                  series(view, VIEW_VAL_TOP5, "validation, top-5", 2),
                                  series(view, VIEW_EMA_TOP1,
                                         "validation, top-1 of averaged weights", 7)}});
    plot_write(page->html, &page->plotter,
               &(struct plot){.title = "Learning rate",
                              .x_label = "epochs",
                              .y_label = "learning rate",
                              .has_zero = true,
                              .n_series = 1,
                              .series = {series(view, VIEW_RATE, "", 0)}});
    plot_write(page->html, &page->plotter,
               &(struct plot){.title = "Side of the images",
                              .x_label = "epochs",
                              .y_label = "pixels",
                              .n_series = 1,
                              .series = {series(view, VIEW_CROP, "", 0)}});
}

static void write_speed(struct page *page, const struct run_view *view)
{
    plot_write(page->html, &page->plotter,
               &(struct plot){.title = "Speed",
                              .x_label = "minutes of training",
                              .y_label = "images/s",
                              .has_zero = true,
                              .n_series = 1,
                              .series = {series(view, VIEW_SPEED, "", 0)}});
    plot_write(page->html, &page->plotter,
               &(struct plot){.title = "Wait for input",
                              .x_label = "epochs",
                              .y_label = "share of the time, %",
                              .is_percent = true,
                              .has_zero = true,
                              .n_series = 1,
                              .series = {series(view, VIEW_INPUT_WAIT, "", 4)}});
}

/* Falling towards the input, they vanish: the first layers hear little of the loss. */
static void write_gradients(struct page *page, const struct run_view *view)
{
    static const int colours[VIEW_GRADIENT_CURVES] = {5, 0, 1, 7};
    struct curve curves[VIEW_GRADIENT_CURVES] = {{0}};
    uint64_t steps[VIEW_GRADIENT_CURVES];
    char labels[VIEW_GRADIENT_CURVES][HTML_NUMBER_SIZE];
    struct plot plot = {.title = "Length of each layer's gradient",
                        .x_label = "layer, from input to output",
                        .y_label = "length",
                        .is_log_y = true};
    const convoy_status status =
        view_gradients_curves(&view->gradients, curves, steps, &plot.n_series);
    for (int i = 0; i < plot.n_series && status == CONVOY_OK; i++) {
        snprintf(labels[i], sizeof labels[i], "step %" PRIu64, steps[i]);
        plot.series[i] = (struct plot_series){.label = labels[i],
                                              .curve = &curves[i],
                                              .style = PLOT_MARKED,
                                              .colour = colours[i]};
    }
    if (status == CONVOY_OK)
        plot_write(page->html, &page->plotter, &plot);
    else
        convoy_status_clear(); /* of memory: the page does without */
    for (int i = 0; i < VIEW_GRADIENT_CURVES; i++)
        curve_free(&curves[i]);
}

/* A heading and plots, if there are any. */
static convoy_status
write_plots(struct page *page, const struct run_view *view, const char *heading,
            void (*write)(struct page *page, const struct run_view *view))
{
    char *plots = NULL;
    size_t n = 0;
    FILE *html = page->html;
    page->html = open_memstream(&plots, &n);
    if (page->html) {
        write(page, view);
        fclose(page->html);
    }
    page->html = html;
    if (!plots)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a page's plots");
    if (n > 0)
        fprintf(html, "<h2>%s</h2>\n<div class=\"plots\">\n%s</div>\n", heading, plots);
    free(plots);
    return CONVOY_OK;
}

convoy_status page_write_run(struct page *page, const struct run_view *view)
{
    convoy_status status = CONVOY_OK;
    write_lead(page, view);
    fputs("<dl class=\"tiles\">\n", page->html);
    write_accuracy_tiles(page, view);
    write_speed_tiles(page, view);
    write_energy_tiles(page, view);
    fputs("</dl>\n", page->html);
    TRY(write_plots(page, view, "Learning", write_learning));
    TRY(write_plots(page, view, "Gradients", write_gradients));
    TRY(write_plots(page, view, "Speed", write_speed));
    if (curve_count(&view->curves[VIEW_LOSS]) == 0)
        page_paragraph(page, "There is no line of a step in metrics.jsonl, so there "
                             "are no curves.");
cleanup:
    return status;
}
