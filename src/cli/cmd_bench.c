/* convoy bench: the kinds of it; and bench model NAME, the speed and memory of a
 * training step on this machine. */
#include "cli/bench.h"
#include "cli/cli.h"

#include <convoy/bench.h>
#include <convoy/json.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COSTS = 128 };

struct costs {
    convoy_bench_cost items[MAX_COSTS];
    int n;
};

struct arguments {
    convoy_bench_model_options options;
    bool json, profile;
};

static void keep_cost(void *context, const convoy_bench_cost *cost)
{
    struct costs *costs = context;
    if (costs->n < MAX_COSTS)
        costs->items[costs->n++] = *cost;
}

/* By CPU time, where that was measured. */
static double length_of(const convoy_bench_cost *cost)
{
    return cost->cpu_seconds > 0 ? cost->cpu_seconds : cost->seconds;
}

static int longest_first(const void *a, const void *b)
{
    const double x = length_of(a), y = length_of(b);
    return (x < y) - (x > y);
}

static double total_s(const struct costs *costs)
{
    double total = 0;
    for (int i = 0; i < costs->n; i++)
        total += costs->items[i].seconds;
    return total;
}

static void print_profile(const struct costs *costs)
{
    const double total = total_s(costs);
    printf("%-22s %-9s %-7s %9s %6s\n", "work", "pass", "by", "ms a step", "share");
    for (int i = 0; i < costs->n; i++) {
        const convoy_bench_cost *c = &costs->items[i];
        printf("%-22s %-9s %-7s %9.2f %5.1f%%\n", c->kind, c->phase,
               c->primitive ? "oneDNN" : "convoy", 1e3 * c->seconds,
               100 * c->seconds / total);
    }
}

/* limit_s 0: nothing that counts. */
static void print_limit_row(const char *kind, const char *phase, double limit_s,
                            double ours_s)
{
    printf("%-22s %-9s ", kind, phase);
    if (limit_s > 0)
        printf("%9.2f %9.2f %6.1f%%\n", 1e3 * limit_s, 1e3 * ours_s,
               100 * limit_s / ours_s);
    else
        printf("%9s %9.2f\n", "-", 1e3 * ours_s);
}

/* All work, then what is left of the step, and all of it. */
static void print_limit(const struct costs *costs, const convoy_bench_model_result *r)
{
    const double step_s = r->limit_cpu_s / r->limit_cpu_share;
    double rest_s = step_s;
    printf("%-22s %-9s %9s %9s %7s\n", "work", "pass", "limit ms", "ours ms", "share");
    for (int i = 0; i < costs->n; i++) {
        const convoy_bench_cost *c = &costs->items[i];
        print_limit_row(c->kind, c->phase, c->limit_seconds, c->cpu_seconds);
        rest_s -= c->cpu_seconds;
    }
    if (rest_s > 0)
        print_limit_row("all else", "", 0, rest_s);
    print_limit_row("step", "", r->limit_cpu_s, step_s);
}

static void print(const convoy_bench_model_options *o,
                  const convoy_bench_model_result *r)
{
    const double gib = 1 << 30;
    printf(
        "%s%s%s on [%d, %d, %d], batch %d x %d, %d lane%s of %d thread%s: %.2f img/s "
        "(best %.2f, by CPU time %.2f), peak %.2f GiB (%.2f planned), %lld "
        "parameters",
        o->model, o->precision && strcmp(o->precision, "bf16") == 0 ? " in bf16" : "",
        o->recompute   ? ", recomputing,"
        : o->blur_pool ? ", blurred,"
                       : "",
        r->shape[0], r->shape[1], r->shape[2], r->microbatches, r->microbatch, r->lanes,
        r->lanes == 1 ? "" : "s", r->threads, r->threads == 1 ? "" : "s",
        r->images_per_s, r->best_images_per_s, r->images_per_cpu_s,
        (double)r->peak_bytes / gib, (double)r->planned_bytes / gib,
        (long long)r->n_params);
    if (r->limit_share > 0)
        printf(", %.1f %% of the primitive limit (by CPU time %.1f)",
               100 * r->limit_share, 100 * r->limit_cpu_share);
    printf("\n");
}

