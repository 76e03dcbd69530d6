/* convoy landscape: the loss along a line, or on a plane, through a net's weights. */
#include "cli/cli.h"

#include <convoy/json.h>
#include <convoy/landscape.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    const char *weights, *data, *folder;
    double top; /* of drawings; 0: as the losses are */
    convoy_landscape_options options;
    bool json, quiet;
};

static int usage(bool speaks, const char *text, const char *argument)
{
    return speaks ? cli_usage(&command_landscape, text, argument) : CLI_USAGE;
}

/* "-1:1" into two finite numbers, the first below the second. */
static bool parse_range(const char *text, double *low, double *high)
{
    char *end = NULL;
    *low = strtod(text, &end);
    if (end == text || *end != ':')
        return false;
    const char *second = end + 1;
    *high = strtod(second, &end);
    return end != second && *end == '\0' && isfinite(*low) && isfinite(*high) &&
           *low < *high;
}

/* A whole number from 0 to 2^63 - 1: what a file's attribute can hold. */
static bool parse_seed(const char *text, uint64_t *seed)
{
    char *end = NULL;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < 0)
        return false;
    *seed = (uint64_t)value;
    return true;
}

static bool parse_samples(const char *text, uint64_t *samples)
{
    return parse_seed(text, samples) && *samples > 0;
}

/* A number above 0. */
static bool parse_top(const char *text, double *top)
{
    char *end = NULL;
    *top = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*top) && *top > 0;
}

/* Those of the points. */
static int parse_grid(struct arguments *a, int option, bool speaks)
{
    convoy_landscape_options *o = &a->options;
    switch (option) {
    case 'n':
        if (!cli_count(optarg, CONVOY_LANDSCAPE_MAX_POINTS, &o->points) ||
            o->points < 2)
            return usage(speaks,
                         "--points takes a whole number from 2 to 1001, not '%s'",
                         optarg);
        break;
    case 'r':
        if (!parse_range(optarg, &o->low, &o->high))
            return usage(speaks,
                         "--range takes two numbers such as -1:1, the first below the "
                         "second, not '%s'",
                         optarg);
        break;
    case '1':
        o->line = true;
        break;
    case 's':
        if (!parse_seed(optarg, &o->seed))
            return usage(speaks, "--seed takes a whole number from 0 on, not '%s'",
                         optarg);
        break;
    case 'N':
        if (!parse_samples(optarg, &o->samples))
            return usage(speaks, "--samples takes a whole number above 0, not '%s'",
                         optarg);
        break;
    }
    return CLI_DONE;
}

/* Those of how a point is computed. */
static int parse_evaluation(struct arguments *a, int option, bool speaks)
{
    convoy_landscape_options *o = &a->options;
    switch (option) {
    case 'e':
        o->ema = true;
        break;
    case 'l':
        if (!cli_count(optarg, CLI_MAX_THREADS, &o->lanes))
            return usage(speaks,
                         "--lanes takes a whole number from 1 to 4096, not '%s'",
                         optarg);
        break;
    case 't':
        if (!cli_count(optarg, CLI_MAX_THREADS, &o->threads))
            return usage(speaks,
                         "--threads takes a whole number from 1 to 4096, not '%s'",
                         optarg);
        break;
    case 'm':
        if (!cli_count(optarg, CLI_MAX_COUNT, &o->microbatch))
            return usage(speaks, "--microbatch takes a whole number above 0, not '%s'",
                         optarg);
        break;
    case 'p':
        if (strcmp(optarg, "f32") != 0 && strcmp(optarg, "bf16") != 0)
            return usage(speaks, "--precision takes f32 or bf16, not '%s'", optarg);
        o->precision = optarg;
        break;
    }
    return CLI_DONE;
}

