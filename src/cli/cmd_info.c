/* convoy info FILE|RUN|MODEL: what a pack, checkpoint or weight file holds, what became
 * of a run, what a recipe takes, or a model's layers, or, for the word recipe, all that
 * a recipe can say. A word that is a file's name or has a slash is taken for a file. */
#include "cli/info_model.h"
#include "cli/info_recipe.h"

#include <convoy/json.h>
#include <convoy/pack.h>
#include <convoy/recipe.h>
#include <convoy/train.h>
#include <convoy/weights.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ROWS = 20 };

static const char *encoding_name(convoy_encoding encoding)
{
    switch (encoding) {
    case CONVOY_ENCODING_RAW:
        return "raw";
    case CONVOY_ENCODING_JPEG:
        return "jpeg";
    default:
        return "png";
    }
}

static void print_size(uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    int unit = 0;
    while (size >= 1024.0 && unit < 4) {
        size /= 1024.0;
        unit++;
    }
    printf("%.*f %s", unit ? 1 : 0, size, units[unit]);
}

static void print_facts(const char *path, const convoy_pack_info *info)
{
    cli_put_text(stdout, path);
    printf(": a pack of version %d", info->version);
    if (info->part >= 0 && info->n_parts > 1)
        printf(", part %d (from 0) of %d", info->part, info->n_parts);
    else if (info->n_parts > 1)
        printf(" in %d parts", info->n_parts);
    printf("\n  id        %s\n  records   %" PRIu64 "\n  bytes     %" PRIu64 " (",
           info->id, info->n_records, info->n_bytes);
    print_size(info->n_bytes);
    printf(")\n  encoding  %s", encoding_name(info->encoding));
    if (info->encoding == CONVOY_ENCODING_RAW)
        printf(", %d x %d x %d (channels, height, width)", info->shape[0],
               info->shape[1], info->shape[2]);
    printf("\n  classes   %d\n", info->n_classes);
}

static void print_name(int label, uint64_t count, const char *name)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "  %6d %9" PRIu64 "  ", label, count);
    cli_print_line(stdout, prefix, name);
}

/* A row a class; of many classes only the first, and what the others have. */
static void print_classes(const convoy_pack *pack, const uint64_t *counts)
{
    int n = convoy_pack_describe(pack)->n_classes;
    int n_shown = n <= MAX_ROWS ? n : MAX_ROWS / 2;
    uint64_t least = counts[0], most = counts[0];
    for (int c = 0; c < n; c++) {
        least = counts[c] < least ? counts[c] : least;
        most = counts[c] > most ? counts[c] : most;
    }
    printf("\n  %6s %9s  %s\n", "label", "records", "class");
    for (int c = 0; c < n_shown; c++)
        print_name(c, counts[c], convoy_pack_class_name(pack, c));
    if (n_shown < n)
        printf("  and %d more (all: --json); %" PRIu64 " to %" PRIu64
               " records a class\n",
               n - n_shown, least, most);
}

/* What of the source is not in the pack. */
static void print_left_out(const convoy_pack *pack)
{
    const size_t n = convoy_pack_count_left_out(pack);
    if (n > 0)
        puts("\n  left out of the source");
    for (size_t i = 0; i < n && i < MAX_ROWS; i++)
        cli_print_line(stdout, "    ", convoy_pack_left_out(pack, i));
    if (n > MAX_ROWS)
        printf("    and %zu more (all: --json)\n", n - MAX_ROWS);
}

static void print_json_left_out(convoy_json *json, const convoy_pack *pack)
{
    const size_t n = convoy_pack_count_left_out(pack);
    if (n == 0)
        return;
    convoy_json_begin_list(json, "left_out");
    for (size_t i = 0; i < n; i++)
        convoy_json_text(json, NULL, convoy_pack_left_out(pack, i));
    convoy_json_end(json);
}

static void print_json_classes(convoy_json *json, const convoy_pack *pack,
                               const uint64_t *counts)
{
    convoy_json_begin_list(json, "classes");
    for (int c = 0; c < convoy_pack_describe(pack)->n_classes; c++) {
        convoy_json_begin_object(json, NULL);
        convoy_json_text(json, "name", convoy_pack_class_name(pack, c));
        convoy_json_count(json, "records", counts[c]);
        convoy_json_end(json);
    }
    convoy_json_end(json);
}