static void print_json_limit(convoy_json *json, const convoy_bench_model_result *r,
                             const struct costs *costs)
{
    convoy_json_begin_object(json, "limit");
    convoy_json_number(json, "seconds", r->limit_s);
    convoy_json_number(json, "share", r->limit_share);
    convoy_json_number(json, "cpu_seconds", r->limit_cpu_s);
    convoy_json_number(json, "cpu_share", r->limit_cpu_share);
    convoy_json_begin_list(json, "work");
    for (int i = 0; i < costs->n; i++) {
        const convoy_bench_cost *cost = &costs->items[i];
        if (cost->limit_seconds <= 0)
            continue;
        convoy_json_begin_object(json, NULL);
        convoy_json_text(json, "kind", cost->kind);
        convoy_json_text(json, "pass", cost->phase);
        convoy_json_number(json, "limit_cpu_seconds", cost->limit_seconds);
        convoy_json_number(json, "cpu_seconds", cost->cpu_seconds);
        convoy_json_number(json, "share", cost->limit_seconds / cost->cpu_seconds);
        convoy_json_end(json);
    }
    convoy_json_end(json);
    convoy_json_end(json);
}

static const char *precision_of(const convoy_bench_model_options *o)
{
    return o->precision ? o->precision : "f32";
}

static void print_json(const convoy_bench_model_options *o,
                       const convoy_bench_model_result *r, const struct costs *costs)
{
    convoy_json json = {.stream = stdout};
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "model", o->model);
    convoy_json_text(&json, "precision", precision_of(o));
    convoy_json_integer(&json, "recompute", o->recompute);
    convoy_json_integer(&json, "blur_pool", o->blur_pool);
    convoy_json_integers(&json, "input", r->shape, 3);
    convoy_json_integer(&json, "microbatch", r->microbatch);
    convoy_json_integer(&json, "microbatches", r->microbatches);
    convoy_json_integer(&json, "lanes", r->lanes);
    convoy_json_integer(&json, "threads", r->threads);
    convoy_json_integer(&json, "steps", r->steps);
    convoy_json_integer(&json, "parameters", r->n_params);
    convoy_json_number(&json, "images_per_s", r->images_per_s);
    convoy_json_number(&json, "best_images_per_s", r->best_images_per_s);
    convoy_json_number(&json, "images_per_cpu_s", r->images_per_cpu_s);
    convoy_json_count(&json, "peak_bytes", r->peak_bytes);
    convoy_json_count(&json, "planned_bytes", r->planned_bytes);
    convoy_json_begin_list(&json, "costs");
    for (int i = 0; i < costs->n; i++) {
        const convoy_bench_cost *cost = &costs->items[i];
        convoy_json_begin_object(&json, NULL);
        convoy_json_text(&json, "kind", cost->kind);
        convoy_json_text(&json, "pass", cost->phase);
        convoy_json_text(&json, "by", cost->primitive ? "oneDNN" : "convoy");
        convoy_json_number(&json, "seconds", cost->seconds);
        convoy_json_end(&json);
    }
    convoy_json_end(&json);
    if (r->limit_share > 0)
        print_json_limit(&json, r, costs);
    convoy_json_end(&json);
}

static int bench_model(const struct arguments *a)
{
    convoy_bench_model_result result;
    struct costs costs = {.n = 0};
    convoy_status status = convoy_bench_model(&a->options, keep_cost, &costs, &result);
    if (status != CONVOY_OK)
        return cli_finish(status);
    qsort(costs.items, (size_t)costs.n, sizeof *costs.items, longest_first);
    if (a->json) {
        print_json(&a->options, &result, &costs);
    } else {
        print(&a->options, &result);
        if (a->profile)
            print_profile(&costs);
        if (a->options.limit)
            print_limit(&costs, &result);
    }
    return CLI_DONE;
}

/* The number that option sets; NULL: it takes none. */
static int *count_of(struct arguments *a, int option)
{
    switch (option) {
    case 'm':
        return &a->options.microbatch;
    case 'b':
        return &a->options.microbatches;
    case 'l':
        return &a->options.lanes;
    case 't':
        return &a->options.threads;
    case 's':
        return &a->options.steps;
    case 'i':
        return &a->options.size;
    case 'c':
        return &a->options.classes;
    default:
        return NULL;
    }
}

