/* convoy report DIR...: tables of how fast trainings ran on how many nodes and cores.
 */
#include "cli/cli.h"

#include <convoy/report.h>

#include <getopt.h>

static int report_on(int n, char **folders, bool is_csv)
{
    convoy_report *report = NULL;
    convoy_status status =
        convoy_report_create((const char *const *)folders, n, &report);
    if (status == CONVOY_OK)
        status = (is_csv ? convoy_report_write_csv : convoy_report_write_text)(report,
                                                                               stdout);
    if (status == CONVOY_OK && is_csv)
        status = convoy_report_write_passed(report, stderr);
    convoy_report_destroy(report);
    return cli_finish(status);
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"csv", no_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    bool is_csv = false;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option != 'c')
            return cli_bad_option(&command_report, option, argv);
        is_csv = true;
    }
    if (optind == argc)
        return cli_usage(&command_report, "of which DIR? A run directory, or a folder "
                                          "that holds some");
    return report_on(argc - optind, argv + optind, is_csv);
}

const struct command command_report = {
    .name = "report",
    .synopsis = "report DIR... [--csv]",
    .summary =
        "how fast runs were on how many nodes and cores: speed-up and efficiency",
    .help =
        "  DIR    the run directory of a training, or a folder that holds some: a "
        "study\n"
        "  --csv  the same rows for programs: a line of names, then a line each\n"
        "\n"
        "Runs on the same nodes, ranks, lanes and threads with the same batch are "
        "pooled\n"
        "in a row. Counted are steady steps: all but the first five of each life of a\n"
        "run and the first of each epoch, so train with metrics.every_steps=1. Rows "
        "of\n"
        "one batch size are a table of strong scaling, rows of one batch size a core "
        "one\n"
        "of weak scaling; speed-up and efficiency are against its smallest size. Runs "
        "of\n"
        "another model, pack or version are apart.\n"
        "\n"
        "Example: convoy report runs/study\n"
        "         convoy report runs/a runs/b --csv > curve.csv\n",
    .run = run,
};
