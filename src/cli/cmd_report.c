/* convoy report DIR...: tables of how fast trainings ran on how many nodes and cores.
 */
#include "cli/cli.h"

#include <convoy/report.h>

#include <getopt.h>

/* talp: a file to write; NULL: none. */
static int report_on(int n, char **folders, bool is_csv, const char *talp)
{
    convoy_report *report = NULL;
    convoy_status status =
        convoy_report_create((const char *const *)folders, n, &report);
    if (status == CONVOY_OK)
        status = (is_csv ? convoy_report_write_csv : convoy_report_write_text)(report,
                                                                               stdout);
    if (status == CONVOY_OK && is_csv)
        status = convoy_report_write_passed(report, stderr);
    if (status == CONVOY_OK && talp)
        status = convoy_report_save_talp(folders[0], talp);
    convoy_report_destroy(report);
    return cli_finish(status);
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"csv", no_argument, NULL, 'c'},
                                            {"talp", required_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    bool is_csv = false;
    const char *talp = NULL;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == 'c')
            is_csv = true;
        else if (option == 't')
            talp = optarg;
        else
            return cli_bad_option(&command_report, option, argv);
    }
    if (optind == argc)
        return cli_usage(&command_report, "of which DIR? A run directory, or a folder "
                                          "that holds some");
    if (talp && argc - optind > 1)
        return cli_usage(&command_report, "--talp is of one run: give one DIR");
    return report_on(argc - optind, argv + optind, is_csv, talp);
}

const struct command command_report = {
    .name = "report",
    .synopsis = "report DIR... [--csv] [--talp FILE]",
    .summary =
        "how fast runs were on how many nodes and cores: speed-up and efficiency",
    .help =
        "  DIR    the run directory of a training, or a folder that holds some: a "
        "study\n"
        "  --csv  the same rows for programs: a line of names, then a line each\n"
        "  --talp FILE\n"
        "         also write the efficiency of the one run in DIR as JSON of TALP "
        "(DLB)\n"
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
