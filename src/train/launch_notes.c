/* What was asked for and not got is said at the start, with the option that mends it;
 * what makes a run many times slower is refused before (comm/launch.c), so that its
 * note is for who wants it all the same. `convoy doctor` looks further. */
#include "train/launch_notes.h"

#include "pack/pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double kill_wait_s = 30;
/* A checkpoint's speed while none was written: low for a parallel file system. */
static const double save_bytes_a_s = 100e6;
/* Slurm sends its early signal up to a minute late. */
static const double signal_late_s = 60;
enum { WARMING_STEPS = 1, STEPS_TO_KNOW = 3 };

static void note_environment(const convoy_trainer *t, char *text, size_t size)
{
    setup_note_environment(t->choice.lanes, t->threads, text, size);
}

/* A process by itself was given its cores by whoever started it. */
static void note_rule(const convoy_trainer *t, enum launch_rule rule, char *text,
                      size_t size)
{
    struct launch_finding f;
    if (rule == LAUNCH_IDLE && t->launch.launcher == LAUNCHER_NONE)
        return;
    launch_look(&t->launch, rule, &f);
    if (f.level != LAUNCH_GOOD)
        snprintf(text, size, "placement: %s%s; %s", f.found,
                 rule == LAUNCH_IDLE ? "" : ": slow", f.mend);
}

static void note_loading(const convoy_trainer *t, char *text, size_t size)
{
    const int n = t->recipe->data.threads, computing = t->choice.lanes * t->threads;
    if (n > 0 && n + computing > t->cores.n && t->threads <= t->cores.n &&
        t->launch.crowd.sharers == 0)
        snprintf(
            text, size,
            "loading: each rank has %d core%s, computes with %d thread%s and loads "
            "with %d, which share%s them",
            t->cores.n, t->cores.n > 1 ? "s" : "", computing, computing > 1 ? "s" : "",
            n, n > 1 ? "" : "s");
}

/* 0 as soon as one is known to be no shorter than side. */
static int longest_below(const convoy_pack *pack, int side)
{
    const uint64_t n = convoy_pack_describe(pack)->n_records;
    int longest = 0;
    for (uint64_t i = 0; i < n; i++) {
        int width = 0, height = 0;
        pack_record_size(pack, i, &width, &height);
        longest = width > longest ? width : longest;
        longest = height > longest ? height : longest;
        if (longest >= side)
            return 0;
    }
    return longest;
}

/* Small images are trained on enlarged at times, but then someone has decided it. A raw
 * record that is smaller is refused. */
static void note_crop(const convoy_trainer *t, char *text, size_t size)
{
    const int crop = recipe_crop_largest(&t->recipe->data.crop);
    const int longest =
        convoy_pack_describe(t->train_pack)->encoding == CONVOY_ENCODING_RAW
            ? 0
            : longest_below(t->train_pack, crop);
    if (longest > 0)
        snprintf(text, size,
                 "images: data.crop is %d, but no image of the train pack is longer "
                 "than %d pixels, so all are enlarged; with data.crop=%d or less steps "
                 "are faster",
                 crop, longest, longest);
}

bool launch_note(const convoy_trainer *trainer, int *at, char *text, size_t size)
{
    while (*at < N_LAUNCH_RULES + 3) {
        const int which = (*at)++;
        text[0] = '\0';
        if (which < N_LAUNCH_RULES)
            note_rule(trainer, (enum launch_rule)which, text, size);
        else if (which == N_LAUNCH_RULES)
            note_loading(trainer, text, size);
        else if (which == N_LAUNCH_RULES + 1)
            note_crop(trainer, text, size);
        else
            note_environment(trainer, text, size);
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
