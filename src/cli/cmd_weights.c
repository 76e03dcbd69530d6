/* convoy weights hash|diff|import|export: a line a file or tensor on stdout, failures
 * on stderr.
 */
#include "cli/cli.h"

#include <convoy/weights.h>

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_hash(const char *path, bool ema)
{
    char hex[33];
    convoy_status status = convoy_weights_hash(path, ema, hex);
    if (status == CONVOY_OK)
        printf("%s  %s\n", hex, path);
    return cli_finish(status);
}

/* One bad file does not keep the others from their line. */
static int hash_files(int n, char **paths, bool ema)
{
    int code = CLI_DONE;
    if (n == 0)
        return cli_usage(&command_weights, "hash: which FILE?");
    for (int i = 0; i < n; i++)
        if (print_hash(paths[i], ema) != CLI_DONE)
            code = CLI_FAILED;
    return code;
}

struct counts {
    int n, n_equal;
};

static void print_difference(void *context, const convoy_weights_difference *found)
{
    struct counts *counts = context;
    counts->n++;
    counts->n_equal += found->equal;
    cli_put_text(stdout, found->name);
    if (found->why)
        printf(": %s\n", found->why);
    else if (found->equal)
        puts(": equal");
    else
        printf(": largest difference %g, relative %g\n", found->max_abs,
               found->max_rel);
}

static int diff_files(int n, char **paths, bool ema)
{
    struct counts counts = {0};
    bool equal = false;
    if (n != 2)
        return cli_usage(&command_weights, "diff: expected two files, found %d", n);
    convoy_status status =
        convoy_weights_diff(paths[0], paths[1], ema, print_difference, &counts, &equal);
    if (status != CONVOY_OK)
        return cli_finish(status);
    printf("%d of %d tensors are equal\n", counts.n_equal, counts.n);
    return equal ? CLI_DONE : CLI_FAILED;
}

/* What getopt found; each part has its use for some of it only. */
struct settings {
    const char *output;
    bool ema;
    convoy_weights_import_options import;
    const char **skip, **set; /* [argc] */
    bool only_import;         /* some option is for import */
};

static int set_count(const char *option, const char *text, int *out)
{
    if (cli_count(text, INT_MAX, out))
        return CLI_DONE;
    return cli_usage(&command_weights, "%s is '%s', expected a whole number above 0",
                     option, text);
}

/* Takes in what getopt_long answered for one option. */
static int take_option(int option, char **argv, struct settings *s)
{
    if (option == 'o') {
        s->output = optarg;
        return CLI_DONE;
    }
    if (option == 'a') {
        s->ema = true;
        return CLI_DONE;
    }
    s->only_import = true;
    switch (option) {
    case 'm':
        s->import.model = optarg;
        return CLI_DONE;
    case 'r':
        s->import.recipe = optarg;
        return CLI_DONE;
    case 'c':
        return set_count("--classes", optarg, &s->import.classes);
    case 'p':
        return set_count("--crop", optarg, &s->import.crop);
    case 'e':
        s->set[s->import.n_overrides++] = optarg;
        return CLI_DONE;
    case 'n':
        s->import.class_names = optarg;
        return CLI_DONE;
    case 's':
        if (!*optarg)
            return cli_usage(&command_weights, "--skip needs a prefix");
        s->skip[s->import.n_skip++] = optarg;
        return CLI_DONE;
    case 't':
        s->import.strip = optarg;
        return CLI_DONE;
    default:
        return cli_bad_option(&command_weights, option, argv);
    }
}

static int read_options(int argc, char **argv, struct settings *s)
{
    static const struct option longs[] = {{"output", required_argument, NULL, 'o'},
                                          {"ema", no_argument, NULL, 'a'},
                                          {"model", required_argument, NULL, 'm'},
                                          {"recipe", required_argument, NULL, 'r'},
                                          {"classes", required_argument, NULL, 'c'},
                                          {"crop", required_argument, NULL, 'p'},
                                          {"set", required_argument, NULL, 'e'},
                                          {"class-names", required_argument, NULL, 'n'},
                                          {"skip", required_argument, NULL, 's'},
                                          {"strip", required_argument, NULL, 't'},
                                          {0}};
    int option, code = CLI_DONE;
    opterr = 0;
    while (code == CLI_DONE &&
           (option = getopt_long(argc, argv, ":o:", longs, NULL)) != -1)
        code = take_option(option, argv, s);
    return code;
}

/* "import" and "export": one file in, one out. */
static int check_files(const char *what, int n, const struct settings *s)
{
    if (n != 1)
        return cli_usage(&command_weights, "%s: expected one file to read, found %d",
                         what, n);
    if (!s->output || !*s->output)
        return cli_usage(&command_weights, "%s: -o FILE is missing: the file to write",
                         what);
    return CLI_DONE;
}

