/* Messages of the subcommands, and what reading their options has in common. */
#include "cli/cli.h"

#include <convoy/version.h>

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NAME = 31 };

int cli_usage(const struct command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "convoy %s: ", command->name);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nusage: convoy %s\n'convoy %s --help' says more\n",
            command->synopsis, command->name);
    return CLI_USAGE;
}

int cli_bad_option(const struct command *command, int answer, char **argv)
{
    /* A long option stands in argv; of a short one there is only the letter. */
    const char *word = argv[optind - 1];
    bool is_long = optopt == 0 || strncmp(word, "--", 2) == 0;
    char letter[3] = {'-', (char)optopt, '\0'};
    return cli_usage(command, answer == ':' ? "%s needs a value" : "unknown option %s",
                     is_long ? word : letter);
}

int cli_edits(const char *a, const char *b)
{
    /* row[j]: edits from the part of a seen so far to the first j bytes of b. */
    int row[MAX_NAME + 1];
    size_t n = strlen(b);
    if (n > MAX_NAME)
        return MAX_NAME + 1;
    for (size_t j = 0; j <= n; j++)
        row[j] = (int)j;
    for (size_t i = 0; a[i]; i++) {
        int diagonal = row[0];
        row[0]++;
        for (size_t j = 0; j < n; j++) {
            int least = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < least)
                least = row[j] + 1;
            row[j + 1] = diagonal + 1 < least ? diagonal + 1 : least;
        }
    }
    return row[n];
}

bool cli_count(const char *text, int most, int *count)
{
    char *end = NULL;
    errno = 0;
    const long value = strtol(text, &end, 10);
    const bool is_whole = *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
    if (!is_whole || value < 1 || value > most)
        return false;
    *count = (int)value;
    return true;
}

/* How many bytes at s are a control character of ASCII or, in UTF-8, of Latin-1. */
static int control_length(const unsigned char *s)
{
    if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0)
        return 2;
    return s[0] < 0x20 || s[0] == 0x7f;
}

/* Writes text escaped. lines: it may have several, as a library's message may; those
 * behind the first are indented, which tells them from lines that names pretend. */
static void put_escaped(FILE *stream, const char *text, bool lines)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int n = control_length(s);
        const bool goes_on = lines && strncmp((const char *)s, "\n  ", 3) == 0;
        if (n == 0 || goes_on)
            fputc(*s++, stream);
        else
            for (; n > 0; n--)
                fprintf(stream, "\\x%02x", (unsigned)*s++);
    }
}

static void print_escaped(FILE *stream, const char *prefix, const char *text,
                          bool lines)
{
    char *line = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&line, &n);
    if (!memory) {
        fputs(prefix, stream);
        put_escaped(stream, text, lines);
        fputc('\n', stream);
        return;
    }
    fputs(prefix, memory);
    put_escaped(memory, text, lines);
    fputc('\n', memory);
    fclose(memory);
    fwrite(line, 1, n, stream);
    free(line);
}

void cli_put_text(FILE *stream, const char *text)
{
    put_escaped(stream, text, false);
}

void cli_print_line(FILE *stream, const char *prefix, const char *text)
{
    print_escaped(stream, prefix, text, false);
}

bool cli_is_launched(void)
{
    static const char *const signs[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK",
                                        "PALS_RANKID", "SLURM_STEP_ID"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (getenv(signs[i]))
            return true;
    return false;
}

int cli_check_alone(const struct command *command)
{
    convoy_world *world = NULL;
    int result = CLI_DONE;
    if (!cli_is_launched())
        return CLI_DONE;
    if (convoy_world_create(&world) != CONVOY_OK)
        return cli_finish(CONVOY_ERROR_LIBRARY);
    if (convoy_world_size(world) > 1)
        result = convoy_world_rank(world) == 0
                     ? cli_usage(command, "works in one process, not in several: "
                                          "start it without mpirun")
                     : CLI_USAGE;
    convoy_world_destroy(world);
    return result;
}

int cli_finish(convoy_status status)
{
    if (status == CONVOY_OK)
        return CLI_DONE;
    if (status == CONVOY_ERROR_ELSEWHERE)
        return CLI_FAILED;
    const char *text = convoy_status_text();
    if (*text)
        print_escaped(stderr, "convoy: ", text, true);
    else if (status != CONVOY_STOPPED)
        fprintf(stderr, "convoy: failed without a reason\n");
    return status == CONVOY_STOPPED ? CLI_REQUEUE : CLI_FAILED;
}

int cli_finish_together(convoy_world *world, convoy_status status)
{
    const int code = cli_finish(status);
    const bool is_known =
        status == CONVOY_OK || status == CONVOY_STOPPED || convoy_status_agreed();
    if (is_known || (world && convoy_world_size(world) == 1))
        return code;
    fflush(NULL);
    convoy_world_abort(world, code);
    return code;
}

const char **cli_new_words(int argc)
{
    const char **words = calloc((size_t)argc, sizeof *words);
    if (!words)
        fprintf(stderr, "convoy: cannot allocate memory for %d arguments\n", argc);
    return words;
}

void cli_tell_launched(const convoy_world *world)
{
    const char *mark = getenv("CONVOY_LAUNCHED");
    if (mark && (!world || convoy_world_rank(world) == 0))
        unlink(mark);
}

/* One write, and no lock: another thread may hold stderr's for ever. */
static void say_loss(void *context, const char *text)
{
    char line[1200];
    (void)context;
    const int n = snprintf(line, sizeof line, "convoy: %s\n", text);
    const size_t length = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    if (write(STDERR_FILENO, line, length) < 0)
        return; /* nobody listens */
}

/* A watch that cannot be is no reason not to work. */
static int watch_together(convoy_world *world)
{
    const convoy_status status = convoy_world_watch(world, say_loss, NULL);
    if (status != CONVOY_OK && !convoy_status_agreed())
        return cli_finish_together(world, status);
    if (status != CONVOY_OK && status != CONVOY_ERROR_ELSEWHERE) {
        char text[4096 + 128];
        snprintf(
            text, sizeof text,
            "going on without a watch over the ranks, so one that is lost may leave "
            "the others waiting: %s",
            convoy_status_text());
        cli_print_line(stderr, "convoy: ", text);
    }
    return CLI_DONE;
}

int cli_parse_together(convoy_world *world,
                       int (*parse)(void *arguments, int argc, char **argv,
                                    bool speaks),
                       void *arguments, int argc, char **argv)
{
    const int code = parse(arguments, argc, argv, !world);
    if (!world) {
        cli_tell_launched(NULL);
        return code;
    }
    char facts[128];
    const convoy_status own = code == CLI_DONE ? CONVOY_OK : CONVOY_ERROR_ARGUMENT;
    convoy_status all = convoy_world_agree(world, own);
    cli_tell_launched(world);
    if (all != CONVOY_OK && all != CONVOY_ERROR_LIBRARY)
        return all == own ? parse(arguments, argc, argv, true) : CLI_USAGE;
    if (all == CONVOY_OK) {
        snprintf(facts, sizeof facts,
                 "convoy version\t" CONVOY_VERSION "\nthe command\tconvoy %s\n",
                 argv[0]);
        all = convoy_world_same(world, facts);
    }
    if (all != CONVOY_OK)
        return cli_finish_together(world, all);
    return watch_together(world);
}
