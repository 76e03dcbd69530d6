/* convoy eval: accuracy and loss of a checkpoint on a pack. */
#include "cli/cli.h"

#include <convoy/json.h>
#include <convoy/train.h>

#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SIDE = 1 << 16 };

struct arguments {
    const char *weights, *data;
    convoy_eval_options options;
    bool json, quiet;
};

static int usage(bool speaks, const char *text, const char *argument)
{
    return speaks ? cli_usage(&command_eval, text, argument) : CLI_USAGE;
}

/* The options that take a whole number. */
static const struct number {
    int option, most;
    size_t offset;     /* of an int in convoy_eval_options */
    const char *wrong; /* to say of a text that is no such number */
} numbers[] = {
    {'l', CLI_MAX_THREADS, offsetof(convoy_eval_options, lanes),
     "--lanes takes a whole number from 1 to 4096, not '%s'"},
    {'t', CLI_MAX_THREADS, offsetof(convoy_eval_options, threads),
     "--threads takes a whole number from 1 to 4096, not '%s'"},
    {'m', CLI_MAX_COUNT, offsetof(convoy_eval_options, microbatch),
     "--microbatch takes a whole number above 0, not '%s'"},
    {'c', MAX_SIDE, offsetof(convoy_eval_options, crop),
     "--crop takes a whole number from 1 to 65536, not '%s'"},
    {'r', MAX_SIDE, offsetof(convoy_eval_options, resize),
     "--resize takes a whole number from 1 to 65536, not '%s'"},
};

static int parse_number(struct arguments *a, int option, bool speaks)
{
    size_t i = 0;
    while (i + 1 < sizeof numbers / sizeof *numbers && numbers[i].option != option)
        i++;
    void *value = (char *)&a->options + numbers[i].offset;
    return cli_count(optarg, numbers[i].most, value)
               ? CLI_DONE
               : usage(speaks, numbers[i].wrong, optarg);
}

static int parse_option(struct arguments *a, int option, bool speaks)
{
    switch (option) {
    case 'w':
        a->weights = optarg;
        break;
    case 'd':
        a->data = optarg;
        break;
    case 'b':
        if (strcmp(optarg, "running") != 0 && strcmp(optarg, "recompute") != 0)
            return usage(speaks, "--batch-norm takes running or recompute, not '%s'",
                         optarg);
        a->options.batch_norm = optarg;
        break;
    case 'e':
        a->options.ema = true;
        break;
    case 'p':
        if (strcmp(optarg, "f32") != 0 && strcmp(optarg, "bf16") != 0)
            return usage(speaks, "--precision takes f32 or bf16, not '%s'", optarg);
        a->options.precision = optarg;
        break;
    case 'f':
        a->options.flip = true;
        break;
    case 'j':
        a->json = true;
        break;
    case 'q':
        a->quiet = true;
        break;
    default:
        return parse_number(a, option, speaks);
    }
    return CLI_DONE;
}

