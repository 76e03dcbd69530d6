/* convoy weights hash FILE... and convoy weights diff A B: a line a file or tensor on
 * stdout, failures on stderr.
 */
#include "cli/cli.h"

#include <convoy/weights.h>

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* One bad file does not keep the others from their line. */
static int hash_files(int n, char **paths)
{
    int code = CLI_DONE;
    if (n == 0)
        return cli_usage(&command_weights, "hash: which FILE?");
    for (int i = 0; i < n; i++) {
        char hex[33];
        convoy_status status = convoy_weights_hash(paths[i], hex);
        if (status == CONVOY_OK)
            printf("%s  %s\n", hex, paths[i]);
        else
            code = cli_finish(status);
    }
    return code;
}

struct counts {
    int n, n_equal;
};

static void print_difference(void *context, const convoy_weights_difference *found)
{
    struct counts *counts = context;
    counts->n++;
    counts->n_equal += found->equal;
    if (found->why)
        printf("%s: %s\n", found->name, found->why);
    else if (found->equal)
        printf("%s: equal\n", found->name);
    else
        printf("%s: largest difference %g, relative %g\n", found->name, found->max_abs,
               found->max_rel);
}

static int diff_files(int n, char **paths)
{
    struct counts counts = {0};
    bool equal = false;
    if (n != 2)
        return cli_usage(&command_weights, "diff: expected two files, found %d", n);
    convoy_status status =
        convoy_weights_diff(paths[0], paths[1], print_difference, &counts, &equal);
    if (status != CONVOY_OK)
        return cli_finish(status);
    printf("%d of %d tensors are equal\n", counts.n_equal, counts.n);
    return equal ? CLI_DONE : CLI_FAILED;
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {{0}};
    opterr = 0;
    int option = getopt_long(argc, argv, ":", longs, NULL);
    if (option != -1)
        return cli_bad_option(&command_weights, option, argv);
    if (optind == argc)
        return cli_usage(&command_weights, "expected hash or diff");
    const char *what = argv[optind++];
    if (strcmp(what, "hash") == 0)
        return hash_files(argc - optind, argv + optind);
    if (strcmp(what, "diff") == 0)
        return diff_files(argc - optind, argv + optind);
    return cli_usage(&command_weights, "'%s' is unknown, expected hash or diff", what);
}

const struct command command_weights = {
    .name = "weights",
    .synopsis = "weights hash FILE... | weights diff A B",
    .summary = "hash and compare the weights of checkpoints",
    .help =
        "hash prints a line for each file: a hash over its parameters and buffers, and "
        "its\nname. Files with the same weights to the last bit have the same hash, "
        "whatever\nelse they hold. The exit status is 1 if a file cannot be read or is "
        "damaged.\n\n"
        "diff prints a line for each tensor: the largest difference of its values. "
        "The\n"
        "exit status is 1 if one is not equal to the last bit.\n\n"
        "Example: convoy weights hash runs/a/checkpoints/*.h5\n",
    .run = run,
};
