/* What Slurm will do when time is up or a node is lost, by what scontrol told rank 0.
 */
#include "doctor/check.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *setting(const struct survey *s, const char *name)
{
    char fact[64];
    snprintf(fact, sizeof fact, "slurm %s", name);
    return survey_text(s, 0, fact);
}

static bool is_batch(const struct survey *s)
{
    return strcmp(setting(s, "BatchFlag"), "1") == 0;
}

static bool is_requeued(const struct survey *s)
{
    return strcmp(setting(s, "Requeue"), "1") == 0;
}

static void check_requeue(const struct survey *s, struct findings *f)
{
    if (!is_batch(s))
        return;
    if (is_requeued(s))
        check_found(f, CONVOY_LEVEL_OK, "", "the job is requeued when a node is lost");
    else
        check_found(
            f, CONVOY_LEVEL_LOOK, "#SBATCH --requeue",
            "the job is not requeued when a node is lost (JobRequeue is %s here)",
            *setting(s, "JobRequeue") ? setting(s, "JobRequeue") : "not known");
}

static void check_open_mode(const struct survey *s, struct findings *f)
{
    const char *mode = survey_text(s, 0, "script --open-mode");
    if (!is_batch(s) || !survey_has(s, 0, "script"))
        return;
    if (!*mode)
        mode = survey_env(s, 0, "SBATCH_OPEN_MODE");
    if (*mode == 'a' || strcmp(setting(s, "JobFileAppend"), "1") == 0)
        check_found(f, CONVOY_LEVEL_OK, "", "the log is appended to");
    else if (is_requeued(s))
        check_found(
            f, CONVOY_LEVEL_LOOK, "#SBATCH --open-mode=append",
            "the script does not say --open-mode=append: once requeued, the job "
            "overwrites its log");
}

static const char *const signal_fix =
    "#SBATCH --signal=B:USR1@300, and a trap that passes it on (as jobs/train.sbatch "
    "has it)";

/* "[R|B:]NAME[@SECONDS]", as sbatch takes it. */
struct signal_wish {
    bool to_script; /* B: else to the tasks of all sruns */
    bool saves;     /* of those on which convoy saves */
    double lead_s;  /* before the time limit */
};

static bool is_signal(const char *word, size_t length)
{
    static const struct saving {
        const char *name;
        int number;
    } saving[] = {{"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"TERM", SIGTERM},
                  {"INT", SIGINT},   {"HUP", SIGHUP},   {"XCPU", SIGXCPU}};
    if (length > 3 && strncasecmp(word, "SIG", 3) == 0) {
        word += 3;
        length -= 3;
    }
    for (size_t i = 0; i < sizeof saving / sizeof *saving; i++)
        if (atoi(word) == saving[i].number ||
            (strlen(saving[i].name) == length &&
             strncasecmp(word, saving[i].name, length) == 0))
            return true;
    return false;
}

static struct signal_wish read_wish(const char *word)
{
    struct signal_wish wish = {.lead_s = 60}; /* sbatch's, where none is given */
    word += strspn(word, "\"'");
    const char *colon = strchr(word, ':'), *at = strchr(word, '@');
    for (; colon && word <= colon; word++)
        wish.to_script |= *word == 'B' || *word == 'b';
    wish.saves = is_signal(word, strcspn(word, "@ \"'"));
    if (at)
        wish.lead_s = atof(at + 1);
    return wish;
}

static void check_wish(const char *wanted, double kill_wait_s, struct findings *f)
{
    const struct signal_wish wish = read_wish(wanted);
    char option[48];
    snprintf(option, sizeof option, "--signal=%.*s", (int)strcspn(wanted, " "), wanted);
    if (!wish.saves)
        check_found(
            f, CONVOY_LEVEL_LOOK, signal_fix,
            "%s: convoy saves on USR1, USR2, TERM, INT, HUP and XCPU, and other "
            "signals end it",
            option);
    else if (!wish.to_script)
        check_found(f, CONVOY_LEVEL_LOOK, signal_fix,
                    "%s has no B: the signal goes to the tasks of srun, not to the "
                    "script, so mpirun gets none",
                    option);
    else if (wish.lead_s < kill_wait_s)
        check_found(f, CONVOY_LEVEL_LOOK, signal_fix,
                    "%s comes %.0f s before the time limit, less than the %.0f s "
                    "(KillWait) that a save has after it",
                    option, wish.lead_s, kill_wait_s);
    else
        check_found(f, CONVOY_LEVEL_OK, "", "%s comes before the time limit", option);
}

static void check_signal(const struct survey *s, struct findings *f)
{
    const char *wanted = survey_text(s, 0, "script --signal");
    const char *kill_wait = setting(s, "KillWait");
    if (!is_batch(s) || !survey_has(s, 0, "script"))
        return;
    if (!*wanted)
        wanted = survey_env(s, 0, "SBATCH_SIGNAL");
    if (*wanted)
        check_wish(wanted, *kill_wait ? atof(kill_wait) : 30, f);
    else
        check_found(
            f, CONVOY_LEVEL_LOOK, signal_fix,
            "the script does not say --signal: at the time limit a step and a save "
            "have %s s (KillWait) until all is killed",
            *kill_wait ? kill_wait : "30");
}

static void check_time(const struct survey *s, struct findings *f)
{
    if (*setting(s, "EndTime"))
        check_found(
            f, CONVOY_LEVEL_OK, "", "the job ends at %s (limit %s), KillWait is %s s",
            setting(s, "EndTime"), setting(s, "TimeLimit"), setting(s, "KillWait"));
}

const struct check checks_of_slurm[] = {{"requeue", check_requeue},
                                        {"open-mode", check_open_mode},
                                        {"signal", check_signal},
                                        {"time", check_time},
                                        {NULL, NULL}};