static int parse(struct arguments *a, int argc, char **argv)
{
    static const struct option options[] = {
        {"microbatch", required_argument, NULL, 'm'},
        {"microbatches", required_argument, NULL, 'b'},
        {"lanes", required_argument, NULL, 'l'},
        {"threads", required_argument, NULL, 't'},
        {"steps", required_argument, NULL, 's'},
        {"size", required_argument, NULL, 'i'},
        {"classes", required_argument, NULL, 'c'},
        {"precision", required_argument, NULL, 'p'},
        {"recompute", no_argument, NULL, 'r'},
        {"blur-pool", no_argument, NULL, 'B'},
        {"json", no_argument, NULL, 'j'},
        {"limit", no_argument, NULL, 'L'},
        {"profile", no_argument, NULL, 'f'},
        {NULL, 0, NULL, 0}};
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        int *count = count_of(a, option);
        if (option == '?' || option == ':')
            return cli_bad_option(&command_bench, option, argv);
        if (option == 'p' && strcmp(optarg, "f32") != 0 && strcmp(optarg, "bf16") != 0)
            return cli_usage(&command_bench, "--precision takes f32 or bf16, not '%s'",
                             optarg);
        if (option == 'p')
            a->options.precision = optarg;
        const int most =
            option == 't' || option == 'l' ? CLI_MAX_THREADS : CLI_MAX_COUNT;
        if (count && !cli_count(optarg, most, count))
            return cli_usage(&command_bench, "'%s' is no whole number from 1 to %d",
                             optarg, most);
        a->json = a->json || option == 'j';
        a->profile = a->profile || option == 'f';
        a->options.recompute = a->options.recompute || option == 'r';
        a->options.blur_pool = a->options.blur_pool || option == 'B';
        a->options.limit = a->options.limit || option == 'L';
    }
    if (optind + 2 != argc || strcmp(argv[optind], "model") != 0)
        return cli_usage(&command_bench,
                         "expected 'model NAME', 'loader PACK' or 'exchange'");
    a->options.model = argv[optind + 1];
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments arguments = {0};
    if (argc > 1 && strcmp(argv[1], "loader") == 0)
        return bench_loader(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "exchange") == 0)
        return bench_exchange(argc - 1, argv + 1);
    const int code = parse(&arguments, argc, argv);
    return code == CLI_DONE ? bench_model(&arguments) : code;
}

const struct command command_bench = {
    .name = "bench",
    .synopsis = "bench model NAME | loader PACK | exchange [options]",
    .summary = "speed of a model's training step, of loading, or of ranks' exchange",
    .help =
        "convoy bench model NAME\n"
        "  --microbatch N   samples of a microbatch (default 32)\n"
        "  --microbatches N of a step (default: one a lane)\n"
        "  --lanes N        microbatches at a time (default: as cores and memory "
        "allow)\n"
        "  --threads N      OpenMP threads of a lane (default 1)\n"
        "  --steps N        steps to time, after one that is not (default 5)\n"
        "  --size N         pixels a side (default: the model's own)\n"
        "  --classes N      (default: the model's own)\n"
        "  --precision TYPE f32 or bf16, of activations and products (default f32)\n"
        "  --recompute      as train.recompute of recipes: less memory, more time\n"
        "  --blur-pool      as model.blur_pool of recipes\n"
        "  --profile        also the time by kind of work\n"
        "  --limit          also the step's share of its primitives' time alone\n"
        "  --json           one JSON object, the profile included\n"
        "\n"
        "A step is forward, backward, the sum of gradients and the default optimizer "
        "on\n"
        "random samples in one process: no loading, no exchange. img/s is of the "
        "median\n"
        "step; by CPU time: as if no lane had waited for a core. Planned is the memory "
        "of\n"
        "all lanes' activations. The profile is of one lane, in the mean. The limit is "
        "what\n"
        "oneDNN's primitives take that the net needs, each alone and in the layouts it "
        "likes\n"
        "best, by the CPU time of one lane; docs/performance.md says what counts.\n"
        "\n"
        "convoy bench loader PACK\n"
        "  --threads N      threads that load (default 1)\n"
        "  --images N       images a round, of which the median counts (default 1024)\n"
        "  --crop N         pixels a side (default 224; raw records as they are)\n"
        "  --exact          always decode in full resolution\n"
        "  --augment        all of it with every augmentation, mixup and cutmix too\n"
        "  --json           one JSON object\n"
        "\n"
        "Training samples with random resized crop and flip, as images a second of "
        "one\n"
        "core's time: each stage by itself, and all of it.\n"
        "\n"
        "convoy bench exchange, started with mpirun or srun\n"
        "  --from KIB       the shortest vector (default 4)\n"
        "  --to KIB         the longest (default 524288, or what memory holds)\n"
        "  --bucket MIB     of a vector that travel together (default: as training "
        "does)\n"
        "  --rounds N       timed of each length (default: 3 to 200)\n"
        "  --json           one JSON object\n"
        "\n"
        "How fast ranks sum vectors, by each algorithm that exchange.algorithm can "
        "name and\n"
        "by MPI_Allreduce out of place and MPI_Iallreduce in place: the slowest rank's "
        "time,\n"
        "and the bus bandwidth, 2 (ranks - 1) / ranks bytes a second, to hold against "
        "the\n"
        "speed of a link. docs/exchange.md says more.\n"
        "\n"
        "Example: convoy bench model resnet50 --lanes 2 --microbatch 16 --profile\n"
        "         convoy bench loader train.h5 --threads 2\n"
        "         srun convoy bench exchange --from 1024\n",
    .run = run,
};