static int import_file(int n, char **paths, struct settings *s)
{
    const int code = check_files("import", n, s);
    if (code != CLI_DONE)
        return code;
    if (!s->import.model == !s->import.recipe)
        return cli_usage(&command_weights,
                         "import: give --model NAME or --recipe FILE, one of them");
    s->import.skip = s->skip;
    s->import.overrides = s->set;
    convoy_status status = convoy_weights_import(paths[0], s->output, &s->import);
    if (status != CONVOY_OK)
        return cli_finish(status);
    /* Reading it again proves that it can be read. */
    return print_hash(s->output, false);
}

static int export_file(int n, char **paths, const struct settings *s)
{
    const int code = check_files("export", n, s);
    if (code != CLI_DONE)
        return code;
    return cli_finish(convoy_weights_export(paths[0], s->ema, s->output));
}

static int run_part(int argc, char **argv, struct settings *s)
{
    if (optind == argc)
        return cli_usage(&command_weights, "expected hash, diff, import or export");
    const char *what = argv[optind++];
    const int n = argc - optind;
    char **paths = argv + optind;
    if (strcmp(what, "import") == 0 && s->ema)
        return cli_usage(&command_weights, "import takes no --ema");
    if (strcmp(what, "import") == 0)
        return import_file(n, paths, s);
    if (s->only_import)
        return cli_usage(&command_weights, "%s takes no option that describes a model",
                         what);
    if (strcmp(what, "export") == 0)
        return export_file(n, paths, s);
    if (s->output)
        return cli_usage(&command_weights,
                         "%s writes no file: -o is for import and "
                         "export",
                         what);
    if (strcmp(what, "hash") == 0)
        return hash_files(n, paths, s->ema);
    if (strcmp(what, "diff") == 0)
        return diff_files(n, paths, s->ema);
    return cli_usage(&command_weights,
                     "'%s' is unknown, expected hash, diff, import or export", what);
}

static int run(int argc, char **argv)
{
    /* Of either there can be as many as arguments. */
    const size_t n = (size_t)argc;
    const char **texts = calloc(2 * n, sizeof *texts);
    struct settings settings = {.skip = texts, .set = texts + n};
    if (!texts) {
        fprintf(stderr, "convoy: out of memory\n");
        return CLI_FAILED;
    }
    int code = read_options(argc, argv, &settings);
    if (code == CLI_DONE)
        code = run_part(argc, argv, &settings);
    free(texts);
    return code;
}

const struct command command_weights = {
    .name = "weights",
    .synopsis = "weights hash FILE... | diff A B | import IN -o OUT ... | export IN -o "
                "OUT",
    .summary = "hash, compare, import and export weights",
    .help =
        "convoy weights hash FILE...\n"
        "  a line for each file: a hash over its parameters and buffers, and its "
        "name.\n"
        "  Files with the same weights to the last bit have the same hash, whatever\n"
        "  else they hold. Status 1 if a file cannot be read or is damaged.\n\n"
        "convoy weights diff A B\n"
        "  a line for each tensor: the largest difference of its values. Status 1 if\n"
        "  one is not equal to the last bit.\n\n"
        "convoy weights import IN.safetensors -o OUT.h5 --model NAME [options]\n"
        "  makes a weight file of convoy of weights under torchvision's names, and\n"
        "  prints its hash. A file with missing, extra or misshapen tensors is "
        "refused\n"
        "  with the list of them.\n"
        "  --model NAME        the model, as in a recipe\n"
        "  --classes N         its classes (default: as in the file)\n"
        "  --crop N            height and width of its input (default: the model's)\n"
        "  --set KEY=VALUE     what a recipe would say of the model or its images:\n"
        "                      model.variant=v1, 'data.mean=[0.5]'; may be repeated\n"
        "  --recipe FILE       instead of all these: the net of a recipe, whose pack\n"
        "                      must be there\n"
        "  --class-names FILE  the classes' names, one a line\n"
        "  --skip PREFIX       pass over the tensors whose names start so: the model\n"
        "                      keeps its initial values there; may be repeated\n"
        "  --strip PREFIX      take this off the file's names: module. and _orig_mod.\n"
        "                      come from wrappers around a model\n\n"
        "convoy weights export IN.h5 -o OUT.safetensors\n"
        "  writes parameters and buffers for PyTorch's load_state_dict.\n\n"
        "  -o, --output FILE   the file that import and export write (an old one is\n"
        "                      replaced)\n"
        "  --ema               hash, diff and export: the averaged weights in the "
        "file,\n"
        "                      in place of the others (of a training with "
        "ema.decay)\n\n"
        "  convoy weights hash runs/a/checkpoints/*.h5\n"
        "  convoy weights import resnet18.safetensors -o resnet18.h5 --model "
        "resnet18\n"
        "  convoy weights export runs/a/checkpoints/step-00005000.h5 -o "
        "mine.safetensors\n",
    .run = run,
};
