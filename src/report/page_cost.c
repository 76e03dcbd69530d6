/* What trainings would take at the measured speeds: images x epochs / (images/s),
 * without evaluation and saving. A model that was not measured is taken to be as fast
 * by the multiply-adds of an image, which is an estimate: small layers are slower.
 * Where images take other orders of magnitude of work, or an epoch has less images than
 * a measured step, there is none. */
#include "report/page.h"

#include "report/report_sentence.h"
#include "report/shipped_recipes.h"

#include <convoy/report.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MOST_TIMES = 10 };

static bool has_price(const struct page *page)
{
    return page->options && page->options->price > 0;
}

/* Multiply-adds of an image in runs of the group; NaN: none tells. */
static double work_of(const struct page *page, int group)
{
    const convoy_report *report = page->report;
    for (int i = 0; i < report->n_views; i++) {
        const struct run_view *view = &report->views[i];
        const double work = run_view_number(view->run, "multiply_adds");
        if (work > 0 && strcmp(view->model, report->groups[group].model) == 0)
            return work;
    }
    return (double)NAN;
}

/* Whether the work of an image is of the order of what was measured. */
static bool is_alike(const struct shipped_recipe *recipe, double work)
{
    const double times = (double)recipe->multiply_adds / work;
    return times <= MOST_TIMES && times >= 1.0 / MOST_TIMES;
}

/* Cells of time, node-hours and cost. */
static void write_cells(struct page *page, const struct report_row *row,
                        double images_s, double images)
{
    char number[HTML_NUMBER_SIZE];
    const double seconds = images / images_s;
    const double node_hours = seconds / 3600 * (double)row->place.nodes;
    page_number(page, "%s", html_seconds(seconds, number));
    page_number(page, "%s", html_number(node_hours, number));
    if (has_price(page) && !isfinite(node_hours))
        page_number(page, "\u2013");
    else if (has_price(page))
        page_number(page, "%s %.20s",
                    html_number(node_hours * page->options->price, number),
                    page->options->currency ? page->options->currency : "EUR");
}

/* Images a second of the recipe's model, if its images are alike. */
static double speed_of(const struct shipped_recipe *recipe,
                       const struct report_row *row, double work)
{
    return row->images_per_s * work / (double)recipe->multiply_adds;
}

/* ResNet-50's training by size; where the runs' own model cannot be told from it,
 * theirs.
 */
static void write_imagenet(struct page *page, const struct report_table *table,
                           double work)
{
    static const char *const heads[] = {"nodes", "cores",      "images/s",
                                        "time",  "node-hours", "cost"};
    char number[HTML_NUMBER_SIZE];
    const struct shipped_recipe *resnet50 = shipped_recipe(SHIPPED_IMAGENET_RECIPE);
    const double images = (double)SHIPPED_IMAGENET_IMAGES * SHIPPED_IMAGENET_EPOCHS;
    if (isfinite(work) && !is_alike(resnet50, work)) {
        page_paragraph(
            page,
            "What ResNet-50 on ImageNet would take these runs do not tell: "
            "one of its images has %s times their multiply-adds. Measure it: "
            "jobs/scaling-study.sh with jobs/recipes/%s.yaml.",
            html_number((double)resnet50->multiply_adds / work, number),
            resnet50->name);
        return;
    }
    page_paragraph(
        page,
        "%d epochs of ImageNet's 1,281,167 training images%s:", SHIPPED_IMAGENET_EPOCHS,
        !isfinite(work) ? ", with the model and the size of images of these runs"
        : work == (double)resnet50->multiply_adds
            ? " with ResNet-50, as measured"
            : " with ResNet-50, an estimate by the multiply-adds of an image");
    page_table_begin(page, "ImageNet", heads, has_price(page) ? 6 : 5);
    for (int i = 0; i < table->n_rows; i++) {
        const struct report_row *row = &page->report->rows[table->rows[i]];
        const double speed =
            isfinite(work) ? speed_of(resnet50, row, work) : row->images_per_s;
        page_row_begin(page);
        page_number(page, "%" PRIu64, row->place.nodes);
        page_number(page, "%" PRIu64, row->place.cores);
        page_number(page, "%s", html_number(speed, number));
        write_cells(page, row, speed, images);
        page_row_end(page);
    }
    page_table_end(page);
}

static void write_recipe(struct page *page, const struct shipped_recipe *recipe,
                         const struct report_row *row, double work)
{
    char number[HTML_NUMBER_SIZE];
    const bool is_measured = work == (double)recipe->multiply_adds;
    const bool is_told = is_alike(recipe, work) && recipe->images >= row->place.batch;
    const double speed = is_told ? speed_of(recipe, row, work) : (double)NAN;
    page_row_begin(page);
    page_word(page, "%s", recipe->name);
    page_word(page, "%s", recipe->model);
    page_number(page, "%s", html_count(recipe->images, number));
    page_number(page, "%d", recipe->epochs);
    page_number(page, "%s", html_number((double)recipe->multiply_adds / 1e6, number));
    page_word(page, "%s",
              !is_told      ? "not comparable: measure it"
              : is_measured ? "measured"
                            : "estimate");
    page_number(page, "%s", html_number(speed, number));
    write_cells(page, row, speed, (double)recipe->images * recipe->epochs);
    page_row_end(page);
}

