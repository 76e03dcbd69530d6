/* convoy pack SOURCE -o PACK; under mpirun or srun the ranks share the work, and rank 0
 * speaks. MPI is only started there: packing alone must work on login nodes, where MPI
 * as a rule does not. */
#include "cli/cli.h"

#include <convoy/pack.h>
#include <convoy/version.h>
#include <convoy/world.h>

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>

enum { MAX_SHOWN = 20 };

struct arguments {
    const char *source, *output;
    convoy_pack_options options;
    bool allow_left_out, quiet;
};

/* Values of options that have no letter. */
enum {
    CLASSES = 256,
    CLASSES_OF,
    MAX_PER_CLASS,
    DEVKIT,
    INSIDE,
    SPLIT,
    PARTS,
    MAX_SIDE,
    QUALITY,
    THREADS,
    STRICT,
    ALLOW_SKIPPED
};

static const struct option longs[] = {
    {"output", required_argument, NULL, 'o'},
    {"classes", required_argument, NULL, CLASSES},
    {"classes-of", required_argument, NULL, CLASSES_OF},
    {"max-per-class", required_argument, NULL, MAX_PER_CLASS},
    {"devkit", required_argument, NULL, DEVKIT},
    {"inside", required_argument, NULL, INSIDE},
    {"split", required_argument, NULL, SPLIT},
    {"parts", required_argument, NULL, PARTS},
    {"max-side", required_argument, NULL, MAX_SIDE},
    {"quality", required_argument, NULL, QUALITY},
    {"threads", required_argument, NULL, THREADS},
    {"strict", no_argument, NULL, STRICT},
    {"allow-skipped", no_argument, NULL, ALLOW_SKIPPED},
    {"quiet", no_argument, NULL, 'q'},
    {0}};

static const char *name_of(int option)
{
    int i = 0;
    while (longs[i].name && longs[i].val != option)
        i++;
    return longs[i].name;
}

