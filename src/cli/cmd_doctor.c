/* convoy doctor: is this job right for a training? */
#include "cli/cli.h"
#include "cli/info_recipe.h"

#include <convoy/doctor.h>
#include <convoy/json.h>

#include <getopt.h>
#include <stdlib.h>

struct arguments {
    convoy_doctor_options options;
    const char **overrides; /* [room for argc] */
    bool json;
};

static int usage(bool speaks, const char *text, const char *argument)
{
    return speaks ? cli_usage(&command_doctor, text, argument) : CLI_USAGE;
}

static int parse(void *arguments, int argc, char **argv, bool speaks)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"set", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    struct arguments *a = arguments;
    convoy_doctor_options *o = &a->options;
    int option;
    opterr = 0;
    optind = 0; /* from the start, whatever was parsed before */
    *o = (convoy_doctor_options){.overrides = a->overrides};
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == 'j')
            a->json = true;
        else if (option == 's')
            a->overrides[o->n_overrides++] = optarg;
        else
            return speaks ? cli_bad_option(&command_doctor, option, argv) : CLI_USAGE;
    }
    if (argc - optind > 1)
        return usage(speaks, "one RECIPE or PACK at a time, not also '%s'",
                     argv[optind + 1]);
    const char *name = optind < argc ? argv[optind] : NULL;
    if (name && info_is_recipe(name))
        o->recipe = name;
    else
        o->pack = name;
    if (o->n_overrides > 0 && !o->recipe)
        return usage(speaks,
                     "--set is for a recipe, whose name ends in .yaml or .yml%s", "");
    return CLI_DONE;
}

static void print(const convoy_finding *findings, int n)
{
    char prefix[64], text[sizeof findings->text + sizeof findings->fix + 16];
    for (int i = 0; i < n; i++) {
        const convoy_finding *found = &findings[i];
        snprintf(prefix, sizeof prefix, "%-5s  %-13s  ",
                 convoy_level_name(found->level), found->check);
        snprintf(text, sizeof text, "%s%s%s", found->text, *found->fix ? " -> " : "",
                 found->fix);
        cli_print_line(stdout, prefix, text);
    }
}

static void print_json(const convoy_finding *findings, int n, convoy_level verdict)
{
    convoy_json json = {.stream = stdout, .style = CONVOY_JSON_LINES};
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "verdict", convoy_level_name(verdict));
    convoy_json_begin_list(&json, "findings");
    for (int i = 0; i < n; i++) {
        convoy_json_begin_object(&json, NULL);
        convoy_json_text(&json, "level", convoy_level_name(findings[i].level));
        convoy_json_text(&json, "check", findings[i].check);
        convoy_json_text(&json, "text", findings[i].text);
        convoy_json_text(&json, "fix", *findings[i].fix ? findings[i].fix : NULL);
        convoy_json_end(&json);
    }
    convoy_json_end(&json);
    convoy_json_end(&json);
}

static int show(const convoy_doctor *doctor, bool json)
{
    int n = 0;
    const convoy_level verdict = convoy_doctor_verdict(doctor);
    const convoy_finding *findings = convoy_doctor_findings(doctor, &n);
    if (n > 0 && json)
        print_json(findings, n, verdict);
    else if (n > 0)
        print(findings, n);
    return verdict == CONVOY_LEVEL_WRONG ? CLI_FAILED : CLI_DONE;
}

/* Ranks that run different versions are what it looks for: no cli_parse_together. */
static int run_in(convoy_world *world, convoy_doctor *doctor, const struct arguments *a)
{
    const convoy_status status = convoy_doctor_examine(doctor, world);
    if (status != CONVOY_OK)
        return cli_finish_together(world, status);
    return show(doctor, a->json);
}

/* The command line is read before MPI starts; where it is wrong, on some ranks or on
 * all, the lowest of these says so after, and no rank examines. */
static int run_parsed(struct arguments *a, int argc, char **argv)
{
    convoy_world *world = NULL;
    convoy_doctor *doctor = NULL;
    int result = CLI_DONE;
    const bool is_right = parse(a, argc, argv, false) == CLI_DONE;
    const convoy_status created =
        is_right ? convoy_doctor_create(&a->options, &doctor) : CONVOY_ERROR_ARGUMENT;
    if (doctor && convoy_doctor_warning(doctor))
        cli_print_line(stderr, "convoy doctor: ", convoy_doctor_warning(doctor));
    /* Whatever came before: the other ranks wait for this one where MPI starts. */
    convoy_status status = convoy_world_create(&world);
    if (status == CONVOY_OK) {
        status = convoy_world_agree(world, created);
        cli_tell_launched(world);
    }
    if (status == CONVOY_OK)
        result = run_in(world, doctor, a);
    else if (world && !is_right)
        result = parse(a, argc, argv, status == created);
    else
        result = cli_finish_together(world, status);
    convoy_doctor_destroy(doctor);
    convoy_world_destroy(world);
    return result;
}

static int run(int argc, char **argv)
{
    struct arguments arguments = {0};
    arguments.overrides = cli_new_words(argc);
    if (!arguments.overrides)
        return CLI_FAILED;
    const int result = run_parsed(&arguments, argc, argv);
    free(arguments.overrides);
    return result;
}

const struct command command_doctor = {
    .name = "doctor",
    .synopsis = "doctor [RECIPE.yaml|PACK] [--json] [--set key.path=value]",
    .summary =
        "tell what is wrong with a job before it trains; started as the training",
    .help =
        "  RECIPE.yaml           the training that the job is for: its plan of memory, "
        "its\n"
        "                        packs\n"
        "  PACK                  a pack alone\n"
        "  --set key.path=value  replace a value of the recipe; can be repeated\n"
        "  --json                one JSON object: verdict, and findings with level, "
        "check,\n"
        "                        text and fix\n"
        "\n"
        "Start it in the place of the training, in the same job: with srun or mpirun, "
        "and\n"
        "the same options. It looks at ranks, cores, versions, speed, network, memory, "
        "files\n"
        "and, in a job of Slurm's, at what happens at its end; some seconds. A line a\n"
        "finding: OK, look (works, but slower or less safe than it could be) or wrong, "
        "and\n"
        "behind -> what mends it. The exit status is 1 where something is wrong.\n"
        "Quotas are not seen where the file system does not tell them.\n"
        "docs/troubleshooting.md says more about each.\n"
        "\n"
        "Example: srun convoy doctor recipe.yaml\n"
        "         mpirun -np 2 convoy doctor packs/train.h5\n",
    .run = run,
};
