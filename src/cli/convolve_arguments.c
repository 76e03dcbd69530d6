/* Three tasks share one command: an image under a kernel or a pooling, a signal, the
 * demonstration. What is of no use to the task that is meant is refused, so that
 * nothing that was said is passed over in silence. */
#include "cli/convolve_arguments.h"

#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WINDOW = 256, MAX_PLACE = 1 << 17 };

static int usage(const char *text, const char *argument)
{
    return cli_usage(&command_convolve, text, argument);
}

/* Whether text is a whole number from least to most, or two with a comma between. */
static bool parse_pair(const char *text, int least, int most, int pair[2])
{
    for (int d = 0; d < 2; d++) {
        char *end = NULL;
        if (*text < '0' || *text > '9')
            return false;
        const long value = strtol(text, &end, 10);
        if (value < least || value > most)
            return false;
        pair[d] = (int)value;
        if (d == 0 && *end == '\0') {
            pair[1] = pair[0];
            return true;
        }
        if (*end != (d == 0 ? ',' : '\0'))
            return false;
        text = end + 1;
    }
    return true;
}

/* One colour: its number, which is its name's. */
static bool parse_channel(const char *text, int *channel)
{
    static const char *const names[] = {"red", "green", "blue"};
    for (int c = 0; c < 3; c++)
        if (strcmp(text, names[c]) == 0 || (text[0] == '0' + c && text[1] == '\0')) {
            *channel = c;
            return true;
        }
    return false;
}

static int parse_size(struct convolve_arguments *a, const char *name, int least,
                      int pair[2])
{
    if (strchr(optarg, ','))
        a->pair = name;
    if (parse_pair(optarg, least, MAX_WINDOW, pair))
        return CLI_DONE;
    return cli_usage(&command_convolve,
                     "%s takes one whole number from %d to %d, or two with a comma "
                     "between, not '%s'",
                     name, least, MAX_WINDOW, optarg);
}

static int parse_place(struct convolve_arguments *a)
{
    a->explains = true;
    if (strchr(optarg, ',') && parse_pair(optarg, 0, MAX_PLACE, a->at))
        return CLI_DONE;
    return usage("--explain takes row and column of an output value, as in 0,0, not "
                 "'%s'",
                 optarg);
}

static int parse_sizes(struct convolve_arguments *a, int option)
{
    switch (option) {
    case 's':
        return parse_size(a, "--stride", 1, a->window.stride);
    case 'p':
        a->is_padded = true;
        return parse_size(a, "--pad", 0, a->window.pad);
    case 'd':
        return parse_size(a, "--dilation", 1, a->window.dilation);
    case 'n':
        return parse_size(a, "--window", 1, a->window_size);
    default:
        return parse_place(a);
    }
}

static int parse_option(struct convolve_arguments *a, int option)
{
    switch (option) {
    case 'k':
        a->kernel = optarg;
        break;
    case 'P':
        a->pool = optarg;
        if (strcmp(optarg, "max") != 0 && strcmp(optarg, "average") != 0)
            return usage("--pool is max or average, not '%s'", optarg);
        break;
    case 'S':
        a->signal = optarg;
        break;
    case 'w':
        a->with = optarg;
        break;
    case 'D':
        a->demo = optarg;
        if (strcmp(optarg, "seismogram") != 0)
            return usage("there is no demonstration '%s'; there is: seismogram",
                         optarg);
        break;
    case 'o':
        a->output = optarg;
        break;
    case 'c':
        if (!parse_channel(optarg, &a->channel))
            return usage("--channel is 0 (red), 1 (green) or 2 (blue), not '%s'",
                         optarg);
        break;
    case 'g':
        a->grey = true;
        break;
    case 'r':
        a->window.correlate = true;
        break;
    case 'N':
        a->numbers = true;
        break;
    case 'C':
        a->scale = true;
        break;
    default:
        return parse_sizes(a, option);
    }
    return CLI_DONE;
}

/* The first option that only images have a use for, or NULL. */
static const char *of_images_only(const struct convolve_arguments *a)
{
    const struct {
        bool is_given;
        const char *name;
    } options[] = {{a->kernel != NULL, "--kernel"},
                   {a->pool != NULL, "--pool"},
                   {a->window_size[0] > 0, "--window"},
                   {a->grey, "--grey"},
                   {a->channel >= 0, "--channel"},
                   {a->explains, "--explain"},
                   {a->scale, "--scale"}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].is_given)
            return options[i].name;
    return NULL;
}

