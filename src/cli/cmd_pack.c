/* convoy pack SOURCE -o PACK */
#include "cli/cli.h"

#include <convoy/pack.h>

#include <getopt.h>
#include <inttypes.h>

static void show(void *context, uint64_t done, uint64_t total)
{
    struct cli_progress *progress = context;
    char note[32];
    snprintf(note, sizeof note, "%.0f img/s", cli_progress_rate(progress, done));
    cli_progress_show(progress, "packing", done, total, note);
}

/* Opening what was just written proves that it can be read, and tells what it holds. */
static convoy_status print_result(const char *path)
{
    convoy_pack *pack = NULL;
    convoy_status status = convoy_pack_open(path, &pack);
    if (status != CONVOY_OK)
        return status;
    const convoy_pack_info *info = convoy_pack_describe(pack);
    printf("%s: %" PRIu64 " records, %d classes, %" PRIu64 " bytes, pack id %s\n", path,
           info->n_records, info->n_classes, info->n_bytes, info->id);
    convoy_pack_close(pack);
    return CONVOY_OK;
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {{"output", required_argument, NULL, 'o'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {0}};
    const char *output = NULL;
    bool quiet = false;
    struct cli_progress progress;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":o:q", longs, NULL)) != -1) {
        if (option == 'o')
            output = optarg;
        else if (option == 'q')
            quiet = true;
        else
            return cli_bad_option(&command_pack, option, argv);
    }
    if (argc - optind != 1)
        return cli_usage(&command_pack, "%s",
                         argc == optind ? "what is to be packed?"
                                        : "only one SOURCE at a time");
    if (!output || !*output)
        return cli_usage(&command_pack, "-o PACK is missing: the file to write");
    cli_progress_start(&progress, quiet);
    const convoy_pack_options options = {.progress = show, .context = &progress};
    convoy_status status = convoy_pack_create(argv[optind], output, &options);
    cli_progress_clear(&progress);
    if (status == CONVOY_OK)
        status = print_result(output);
    return cli_finish(status);
}

const struct command command_pack = {
    .name = "pack",
    .synopsis = "pack SOURCE -o PACK [--quiet]",
    .summary = "make one file of a data set, to train from",
    .help =
        "SOURCE is one of\n"
        "  a folder with one subfolder a class, which holds JPEG and PNG images at "
        "any\n"
        "    depth; hidden files are passed over, anything else that is no image is "
        "an\n"
        "    error; classes are numbered in byte order of their names\n"
        "  an IDX images file such as train-images-idx3-ubyte.gz, gzipped or not; its\n"
        "    labels file is found beside it, by its name with 'labels' for 'images'\n"
        "Images are kept byte for byte. PACK appears only when it is complete.\n\n"
        "  -o, --output PACK  the file to write (an old one is replaced)\n"
        "  -q, --quiet        no progress\n\n"
        "  convoy pack ILSVRC2012/train -o train.h5\n"
        "  convoy pack mnist/train-images-idx3-ubyte.gz -o mnist.h5\n",
    .run = run,
};