static int parse(void *arguments, int argc, char **argv, bool speaks)
{
    static const struct option options[] = {
        {"weights", required_argument, NULL, 'w'},
        {"data", required_argument, NULL, 'd'},
        {"ema", no_argument, NULL, 'e'},
        {"batch-norm", required_argument, NULL, 'b'},
        {"lanes", required_argument, NULL, 'l'},
        {"threads", required_argument, NULL, 't'},
        {"microbatch", required_argument, NULL, 'm'},
        {"precision", required_argument, NULL, 'p'},
        {"crop", required_argument, NULL, 'c'},
        {"resize", required_argument, NULL, 'r'},
        {"flip", no_argument, NULL, 'f'},
        {"json", no_argument, NULL, 'j'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0}};
    struct arguments *a = arguments;
    opterr = 0;
    optind = 0; /* from the start, whatever was parsed before */
    int option;
    while ((option = getopt_long(argc, argv, ":q", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return speaks ? cli_bad_option(&command_eval, option, argv) : CLI_USAGE;
        const int result = parse_option(a, option, speaks);
        if (result != CLI_DONE)
            return result;
    }
    if (optind < argc)
        return usage(speaks, "'%s' is no option", argv[optind]);
    if (!a->weights)
        return usage(speaks, "--weights FILE is missing: %s", "a checkpoint");
    if (!a->data)
        return usage(speaks, "--data PACK is missing: %s", "what to evaluate on");
    return CLI_DONE;
}

static void show(void *context, uint64_t done, uint64_t total)
{
    cli_progress_show(context, "evaluating", done, total, "");
}

static void print_json(const convoy_eval_result *r)
{
    convoy_json json = {.stream = stdout};
    convoy_json_begin_object(&json, NULL);
    convoy_json_number(&json, "top1", r->top1);
    convoy_json_number(&json, "top5", r->top5);
    convoy_json_number(&json, "loss", r->loss);
    convoy_json_count(&json, "samples", r->n_samples);
    convoy_json_end(&json);
}

static void print(const convoy_eval_result *r)
{
    char loss[32] = "not finite";
    if (isfinite(r->loss))
        snprintf(loss, sizeof loss, "%.4f", r->loss);
    printf("top-1 %.2f %%  top-5 %.2f %%  loss %s  (%llu samples)\n", 100 * r->top1,
           100 * r->top5, loss, (unsigned long long)r->n_samples);
}

/* The figures, and the exit status that they come to. */
static int show_result(const struct arguments *a, const convoy_eval_result *r,
                       bool speaks)
{
    char text[8192 + 256];
    if (speaks)
        (a->json ? print_json : print)(r);
    if (isfinite(r->loss))
        return CLI_DONE;
    if (speaks) {
        fflush(stdout);
        snprintf(text, sizeof text,
                 "%.4000s: the loss on %.4000s is %s: the net's outputs are no longer "
                 "finite; the training diverged, an earlier checkpoint may be good",
                 a->weights, a->data, isnan(r->loss) ? "not a number" : "infinite");
        cli_print_line(stderr, "convoy: ", text);
    }
    return CLI_FAILED;
}

static int run_in(convoy_world *world, struct arguments *a)
{
    convoy_eval_result result = {0};
    struct cli_progress progress;
    cli_progress_start(&progress, a->quiet);
    a->options.progress = show;
    a->options.context = &progress;
    convoy_status status =
        convoy_eval_run(world, a->weights, a->data, &a->options, &result);
    cli_progress_clear(&progress);
    if (status == CONVOY_OK)
        return show_result(a, &result, convoy_world_rank(world) == 0);
    return cli_finish_together(world, status);
}

static int run(int argc, char **argv)
{
    convoy_world *world = NULL;
    struct arguments arguments = {0};
    const convoy_status status = convoy_world_create(&world);
    int result = cli_finish_together(world, status);
    if (status == CONVOY_OK)
        result = cli_parse_together(world, parse, &arguments, argc, argv);
    if (status == CONVOY_OK && result == CLI_DONE)
        result = run_in(world, &arguments);
    convoy_world_destroy(world);
    return result;
}

const struct command command_eval = {
    .name = "eval",
    .synopsis = "eval --weights FILE --data PACK [--json]",
    .summary = "top-1, top-5 and loss of a checkpoint on every sample of a pack",
    .help =
        "  --weights FILE    a checkpoint of convoy train\n"
        "  --data PACK       the pack to evaluate on\n"
        "  --ema             the averaged weights in it, in place of the others (of a\n"
        "                    training with ema.decay)\n"
        "  --batch-norm HOW  running: with the statistics in it; recompute: afresh, "
        "from\n"
        "                    batches of the pack that it was trained on (default: as "
        "the\n"
        "                    recipe's eval.batch_norm says)\n"
        "  --json            one JSON object: top1, top5 (shares), loss (null where it "
        "is\n"
        "                    not finite: the exit status is then 1), samples\n"
        "  --lanes N         microbatches at a time on each rank (default: as its "
        "cores\n"
        "                    and memory allow)\n"
        "  --threads N       OpenMP threads of a lane (default: as trained)\n"
        "  --microbatch N    samples at a time (default: as trained)\n"
        "  --precision TYPE  f32 or bf16 (default: as trained)\n"
        "  --crop N          pixels a side that the net sees (default: the recipe's\n"
        "                    data.val_crop): larger than in training is often better\n"
        "  --resize N        shorter side of image files before the crop\n"
        "  --flip            the mean over each image and its mirror image "
        "(eval.flip)\n"
        "  --quiet           no progress\n"
        "\n"
        "The result is the same on any number of ranks and cores. Images are prepared "
        "as\n"
        "the checkpoint's recipe says.\n"
        "\n"
        "Example: convoy eval --weights runs/a/checkpoints/step-00009370.h5 --data "
        "test.h5\n",
    .run = run,
};