static bool parse_count(const char *text, uint64_t *count)
{
    char *end = NULL;
    errno = 0;
    *count = strtoull(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && !*end && *count > 0;
}

/* Where the number of a counting option goes, or NULL. */
static int *find_number(convoy_pack_options *options, int option)
{
    switch (option) {
    case PARTS:
        return &options->parts;
    case MAX_SIDE:
        return &options->max_side;
    case QUALITY:
        return &options->quality;
    case THREADS:
        return &options->threads;
    default:
        return NULL;
    }
}

/* false: the option's value is none. */
static bool parse_number(convoy_pack_options *options, int option, const char *value)
{
    uint64_t count = 0;
    int *number = find_number(options, option);
    if (!parse_count(value, &count) || (number && count > 100000))
        return false;
    if (number)
        *number = (int)count;
    else
        options->max_per_class = count;
    return true;
}

/* Takes an option that has no number. */
static void take_option(struct arguments *a, int option)
{
    switch (option) {
    case 'o':
        a->output = optarg;
        break;
    case 'q':
        a->quiet = true;
        break;
    case CLASSES:
        a->options.classes = optarg;
        break;
    case CLASSES_OF:
        a->options.classes_of = optarg;
        break;
    case DEVKIT:
        a->options.devkit = optarg;
        break;
    case INSIDE:
        a->options.inside = optarg;
        break;
    case SPLIT:
        a->options.split = optarg;
        break;
    case STRICT:
        a->options.strict = true;
        break;
    default:
        a->allow_left_out = true;
        break;
    }
}

static int usage(bool speaks, const char *format, const char *a, const char *b)
{
    return speaks ? cli_usage(&command_pack, format, a, b) : CLI_USAGE;
}

static int parse_option(struct arguments *a, int option, bool speaks)
{
    if (option == MAX_PER_CLASS || find_number(&a->options, option)) {
        if (!parse_number(&a->options, option, optarg))
            return usage(speaks, "--%s takes a whole number above 0, not '%s'",
                         name_of(option), optarg);
    } else {
        take_option(a, option);
    }
    return CLI_DONE;
}

static int parse(void *arguments, int argc, char **argv, bool speaks)
{
    struct arguments *a = arguments;
    assert(a);
    int option;
    opterr = 0;
    optind = 0; /* from the start, whatever was parsed before */
    while ((option = getopt_long(argc, argv, ":o:q", longs, NULL)) != -1) {
        if (option == '?' || option == ':')
            return speaks ? cli_bad_option(&command_pack, option, argv) : CLI_USAGE;
        const int code = parse_option(a, option, speaks);
        if (code != CLI_DONE)
            return code;
    }
    if (argc - optind != 1)
        return usage(
            speaks, "%s%s",
            argc == optind ? "what is to be packed?" : "only one SOURCE at a time", "");
    if (!a->output || !*a->output)
        return usage(speaks, "%s%s", "-o PACK is missing: the file to write", "");
    a->source = argv[optind];
    return CLI_DONE;
}

/* What the progress line is drawn with. */
struct show {
    struct cli_progress progress;
    const char *label;
};

static void show(void *context, uint64_t done, uint64_t total)
{
    struct show *s = context;
    char note[32];
    snprintf(note, sizeof note, "%.0f img/s", cli_progress_rate(&s->progress, done));
    cli_progress_show(&s->progress, s->label, done, total, note);
}

/* Names what was left out; the exit status. */
static int tell_left_out(const convoy_pack *pack, const struct arguments *a)
{
    const size_t n = convoy_pack_count_left_out(pack);
    for (size_t i = 0; i < n && i < MAX_SHOWN; i++)
        cli_print_line(stderr, "left out: ", convoy_pack_left_out(pack, i));
    if (n > MAX_SHOWN)
        fprintf(stderr, "left out: %zu more; 'convoy info --json' names all\n",
                n - MAX_SHOWN);
    if (n == 0 || a->allow_left_out)
        return CLI_DONE;
    fputs("convoy: ", stderr);
    cli_put_text(stderr, a->output);
    fprintf(stderr,
            ": is complete, but without %zu thing%s of its source, named above; mend "
            "the source, or use the pack as it is: --allow-skipped makes this no "
            "failure\n",
            n, n == 1 ? "" : "s");
    return CLI_FAILED;
}

/* Opening what was just written proves that it can be read, and tells what it holds. */
static int print_result(const struct arguments *a)
{
    convoy_pack *pack = NULL;
    convoy_status status = convoy_pack_open(a->output, &pack);
    if (status != CONVOY_OK)
        return cli_finish(status);
    const convoy_pack_info *info = convoy_pack_describe(pack);
    cli_put_text(stdout, a->output);
    printf(": %" PRIu64 " records, %d classes, %" PRIu64 " bytes", info->n_records,
           info->n_classes, info->n_bytes);
    if (info->n_parts > 1)
        printf(" in %d parts", info->n_parts);
    printf(", pack id %s\n", info->id);
    const int code = tell_left_out(pack, a);
    convoy_pack_close(pack);
    return code;
}

static convoy_status agree(void *context, convoy_status status)
{
    return convoy_world_agree(context, status);
}

static int pack(struct arguments *a)
{
    struct show line = {.label = "packing"};
    char label[64];
    const int rank = a->options.rank, size = a->options.size;
    cli_progress_start(&line.progress, a->quiet || rank > 0);
    if (size > 1) {
        snprintf(label, sizeof label, "packing (rank 0 of %d)", size);
        line.label = label;
    }
    a->options.progress = show;
    a->options.context = &line;
    convoy_status status = convoy_pack_create(a->source, a->output, &a->options);
    cli_progress_clear(&line.progress);
    if (status == CONVOY_OK)
        return rank == 0 ? print_result(a) : CLI_DONE;
    return size > 1 ? cli_finish_together(a->options.agree_context, status)
                    : cli_finish(status);
}

/* As one of several ranks: each computes with its share of the node's processors,
 * unless OMP_NUM_THREADS says otherwise. */
static convoy_status join(convoy_pack_options *options, convoy_world **world)
{
    convoy_status status = convoy_world_create(world);
    if (status != CONVOY_OK)
        return status;
    options->rank = convoy_world_rank(*world);
    options->size = convoy_world_size(*world);
    options->agree = agree;
    options->agree_context = *world;
    status = convoy_world_cpus(*world, &options->threads);
    if (getenv("OMP_NUM_THREADS"))
        options->threads = 0; /* as OpenMP has it */
    return status;
}

/* Each rank acts on its own options: they must be those of the others. */
static convoy_status check_same(convoy_world *world, int argc, char **argv)
{
    char *facts = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&facts, &n);
    bool ok = stream != NULL;
    if (stream) {
        fputs("convoy version\t" CONVOY_VERSION "\nthe command\t", stream);
        for (int i = 0; i < argc; i++)
            fprintf(stream, "%s%s", i ? " " : "", argv[i]);
        fputc('\n', stream);
        ok = fclose(stream) == 0;
    }
    convoy_status status =
        convoy_world_agree(world, ok ? CONVOY_OK : CONVOY_ERROR_MEMORY);
    if (status == CONVOY_OK)
        status = convoy_world_same(world, facts);
    free(facts);
    return status;
}

