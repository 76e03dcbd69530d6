/* convoy report DIR...: tables and a page of how trainings went, and how fast they ran
 * on how many nodes and cores.
 */
#include "cli/cli.h"

#include <convoy/report.h>

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

struct report_arguments {
    bool is_csv, is_json;
    const char *page; /* NULL: where it lies by itself */
    const char *talp; /* a file to write; NULL: none */
    convoy_report_options options;
    int n;
    const char *const *folders;
};

/* Whether name is a file in the folder. */
static bool holds(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    const int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n >= 0 && n < PATH_SIZE && access(path, F_OK) == 0;
}

/* DIR/report.html of one folder, report.html of several. */
static void place_page(const struct report_arguments *a, char path[PATH_SIZE])
{
    if (a->page)
        snprintf(path, PATH_SIZE, "%s", a->page);
    else if (a->n > 1)
        snprintf(path, PATH_SIZE, "report.html");
    else {
        size_t n = strlen(a->folders[0]);
        while (n > 1 && a->folders[0][n - 1] == '/')
            n--;
        snprintf(path, PATH_SIZE, "%.*s%s", n < PATH_SIZE ? (int)n : PATH_SIZE - 1,
                 a->folders[0],
                 n == 1 && a->folders[0][0] == '/' ? "report.html" : "/report.html");
    }
}

/* Of nothing a page is written only where one was asked for, or into what seems to be a
 * run: other folders are left alone. */
static bool wants_page(const struct report_arguments *a, const convoy_report *report)
{
    if (a->page)
        return true;
    if (a->is_csv || a->is_json)
        return false;
    return !convoy_report_is_empty(report) ||
           (a->n == 1 && (holds(a->folders[0], "metrics.jsonl") ||
                          holds(a->folders[0], "run.json")));
}

static convoy_status write_page(const struct report_arguments *a,
                                const convoy_report *report)
{
    char path[PATH_SIZE];
    place_page(a, path);
    const convoy_status status = convoy_report_save_html(report, &a->options, path);
    if (status == CONVOY_OK && !a->is_csv && !a->is_json &&
        !convoy_report_is_empty(report))
        cli_print_line(stdout, "report: ", path);
    return status;
}

static convoy_status write_tables(const struct report_arguments *a,
                                  const convoy_report *report)
{
    convoy_status status = CONVOY_OK;
    if (a->is_json)
        return convoy_report_write_json(report, stdout);
    if (!a->is_csv)
        return convoy_report_is_empty(report)
                   ? CONVOY_OK
                   : convoy_report_write_text(report, stdout);
    status = convoy_report_write_csv(report, stdout);
    if (status == CONVOY_OK)
        status = convoy_report_write_passed(report, stderr);
    return status;
}

static int report_on(const struct report_arguments *a)
{
    convoy_report *report = NULL;
    convoy_status status = convoy_report_create(a->folders, a->n, &report);
    if (status == CONVOY_OK)
        status = write_tables(a, report);
    if (status == CONVOY_OK && wants_page(a, report))
        status = write_page(a, report);
    if (status == CONVOY_OK && a->talp)
        status = convoy_report_save_talp(a->folders[0], a->talp);
    if (status == CONVOY_OK)
        status = convoy_report_outcome(report);
    convoy_report_destroy(report);
    return cli_finish(status);
}

/* A plain decimal number above 0; strtod reads hexadecimal and tiny ones, too. */
static bool parse_price(const char *text, double *price)
{
    char *end = NULL;
    if (text[strspn(text, "0123456789.")] != '\0')
        return false;
    *price = strtod(text, &end);
    return end != text && *end == '\0' && *price >= 1e-6 && *price < 1e12;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"csv", no_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"talp", required_argument, NULL, 't'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"price", required_argument, NULL, 'p'},
                                            {"currency", required_argument, NULL, 'u'},
                                            {NULL, 0, NULL, 0}};
    struct report_arguments a = {0};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":o:", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            a.is_csv = true;
            break;
        case 'j':
            a.is_json = true;
            break;
        case 't':
            a.talp = optarg;
            break;
        case 'o':
            a.page = optarg;
            break;
        case 'u':
            a.options.currency = optarg;
            break;
        case 'p':
            if (!parse_price(optarg, &a.options.price))
                return cli_usage(
                    &command_report,
                    "--price takes what a node-hour costs, a number such as "
                    "1.20, not '%s'",
                    optarg);
            break;
        default:
            return cli_bad_option(&command_report, option, argv);
        }
    }
    if (a.is_csv && a.is_json)
        return cli_usage(&command_report, "either --csv or --json");
    if ((a.page && !*a.page) || (a.talp && !*a.talp))
        return cli_usage(&command_report, "%s needs a name",
                         a.talp && !*a.talp ? "--talp" : "-o");
    if (optind == argc)
        return cli_usage(&command_report, "of which DIR? A run directory, or a folder "
                                          "that holds some");
    a.n = argc - optind;
    a.folders = (const char *const *)argv + optind;
    if (a.talp && a.n > 1)
        return cli_usage(&command_report, "--talp is of one run: give one DIR");
    return report_on(&a);
}

const struct command command_report = {
    .name = "report",
    .synopsis = "report DIR... [-o FILE] [--csv | --json] [--talp FILE] [--price X]",
    .summary = "how trainings went, how fast on how many nodes: tables, and a page",
    .help =
        "  DIR           the run directory of a training, or a folder that holds "
        "some:\n"
        "                a study\n"
        "  -o FILE       the page (default: DIR/report.html, of several DIRs\n"
        "                report.html here)\n"
        "  --csv         no page, and rows for programs: a line of names, then a line\n"
        "                each\n"
        "  --json        no page, and one JSON object of runs and tables\n"
        "  --talp FILE   also write the efficiency of the one run in DIR as JSON of\n"
        "                TALP (DLB)\n"
        "  --price X     what a node-hour costs: the page tells what trainings would\n"
        "  --currency T  of the price (default: EUR)\n"
        "\n"
        "The page needs nothing but a browser: of one run its curves, where the time "
        "of\n"
        "a step goes by rank, lives, environment and recipe; of several the study of\n"
        "scaling, and, where recipes differ, curves on top of each other and what\n"
        "differs. gnuplot draws its plots; without it the page has its tables.\n"
        "\n"
        "Runs on the same nodes, ranks, lanes and threads with the same batch are\n"
        "pooled in a row. Counted are steady steps: all but the first five of each "
        "life\n"
        "of a run and the first of each epoch, so train with metrics.every_steps=1.\n"
        "Rows of one batch size are a table of strong scaling, rows of one batch size "
        "a\n"
        "core one of weak scaling; speed-up and efficiency are against its smallest\n"
        "size. Runs of another model, pack or version are apart.\n"
        "\n"
        "Example: convoy report runs/a\n"
        "         convoy report runs/study --price 1.20\n"
        "         convoy report runs/a runs/b --csv > curve.csv\n",
    .run = run,
};
