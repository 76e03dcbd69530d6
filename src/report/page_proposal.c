/* Text for an application for compute time, to be copied: what was measured, how, and
 * what it comes to, without markup. */
#include "report/page.h"

#include "report/report_facts.h"
#include "report/report_sentence.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_SIZE = 256, LINE_WIDTH = 78 };

static void put_value(FILE *text, const struct report_group *group, const char *fact)
{
    char value[VALUE_SIZE];
    report_facts_value(group->facts, fact, value, sizeof value);
    fputs(value[0] ? value : "?", text);
}

static void put_method(FILE *text, const convoy_report *report,
                       const struct report_table *table)
{
    const struct report_group *group = &report->groups[table->group];
    const struct report_row *base = &report->rows[table->rows[0]];
    fprintf(text, "%s scaling of data-parallel training of %s with convoy ",
            table->kind == REPORT_STRONG ? "Strong" : "Weak",
            group->model[0] ? group->model : "a network");
    put_value(text, group, "convoy");
    fputs(" (oneDNN ", text);
    put_value(text, group, "onednn");
    fputs(", ", text);
    put_value(text, group, "mpi");
    if (table->kind == REPORT_STRONG)
        fprintf(text, "), %" PRIu64 " images a step on every size. ",
                base->place.batch);
    else
        fprintf(text, "), %g images a step and core. ",
                (double)base->place.batch / (double)base->place.cores);
    fputs("Times are those of the main loop, from end to end of a step: medians over "
          "the steady steps of all repetitions, without the first five steps of a run "
          "and the first of each epoch. Speed-up and efficiency are against the "
          "smallest size.",
          text);
}

/* Breaks the text into lines. */
static void put_wrapped(FILE *html, const char *text)
{
    size_t column = 0;
    for (const char *word = text; *word;) {
        char one[VALUE_SIZE];
        size_t n = strcspn(word, " ");
        while (strncmp(&word[n], " %", 2) == 0) /* stays with its number */
            n += 1 + strcspn(&word[n + 1], " ");
        snprintf(one, sizeof one, "%.*s", (int)n, word);
        if (column > 0 && column + 1 + n > LINE_WIDTH) {
            fputc('\n', html);
            column = 0;
        } else if (column > 0) {
            fputc(' ', html);
            column++;
        }
        html_text(html, one);
        column += n;
        word += n + (word[n] == ' ');
    }
    fputc('\n', html);
}

static void put_row(FILE *html, const struct report_row *row,
                    const struct report_row *base)
{
    const struct report_scaling scaling = report_scale(base, row);
    const struct report_ranks *r = &row->ranks;
    const double step_s = r->compute_s + r->exchange_s + r->input_s + r->optimizer_s;
    char layout[64];
    snprintf(layout, sizeof layout, "%" PRIu64 "x%gx%" PRIu64, row->place.ranks,
             (double)row->place.lanes / (double)row->place.ranks, row->place.threads);
    fprintf(html,
            "%5" PRIu64 " %6" PRIu64 " %12s %7" PRIu64 " %9.4g %9.*f %8.2f %6.4g %5.2f",
            row->place.nodes, row->place.cores, layout, row->place.batch, row->step_s,
            row->images_per_s < 100 ? 2 : 0, row->images_per_s, scaling.speedup,
            scaling.ideal, scaling.efficiency);
    if (r->steps > 0 && step_s > 0)
        fprintf(html, " %5.2f %5.1f%%", report_ranks_balance(r),
                100 * r->exchange_s / step_s);
    fputc('\n', html);
}

static void put_rows(FILE *html, const convoy_report *report,
                     const struct report_table *table)
{
    fprintf(html, "\n%5s %6s %12s %7s %9s %9s %8s %6s %5s %5s %6s\n", "nodes", "cores",
            "ranks x", "batch", "s/step", "images/s", "speed-up", "ideal", "eff.",
            "load", "ex-");
    fprintf(html, "%5s %6s %12s %7s %9s %9s %8s %6s %5s %5s %6s\n", "", "",
            "lanes x th.", "", "", "", "", "", "", "bal.", "posed");
    for (int i = 0; i < table->n_rows; i++)
        put_row(html, &report->rows[table->rows[i]], &report->rows[table->rows[0]]);
    fputc('\n', html);
}

void page_write_proposal(struct page *page, const struct report_table *table)
{
    char sentence[REPORT_SENTENCE_SIZE], *method = NULL;
    size_t n = 0;
    FILE *text = open_memstream(&method, &n);
    if (!text)
        return; /* the page lacks this text, and has the same in its tables */
    put_method(text, page->report, table);
    if (fclose(text) == 0) {
        report_sentence(page->report, table, sentence);
        fputs("<details open><summary>Text for a proposal</summary>\n<pre>",
              page->html);
        put_wrapped(page->html, method);
        put_rows(page->html, page->report, table);
        put_wrapped(page->html, sentence);
        fputs("\nload bal.: mean over the ranks of the time that a rank is busy by "
              "itself,\nagainst the most of a rank. exposed: share of a step in which "
              "nothing is left\nto do but to wait for other ranks' "
              "sums.\n</pre></details>"
              "\n",
              page->html);
    }
    free(method);
}
