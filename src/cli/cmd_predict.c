/* convoy predict: the most probable classes of image files. A file that cannot be used
 * costs a line on stderr and the exit status, not the other files' predictions. */
#include "cli/cli.h"

#include <convoy/json.h>
#include <convoy/predict.h>
#include <convoy/world.h>

#include <getopt.h>

struct arguments {
    const char *weights;
    char **files; /* [n_files] */
    int n_files;
    convoy_predict_options options;
    bool json;
};

/* What has been printed. */
struct output {
    bool is_json;
    convoy_json json;
    int n_done, n_failed;
};

static int usage(bool speaks, const char *text, const char *argument)
{
    return speaks ? cli_usage(&command_predict, text, argument) : CLI_USAGE;
}

static int parse_option(struct arguments *a, int option, bool speaks)
{
    switch (option) {
    case 'w':
        a->weights = optarg;
        break;
    case 'e':
        a->options.ema = true;
        break;
    case 'k':
        if (!cli_count(optarg, CLI_MAX_COUNT, &a->options.top))
            return usage(speaks, "--top takes a whole number above 0, not '%s'",
                         optarg);
        break;
    case 'l':
        if (!cli_count(optarg, CLI_MAX_THREADS, &a->options.lanes))
            return usage(speaks,
                         "--lanes takes a whole number from 1 to 4096, not '%s'",
                         optarg);
        break;
    case 't':
        if (!cli_count(optarg, CLI_MAX_THREADS, &a->options.threads))
            return usage(speaks,
                         "--threads takes a whole number from 1 to 4096, not '%s'",
                         optarg);
        break;
    case 'j':
        a->json = true;
        break;
    }
    return CLI_DONE;
}

static int parse(struct arguments *a, int argc, char **argv, bool speaks)
{
    static const struct option options[] = {{"weights", required_argument, NULL, 'w'},
                                            {"ema", no_argument, NULL, 'e'},
                                            {"top", required_argument, NULL, 'k'},
                                            {"lanes", required_argument, NULL, 'l'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    opterr = 0;
    optind = 1;
    int option;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return speaks ? cli_bad_option(&command_predict, option, argv) : CLI_USAGE;
        const int result = parse_option(a, option, speaks);
        if (result != CLI_DONE)
            return result;
    }
    a->files = argv + optind;
    a->n_files = argc - optind;
    if (!a->weights)
        return usage(speaks, "--weights FILE is missing: %s", "a checkpoint");
    if (a->n_files == 0)
        return usage(speaks, "which IMAGE? %s", "name at least one");
    return CLI_DONE;
}

static void print_text(const convoy_prediction *found)
{
    char prefix[32];
    cli_print_line(stdout, "", found->file);
    for (int k = 0; k < found->n_top; k++) {
        snprintf(prefix, sizeof prefix, "  %6.2f %%  ",
                 100 * found->top[k].probability);
        cli_print_line(stdout, prefix, found->top[k].name);
    }
}

static void print_json(convoy_json *json, const convoy_prediction *found)
{
    convoy_json_begin_object(json, NULL);
    convoy_json_text(json, "file", found->file);
    convoy_json_begin_list(json, "top");
    for (int k = 0; k < found->n_top; k++) {
        convoy_json_begin_object(json, NULL);
        convoy_json_integer(json, "index", found->top[k].index);
        convoy_json_text(json, "class", found->top[k].name);
        convoy_json_number(json, "probability", found->top[k].probability);
        convoy_json_end(json);
    }
    convoy_json_end(json);
    convoy_json_end(json);
}

static void show(void *context, const convoy_prediction *found)
{
    struct output *output = context;
    if (found->error) {
        cli_print_line(stderr, "convoy: ", found->error);
        output->n_failed++;
        return;
    }
    if (!output->is_json)
        print_text(found);
    else if (output->n_done == 0)
        convoy_json_begin_list(&output->json, NULL);
    if (output->is_json)
        print_json(&output->json, found);
    output->n_done++;
}

static int predict(const struct arguments *a)
{
    struct output output = {
        .is_json = a->json,
        .json = {.stream = stdout, .style = CONVOY_JSON_LINES},
    };
    convoy_status status =
        convoy_predict_run(a->weights, (const char *const *)a->files,
                           (size_t)a->n_files, &a->options, show, &output);
    /* Without a single result a failure leaves nothing on stdout. */
    if (a->json && output.n_done > 0)
        convoy_json_end(&output.json);
    else if (a->json && status == CONVOY_OK)
        puts("[]");
    if (status != CONVOY_OK)
        return cli_finish(status);
    return output.n_failed > 0 ? CLI_FAILED : CLI_DONE;
}

static int run(int argc, char **argv)
{
    convoy_world *world = NULL;
    struct arguments arguments = {0};
    if (convoy_world_create(&world) != CONVOY_OK)
        return cli_finish(CONVOY_ERROR_LIBRARY);
    const bool speaks = convoy_world_rank(world) == 0;
    int result = parse(&arguments, argc, argv, speaks);
    if (result == CLI_DONE && convoy_world_size(world) > 1)
        result = usage(speaks, "works in one process, not in several: %s",
                       "start it without mpirun");
    if (result == CLI_DONE)
        result = predict(&arguments);
    convoy_world_destroy(world);
    return result;
}

const struct command command_predict = {
    .name = "predict",
    .synopsis = "predict --weights FILE IMAGE... [--json]",
    .summary = "the most probable classes of images",
    .help =
        "  --weights FILE    a checkpoint of convoy train or imported weights\n"
        "  --ema             the averaged weights in it, in place of the others (of a\n"
        "                    training with ema.decay)\n"
        "  --top K           classes an image (default: 5)\n"
        "  --json            a JSON list, in the order of the images:\n"
        "                    [{\"file\", \"top\": [{\"index\", \"class\", "
        "\"probability\"}, ...]}, ...]\n"
        "  --lanes N         images at a time (default: as cores and memory allow)\n"
        "  --threads N       OpenMP threads of a lane (default: 1)\n"
        "\n"
        "Images are JPEG or PNG files, prepared as convoy eval prepares those of a "
        "pack.\n"
        "One that cannot be used is named on stderr and left out; the exit status is "
        "then 1.\n"
        "Works in one process: more than one MPI rank is refused.\n"
        "\n"
        "Example: convoy predict --weights runs/a/checkpoints/step-00009370.h5 "
        "*.jpg\n",
    .run = run,
};