/* Of a signal and of the demonstration: what else cannot be meant. */
static int check_others(const struct convolve_arguments *a)
{
    if (a->signal && !a->with)
        return usage("--with FILE is missing: %s", "what the signal is convolved with");
    if (a->with && !a->signal)
        return usage("--signal FILE is missing: %s", "what --with is convolved with");
    const char *name = of_images_only(a);
    if (name)
        return usage("%s goes with an IMAGE only", name);
    if (a->demo && (a->numbers || a->is_padded || a->window.correlate ||
                    a->window.stride[0] || a->window.dilation[0]))
        return usage("--demo takes no other option than %s", "-o");
    if (a->signal && a->pair)
        return usage("%s takes one number here: a signal has one dimension", a->pair);
    if (a->signal && a->output && !convoy_planes_are_numbers(a->output))
        return usage("'%s' does not end in .csv: a signal's result is numbers",
                     a->output);
    return CLI_DONE;
}

static int check(const struct convolve_arguments *a)
{
    const int n_tasks =
        (a->image != NULL) + (a->demo != NULL) + (a->signal != NULL || a->with != NULL);
    if (n_tasks == 0)
        return usage("which %s?", "IMAGE");
    if (n_tasks > 1)
        return usage("an IMAGE, --signal and --demo are different tasks: %s",
                     "name one");
    if (a->image && !*a->image)
        return cli_usage(&command_convolve, "the name of IMAGE is empty");
    if (!a->image)
        return check_others(a);
    if (!a->kernel == !a->pool)
        return usage("either --kernel or --pool is needed%s",
                     a->kernel ? ", not both" : ": what is moved over the image");
    if (a->pool && a->window_size[0] == 0)
        return usage("--window N is missing: %s", "the size of the pooling's window");
    if (a->kernel && a->window_size[0] > 0)
        return usage("--window goes with --pool: %s", "a kernel has a size of its own");
    if (a->pool && (a->explains || a->window.correlate || a->window.dilation[0] > 0))
        return usage("%s goes with --kernel", a->explains           ? "--explain"
                                              : a->window.correlate ? "--correlate"
                                                                    : "--dilation");
    if ((a->grey || a->channel >= 0) && convoy_planes_are_numbers(a->image))
        return usage("%s goes with a picture: a matrix has no colours",
                     a->grey ? "--grey" : "--channel");
    if (a->grey && a->channel >= 0)
        return usage("--grey mixes the channels that --channel takes apart: %s",
                     "one of the two is meant");
    return CLI_DONE;
}

int convolve_arguments_parse(int argc, char **argv, struct convolve_arguments *a)
{
    static const struct option options[] = {{"kernel", required_argument, NULL, 'k'},
                                            {"pool", required_argument, NULL, 'P'},
                                            {"window", required_argument, NULL, 'n'},
                                            {"signal", required_argument, NULL, 'S'},
                                            {"with", required_argument, NULL, 'w'},
                                            {"demo", required_argument, NULL, 'D'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"stride", required_argument, NULL, 's'},
                                            {"pad", required_argument, NULL, 'p'},
                                            {"dilation", required_argument, NULL, 'd'},
                                            {"explain", required_argument, NULL, 'e'},
                                            {"channel", required_argument, NULL, 'c'},
                                            {"grey", no_argument, NULL, 'g'},
                                            {"correlate", no_argument, NULL, 'r'},
                                            {"numbers", no_argument, NULL, 'N'},
                                            {"scale", no_argument, NULL, 'C'},
                                            {NULL, 0, NULL, 0}};
    opterr = 0;
    optind = 1;
    a->channel = -1;
    int option;
    while ((option = getopt_long(argc, argv, ":o:", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return cli_bad_option(&command_convolve, option, argv);
        const int result = parse_option(a, option);
        if (result != CLI_DONE)
            return result;
    }
    if (argc - optind > 1)
        return usage("one IMAGE at a time, not also '%s'", argv[optind + 1]);
    a->image = argc > optind ? argv[optind] : NULL;
    return check(a);
}
