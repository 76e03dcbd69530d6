/* Slurm's view of the job. Not all of it is in the environment: scontrol is asked,
 * which a cluster may not have on its nodes, and which may wait for a controller that
 * does not answer. So it gets some seconds, and nothing depends on it. */
#include "doctor/facts.h"

#include "base/clock.h"
#include "doctor/survey.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_SIZE = 1 << 16 };
static const double patience_s = 3;

extern char **environ;

/* Starts it with its output in *out; false: it could not be. */
static bool start(char *const *words, pid_t *pid, int *out)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    const int error = posix_spawnp(pid, words[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *out = ends[0];
    if (error != 0)
        close(ends[0]);
    return error == 0;
}

/* Its output as text, until it ends; false: that took too long. What does not fit is
 * left out. */
static bool read_answer(int fd, double until_s, char *text)
{
    size_t used = 0;
    for (;;) {
        struct pollfd waits = {.fd = fd, .events = POLLIN};
        char rest[512];
        const double left_s = until_s - clock_now_s();
        const bool fits = used < ANSWER_SIZE - 1;
        if (left_s <= 0 || poll(&waits, 1, (int)(left_s * 1000) + 1) < 0)
            return false;
        if (waits.revents == 0)
            continue;
        const ssize_t n = fits ? read(fd, text + used, ANSWER_SIZE - 1 - used)
                               : read(fd, rest, sizeof rest);
        if (n <= 0) {
            text[used] = '\0';
            return n == 0;
        }
        used += fits ? (size_t)n : 0;
    }
}

/* What the command prints, text [ANSWER_SIZE]; false: it failed, or took too long. */
static bool ask(char *const *words, char *text)
{
    const double until_s = clock_now_s() + patience_s;
    pid_t pid = 0, ended = 0;
    int out = -1, how = 0;
    if (!start(words, &pid, &out))
        return false;
    const bool is_whole = read_answer(out, until_s, text);
    close(out);
    while (is_whole && (ended = waitpid(pid, &how, WNOHANG)) == 0 &&
           clock_now_s() < until_s)
        usleep(1000);
    if (ended == 0) {
        kill(pid, SIGKILL);
        waitpid(pid, &how, 0);
    }
    return ended == pid && WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

/* "Name=value" or, in the configuration, "Name   = value": the value's first word, as a
 * fact "slurm Name". */
static void tell_setting(FILE *facts, const char *text, const char *name)
{
    char fact[64], value[128];
    const size_t length = strlen(name);
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
        const char *after = at + length + strspn(at + length, " ");
        if ((at > text && !strchr(" \n", at[-1])) || *after != '=')
            continue;
        after += 1 + strspn(after + 1, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(after, " \n"), after);
        snprintf(fact, sizeof fact, "slurm %s", name);
        survey_put(facts, fact, value);
        return;
    }
}

/* Options of the lines "#SBATCH --name=value": as facts "script --name". */
static void tell_options(FILE *facts, const char *script)
{
    static const char *const names[] = {"--open-mode", "--signal"};
    for (const char *line = script; *line;
         line += strcspn(line, "\n"), line += *line == '\n') {
        const int length = (int)strcspn(line, "\n");
        char copy[512], fact[64];
        snprintf(copy, sizeof copy, "%.*s", length, line);
        if (strncmp(copy, "#SBATCH", 7) != 0)
            continue;
        copy[strcspn(copy + 1, "#") + 1] = '\0'; /* without a comment */
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            const char *at = strstr(copy, names[i]);
            if (!at)
                continue;
            at += strlen(names[i]);
            at += strspn(at, "= ");
            snprintf(fact, sizeof fact, "script %s", names[i]);
            survey_put(facts, fact, at);
        }
    }
}

bool facts_is_first_process(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                        "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *rank = getenv(names[i]);
        if (rank)
            return strcmp(rank, "0") == 0;
    }
    return true;
}

void facts_of_job(FILE *facts)
{
    static const char *const of_job[] = {"Requeue", "BatchFlag", "TimeLimit", "EndTime",
                                         NULL};
    static const char *const of_config[] = {"KillWait", "JobRequeue", "JobFileAppend",
                                            NULL};
    char *job = getenv("SLURM_JOB_ID");
    char *text = job && facts_is_first_process() ? malloc(ANSWER_SIZE) : NULL;
    if (!text)
        return;
    char *const show_job[] = {"scontrol", "show", "job", job, NULL};
    char *const show_config[] = {"scontrol", "show", "config", NULL};
    char *const show_script[] = {"scontrol", "write", "batch_script", job, "-", NULL};
    if (ask(show_job, text)) {
        for (int i = 0; of_job[i]; i++)
            tell_setting(facts, text, of_job[i]);
        if (ask(show_config, text))
            for (int i = 0; of_config[i]; i++)
                tell_setting(facts, text, of_config[i]);
        if (ask(show_script, text)) {
            survey_put(facts, "script", "read");
            tell_options(facts, text);
        }
    }
    free(text);
}