static int run(int argc, char **argv)
{
    convoy_world *world = NULL;
    struct arguments arguments = {0};
    convoy_status status =
        cli_is_launched() ? join(&arguments.options, &world) : CONVOY_OK;
    if (status != CONVOY_OK)
        return cli_finish_together(world, status);
    int code = cli_parse_together(world, parse, &arguments, argc, argv);
    if (code == CLI_DONE && world) {
        status = check_same(world, argc, argv);
        code = cli_finish_together(world, status);
    }
    if (code == CLI_DONE)
        code = pack(&arguments);
    convoy_world_destroy(world);
    return code;
}

const struct command command_pack = {
    .name = "pack",
    .synopsis = "pack SOURCE -o PACK [OPTION...]",
    .summary = "make one pack of a data set, to train from",
    .help =
        "SOURCE is one of\n"
        "  a folder with one subfolder a class, which holds JPEG and PNG images at "
        "any\n"
        "    depth; hidden files are passed over, links are followed; classes are\n"
        "    numbered in byte order of their names\n"
        "  a tar archive of such folders, or of one tar archive a class\n"
        "    (ILSVRC2012_img_train.tar), packed or not; nothing is extracted\n"
        "  a folder or archive of ImageNet's validation images, with --devkit\n"
        "  an IDX images file such as train-images-idx3-ubyte.gz, packed or not; its\n"
        "    labels file is found beside it, by its name with 'labels' for 'images'\n"
        "  CIFAR-10 or CIFAR-100 in binary form: the folder, archive or a .bin file\n"
        "Images are kept byte for byte. Each is proven to decode; what is no image or\n"
        "has no class is left out and named, and the exit status is then 1 although "
        "the\n"
        "pack is complete (see --allow-skipped, --strict).\n"
        "Under mpirun or srun the ranks share the work, part by part: a pack of one "
        "part\n"
        "is made by one of them. A folder of parts that was interrupted is finished "
        "by\n"
        "the same command; parts whose files have not changed since are kept.\n\n"
        "  -o, --output PACK    the file to write (an old one is replaced), or the "
        "folder\n"
        "                       for several parts; the folder it lies in is made\n"
        "  --parts N            1: a file; 2 to 512: a folder of as many files "
        "(default:\n"
        "                       one file up to 1 GiB, else a part for each 512 MiB)\n"
        "  --max-side N         make images with a longer side smaller, antialiased, "
        "so\n"
        "                       that it has N pixels; they become JPEGs\n"
        "  --quality Q          of those JPEGs, 1 to 100 (default: 90)\n"
        "  --classes LIST       only these classes: names, indices or ranges of "
        "indices\n"
        "                       with commas between; they keep their names and are\n"
        "                       numbered from 0 in the order of their indices\n"
        "  --classes-of PACK    number the classes as PACK does, and have all of its:\n"
        "                       for a validation set that lacks some of them\n"
        "  --max-per-class N    only the first N images of each class\n"
        "  --devkit FILE        ImageNet's development kit "
        "(ILSVRC2012_devkit_t12.tar.gz\n"
        "                       or its folder): labels validation images, checks "
        "classes\n"
        "  --inside FOLDER      of an archive, only what lies in this folder\n"
        "  --split NAME         of CIFAR: train or test\n"
        "  --strict             stop at the first thing that would be left out\n"
        "  --allow-skipped      exit with 0 also where things were left out\n"
        "  --threads N          of each rank (default: OMP_NUM_THREADS, or its share "
        "of\n"
        "                       the node's cores)\n"
        "  -q, --quiet          no progress\n\n"
        "  convoy pack ILSVRC2012/train -o train.h5 --parts 1\n"
        "  mpirun -n 16 convoy pack ILSVRC2012_img_train.tar -o train --max-side 512\n"
        "  convoy pack ILSVRC2012_img_val.tar -o val --devkit "
        "ILSVRC2012_devkit_t12.tar.gz\n"
        "  convoy pack cifar-10-binary.tar.gz -o cifar-test.h5 --split test\n"
        "  convoy pack mnist/train-images-idx3-ubyte.gz -o few.h5 --classes 5-9 \\\n"
        "      --max-per-class 20\n",
    .run = run,
};
