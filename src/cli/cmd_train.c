/* convoy train: options, signals, and what a person sees of a run. */
#include "cli/cli.h"

#include <convoy/train.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of ranks to trace. */
enum { MAX_RANGES = 64 };

struct arguments {
    const char *recipe;
    const char **overrides; /* [n_overrides], room for argc */
    int n_overrides;
    convoy_train_options options;
    uint64_t stop_after_steps;
    double max_minutes; /* 0: no limit */
    struct timespec begun;
    convoy_trace_options trace;
    convoy_range trace_ranks[MAX_RANGES];
    bool has_trace_choice;
    bool quiet;
};

/* What the callback draws with. */
struct view {
    struct cli_progress progress;
    bool quiet;
};

static volatile sig_atomic_t stop_signal;

/* Asks for a save. A second SIGINT, from an impatient person, ends the process as
 * usual; others do not: at a time limit Slurm sends SIGTERM twice, to the step and
 * through srun, and the save is still under way then. */
static void on_signal(int number)
{
    stop_signal = number;
    if (number == SIGINT)
        signal(number, SIG_DFL);
}

/* Whether hang-ups were ignored when the program was started, as nohup wants it. */
static bool hang_up_ignored;

/* Is called before the libraries' own beginnings: among MPI's is UCX, which takes the
 * signal for itself there. */
static void look_at_hang_up(void)
{
    struct sigaction now;
    hang_up_ignored = sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}
__attribute__((section(".preinit_array"),
               used)) static void (*first_of_all)(void) = look_at_hang_up;

static void catch_signals(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_flags = SA_RESTART;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        action.sa_handler =
            numbers[i] == SIGHUP && hang_up_ignored ? SIG_IGN : on_signal;
        sigaction(numbers[i], &action, NULL);
    }
}

static bool parse_steps(const char *text, uint64_t *steps)
{
    char *end = NULL;
    errno = 0;
    *steps = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool parse_minutes(const char *text, double *minutes)
{
    char *end = NULL;
    *minutes = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*minutes) && *minutes > 0;
}

/* "7" or "7-9" at *text, which then is behind it; no number above most. */
static bool parse_range(const char **text, uint64_t most, convoy_range *range)
{
    uint64_t *const ends[] = {&range->first, &range->last};
    for (int i = 0; i < 2; i++) {
        char *end = NULL;
        errno = 0;
        if (**text < '0' || **text > '9')
            return false;
        *ends[i] = strtoull(*text, &end, 10);
        if (errno != 0 || *ends[i] > most)
            return false;
        *text = end;
        if (i == 0 && *end != '-')
            range->last = range->first;
        if (*end != '-')
            break;
        (*text)++;
    }
    return (*text)[-1] != '-' && range->first <= range->last;
}

static bool parse_trace_steps(const char *text, convoy_range *steps)
{
    return parse_range(&text, UINT64_MAX, steps) && *text == '\0' && steps->first > 0;
}

static bool parse_trace_ranks(const char *text, struct arguments *a)
{
    convoy_trace_options *trace = &a->trace;
    trace->ranks = a->trace_ranks;
    for (trace->n_ranks = 0; trace->n_ranks < MAX_RANGES; text++) {
        if (!parse_range(&text, INT32_MAX, &a->trace_ranks[trace->n_ranks++]))
            return false;
        if (*text != ',')
            return *text == '\0';
    }
    return false;
}

/* On every rank; only the one that speaks prints. */
static int usage(bool speaks, const char *text, const char *argument)
{
    return speaks ? cli_usage(&command_train, text, argument) : CLI_USAGE;
}

static int parse_trace_option(struct arguments *a, int option, bool speaks)
{
    switch (option) {
    case 't':
        a->trace.file = optarg;
        a->options.trace = &a->trace;
        return CLI_DONE;
    case 'T':
        a->has_trace_choice = true;
        if (parse_trace_steps(optarg, &a->trace.steps))
            return CLI_DONE;
        return usage(speaks,
                     "--trace-steps takes steps from 1 on, A-B or one, not '%s'",
                     optarg);
    case 'R':
        a->has_trace_choice = true;
        if (parse_trace_ranks(optarg, a))
            return CLI_DONE;
        return usage(speaks,
                     "--trace-ranks takes ranks and ranges with commas between, such "
                     "as 0,4-7, not '%s'",
                     optarg);
    default:
        return usage(speaks, "%s is no option, or lacks its value", "");
    }
}

