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

/* All is saved: what the system refuses here is told, but ends no run. */
convoy_status run_tell_end(struct run *run, const char *how)
{
    if (!run->is_told)
        return CONVOY_OK;
    run->is_told = false;
    const convoy_status status = run_record_end(&run->life, run->trainer->step, how);
    if (status == CONVOY_OK || status == CONVOY_ERROR_MEMORY)
        return status;
    run_note(run, "run.json does not say how this life ended: %.2000s",
             convoy_status_text());
    convoy_status_clear();
    return CONVOY_OK;
}

/* A run that has lost its folder has nothing to say there: writing fails then. The
 * failure that ends a run is more than one to tell of it. */
void run_tell_failure(struct run *run, convoy_status status)
{
    struct failure kept;
    char how[1024];
    if (!run->is_told || status == CONVOY_OK)
        return;
    run->is_told = false;
    status_save(status, &kept);
    snprintf(how, sizeof how, "failed: %.1000s",
             status == CONVOY_ERROR_ELSEWHERE ? "another rank did" : kept.text);
    (void)run_record_end(&run->life, run->trainer->step, how);
    (void)status_restore(&kept);
}
