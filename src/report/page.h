/* The report as a page: what its sections share. Each writes HTML into page->html,
 * which is memory, and plots into it where there are some. Local, all of it. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "draw/html.h"
#include "report/plot.h"
#include "report/report_table.h"
#include "report/run_view.h"

struct page {
    FILE *html;
    struct plotter plotter;
    const convoy_report *report;
    const struct convoy_report_options *options;
};

/* Ranks that have bars of their own. */
enum { PAGE_MAX_BARS = 96 };

/* A box that scrolls by itself where it is wider than the page, and in it a table with
 * these column heads: of one beginning with '<' the cells are texts, to the left.
 * caption: for readers that hear the page. */
void page_table_begin(struct page *page, const char *caption, const char *const *heads,
                      int n);
void page_table_end(struct page *page);
/* Cells, escaped; of numbers, to the right. */
void page_row_begin(struct page *page);
void page_row_end(struct page *page);
void page_word(struct page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void page_number(struct page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A paragraph, escaped. */
void page_paragraph(struct page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A figure that a page begins with: a value above what it is. */
void page_tile(struct page *page, const char *value, const char *name);

/* "node" or "nodes". */
const char *page_plural(uint64_t n, const char *one, const char *many);

/* Sections. Of one run: how it went, curves; where the time went by rank; lives,
 * environment, kernels, recipe, pictures. */
convoy_status page_write_run(struct page *page, const struct run_view *view);
void page_write_ranks(struct page *page, const struct run_view *view);
void page_write_facts(struct page *page, const struct run_view *view);

/* Of several runs: what they are, the studies of scaling, curves on top of each other
 * where recipes differ. Errors: MEMORY. */
void page_write_overview(struct page *page);
convoy_status page_write_studies(struct page *page);
convoy_status page_write_comparison(struct page *page);

/* Of a study's sizes: the parts of a step and what it needs; efficiency taken apart, of
 * rows that tell it. Error: MEMORY. */
void page_write_parts(struct page *page, const struct report_table *table);
void page_write_pop(struct page *page, const struct report_table *table);
convoy_status page_draw_pop(struct page *page, const struct report_table *table);

/* The speed-up that is predicted for a study's sizes and some beyond, against its first
 * row as measured, and the network's name; none where its runs tell too little. MEMORY.
 */
convoy_status page_predict(const struct page *page, const struct report_table *table,
                           struct curve *speedup, char *network, size_t size);

/* What trainings would take at the speeds of the report's rows. */
void page_write_costs(struct page *page);

/* The table of a study as a text to copy. */
void page_write_proposal(struct page *page, const struct report_table *table);

#endif
