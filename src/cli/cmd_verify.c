/* convoy verify PACK */
#include "cli/cli.h"

#include <convoy/pack.h>

#include <getopt.h>
#include <inttypes.h>

static void show(void *context, uint64_t done, uint64_t total)
{
    struct cli_progress *progress = context;
    char note[32];
    snprintf(note, sizeof note, "%.0f img/s", cli_progress_rate(progress, done));
    cli_progress_show(progress, "verifying", done, total, note);
}

static void print_bad(void *context, uint64_t record, const char *text)
{
    (void)record; /* text names it */
    cli_progress_clear(context);
    cli_print_line(stdout, "", text);
}

static int verify(const char *path, bool quiet)
{
    struct cli_progress progress;
    convoy_pack *pack = NULL;
    uint64_t n_bad = 0;
    convoy_status status = convoy_pack_open(path, &pack);
    if (status != CONVOY_OK)
        return cli_finish(status);
    uint64_t n = convoy_pack_describe(pack)->n_records;
    cli_progress_start(&progress, quiet);
    const convoy_pack_checker checker = {
        .bad = print_bad, .progress = show, .context = &progress};
    status = convoy_pack_check(pack, &checker, &n_bad);
    cli_progress_clear(&progress);
    convoy_pack_close(pack);
    if (status != CONVOY_OK)
        return cli_finish(status);
    if (n_bad > 0) {
        fputs("convoy: ", stderr);
        cli_put_text(stderr, path);
        fprintf(stderr, ": %" PRIu64 " of %" PRIu64 " records are bad\n", n_bad, n);
        return CLI_FAILED;
    }
    if (!quiet) {
        cli_put_text(stdout, path);
        printf(": all %" PRIu64 " records are good\n", n);
    }
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {{"quiet", no_argument, NULL, 'q'}, {0}};
    bool quiet = false;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":q", longs, NULL)) != -1) {
        if (option != 'q')
            return cli_bad_option(&command_verify, option, argv);
        quiet = true;
    }
    if (argc - optind != 1)
        return cli_usage(&command_verify, "%s",
                         argc == optind ? "which PACK?" : "only one PACK at a time");
    return verify(argv[optind], quiet);
}

const struct command command_verify = {
    .name = "verify",
    .synopsis = "verify PACK [--quiet]",
    .summary = "check every record of a pack",
    .help = "Checks the pack's index, every record's checksum, and that every image "
            "decodes.\n"
            "Prints a line for each bad record; the exit status is then 1.\n\n"
            "  -q, --quiet  print bad records only\n",
    .run = run,
};
