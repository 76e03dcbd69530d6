/* convoy bench exchange: how fast the ranks of this job sum vectors. All ranks measure,
 * the first one prints. */
#include "cli/bench.h"
#include "cli/cli.h"

#include <convoy/bench.h>
#include <convoy/json.h>

#include <getopt.h>
#include <stdio.h>

enum { MAX_TIMES = 512, MAX_KIB = 1 << 30, MAX_MIB = 1024, MAX_ROUNDS = 200 };

struct arguments {
    convoy_bench_exchange_options options;
    bool json;
};

struct times {
    convoy_bench_exchange_time items[MAX_TIMES]; /* for JSON */
    int n;
    bool prints; /* a line a length, as they come */
};

static void print_bytes(uint64_t bytes)
{
    if (bytes >= 1 << 20 && bytes % (1 << 20) == 0)
        printf("%5llu MiB", (unsigned long long)(bytes >> 20));
    else
        printf("%5llu KiB", (unsigned long long)(bytes >> 10));
}

static void print_head(const convoy_bench_exchange_time *times, int n)
{
    printf("%9s", "");
    for (int i = 0; i < n; i++)
        printf(" %18s", times[i].way);
    printf("\n%9s", "vector");
    for (int i = 0; i < n; i++)
        printf(" %10s %7s", "ms", "MB/s");
    printf("\n");
}

static void print_line(const convoy_bench_exchange_time *times, int n)
{
    print_bytes(times->bytes);
    for (int i = 0; i < n; i++)
        if (times[i].rounds > 0)
            printf(" %10.3f %7.*f", 1e3 * times[i].seconds,
                   times[i].bus_bytes_per_s < 1e8 ? 1 : 0,
                   1e-6 * times[i].bus_bytes_per_s);
        else
            printf(" %10s %7s", "-", "-");
    printf("\n");
    fflush(stdout); /* the next one may take a minute */
}

static void keep(void *context, const convoy_bench_exchange_time *times, int n)
{
    struct times *all = context;
    if (all->prints && all->n == 0)
        print_head(times, n);
    if (all->prints)
        print_line(times, n);
    for (int i = 0; i < n && all->n < MAX_TIMES; i++)
        if (times[i].rounds > 0)
            all->items[all->n++] = times[i];
}

static void print_end(const convoy_bench_exchange_result *r)
{
    printf("%d ranks on %d node%s; %s, MPI_Allreduce by %s.\n", r->ranks, r->nodes,
           r->nodes == 1 ? "" : "s", r->mpi, r->allreduce);
    if (r->left_out_bytes > 0) {
        printf("No memory is left for vectors of");
        print_bytes(r->left_out_bytes);
        printf(" and more.\n");
    }
}

static void print_json(const convoy_bench_exchange_result *r, const struct times *times,
                       uint64_t bucket_bytes)
{
    convoy_json json = {.stream = stdout, .style = CONVOY_JSON_LINES};
    convoy_json_begin_object(&json, NULL);
    convoy_json_integer(&json, "ranks", r->ranks);
    convoy_json_integer(&json, "nodes", r->nodes);
    convoy_json_text(&json, "mpi", r->mpi);
    convoy_json_text(&json, "allreduce", r->allreduce);
    convoy_json_count(&json, "left_out_bytes", r->left_out_bytes);
    convoy_json_count(&json, "bucket_bytes", bucket_bytes); /* 0: as training does */
    convoy_json_begin_list(&json, "times");
    for (int i = 0; i < times->n; i++) {
        const convoy_bench_exchange_time *time = &times->items[i];
        convoy_json_begin_object(&json, NULL);
        convoy_json_text(&json, "way", time->way);
        convoy_json_count(&json, "bytes", time->bytes);
        convoy_json_integer(&json, "rounds", time->rounds);
        convoy_json_number(&json, "seconds", time->seconds);
        convoy_json_number(&json, "least_seconds", time->least_seconds);
        convoy_json_number(&json, "bus_bytes_per_s", time->bus_bytes_per_s);
        convoy_json_end(&json);
    }
    convoy_json_end(&json);
    convoy_json_end(&json);
}

static int parse_option(struct arguments *a, int option, bool speaks)
{
    const int most = option == 'b' ? MAX_MIB : option == 'r' ? MAX_ROUNDS : MAX_KIB;
    int count = 0;
    if (option != 'j' && !cli_count(optarg, most, &count))
        return speaks ? cli_usage(&command_bench,
                                  "'%s' is no whole number from 1 to %d", optarg, most)
                      : CLI_USAGE;
    const uint64_t n = (uint64_t)count;
    if (option == 'j')
        a->json = true;
    else if (option == 'r')
        a->options.rounds = count;
    else if (option == 'b')
        a->options.bucket_bytes = n << 20;
    else if (option == 'f')
        a->options.least_bytes = n << 10;
    else
        a->options.most_bytes = n << 10;
    return CLI_DONE;
}

static int parse(void *arguments, int argc, char **argv, bool speaks)
{
    static const struct option options[] = {{"from", required_argument, NULL, 'f'},
                                            {"to", required_argument, NULL, 't'},
                                            {"bucket", required_argument, NULL, 'b'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    int option;
    opterr = 0;
    optind = 0; /* from the start, whatever was parsed before */
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return speaks ? cli_bad_option(&command_bench, option, argv) : CLI_USAGE;
        const int result = parse_option(arguments, option, speaks);
        if (result != CLI_DONE)
            return result;
    }
    if (optind != argc)
        return speaks
                   ? cli_usage(&command_bench, "'exchange' takes no '%s'", argv[optind])
                   : CLI_USAGE;
    return CLI_DONE;
}

static int run_in(convoy_world *world, const struct arguments *a)
{
    static struct times times;
    const bool is_first = convoy_world_rank(world) == 0;
    convoy_bench_exchange_result result;
    times.prints = is_first && !a->json;
    const convoy_status status =
        convoy_bench_exchange(world, &a->options, keep, &times, &result);
    if (status != CONVOY_OK)
        return cli_finish_together(world, status);
    if (is_first && a->json)
        print_json(&result, &times, a->options.bucket_bytes);
    else if (is_first)
        print_end(&result);
    return CLI_DONE;
}

int bench_exchange(int argc, char **argv)
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