static void write_recipes(struct page *page, const struct report_table *table,
                          double work)
{
    static const char *const heads[] = {"<recipe",
                                        "<model",
                                        "images",
                                        "epochs",
                                        "million multiply-adds an image",
                                        "<speed is",
                                        "images/s",
                                        "time",
                                        "node-hours",
                                        "cost"};
    const struct report_row *row = report_largest(page->report, table);
    page_paragraph(page,
                   "The recipes that come with convoy, on %" PRIu64 " %s with %" PRIu64
                   " %s%s:",
                   row->place.nodes, page_plural(row->place.nodes, "node", "nodes"),
                   row->place.cores, page_plural(row->place.cores, "core", "cores"),
                   table->kind == REPORT_SINGLE
                       ? ""
                       : ", the largest size with an efficiency of 80 % or more");
    page_table_begin(page, "Shipped recipes", heads, has_price(page) ? 10 : 9);
    for (int i = 0; shipped_recipe(i); i++)
        write_recipe(page, shipped_recipe(i), row, work);
    page_table_end(page);
    page_paragraph(page,
                   "An estimate takes another model to be as fast by the "
                   "multiply-adds of an image: it may be off by a factor of two "
                   "and more, above all between small and large images. None is "
                   "made where an image has more than %d times the multiply-adds "
                   "that were measured, or less than a %dth, nor where an epoch "
                   "has less images than a step of these runs.",
                   MOST_TIMES, MOST_TIMES);
}

/* By a group's runs it is known: "group 2: lenet (runs/b and 2 more)". */
static void put_group(struct page *page, int group)
{
    const convoy_report *report = page->report;
    const char *first = NULL;
    int n = 0;
    for (int i = 0; i < report->n_runs; i++) {
        if (strcmp(report->runs[i].facts, report->groups[group].facts) != 0)
            continue;
        first = n++ == 0 ? report->runs[i].path : first;
    }
    html_print(page->html, ", group %d: %.100s", group + 1,
               report->groups[group].model);
    if (first)
        html_print(page->html, " (%.200s", first);
    if (n > 1)
        html_print(page->html, " and %d more", n - 1);
    fputs(first ? ")" : "", page->html);
}

static void write_costs_of(struct page *page, const struct report_table *table)
{
    static const char *const kinds[] = {[REPORT_STRONG] = "Strong scaling",
                                        [REPORT_WEAK] = "Weak scaling",
                                        [REPORT_SINGLE] = "The fastest size"};
    const convoy_report *report = page->report;
    const double work = work_of(page, table->group);
    if (report->n_tables > 1) {
        fputs("<h3>", page->html);
        html_print(page->html, "%s", kinds[table->kind]);
        if (report->n_groups > 1)
            put_group(page, table->group);
        fputs("</h3>\n", page->html);
    }
    write_imagenet(page, table, work);
    if (isfinite(work))
        write_recipes(page, table, work);
    else
        page_paragraph(page,
                       "The recipes that come with convoy are left out: these runs do "
                       "not say how many multiply-adds an image takes.");
}

static double speed_at(const convoy_report *report, const struct report_table *table)
{
    return report->rows[table->rows[0]].images_per_s;
}

/* Those of studies; where there is none, of each group's fastest row. */
static bool has_costs(const convoy_report *report, const struct report_table *table)
{
    if (table->kind != REPORT_SINGLE)
        return true;
    for (int t = 0; t < report->n_tables; t++) {
        const struct report_table *other = &report->tables[t];
        if (other->kind != REPORT_SINGLE ||
            (other->group == table->group &&
             speed_at(report, other) > speed_at(report, table)))
            return false;
    }
    return true;
}

void page_write_costs(struct page *page)
{
    const convoy_report *report = page->report;
    int n = 0;
    for (int t = 0; t < report->n_tables; t++)
        n += has_costs(report, &report->tables[t]);
    if (n == 0)
        return;
    fputs("<h2>What trainings would take</h2>\n", page->html);
    page_paragraph(page,
                   "time = images \u00d7 epochs / (images/s); node-hours = time in "
                   "hours \u00d7 nodes%s. Evaluating, saving and the wait in the "
                   "queue are not in it.",
                   has_price(page) ? "; cost = node-hours \u00d7 the price of one"
                                   : "");
    if (has_price(page))
        page_paragraph(page, "A node-hour costs %g %.20s.", page->options->price,
                       page->options->currency ? page->options->currency : "EUR");
    for (int t = 0; t < report->n_tables; t++)
        if (has_costs(report, &report->tables[t]))
            write_costs_of(page, &report->tables[t]);
}
