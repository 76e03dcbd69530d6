/* convoy plan RUN: predicts how fast a training is on other numbers of nodes. */
#include "cli/cli.h"

#include <convoy/plan.h>

#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BENCHES = 64, MAX_RANKS = 4096, MAX_MICROBATCH = 1 << 20, MAX_MIB = 1024 };

enum style { TEXT, CSV, JSON };

struct arguments {
    convoy_plan_options options;
    int nodes[CONVOY_PLAN_MAX_ROWS];
    const char *benches[MAX_BENCHES];
    enum style style;
};

static int parse_nodes(struct arguments *a, char *text)
{
    char *rest = NULL;
    a->options.n_nodes = 0;
    if (!*text || *text == ',' || text[strlen(text) - 1] == ',' || strstr(text, ",,"))
        return cli_usage(&command_plan, "'%s' is no list such as 1,2,4,8", text);
    for (char *word = strtok_r(text, ",", &rest); word;
         word = strtok_r(NULL, ",", &rest)) {
        if (a->options.n_nodes == CONVOY_PLAN_MAX_ROWS)
            return cli_usage(&command_plan, "more than %d numbers of nodes",
                             CONVOY_PLAN_MAX_ROWS);
        if (!cli_count(word, CONVOY_PLAN_MAX_NODES, &a->nodes[a->options.n_nodes++]))
            return cli_usage(&command_plan,
                             "'%s' is no number of nodes: a whole number from 1 to %d",
                             word, CONVOY_PLAN_MAX_NODES);
    }
    return CLI_DONE;
}

static int parse_count(const char *name, int most, int *count)
{
    if (cli_count(optarg, most, count))
        return CLI_DONE;
    return cli_usage(&command_plan, "--%s: '%s' is no whole number from 1 to %d", name,
                     optarg, most);
}

static int parse_read(struct arguments *a)
{
    char *end;
    const double megabytes = strtod(optarg, &end);
    if (end == optarg || *end || !isfinite(megabytes) || megabytes <= 0)
        return cli_usage(&command_plan, "--read: '%s' is no number of MB/s above 0",
                         optarg);
    a->options.read_bytes_per_s = 1e6 * megabytes;
    return CLI_DONE;
}

static int add_bench(struct arguments *a)
{
    if (a->options.n_benches == MAX_BENCHES)
        return cli_usage(&command_plan, "more than %d times --bench", MAX_BENCHES);
    a->benches[a->options.n_benches++] = optarg;
    return CLI_DONE;
}

static int parse_option(struct arguments *a, int option)
{
    convoy_plan_options *o = &a->options;
    switch (option) {
    case 'n':
        return parse_nodes(a, optarg);
    case 'w':
        o->network = optarg;
        return CLI_DONE;
    case 'b':
        return add_bench(a);
    case 'W':
        o->weak = true;
        return CLI_DONE;
    case 'r':
        return parse_count("ranks-per-node", MAX_RANKS, &o->node_ranks);
    case 'm':
        return parse_count("microbatch", MAX_MICROBATCH, &o->microbatch);
    case 'k':
        return parse_count("bucket", MAX_MIB, &o->bucket_mib);
    case 'R':
        return parse_read(a);
    case 'c':
        a->style = CSV;
        return CLI_DONE;
    default:
        a->style = JSON;
        return CLI_DONE;
    }
}

static int parse(struct arguments *a, int argc, char **argv)
{
    static const struct option options[] = {
        {"nodes", required_argument, NULL, 'n'},
        {"network", required_argument, NULL, 'w'},
        {"bench", required_argument, NULL, 'b'},
        {"weak", no_argument, NULL, 'W'},
        {"ranks-per-node", required_argument, NULL, 'r'},
        {"microbatch", required_argument, NULL, 'm'},
        {"bucket", required_argument, NULL, 'k'},
        {"read", required_argument, NULL, 'R'},
        {"csv", no_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0}};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return cli_bad_option(&command_plan, option, argv);
        const int result = parse_option(a, option);
        if (result != CLI_DONE)
            return result;
    }
    if (optind + 1 != argc)
        return cli_usage(&command_plan, optind == argc
                                            ? "from which RUN? A run directory"
                                            : "one RUN at a time");
    if (a->options.n_nodes == 0)
        return cli_usage(&command_plan, "for how many nodes? Such as --nodes 1,2,4,8");
    return CLI_DONE;
}

/* An option that names something unknown is wrong usage, as any other. */
static int plan_from(const char *run, const struct arguments *a)
{
    static convoy_status (*const write[])(const convoy_plan *, FILE *) = {
        convoy_plan_write_text, convoy_plan_write_csv, convoy_plan_write_json};
    convoy_plan *plan = NULL;
    convoy_status status = convoy_plan_create(run, &a->options, &plan);
    if (status == CONVOY_ERROR_ARGUMENT)
        return cli_usage(&command_plan, "%s", convoy_status_text());
    if (status == CONVOY_OK)
        status = write[a->style](plan, stdout);
    convoy_plan_destroy(plan);
    return cli_finish(status);
}

static int run(int argc, char **argv)
{
    static struct arguments a;
    a.options.nodes = a.nodes;
    a.options.benches = a.benches;
    const int result = parse(&a, argc, argv);
    if (result != CLI_DONE)
        return result;
    return plan_from(argv[optind], &a);
}

const struct command command_plan = {
    .name = "plan",
    .synopsis = "plan RUN --nodes N,N... [--network NAME]",
    .summary = "how fast a training would be on other numbers of nodes, from a run",
    .help =
        "  RUN                 a run directory: of a training of 20 steps or more, "
        "best "
        "on\n"
        "                      two nodes or more, with the ranks a node that are "
        "meant\n"
        "  --nodes N,N...      numbers of nodes, such as 1,2,4,8,16\n"
        "  --network NAME      what messages cost (default: hdr100, or measured with "
        "--bench);\n"
        "                      or GBIT:LATENCY:OVERHEAD, in Gbit/s and microseconds\n"
        "  --bench FILE        fit them to what convoy bench exchange --json wrote; "
        "may "
        "come\n"
        "                      several times, best of several numbers of nodes\n"
        "  --weak              the batch grows with the nodes (default: it stays)\n"
        "  --ranks-per-node N  in place of the run's\n"
        "  --microbatch N      in place of the run's\n"
        "  --bucket MIB        in place of the run's exchange.bucket\n"
        "  --read MB/S         that all nodes together can read of the pack, at most\n"
        "  --csv, --json       the same rows for programs\n"
        "\n"
        "Below the table stand ranks a node, buckets and microbatches that would be "
        "faster.\n"
        "A prediction is as good as what it is made from: docs/scaling.md has the "
        "formulas,\n"
        "and how near they come.\n"
        "\n"
        "Example: convoy plan runs/a --nodes 1,2,4,8,16,32 --network hdr100\n"
        "         convoy plan runs/a --nodes 8,16 --bench exchange2.json --weak\n",
    .run = run,
};
