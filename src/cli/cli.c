/* Messages and progress of the subcommands.
 *
 * The bar is redrawn at most ten times a second, and a log gets a line every ten
 * seconds. The time left assumes that the rest goes at the mean speed so far. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 24, MAX_NAME = 31 };

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

int cli_finish(convoy_status status)
{
    if (status == CONVOY_OK)
        return CLI_DONE;
    if (status == CONVOY_ERROR_ELSEWHERE)
        return CLI_FAILED;
    const char *text = convoy_status_text();
    if (*text)
        cli_print_line(stderr, "convoy: ", text);
    else if (status != CONVOY_STOPPED)
        fprintf(stderr, "convoy: failed without a reason\n");
    return status == CONVOY_STOPPED ? CLI_REQUEUE : CLI_FAILED;
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

void cli_print_line(FILE *stream, const char *prefix, const char *text)
{
    char *line = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&line, &n);
    if (!memory) {
        fprintf(stream, "%s%s\n", prefix, text);
        return;
    }
    fputs(prefix, memory);
    for (const unsigned char *s = (const unsigned char *)text; *s; s++)
        if ((*s < 0x20 && *s != '\n') || *s == 0x7f)
            fprintf(memory, "\\x%02x", (unsigned)*s);
        else
            fputc(*s, memory);
    fputc('\n', memory);
    fclose(memory);
    fwrite(line, 1, n, stream);
    free(line);
}

double cli_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void cli_progress_start(struct cli_progress *progress, bool quiet)
{
    double now_s = cli_now_s();
    *progress =
        (struct cli_progress){.quiet = quiet, .started_s = now_s, .last_s = now_s};
}

double cli_progress_rate(const struct cli_progress *progress, uint64_t done)
{
    double passed_s = cli_now_s() - progress->started_s;
    if (!progress->begun || done <= progress->first || passed_s <= 0.0)
        return 0.0;
    return (double)(done - progress->first) / passed_s;
}

/* "1:02:03" or "2:03" of seconds. */
static void time_text(double seconds, char out[32])
{
    uint64_t s = (uint64_t)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, 32, "%" PRIu64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60),
                 (int)(s % 60));
    else
        snprintf(out, 32, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

static void draw_bar(uint64_t done, uint64_t total)
{
    int filled = (int)((double)done / (double)total * BAR);
    fputs(" [", stderr);
    for (int i = 0; i < BAR; i++)
        fputc(i < filled ? '=' : i == filled ? '>' : ' ', stderr);
    fputc(']', stderr);
}

void cli_progress_show(struct cli_progress *progress, const char *label, uint64_t done,
                       uint64_t total, const char *note)
{
    if (progress->quiet)
        return;
    if (!progress->begun)
        progress->first = done;
    progress->begun = true;
    bool terminal = isatty(STDERR_FILENO);
    double now_s = cli_now_s();
    if (now_s - progress->last_s < (terminal ? 0.1 : 10.0))
        return;
    progress->last_s = now_s;
    fprintf(stderr, "%s%s", terminal ? "\r" : "", label);
    if (total && terminal)
        draw_bar(done < total ? done : total, total);
    if (total)
        fprintf(stderr, " %d%%", (int)(100.0 * (double)done / (double)total));
    fprintf(stderr, " %" PRIu64, done);
    if (total)
        fprintf(stderr, "/%" PRIu64, total);
    fprintf(stderr, "%s%s", *note ? "  " : "", note);
    double rate = cli_progress_rate(progress, done);
    if (total > done && rate > 0.0) {
        char left[32];
        time_text((double)(total - done) / rate, left);
        fprintf(stderr, "  %s left", left);
    }
    fputs(terminal ? "\033[K" : "\n", stderr);
    fflush(stderr);
    progress->drawn = terminal;
}

void cli_progress_clear(struct cli_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}
