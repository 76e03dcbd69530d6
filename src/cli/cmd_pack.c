/* convoy pack SOURCE -o PACK */
#include "cli/cli.h"

#include <convoy/pack.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>

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

struct arguments {
    const char *source, *output;
    convoy_pack_options options;
    bool quiet;
};

static bool parse_count(const char *text, uint64_t *count)
{
    char *end = NULL;
    errno = 0;
    *count = strtoull(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && !*end && *count > 0;
}

static int parse(struct arguments *a, int argc, char **argv)
{
    static const struct option longs[] = {
        {"output", required_argument, NULL, 'o'},
        {"classes", required_argument, NULL, 'c'},
        {"max-per-class", required_argument, NULL, 'm'},
        {"quiet", no_argument, NULL, 'q'},
        {0}};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":o:q", longs, NULL)) != -1) {
        if (option == 'o')
            a->output = optarg;
        else if (option == 'c')
            a->options.classes = optarg;
        else if (option == 'q')
            a->quiet = true;
        else if (option != 'm')
            return cli_bad_option(&command_pack, option, argv);
        else if (!parse_count(optarg, &a->options.max_per_class))
            return cli_usage(&command_pack,
                             "--max-per-class takes a whole number above 0, not '%s'",
                             optarg);
    }
    if (argc - optind != 1)
        return cli_usage(&command_pack, "%s",
                         argc == optind ? "what is to be packed?"
                                        : "only one SOURCE at a time");
    if (!a->output || !*a->output)
        return cli_usage(&command_pack, "-o PACK is missing: the file to write");
    a->source = argv[optind];
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    struct cli_progress progress;
    struct arguments a = {.options = {.progress = show, .context = &progress}};
    const int code = parse(&a, argc, argv);
    if (code != CLI_DONE)
        return code;
    cli_progress_start(&progress, a.quiet);
    convoy_status status = convoy_pack_create(a.source, a.output, &a.options);
    cli_progress_clear(&progress);
    if (status == CONVOY_OK)
        status = print_result(a.output);
    return cli_finish(status);
}

const struct command command_pack = {
    .name = "pack",
    .synopsis = "pack SOURCE -o PACK [--classes LIST] [--max-per-class N] [--quiet]",
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
        "  -o, --output PACK    the file to write (an old one is replaced)\n"
        "  --classes LIST       only these classes: names, indices or ranges of "
        "indices\n"
        "                       with commas between; they keep their names and are\n"
        "                       numbered from 0 in the order of their indices\n"
        "  --max-per-class N    only the first N images of each class\n"
        "  -q, --quiet          no progress\n\n"
        "  convoy pack ILSVRC2012/train -o train.h5\n"
        "  convoy pack mnist/train-images-idx3-ubyte.gz -o mnist.h5\n"
        "  convoy pack mnist/train-images-idx3-ubyte.gz -o few.h5 --classes 5-9 \\\n"
        "      --max-per-class 20\n",
    .run = run,
};
