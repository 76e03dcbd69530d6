/* Threads and ranks that wait for each other on one core take many times as long, and
 * the launcher's defaults easily put them there. So what was asked for and not got is
 * said at the start, with the option that mends it; `convoy doctor` looks further. */
#include "train/launch_notes.h"

#include "base/cpus.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double kill_wait_s = 30;
/* A checkpoint's speed while none was written: low for a parallel file system. */
static const double save_bytes_a_s = 100e6;
/* Slurm sends its early signal up to a minute late. */
static const double signal_late_s = 60;
enum { WARMING_STEPS = 1, STEPS_TO_KNOW = 3 };

static const char *plural(int n)
{
    return n > 1 ? "s" : "";
}

static void note_environment(const convoy_trainer *t, const struct crowd *worst,
                             char *text, size_t size)
{
    (void)worst;
    setup_note_environment(t->choice.lanes, t->threads, cpus_allowed(), text, size);
}

static void note_crowd(const convoy_trainer *t, const struct crowd *worst, char *text,
                       size_t size)
{
    char found[CROWD_TEXT_SIZE], mend[CROWD_TEXT_SIZE];
    (void)t;
    if (crowd_text(worst, found, mend))
        snprintf(text, size, "binding: %s, and all others wait for them: slow; %s",
                 found, mend);
}

static void note_threads(const convoy_trainer *t, const struct crowd *worst, char *text,
                         size_t size)
{
    const int n = t->recipe->data.threads, computing = t->choice.lanes * t->threads;
    if (t->threads > t->cores.n)
        snprintf(text, size,
                 "binding: a lane computes with %d threads, but can count on %d core%s "
                 "only: slow; start with mpirun --map-by slot:PE=%d or --bind-to none "
                 "(srun: --cpus-per-task=%d), or with fewer ranks or threads",
                 t->threads, t->cores.n, plural(t->cores.n), t->threads, t->threads);
    else if (n > 0 && n + computing > t->cores.n && worst->sharers == 0)
        snprintf(
            text, size,
            "loading: each rank has %d core%s, computes with %d thread%s and loads "
            "with %d, which share%s them",
            t->cores.n, plural(t->cores.n), computing, plural(computing), n,
            n > 1 ? "" : "s");
}

static void (*const notes[])(const convoy_trainer *t, const struct crowd *worst,
                             char *text, size_t size) = {note_environment, note_crowd,
                                                         note_threads};

bool launch_note(const convoy_trainer *trainer, const struct crowd *worst, int *at,
                 char *text, size_t size)
{
    while (*at < (int)(sizeof notes / sizeof *notes)) {
        text[0] = '\0';
        notes[(*at)++](trainer, worst, text, size);
        if (*text)
            return true;
    }
    return false;
}

void launch_patience_init(struct launch_patience *p, uint64_t save_bytes)
{
    const char *own = getenv("CONVOY_KILL_WAIT");
    const double limit_s = own ? strtod(own, NULL) : 0;
    *p = (struct launch_patience){.save_s = (double)save_bytes / save_bytes_a_s};
    if (getenv("SLURM_JOB_ID"))
        p->limit_s = limit_s > 0 ? limit_s : kill_wait_s;
}

void launch_patience_step(struct launch_patience *p, double step_s, double between_s)
{
    if (p->n_steps++ < WARMING_STEPS)
        return;
    p->step_s = fmax(p->step_s, step_s);
    p->between_s = fmax(p->between_s, between_s);
}

bool launch_patience_note(struct launch_patience *p, char *text, size_t size)
{
    const double needed_s = p->between_s + p->step_s + p->save_s;
    if (p->is_told || p->limit_s <= 0 || p->n_steps < STEPS_TO_KNOW ||
        needed_s <= p->limit_s)
        return false;
    p->is_told = true;
    snprintf(text, size,
             "time limit: from a signal to the end of saving it may take %.0f s (step "
             "%.0f s, save %.0f s), but scancel, and the time limit unless a signal "
             "comes before it, leave %.0f s (KillWait): submit with "
             "--signal=B:USR1@%.0f or more, as jobs/train.sbatch does",
             needed_s, p->step_s, p->save_s, p->limit_s,
             60 * ceil((1.5 * needed_s + signal_late_s) / 60));
    return true;
}
