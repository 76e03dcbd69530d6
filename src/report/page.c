/* The page: its head, what could not be read, then its sections. Sections are written
 * first, into memory, since only then it is known whether gnuplot drew their plots. */
#include "report/page.h"

#include <convoy/version.h>

#include "base/clock.h"
#include "base/file.h"
#include "report/report_target.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_OPEN_PROBLEMS = 5 };

static int n_problems(const convoy_report *report)
{
    int n = report->n_passed;
    for (int i = 0; i < report->n_views; i++)
        n += report->views[i].n_problems;
    return n;
}

/* A problem with a file of a run is told once, though tables of speed and curves both
 * met it. */
static bool is_told_by_views(const convoy_report *report, const char *text)
{
    for (int i = 0; i < report->n_views; i++)
        for (int p = 0; p < report->views[i].n_problems; p++)
            if (strcmp(report->views[i].problems[p], text) == 0)
                return true;
    return false;
}

static void put_item(FILE *out, const char *text)
{
    fputs("<li>", out);
    html_text(out, text);
    fputs("</li>\n", out);
}

static void write_problems(const struct page *page, FILE *out)
{
    const convoy_report *report = page->report;
    const bool is_folded = n_problems(report) > MAX_OPEN_PROBLEMS;
    if (n_problems(report) == 0)
        return;
    fprintf(out,
            "<div class=\"notice\"><details%s><summary>What could not be read, or "
            "does not count</summary><ul>\n",
            is_folded ? "" : " open");
    for (int i = 0; i < report->n_views; i++)
        for (int p = 0; p < report->views[i].n_problems; p++)
            put_item(out, report->views[i].problems[p]);
    for (int i = 0; i < report->n_passed; i++)
        if (!is_told_by_views(report, report->passed[i]))
            put_item(out, report->passed[i]);
    fputs("</ul></details></div>\n", out);
}

static void write_plotter(const struct page *page, FILE *out)
{
    if (page->plotter.gnuplot == GNUPLOT_ABSENT)
        fputs(
            "<p class=\"notice\">There are no plots on this page, only tables: gnuplot "
            "was not found (Debian package gnuplot-nox).</p>\n",
            out);
    else if (page->plotter.n_failed > 0) {
        fputs("<p class=\"notice\">", out);
        html_print(out, "%d of the plots could not be drawn, and are missing here: %s.",
                   page->plotter.n_failed, page->plotter.why);
        fputs("</p>\n", out);
    }
}

static void write_title(const struct page *page, FILE *out)
{
    const convoy_report *report = page->report;
    const int n = report->n_shown;
    if (report->n_views == 1)
        html_text(out, report->views[0].name);
    else if (n > 0 && report->n_groups == 1 && report->groups[0].model[0])
        html_print(out, "%.100s: %d runs", report->groups[0].model, n);
    else
        html_print(out, "%d %s", n, n == 1 ? "run" : "runs");
}

/* Of several runs one stands for where and with what they were made. */
static void write_first(struct page *page)
{
    const convoy_report *report = page->report;
    int i = 0;
    while (!run_view_shows(&report->views[i]))
        i++;
    fputs("<h2>One of the runs: ", page->html);
    html_text(page->html, report->views[i].name);
    fputs("</h2>\n", page->html);
    page_write_facts(page, &report->views[i]);
}

static convoy_status write_sections(struct page *page)
{
    convoy_status status = CONVOY_OK;
    const convoy_report *report = page->report;
    if (report->n_shown == 0) {
        page_paragraph(page, "There is nothing to show: no run could be read.");
        return CONVOY_OK;
    }
    if (report->n_views == 1) {
        TRY(page_write_run(page, &report->views[0]));
        page_write_ranks(page, &report->views[0]);
        TRY(page_write_studies(page));
        page_write_facts(page, &report->views[0]);
        return CONVOY_OK;
    }
    TRY(page_write_comparison(page));
    TRY(page_write_studies(page));
    page_write_overview(page);
    write_first(page);
cleanup:
    return status;
}

static void write_page(const struct page *page, const char *sections, FILE *stream)
{
    char now[21];
    clock_utc(now);
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>",
          stream);
    write_title(page, stream);
    fputs(" \u2013 convoy</title>\n<style>\n", stream);
    html_write_style(stream);
    plot_write_style(stream);
    fputs("</style>\n</head>\n<body>\n<header>\n<h1>", stream);
    write_title(page, stream);
    fputs("</h1>\n</header>\n<main>\n", stream);
    write_problems(page, stream);
    write_plotter(page, stream);
    fputs(sections, stream);
    fprintf(stream,
            "</main>\n<footer>Written by convoy report %s, %s.</footer>\n"
            "</body>\n</html>\n",
            CONVOY_VERSION, now);
}

convoy_status convoy_report_write_html(const convoy_report *report,
                                       const convoy_report_options *options,
                                       FILE *stream)
{
    convoy_status status = CONVOY_OK;
    char *sections = NULL;
    size_t n = 0;
    struct page page = {.report = report, .options = options};
    page.html = open_memstream(&sections, &n);
    if (!page.html)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a page");
    status = write_sections(&page);
    const bool failed = ferror(page.html) != 0;
    if ((fclose(page.html) != 0 || failed) && status == CONVOY_OK)
        status = FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a page");
    TRY(status);
    write_page(&page, sections, stream);
    if (ferror(stream))
        TRY(FAIL(CONVOY_ERROR_IO, "cannot write the page"));
cleanup:
    free(sections);
    return status;
}

convoy_status convoy_report_save_html(const convoy_report *report,
                                      const convoy_report_options *options,
                                      const char *path)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL;
    size_t n = 0;
    status = report_target_check(path, "<!DOCTYPE html");
    if (status != CONVOY_OK)
        return status;
    FILE *stream = open_memstream(&text, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a page");
    status = convoy_report_write_html(report, options, stream);
    const bool failed = ferror(stream) != 0;
    if ((fclose(stream) != 0 || failed) && status == CONVOY_OK)
        status = FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a page");
    TRY(status);
    status = file_write_whole(path, text, n);
    if (status == CONVOY_ERROR_IO)
        status_prefix(status, "the page, which -o FILE puts elsewhere");
cleanup:
    free(text);
    return status;
}