/* Of a pack in several parts, as a whole, the part is null. */
static void print_json(const char *path, const convoy_pack *pack,
                       const uint64_t *counts)
{
    const convoy_pack_info *info = convoy_pack_describe(pack);
    convoy_json json = {.stream = stdout};
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "kind", "pack");
    convoy_json_text(&json, "file", path);
    convoy_json_integer(&json, "version", info->version);
    convoy_json_text(&json, "id", info->id);
    if (info->part >= 0)
        convoy_json_integer(&json, "part", info->part);
    else
        convoy_json_text(&json, "part", NULL);
    convoy_json_integer(&json, "parts", info->n_parts);
    convoy_json_count(&json, "records", info->n_records);
    convoy_json_count(&json, "bytes", info->n_bytes);
    convoy_json_text(&json, "encoding", encoding_name(info->encoding));
    if (info->encoding == CONVOY_ENCODING_RAW)
        convoy_json_integers(&json, "shape", info->shape, 3);
    print_json_classes(&json, pack, counts);
    print_json_left_out(&json, pack);
    convoy_json_end(&json);
}

static int describe_pack(const char *path, bool json)
{
    convoy_pack *pack = NULL;
    convoy_status status = convoy_pack_open(path, &pack);
    if (status != CONVOY_OK)
        return cli_finish(status);
    const convoy_pack_info *info = convoy_pack_describe(pack);
    uint64_t *counts = calloc((size_t)info->n_classes, sizeof *counts);
    if (counts) {
        convoy_pack_count_labels(pack, counts);
        if (json) {
            print_json(path, pack, counts);
        } else {
            print_facts(path, info);
            print_classes(pack, counts);
            print_left_out(pack);
        }
    }
    int code = counts ? CLI_DONE : CLI_FAILED;
    if (!counts)
        fprintf(stderr, "convoy: out of memory\n");
    free(counts);
    convoy_pack_close(pack);
    return code;
}

static int describe_file(const char *path, bool json)
{
    if (convoy_run_recognise(path))
        return cli_finish(convoy_run_describe(path, json, stdout));
    if (!convoy_weights_recognise(path))
        return describe_pack(path, json);
    if (json)
        return cli_usage(&command_info,
                         "--json is for runs, packs, models and recipes; %s "
                         "holds weights",
                         path);
    return cli_finish(convoy_weights_describe(path, stdout));
}

struct arguments {
    struct info_model_options model;
    struct info_recipe_options recipe;
    const char **overrides; /* [room for argc] */
    bool json;
};

/* What is no option: a name and, to compare, maybe a layer's. */
static int parse_names(struct arguments *a, int n, char **names)
{
    if (n == 2 && a->model.compare && !a->model.layer) {
        a->model.layer = names[1];
        n = 1;
    }
    if (n == 1)
        return CLI_DONE;
    return cli_usage(&command_info, "%s",
                     n == 0 ? "which FILE or MODEL?"
                            : "only one FILE or MODEL at a time");
}

/* CLI_DONE, or the exit status of a message. */
static int parse(struct arguments *a, int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                          {"classes", required_argument, NULL, 'c'},
                                          {"input", required_argument, NULL, 'i'},
                                          {"size", required_argument, NULL, 's'},
                                          {"compare", optional_argument, NULL, 'C'},
                                          {"ranks", required_argument, NULL, 'r'},
                                          {"set", required_argument, NULL, 'o'},
                                          {0}};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
        switch (option) {
        case 'j':
            a->json = true;
            break;
        case 'c':
            a->model.classes = optarg;
            break;
        case 'i':
            a->model.input = optarg;
            break;
        case 's':
            a->model.size = optarg;
            break;
        case 'C':
            a->model.compare = true;
            a->model.layer = optarg;
            break;
        case 'r':
            if (!cli_count(optarg, CLI_MAX_COUNT, &a->recipe.ranks))
                return cli_usage(&command_info,
                                 "--ranks takes a whole number above 0, not '%s'",
                                 optarg);
            break;
        case 'o':
            a->overrides[a->recipe.n_overrides++] = optarg;
            break;
        default:
            return cli_bad_option(&command_info, option, argv);
        }
    }
    const int code = parse_names(a, argc - optind, argv + optind);
    a->model.json = a->recipe.json = a->json;
    a->recipe.compare = a->model.compare;
    a->recipe.layer = a->model.layer;
    a->recipe.overrides = a->overrides;
    return code;
}

