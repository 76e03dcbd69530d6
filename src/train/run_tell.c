/* What run.json is told of a life: that it has begun, and how it ended, on every way
 * out. */
#include "train/run.h"

#include "train/run_dir.h"
#include "train/run_record.h"

#include <stdio.h>

convoy_status run_tell_begin(struct run *run, const char *hosts,
                             char note[STATUS_TEXT_SIZE])
{
    convoy_status status = CONVOY_OK;
    const struct run_birth birth = {
        .hosts = hosts,
        .resumed_from = run->resumed ? checkpoint_path(run->resumed) : NULL};
    TRY(run_dir_write_recipe(run->trainer->recipe, &run->life));
    TRY(run_record_begin(run->trainer, &run->life, &birth, note));
    run->is_told = true;
cleanup:
    return status;
}

static void describe_end(const struct run *run, convoy_status status, char *out,
                         size_t size)
{
    const convoy_trainer *t = run->trainer;
    if (status == CONVOY_OK)
        snprintf(out, size, "%s",
                 t->step == t->total_steps ? "done" : "--stop-after-steps");
    else if (status == CONVOY_STOPPED)
        snprintf(out, size, "%.1000s", convoy_status_text());
    else if (status == CONVOY_ERROR_ELSEWHERE)
        snprintf(out, size, "failed: another rank did");
    else
        snprintf(out, size, "failed: %.1000s", convoy_status_text());
}

/* A run that has lost its folder has nothing to say there, and the failure that ends a
 * run is more than one to tell of it. */
void run_tell_end(struct run *run, convoy_status status)
{
    struct failure kept;
    char how[1024];
    if (!run->is_told)
        return;
    describe_end(run, status, how, sizeof how);
    if (status != CONVOY_OK)
        status_save(status, &kept);
    (void)run_record_end(&run->life, run->trainer->step, how);
    if (status != CONVOY_OK)
        (void)status_restore(&kept);
    else
        convoy_status_clear();
}