static int parse_option(struct arguments *a, int option, bool speaks)
{
    switch (option) {
    case 'w':
        a->weights = optarg;
        return CLI_DONE;
    case 'd':
        a->data = optarg;
        return CLI_DONE;
    case 'o':
        a->folder = optarg;
        return CLI_DONE;
    case 'T':
        if (!parse_top(optarg, &a->top))
            return usage(speaks, "--top takes a loss above 0, not '%s'", optarg);
        return CLI_DONE;
    case 'j':
        a->json = true;
        return CLI_DONE;
    case 'q':
        a->quiet = true;
        return CLI_DONE;
    }
    const int result = parse_grid(a, option, speaks);
    return result == CLI_DONE ? parse_evaluation(a, option, speaks) : result;
}

static int check(const struct arguments *a, bool speaks)
{
    if (!a->weights)
        return usage(speaks, "--weights FILE is missing: %s", "a checkpoint");
    if (!a->data)
        return usage(speaks, "--data PACK is missing: %s", "what losses are of");
    if (!a->folder)
        return usage(speaks, "-o FOLDER is missing: %s", "where the numbers go");
    return CLI_DONE;
}

static int parse(void *arguments, int argc, char **argv, bool speaks)
{
    static const struct option options[] = {
        {"weights", required_argument, NULL, 'w'},
        {"data", required_argument, NULL, 'd'},
        {"out", required_argument, NULL, 'o'},
        {"points", required_argument, NULL, 'n'},
        {"range", required_argument, NULL, 'r'},
        {"1d", no_argument, NULL, '1'},
        {"seed", required_argument, NULL, 's'},
        {"samples", required_argument, NULL, 'N'},
        {"ema", no_argument, NULL, 'e'},
        {"lanes", required_argument, NULL, 'l'},
        {"threads", required_argument, NULL, 't'},
        {"microbatch", required_argument, NULL, 'm'},
        {"precision", required_argument, NULL, 'p'},
        {"top", required_argument, NULL, 'T'},
        {"json", no_argument, NULL, 'j'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0}};
    struct arguments *a = arguments;
    opterr = 0;
    optind = 0; /* from the start, whatever was parsed before */
    int option;
    while ((option = getopt_long(argc, argv, ":o:q", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return speaks ? cli_bad_option(&command_landscape, option, argv)
                          : CLI_USAGE;
        const int result = parse_option(a, option, speaks);
        if (result != CLI_DONE)
            return result;
    }
    if (optind < argc)
        return usage(speaks, "'%s' is no option", argv[optind]);
    return check(a, speaks);
}

static void show(void *context, uint64_t done, uint64_t total)
{
    cli_progress_show(context, "landscape", done, total, "");
}

static void print_json(const convoy_landscape_result *r)
{
    convoy_json json = {.stream = stdout};
    convoy_json_begin_object(&json, NULL);
    convoy_json_count(&json, "points", r->n_points);
    convoy_json_count(&json, "points_before", r->n_before);
    convoy_json_count(&json, "points_not_finite", r->n_not_finite);
    convoy_json_count(&json, "samples", r->n_samples);
    convoy_json_number(&json, "centre_distance", r->centre_distance);
    convoy_json_number(&json, "centre_loss", r->centre_loss);
    convoy_json_number(&json, "centre_top1", r->centre_top1);
    convoy_json_number(&json, "least_loss", r->least);
    convoy_json_number(&json, "most_loss", r->most);
    convoy_json_end(&json);
}

static void print_losses(const convoy_landscape_result *r)
{
    if (r->n_not_finite == r->n_points) {
        printf("none with a finite loss: nothing to be drawn\n");
        return;
    }
    printf("loss from %.4g to %.4g", r->least, r->most);
    if (r->centre_distance > 0)
        printf("; %.4g at the point nearest to the net, %.3g away from it\n",
               r->centre_loss, r->centre_distance);
    else
        printf("; %.4g at the net itself, with %.2f %% right\n", r->centre_loss,
               100 * r->centre_top1);
    if (r->n_not_finite > 0)
        printf("points without a finite loss, holes in the pictures: %llu\n",
               (unsigned long long)r->n_not_finite);
}

static void print(const struct arguments *a, const convoy_landscape_result *r)
{
    if (r->n_before > 0)
        printf("%llu of %llu points were there already\n",
               (unsigned long long)r->n_before, (unsigned long long)r->n_points);
    printf("%llu points, each a mean over %llu samples: ",
           (unsigned long long)r->n_points, (unsigned long long)r->n_samples);
    print_losses(r);
    printf("numbers: ");
    cli_put_text(stdout, a->folder);
    printf("/surface.h5, ");
    cli_put_text(stdout, a->folder);
    printf("/directions.h5\n");
}

static int run_in(convoy_world *world, struct arguments *a, bool *draws)
{
    convoy_landscape_result result = {0};
    struct cli_progress progress;
    cli_progress_start(&progress, a->quiet);
    a->options.progress = show;
    a->options.context = &progress;
    const convoy_status status = convoy_landscape_run(world, a->weights, a->data,
                                                      a->folder, &a->options, &result);
    cli_progress_clear(&progress);
    if (status != CONVOY_OK)
        return cli_finish_together(world, status);
    *draws = convoy_world_rank(world) == 0;
    if (*draws && a->json)
        print_json(&result);
    else if (*draws)
        print(a, &result);
    return CLI_DONE;
}

/* Pictures are for people: where there is no gnuplot the numbers are there all the
 * same. */
static int draw(const struct arguments *a)
{
    const convoy_status status = convoy_landscape_draw(a->folder, a->top);
    if (status != CONVOY_OK && status != CONVOY_ERROR_IO)
        return cli_finish(status);
    if (status == CONVOY_ERROR_IO) {
        cli_print_line(stderr, "convoy: no pictures: ", convoy_status_text());
        return CLI_DONE;
    }
    if (!a->json) {
        printf("pictures: %s in ",
               a->options.line ? "line.svg" : "contours.svg and surface.svg");
        cli_put_text(stdout, a->folder);
        printf("\n");
    }
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    convoy_world *world = NULL;
    struct arguments arguments = {0};
    bool draws = false;
    const convoy_status status = convoy_world_create(&world);
    int result = cli_finish_together(world, status);
    if (status == CONVOY_OK)
        result = cli_parse_together(world, parse, &arguments, argc, argv);
    if (status == CONVOY_OK && result == CLI_DONE)
        result = run_in(world, &arguments, &draws);
    convoy_world_destroy(world);
    return draws ? draw(&arguments) : result;
}

const struct command command_landscape = {
    .name = "landscape",
    .synopsis = "landscape --weights FILE --data PACK -o FOLDER [--1d]",
    .summary = "the loss around a checkpoint's weights, as numbers and pictures",
    .help =
        "  --weights FILE    a checkpoint of convoy train\n"
        "  --data PACK       the pack that losses are of\n"
        "  -o, --out FOLDER  where surface.h5, directions.h5 and pictures go; an\n"
        "                    interrupted landscape that is there is gone on with\n"
        "  --points N        a side, 2 to 1001 (default: 51)\n"
        "  --range LOW:HIGH  of the coordinates (default: -1:1; 1 is as far as the\n"
        "                    weights are long, filter by filter)\n"
        "  --1d              along one direction: N points in place of N x N\n"
        "  --seed S          of the random directions (default: 0)\n"
        "  --samples N       about so many, evenly from the pack (default: all)\n"
        "  --ema             around the averaged weights in it\n"
        "  --lanes N         microbatches at a time on each rank (default: as its "
        "cores\n"
        "                    and memory allow)\n"
        "  --threads N       OpenMP threads of a lane (default: as trained)\n"
        "  --microbatch N    samples at a time (default: as trained)\n"
        "  --precision TYPE  f32 or bf16 (default: as trained)\n"
        "  --top LOSS        drawings are from a fiftieth of this loss to it, of any "
        "net;\n"
        "                    what is higher is cut off\n"
        "  --json            one JSON object: points, samples, losses\n"
        "  --quiet           no progress\n"
        "\n"
        "Ranks share the points: any number of them writes the same files. Pictures "
        "are\n"
        "SVG files and need gnuplot.\n"
        "\n"
        "Example: mpirun -n 4 convoy landscape --weights runs/a/weights.h5 --data "
        "train.h5 \\\n"
        "             --samples 2000 -o runs/a/landscape\n",
    .run = run,
};