static int describe(const struct arguments *a, const char *name)
{
    const bool is_word = !strchr(name, '/') && access(name, F_OK) != 0;
    const bool is_recipe = info_is_recipe(name);
    if (!is_recipe && (a->recipe.n_overrides > 0 || a->recipe.ranks > 0))
        return cli_usage(&command_info,
                         "--set and --ranks are for recipes, whose names end in .yaml "
                         "or .yml; %s is none",
                         name);
    if (a->model.compare && is_word && strcmp(name, "recipe") == 0)
        return cli_usage(&command_info, "--compare needs a model or a recipe's file");
    if (is_word && !is_recipe)
        return strcmp(name, "recipe") == 0
                   ? cli_finish(convoy_recipe_describe_keys(stdout))
                   : info_model(name, &a->model);
    if (a->model.classes || a->model.input || a->model.size)
        return cli_usage(&command_info,
                         "--classes, --input and --size are for models; %s is a file",
                         name);
    if (a->model.compare && !is_recipe)
        return cli_usage(&command_info,
                         "--compare is for models and recipes; %s is another file",
                         name);
    return is_recipe ? info_recipe(name, &a->recipe) : describe_file(name, a->json);
}

static int run(int argc, char **argv)
{
    struct arguments arguments = {0};
    arguments.overrides = cli_new_words(argc);
    if (!arguments.overrides)
        return CLI_FAILED;
    int code = parse(&arguments, argc, argv);
    if (code == CLI_DONE)
        code = describe(&arguments, argv[optind]);
    free(arguments.overrides);
    return code;
}

const struct command command_info = {
    .name = "info",
    .synopsis = "info FILE|RUN|MODEL|RECIPE.yaml|recipe [options]",
    .summary = "tell what a pack, checkpoint or run holds, a recipe takes, a model has",
    .help =
        "convoy info FILE\n"
        "  what a pack, a checkpoint or another file of weights holds\n"
        "\n"
        "convoy info RUN, the directory of a run of convoy train\n"
        "  its lives and what changed between them, its checkpoints and whether each "
        "is\n"
        "  whole, and from which of them the run would go on\n"
        "\n"
        "convoy info MODEL, a word that is no file and has no slash\n"
        "  the model's layers, shapes and costs\n"
        "  --classes N           default: those of the data it was made for\n"
        "  --input C,H,W         channels, height and width of its input; default:\n"
        "                        those it was made for\n"
        "  --size N              height and width of its input\n"
        "  --compare [LAYER]     how many weights fully connected, locally connected "
        "and\n"
        "                        convolutional layers would need in the place of each "
        "of\n"
        "                        its layers; of one, with the sums written out\n"
        "\n"
        "convoy info RECIPE.yaml, a file that ends in .yaml or .yml\n"
        "  how many lanes a rank of its training would have here, and how much memory\n"
        "  it would need\n"
        "  --ranks N             ranks that train, each with all that convoy info may\n"
        "                        use here: one a machine (default 1)\n"
        "  --set key.path=value  replace a value of the recipe; can be repeated\n"
        "  --compare [LAYER]     of its net, as of a model\n"
        "\n"
        "convoy info recipe\n"
        "  every key of a recipe, its values, default and meaning\n"
        "\n"
        "  --json                one JSON object, of a pack with every class; for\n"
        "                        runs, packs, models and recipes\n"
        "\n"
        "Example: convoy info packs/train.h5\n"
        "         convoy info runs/a\n"
        "         convoy info resnet50 --size 160\n"
        "         convoy info alexnet --compare features.0\n"
        "         convoy info recipe.yaml --set batch.microbatch=16\n",
    .run = run,
};
