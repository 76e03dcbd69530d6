/* What Slurm will do when time is up or a node is lost, by what scontrol told rank 0.
 */
#include "doctor/check.h"

#include <stdlib.h>
#include <string.h>

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

static void check_signal(const struct survey *s, struct findings *f)
{
    const char *wanted = survey_text(s, 0, "script --signal");
    const char *kill_wait = setting(s, "KillWait");
    if (!is_batch(s) || !survey_has(s, 0, "script"))
        return;
    if (!*wanted)
        wanted = survey_env(s, 0, "SBATCH_SIGNAL");
    if (*wanted)
        check_found(f, CONVOY_LEVEL_OK, "",
                    "--signal=%.40s comes before the time limit", wanted);
    else
        check_found(
            f, CONVOY_LEVEL_LOOK,
            "#SBATCH --signal=B:USR1@300, and a trap that passes it on (as "
            "jobs/train.sbatch has it)",
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
