/* What was run: lives, environment, pictures, kernels, the recipe. */
#include "report/page.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MAX_LIVES = 50, MAX_CHANGES = 20 };

/* A JSON value as a person would write it; "" where it is a list or an object. */
static void put_value(FILE *html, const struct json_value *value)
{
    const char *text = json_value_text(value);
    if (text)
        html_text(html, text);
    else if (json_value_type(value) == JSON_TYPE_INTEGER)
        fprintf(html, "%" PRId64, json_value_integer(value));
    else if (json_value_type(value) == JSON_TYPE_REAL)
        fprintf(html, "%.9g", json_value_number(value));
}

static void put_cell(struct page *page, const struct json_value *object,
                     const char *name)
{
    fputs("<td class=\"word\">", page->html);
    put_value(page->html, json_value_member(object, name));
    fputs("</td>", page->html);
}

static void put_changes(struct page *page, const struct json_value *life)
{
    const struct json_value *changes = json_value_member(life, "changed");
    const size_t n =
        json_value_type(changes) == JSON_TYPE_LIST ? json_value_count(changes) : 0;
    fputs("<td class=\"value\">", page->html);
    for (size_t i = 0; i < n && i < MAX_CHANGES; i++) {
        const struct json_value *change = json_value_item(changes, i);
        const char *what = run_view_text(change, "what");
        const char *was = run_view_text(change, "was");
        const char *now = run_view_text(change, "now");
        html_print(page->html, "%s%.200s: %.200s to %.200s", i ? "; " : "",
                   what ? what : "?", was ? was : "?", now ? now : "?");
    }
    fputs(n > MAX_CHANGES ? "; and more</td>" : "</td>", page->html);
}

static void write_lives(struct page *page, const struct run_view *view)
{
    static const char *const heads[] = {
        "<life",  "<started", "<ended",        "<from step",       "<to step",
        "<ranks", "<nodes",   "<how it ended", "<what had changed"};
    static const char *const keys[] = {"life",      "started", "ended", "from_step",
                                       "last_step", "ranks",   "nodes", "how"};
    const struct json_value *lives = json_value_member(view->run, "lives");
    const size_t n =
        json_value_type(lives) == JSON_TYPE_LIST ? json_value_count(lives) : 0;
    if (n == 0)
        return;
    fputs("<h2>Lives of the run</h2>\n", page->html);
    if (n > MAX_LIVES)
        page_paragraph(page, "The newest %d of %zu:", MAX_LIVES, n);
    page_table_begin(page, "Lives of the run", heads, sizeof heads / sizeof *heads);
    for (size_t i = n > MAX_LIVES ? n - MAX_LIVES : 0; i < n; i++) {
        const struct json_value *life = json_value_item(lives, i);
        page_row_begin(page);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            put_cell(page, life, keys[k]);
        put_changes(page, life);
        page_row_end(page);
    }
    page_table_end(page);
}

static void write_saves(struct page *page, const struct run_view *view)
{
    char took[HTML_NUMBER_SIZE], waited[HTML_NUMBER_SIZE];
    if (view->n_saves > 0)
        page_paragraph(
            page,
            "%" PRIu64 " %s written, each in %s beside the training, "
            "which stood still for %s for each.",
            view->n_saves,
            page_plural(view->n_saves, "checkpoint was", "checkpoints were"),
            html_seconds(view->save_s / (double)view->n_saves, took),
            html_seconds(view->save_waited_s / (double)view->n_saves, waited));
    if (view->n_evaluations > 0)
        page_paragraph(
            page,
            "Between epochs %" PRIu64 " %s %s, which no speed on this page counts.",
            view->n_evaluations,
            page_plural(view->n_evaluations, "evaluation took", "evaluations took"),
            html_seconds(view->evaluation_s, took));
    if (view->skipped > 0)
        page_paragraph(page, "%" PRIu64 " damaged %s left out.", view->skipped,
                       page_plural(view->skipped, "sample was", "samples were"));
    if (view->skipped_steps > 0)
        page_paragraph(
            page,
            "%" PRIu64 " %s nothing, since a loss or a gradient was no "
            "finite number.",
            view->skipped_steps,
            page_plural(view->skipped_steps, "step changed", "steps changed"));
}

/* Runs that --stop-after-steps ends often have a number of epochs that is only large
 * enough. */
static bool is_environment(const struct run_view *view, const struct json_member *fact)
{
    const enum json_type type = json_value_type(fact->value);
    if (type != JSON_TYPE_TEXT && type != JSON_TYPE_INTEGER && type != JSON_TYPE_REAL)
        return false;
    return !run_view_is_stopped(view) || strcmp(fact->name, "total_steps") != 0;
}

static void write_environment(struct page *page, const struct run_view *view)
{
    struct json_member member = {0};
    if (!view->run)
        return;
    fputs("<h2>Environment</h2>\n<div class=\"scroll\"><table><tbody>\n", page->html);
    while (json_value_next(view->run, &member)) {
        if (!is_environment(view, &member))
            continue;
        fputs("<tr><th scope=\"row\" class=\"row\">", page->html);
        html_text(page->html, member.name);
        fputs("</th><td class=\"value\">", page->html);
        put_value(page->html, member.value);
        fputs("</td></tr>\n", page->html);
    }
    fputs("</tbody></table></div>\n", page->html);
}

static void write_kernels(struct page *page, const struct run_view *view)
{
    static const char *const heads[] = {"<layer", "<pass", "<kernels"};
    const struct json_value *kernels = json_value_member(view->run, "kernels");
    const size_t n =
        json_value_type(kernels) == JSON_TYPE_LIST ? json_value_count(kernels) : 0;
    if (n == 0)
        return;
    fputs("<details><summary>", page->html);
    html_print(page->html, "oneDNN's kernels, of %zu convolutions and passes", n);
    fputs("</summary>\n", page->html);
    page_table_begin(page, "Kernels", heads, sizeof heads / sizeof *heads);
    for (size_t i = 0; i < n; i++) {
        page_row_begin(page);
        for (int k = 0; k < 3; k++)
            put_cell(page, json_value_item(kernels, i), heads[k] + 1);
        page_row_end(page);
    }
    page_table_end(page);
    fputs("</details>\n", page->html);
}

static void write_pictures(struct page *page, const struct run_view *view)
{
    static const char *const titles[N_VIEW_PICTURES] = {"Confusion of classes",
                                                        "Samples"};
    for (int i = 0; i < N_VIEW_PICTURES; i++) {
        const struct view_picture *picture = &view->pictures[i];
        if (!picture->bytes)
            continue;
        fputs("<h2>", page->html);
        html_text(page->html, titles[i]);
        fputs("</h2>\n<p><img alt=\"", page->html);
        html_text(page->html, titles[i]);
        fputs("\" src=\"", page->html);
        html_data_uri(page->html, "image/png", picture->bytes, picture->n);
        fputs("\"></p>\n", page->html);
    }
}

void page_write_facts(struct page *page, const struct run_view *view)
{
    write_pictures(page, view);
    write_lives(page, view);
    write_saves(page, view);
    write_environment(page, view);
    write_kernels(page, view);
    if (!view->recipe || !view->recipe[0])
        return;
    fputs("<details><summary>The recipe, with every key</summary>\n<pre>", page->html);
    html_text(page->html, view->recipe);
    fputs("</pre></details>\n", page->html);
}