static int parse_option(struct arguments *a, int option, bool speaks)
{
    switch (option) {
    case 'o':
        a->options.out = optarg;
        return CLI_DONE;
    case 's':
        a->overrides[a->n_overrides++] = optarg;
        return CLI_DONE;
    case 'r':
        a->options.resume = optarg;
        return CLI_DONE;
    case 'a':
        a->options.resume_anyway = true;
        return CLI_DONE;
    case 'n':
        if (!parse_steps(optarg, &a->stop_after_steps))
            return usage(speaks, "--stop-after-steps takes a whole number, not '%s'",
                         optarg);
        a->options.stop_after_steps = &a->stop_after_steps;
        return CLI_DONE;
    case 'm':
        if (parse_minutes(optarg, &a->max_minutes))
            return CLI_DONE;
        return usage(speaks, "--max-minutes takes a number above 0, not '%s'", optarg);
    case 'b':
        a->options.oversubscribe = true;
        return CLI_DONE;
    case 'q':
        a->quiet = true;
        return CLI_DONE;
    default:
        return parse_trace_option(a, option, speaks);
    }
}

static int parse(void *arguments, int argc, char **argv, bool speaks)
{
    static const struct option options[] = {
        {"out", required_argument, NULL, 'o'},
        {"set", required_argument, NULL, 's'},
        {"resume", required_argument, NULL, 'r'},
        {"resume-anyway", no_argument, NULL, 'a'},
        {"stop-after-steps", required_argument, NULL, 'n'},
        {"max-minutes", required_argument, NULL, 'm'},
        {"oversubscribe", no_argument, NULL, 'b'},
        {"trace", required_argument, NULL, 't'},
        {"trace-steps", required_argument, NULL, 'T'},
        {"trace-ranks", required_argument, NULL, 'R'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0}};
    struct arguments *a = arguments;
    a->n_overrides = 0;
    opterr = 0;
    optind = 0; /* from the start, whatever was parsed before */
    int option;
    while ((option = getopt_long(argc, argv, ":o:q", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return speaks ? cli_bad_option(&command_train, option, argv) : CLI_USAGE;
        const int result = parse_option(a, option, speaks);
        if (result != CLI_DONE)
            return result;
    }
    if (optind >= argc)
        return usage(speaks, "which recipe? %s", "convoy train RECIPE.yaml --out DIR");
    a->recipe = argv[optind++];
    if (optind < argc)
        return usage(speaks, "one recipe at a time, not also '%s'", argv[optind]);
    if (!a->options.out)
        return usage(speaks, "--out DIR is missing: %s", "where the run's files go");
    if (a->has_trace_choice && !a->trace.file)
        return usage(speaks, "--trace FILE is missing: %s", "where the trace goes");
    return CLI_DONE;
}

static void show_epoch(const struct view *view, const convoy_train_report *report)
{
    if (view->quiet)
        return;
    printf("epoch %d/%d, step %llu: loss %.4f", report->epoch, report->epochs,
           (unsigned long long)report->step, report->loss);
    if (report->eval)
        printf(", validation top-1 %.2f %%, top-5 %.2f %%, loss %.4f",
               100 * report->eval->top1, 100 * report->eval->top5, report->eval->loss);
    if (report->ema)
        printf("; of averaged weights top-1 %.2f %%, top-5 %.2f %%, loss %.4f",
               100 * report->ema->top1, 100 * report->ema->top5, report->ema->loss);
    printf("\n");
    fflush(stdout);
}

/* Lines for programs that read the log (docs/run-directory.md): a key once, in this
 * order; what is not known has no line. */
static void print_count(const char *key, uint64_t value)
{
    printf("%s: %llu\n", key, (unsigned long long)value);
}

static void print_number(const char *key, double value)
{
    if (isfinite(value))
        printf("%s: %.6g\n", key, value);
}

/* Where the time of a step goes, in a line. */
static void print_parts(const convoy_rank_seconds *s, int ranks)
{
    if (s->steps == 0)
        return;
    printf("step_parts: compute %.4g s", s->compute.mean);
    if (ranks > 1)
        printf(" (%.4g to %.4g)", s->compute.least, s->compute.most);
    printf(", exchange %.4g s exposed", s->exchange.mean);
    if (ranks > 1)
        printf(" (%.4g to %.4g), %.4g s hidden (%.0f %%)", s->exchange.least,
               s->exchange.most, s->hidden.mean, 100 * s->hidden_share);
    printf(", input %.4g s, optimizer %.4g s", s->input.mean, s->optimizer.mean);
    if (ranks > 1)
        printf("; slowest rank %d on %s, busy %.4g s, all in the mean %.4g s",
               s->slowest, s->slowest_host, s->busy.most, s->busy.mean);
    printf("\n");
}

static void show_summary(const convoy_train_report *report)
{
    const convoy_train_summary *s = report->summary;
    print_count("steps", report->step);
    print_count("epochs", (uint64_t)report->epoch);
    print_count("steps_here", s->steps_here);
    print_number("seconds", s->seconds);
    print_number("step_s", s->step_s);
    print_number("images_per_s", s->images_per_s);
    print_parts(&s->of_ranks, s->ranks);
    print_number("loss", s->loss);
    if (s->has_eval) {
        print_number("val_loss", s->eval.loss);
        print_number("val_top1", s->eval.top1);
        print_number("val_top5", s->eval.top5);
    }
    if (s->has_ema) {
        print_number("ema_loss", s->ema.loss);
        print_number("ema_top1", s->ema.top1);
        print_number("ema_top5", s->ema.top5);
    }
    print_count("nodes", (uint64_t)s->nodes);
    print_count("ranks", (uint64_t)s->ranks);
    print_count("lanes", (uint64_t)s->lanes);
    print_count("cores", (uint64_t)s->cores);
    print_count("threads", (uint64_t)s->threads);
    print_count("batch", (uint64_t)s->batch);
    print_count("microbatch", (uint64_t)s->microbatch);
    print_count("peak_memory_bytes", s->peak_memory_bytes);
    cli_print_line(stdout, "checkpoint: ", s->checkpoint);
    printf("hash: %s\n", s->hash);
    fflush(stdout);
}

/* The epoch that the last step belongs to, also if it ends it. */
static int epoch_of_step(const convoy_train_report *report)
{
    const uint64_t steps_per_epoch = report->total_steps / (uint64_t)report->epochs;
    return (int)((report->step - 1) / steps_per_epoch) + 1;
}

static void show(void *context, const convoy_train_report *report)
{
    struct view *view = context;
    char note[128], label[64];
    switch (report->event) {
    case CONVOY_TRAIN_STARTED:
        if (!view->quiet)
            printf("%s\n", report->text);
        fflush(stdout);
        break;
    case CONVOY_TRAIN_STEP:
        snprintf(label, sizeof label, "epoch %d/%d", epoch_of_step(report),
                 report->epochs);
        snprintf(note, sizeof note,
                 "loss %.4f, %.0f img/s, input wait %.1f %%, %d loader thread%s",
                 report->loss, report->images_per_s, 100 * report->input_wait,
                 report->loader_threads, report->loader_threads > 1 ? "s" : "");
        cli_progress_show(&view->progress, label, report->step, report->total_steps,
                          note);
        break;
    case CONVOY_TRAIN_EVALUATING:
        break;
    case CONVOY_TRAIN_EPOCH:
        cli_progress_clear(&view->progress);
        show_epoch(view, report);
        break;
    case CONVOY_TRAIN_SAVED:
        break;
    case CONVOY_TRAIN_NOTE:
        cli_progress_clear(&view->progress);
        if (!view->quiet)
            printf("%s\n", report->text);
        fflush(stdout);
        break;
    case CONVOY_TRAIN_ENDED:
        cli_progress_clear(&view->progress);
        if (!view->quiet)
            show_summary(report);
        break;
    }
}

/* What is left of the limit, which counts from the program's beginning; 0: there is
 * none. */
static double left_s(const struct arguments *a)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const double gone_s = (double)(now.tv_sec - a->begun.tv_sec) +
                          (double)(now.tv_nsec - a->begun.tv_nsec) * 1e-9;
    const double left = 60 * a->max_minutes - gone_s, least = 1e-3;
    if (a->max_minutes <= 0)
        return 0;
    return left > least ? left : least;
}

static int run_in(convoy_world *world, const struct arguments *a)
{
    convoy_recipe *recipe = NULL;
    struct view view = {.quiet = a->quiet};
    cli_progress_start(&view.progress, a->quiet);
    convoy_train_options options = a->options;
    options.progress = show;
    options.context = &view;
    options.stop = &stop_signal;
    options.max_s = left_s(a);
    convoy_status status = convoy_world_agree(
        world, convoy_recipe_load(a->recipe, a->overrides, a->n_overrides, &recipe));
    if (status == CONVOY_OK)
        status = convoy_train_run(world, recipe, &options);
    cli_progress_clear(&view.progress);
    convoy_recipe_destroy(recipe);
    return cli_finish_together(world, status);
}

static int run(int argc, char **argv)
{
    convoy_world *world = NULL;
    struct arguments arguments = {0};
    clock_gettime(CLOCK_MONOTONIC, &arguments.begun);
    catch_signals();
    arguments.overrides = cli_new_words(argc);
    if (!arguments.overrides)
        return CLI_FAILED;
    const convoy_status status = convoy_world_create(&world);
    int result = cli_finish_together(world, status);
    if (status == CONVOY_OK)
        result = cli_parse_together(world, parse, &arguments, argc, argv);
    if (status == CONVOY_OK && result == CLI_DONE)
        result = run_in(world, &arguments);
    free(arguments.overrides);
    convoy_world_destroy(world);
    return result;
}

const struct command command_train = {
    .name = "train",
    .synopsis = "train RECIPE.yaml --out DIR [options]",
    .summary = "train a net as a recipe says; alone, or under mpirun or srun",
    .help =
        "  --out DIR             the run directory: recipe, metrics, checkpoints\n"
        "  --set key.path=value  replace a value of the recipe; can be repeated\n"
        "  --resume auto|never|FILE\n"
        "                        auto (default): go on from the newest good checkpoint "
        "in\n"
        "                        DIR, on any number of ranks; never: refuse a DIR that "
        "has\n"
        "                        one; FILE: go on from this checkpoint\n"
        "  --resume-anyway       go on, too, where recipe, pack or machine have "
        "changed "
        "so that\n"
        "                        other weights come of it; run.json notes what\n"
        "  --stop-after-steps N  save and end once N steps of the training are done;\n"
        "                        0 saves the initial weights\n"
        "  --max-minutes N       save and end with status 75 before N minutes are "
        "over, "
        "by\n"
        "                        what steps, evaluations and saves take; can be a "
        "fraction\n"
        "  --oversubscribe       let ranks and threads share cores, which is slow: for "
        "tests;\n"
        "                        else a launch that puts them so is refused, with the "
        "option\n"
        "                        of mpirun or srun that mends it\n"
        "  --trace FILE          write what lanes and exchange do in a few steps to "
        "FILE, "
        "for\n"
        "                        ui.perfetto.dev or chrome://tracing\n"
        "  --trace-steps A-B     these; default: the first three steady ones\n"
        "  --trace-ranks LIST    on these ranks, such as 0,4-7; default: the first 16\n"
        "  --quiet               no progress, no epoch lines, no closing lines\n"
        "\n"
        "A rank computes on the cores that it was given: one machine needs no mpirun. "
        "The\n"
        "weights are the same, bit for bit, on any number of ranks, machines and "
        "cores.\n"
        "\n"
        "SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 or SIGXCPU saves a checkpoint and "
        "ends\n"
        "with status 75: start the same command again to go on. A second SIGINT ends "
        "at\n"
        "once. In a Slurm job that tells its end (SLURM_JOB_END_TIME) the run saves "
        "and ends\n"
        "so before it. A recipe's keys: convoy info recipe.\n"
        "\n"
        "Example: convoy train jobs/recipes/fashion-mnist.yaml --out runs/a\n"
        "         mpirun -np 2 convoy train jobs/recipes/fashion-mnist.yaml --out "
        "runs/b\n",
    .run = run,
};
