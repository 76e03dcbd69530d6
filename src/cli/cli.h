/* What the subcommands share: the table, usage and failure messages, progress. Only
 * this folder prints; it includes public headers only. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <convoy/status.h>
#include <convoy/world.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_REQUEUE = 75 };
enum { CLI_MAX_COUNT = 1 << 20 }; /* of samples, steps */
enum { CLI_MAX_THREADS = 4096 };

struct command {
    const char *name;
    const char *synopsis; /* "pack SOURCE -o PACK" */
    const char *summary;  /* one line for convoy --help */
    const char *help;     /* options and examples, for convoy COMMAND --help, which main
                             answers; ends in a newline */
    int (*run)(int argc, char **argv); /* argv[0]: the command's name; an exit status */
};

extern const struct command command_pack, command_verify, command_info, command_train,
    command_doctor, command_eval, command_predict, command_weights, command_bench,
    command_report, command_plan, command_convolve, command_show, command_landscape;

/* Room for as many words as a command line has: new, free with free. NULL after a
 * message: out of memory. */
const char **cli_new_words(int argc);

/* "convoy pack: text" and where to find help, on stderr; returns CLI_USAGE. */
int cli_usage(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* cli_usage for what getopt_long refused (called with opterr = 0 and an option string
 * that starts with ":" or "+:"). answer: '?' or ':', as it was returned. */
int cli_bad_option(const struct command *command, int answer, char **argv);

/* "convoy: " and the text of the last failure on stderr, nothing for
 * CONVOY_ERROR_ELSEWHERE; returns CLI_DONE, CLI_FAILED or CLI_REQUEUE by status. */
int cli_finish(convoy_status status);

/* Whether mpirun, srun or their like started this process as one of several, or of one.
 */
bool cli_is_launched(void);

/* For a command that one process runs, since several would write the same files:
 * CLI_DONE where this is the only one, else CLI_USAGE, after one message by one of
 * them. */
int cli_check_alone(const struct command *command);

/* cli_finish for a command that all ranks run together: a failure that they did not
 * agree on ends the job, since the others may wait for this rank for ever. world: NULL
 * where it could not be created, or is not needed. */
int cli_finish_together(convoy_world *world, convoy_status status);

/* That MPI has started and the ranks have met, where a job script asks for it: the
 * first rank removes the file that CONVOY_LAUNCHED names. Where it stays, the launch
 * failed, maybe within MPI, and the script tries again. world: NULL where there is
 * none. */
void cli_tell_launched(const convoy_world *world);

/* Runs parse, which returns an exit status and prints only if it speaks, on the command
 * line. The ranks of world (NULL: this process alone) agree on the outcome: the lowest
 * rank whose command line is wrong says so, and all must run the same command. From
 * then on they are watched (convoy_world_watch). */
int cli_parse_together(convoy_world *world,
                       int (*parse)(void *arguments, int argc, char **argv,
                                    bool speaks),
                       void *arguments, int argc, char **argv);

/* The number of edits (a byte put in, taken out or changed) from a to b. */
int cli_edits(const char *a, const char *b);

/* Whether text is a whole number from 1 to most, which *count then is. */
bool cli_count(const char *text, int most, int *count);

/* text, such as a file's name, with its control characters as \x1b and the like: it can
 * neither begin a line of its own nor move a terminal's cursor. */
void cli_put_text(FILE *stream, const char *text);

/* prefix and text, as cli_put_text writes it, as a line, in one piece: stderr has no
 * buffer, and launchers mix the pieces of ranks. */
void cli_print_line(FILE *stream, const char *prefix, const char *text);

/* A clock in seconds that never runs backwards. */
double cli_now_s(void);

/* A progress line on stderr: a bar redrawn in place on a terminal and never wider than
 * it, else a line every some seconds; nothing when quiet. */
struct cli_progress {
    bool quiet, begun, drawn;
    double started_s, last_s;
    uint64_t first; /* done when first shown: work resumed is not work done here */
};
void cli_progress_start(struct cli_progress *progress, bool quiet);
/* label: what is under way. figures: behind the bar, with ", " between, the most needed
 * first; may be "". total 0: unknown. What a terminal has no room for is left out.
 * The time left is worked out here. Cheap to call often: it draws now and then. */
void cli_progress_show(struct cli_progress *progress, const char *label, uint64_t done,
                       uint64_t total, const char *figures);
/* Clears the bar, so that other text can be printed. */
void cli_progress_clear(struct cli_progress *progress);
/* done per second since the first show, 0 where that is not known yet. */
double cli_progress_rate(const struct cli_progress *progress, uint64_t done);

#endif
