/* convoy COMMAND …: finds the command in a table and runs it. Help and version are
 * answered here, for every command. */
#include "cli/cli.h"

#include <convoy/version.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct command *const commands[] = {
    &command_pack,  &command_verify,    &command_info,    &command_doctor,
    &command_train, &command_eval,      &command_predict, &command_weights,
    &command_bench, &command_report,    &command_plan,    &command_convolve,
    &command_show,  &command_landscape,
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *stream)
{
    fputs("convoy trains convolutional networks on the CPUs of many machines.\n\n"
          "usage: convoy COMMAND ...\n\n",
          stream);
    for (int c = 0; c < N_COMMANDS; c++)
        fprintf(stream, "  %-9s %s\n", commands[c]->name, commands[c]->summary);
    fputs("\n'convoy COMMAND --help' says more about one; 'convoy --version' tells the "
          "version.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 a rank was lost, 75 "
          "stopped by a\nsignal after saving.\n",
          stream);
}

static void print_command_help(const struct command *command)
{
    printf("usage: convoy %s\n\n%s\n\n%s", command->synopsis, command->summary,
           command->help);
}

static const struct command *find_command(const char *name)
{
    for (int c = 0; c < N_COMMANDS; c++)
        if (strcmp(name, commands[c]->name) == 0)
            return commands[c];
    return NULL;
}

/* The command that name was probably meant to be, or NULL. */
static const char *nearest(const char *name)
{
    const char *best = NULL;
    int least = 3;
    for (int c = 0; c < N_COMMANDS; c++) {
        int edits = cli_edits(name, commands[c]->name);
        if (edits < least) {
            least = edits;
            best = commands[c]->name;
        }
    }
    return best;
}

static int refuse(const char *name)
{
    const char *guess = nearest(name);
    fprintf(stderr, "convoy: there is no command '%s'", name);
    if (guess)
        fprintf(stderr, "; did you mean '%s'?", guess);
    fputs("\n'convoy --help' lists the commands\n", stderr);
    return CLI_USAGE;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("convoy " CONVOY_VERSION);
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return CLI_DONE;
    }
    const struct command *command = find_command(argv[1]);
    if (!command)
        return refuse(argv[1]);
    if (asks_for_help(argc - 1, argv + 1)) {
        print_command_help(command);
        return CLI_DONE;
    }
    return command->run(argc - 1, argv + 1);
}

/* Where a descriptor of the standard streams is closed, the next file or socket would
 * get it, and our messages. */
static void fill_standard_streams(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* A line of a message is one write, however it is put together: launchers lose or mix
 * the pieces of lines that come one by one. */
static void write_whole_lines(void)
{
    static char buffer[1 << 16];
    setvbuf(stderr, buffer, _IOLBF, sizeof buffer);
}

int main(int argc, char **argv)
{
    fill_standard_streams();
    write_whole_lines();
    /* A write beyond a limit then fails, and is told and cleaned up after. */
    signal(SIGXFSZ, SIG_IGN);
    int code = run(argc, argv);
    /* A full disk must not look like success to a script that reads our output. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "convoy: cannot write to the standard output\n");
        return code ? code : CLI_FAILED;
    }
    return code;
}
