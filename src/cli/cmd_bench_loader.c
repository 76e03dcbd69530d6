/* convoy bench loader PACK: what loading training samples costs on this machine. */
#include "cli/bench.h"
#include "cli/cli.h"

#include <convoy/bench.h>
#include <convoy/json.h>

#include <getopt.h>
#include <stdio.h>

struct arguments {
    const char *pack;
    convoy_bench_loader_options options;
    bool json;
};

static void print_stage(const char *name, double speed, const char *what)
{
    if (speed > 0)
        printf("  %-10s %8.0f  %s\n", name, speed, what);
}

static void print(const struct arguments *a, const convoy_bench_loader_result *r)
{
    cli_put_text(stdout, a->pack);
    printf(" to [%d, %d, %d]: images a second of one core's time\n", r->shape[0],
           r->shape[1], r->shape[2]);
    print_stage("read", r->read, "from the file, with the checksum");
    print_stage("decode", r->decode, "whole images");
    print_stage("resize", r->resize, "random resized crops of them");
    print_stage("normalise", r->normalise, "to floats, a plane a channel");
    print_stage("all", r->all,
                a->options.augment ? "the loader, with every augmentation"
                                   : "the loader: only what is needed of each");
    printf("With %d thread%s: %.0f img/s, %.1f MB/s read\n", r->threads,
           r->threads > 1 ? "s" : "", r->images_per_s, r->mb_per_s);
}

static void print_json(const struct arguments *a, const convoy_bench_loader_result *r)
{
    convoy_json json = {.stream = stdout};
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "pack", a->pack);
    convoy_json_integers(&json, "input", r->shape, 3);
    convoy_json_integer(&json, "threads", r->threads);
    convoy_json_integer(&json, "images", r->images);
    convoy_json_bool(&json, "augment", a->options.augment);
    convoy_json_begin_object(&json, "images_per_s_per_core");
    convoy_json_number(&json, "read", r->read);
    convoy_json_number(&json, "decode", r->decode);
    convoy_json_number(&json, "resize", r->resize);
    convoy_json_number(&json, "normalise", r->normalise);
    convoy_json_number(&json, "all", r->all);
    convoy_json_end(&json);
    convoy_json_number(&json, "read_mb_per_s_per_core", r->read_mb_per_s);
    convoy_json_number(&json, "images_per_s", r->images_per_s);
    convoy_json_number(&json, "mb_per_s", r->mb_per_s);
    convoy_json_end(&json);
}

static int parse(struct arguments *a, int argc, char **argv)
{
    static const struct option options[] = {{"threads", required_argument, NULL, 't'},
                                            {"images", required_argument, NULL, 'n'},
                                            {"crop", required_argument, NULL, 'c'},
                                            {"exact", no_argument, NULL, 'e'},
                                            {"augment", no_argument, NULL, 'a'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return cli_bad_option(&command_bench, option, argv);
        int *count = option == 't'   ? &a->options.threads
                     : option == 'n' ? &a->options.images
                     : option == 'c' ? &a->options.crop
                                     : NULL;
        const int most = option == 't' ? CLI_MAX_THREADS : CLI_MAX_COUNT;
        if (count && !cli_count(optarg, most, count))
            return cli_usage(&command_bench, "'%s' is no whole number from 1 to %d",
                             optarg, most);
        a->options.exact = a->options.exact || option == 'e';
        a->options.augment = a->options.augment || option == 'a';
        a->json = a->json || option == 'j';
    }
    if (optind + 1 != argc)
        return cli_usage(&command_bench, "expected 'loader PACK'");
    a->pack = argv[optind];
    return CLI_DONE;
}

int bench_loader(int argc, char **argv)
{
    struct arguments arguments = {0};
    convoy_bench_loader_result result;
    const int code = parse(&arguments, argc, argv);
    if (code != CLI_DONE)
        return code;
    const convoy_status status =
        convoy_bench_loader(arguments.pack, &arguments.options, &result);
    if (status != CONVOY_OK)
        return cli_finish(status);
    if (arguments.json)
        print_json(&arguments, &result);
    else
        print(&arguments, &result);
    return CLI_DONE;
}
