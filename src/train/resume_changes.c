/* Three kinds of things may have changed. Of what decides no bit nobody needs to know.
 * What says how long a run lasts, how it ends or with which versions is told and noted:
 * people change it on purpose, and a longer cosine is not the run that was begun. All
 * else breaks the promise of docs/run-directory.md, "Going on", so it needs a word more
 * on the command line, and is noted as well. The table of keys (recipe_keys.c) says
 * which key is which; packs, instruction sets and threads are of the last kind.
 */
#include "train/resume_changes.h"

#include <convoy/version.h>

#include "base/cpus.h"
#include "base/memory.h"
#include "base/text.h"
#include "onednn/engine.h"
#include "recipe/recipe_compare.h"
#include "train/trainer.h"
#include "weights/weights_checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of notes at the start; and of keys that a refusal names beside the first. */
enum { MAX_NOTES = 8, MAX_OTHERS = 6 };

static void free_change(struct resume_change *change)
{
    mem_free(change->what);
    mem_free(change->was);
    mem_free(change->now);
}

void resume_changes_free(struct resume_changes *changes)
{
    for (size_t i = 0; i < changes->n; i++)
        free_change(&changes->list[i]);
    mem_free(changes->list);
    *changes = (struct resume_changes){0};
}

/* The texts of given are copied. */
static convoy_status add(struct resume_changes *changes, const char *what,
                         const char *was, const char *now,
                         const struct resume_change *given)
{
    convoy_status status = CONVOY_OK;
    struct resume_change change = {.of = given->of, .breaks = given->breaks};
    void *list = changes->list;
    TRY(mem_copy_text(what, &change.what));
    TRY(mem_copy_text(was, &change.was));
    TRY(mem_copy_text(now, &change.now));
    TRY(mem_reserve(&list, &changes->capacity, (changes->n + 1) * sizeof change));
    changes->list = list;
    changes->list[changes->n++] = change;
    changes->n_breaking += change.breaks;
    change = (struct resume_change){0};
cleanup:
    free_change(&change);
    return status;
}

static convoy_status add_key(void *context, const struct recipe_change *found)
{
    return add(
        context, found->key, found->was, found->now,
        &(struct resume_change){.of = RESUME_OF_RECIPE, .breaks = found->breaks});
}

/* What was not known when the checkpoint was written ("") has not changed. */
static convoy_status compare_known(struct resume_changes *changes, const char *what,
                                   const char *was, const char *now,
                                   const struct resume_change *given)
{
    return !*was || strcmp(was, now) == 0 ? CONVOY_OK
                                          : add(changes, what, was, now, given);
}

static bool has(const struct resume_changes *changes, const char *what)
{
    for (size_t i = 0; i < changes->n; i++)
        if (strcmp(changes->list[i].what, what) == 0)
            return true;
    return false;
}

/* An older recipe may leave open how many threads there are. */
static convoy_status compare_threads(const convoy_trainer *t, int threads,
                                     struct resume_changes *changes)
{
    char was[16], now[16];
    if (threads == 0 || has(changes, "threads"))
        return CONVOY_OK;
    snprintf(was, sizeof was, "%d", threads);
    snprintf(now, sizeof now, "%d", t->threads);
    return compare_known(
        changes, "threads", was, now,
        &(struct resume_change){.of = RESUME_OF_MACHINE, .breaks = true});
}

static convoy_status compare_packs(const convoy_trainer *t,
                                   const struct checkpoint_facts *facts,
                                   struct resume_changes *changes)
{
    convoy_status status = CONVOY_OK;
    const struct resume_change given = {.of = RESUME_OF_PACK, .breaks = true};
    const char *val = t->val_pack ? convoy_pack_describe(t->val_pack)->id : "";
    TRY(compare_known(changes, "train_pack", facts->train_pack,
                      convoy_pack_describe(t->train_pack)->id, &given));
    if (*facts->train_pack && strcmp(facts->val_pack, val) != 0)
        TRY(add(changes, "val_pack", facts->val_pack, val, &given));
cleanup:
    return status;
}

static convoy_status compare_machine(const convoy_trainer *t,
                                     const struct checkpoint_facts *facts,
                                     struct resume_changes *changes)
{
    convoy_status status = CONVOY_OK;
    const struct resume_change breaks = {.of = RESUME_OF_MACHINE, .breaks = true},
                               noted = {.of = RESUME_OF_MACHINE};
    char isa[DNN_ISA_SIZE], onednn[32];
    dnn_isa(isa);
    dnn_version(onednn);
    TRY(compare_known(changes, "isa", facts->isa, cpus_isa(), &breaks));
    TRY(compare_known(changes, "onednn_isa", facts->onednn_isa, isa, &breaks));
    TRY(compare_threads(t, facts->threads, changes));
    TRY(compare_known(changes, "convoy", facts->convoy_version, CONVOY_VERSION,
                      &noted));
    TRY(compare_known(changes, "onednn", facts->onednn_version, onednn, &noted));
cleanup:
    return status;
}

/* What the learning rate of the next step would have been. */
static convoy_status compare_lr(const convoy_trainer *t,
                                const struct checkpoint_facts *facts,
                                const convoy_recipe *then,
                                struct resume_changes *changes)
{
    convoy_status status = CONVOY_OK;
    struct schedule schedule;
    changes->lr_now = changes->lr_was = schedule_lr(&t->schedule, facts->step);
    if (facts->steps_per_epoch == 0)
        return CONVOY_OK;
    TRY(trainer_schedule(then, facts->steps_per_epoch, &schedule));
    changes->lr_was = schedule_lr(&schedule, facts->step);
cleanup:
    return status;
}

static convoy_status compare_recipe(const convoy_trainer *t,
                                    const struct checkpoint *checkpoint, bool reads_any,
                                    struct resume_changes *changes)
{
    convoy_status status = CONVOY_OK;
    convoy_recipe *then = NULL;
    status = weights_checkpoint_recipe(checkpoint, &then);
    if (status == CONVOY_ERROR_FORMAT && reads_any) {
        convoy_status_clear();
        return add(changes, "recipe", "one that this convoy cannot read", "another",
                   &(struct resume_change){.of = RESUME_OF_RECIPE, .breaks = true});
    }
    TRY(status);
    TRY(recipe_compare(t->recipe, then, add_key, changes));
    TRY(compare_lr(t, checkpoint_describe(checkpoint), then, changes));
cleanup:
    convoy_recipe_destroy(then);
    return status;
}

convoy_status resume_compare(const convoy_trainer *t,
                             const struct checkpoint *checkpoint, bool reads_any,
                             struct resume_changes *changes)
{
    convoy_status status = CONVOY_OK;
    const struct checkpoint_facts *facts = checkpoint_describe(checkpoint);
    resume_changes_free(changes);
    TRY(compare_recipe(t, checkpoint, reads_any, changes));
    TRY(compare_packs(t, facts, changes));
    TRY(compare_machine(t, facts, changes));
cleanup:
    return status;
}

static const char *or_none(const char *text)
{
    return *text ? text : "none";
}

/* "the recipe says 'seed: 2', but the run was begun with 'seed: 1'" */
static void describe(const struct resume_change *change, char *out, size_t size)
{
    static const struct {
        const char *what, *name;
    } names[] = {{"isa", "the instruction set"},
                 {"onednn_isa", "oneDNN's instruction set"},
                 {"threads", "the number of threads of a lane"},
                 {"train_pack", "train"},
                 {"val_pack", "validation"}};
    const char *name = change->what;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(change->what, names[i].what) == 0)
            name = names[i].name;
    if (change->of == RESUME_OF_RECIPE)
        snprintf(out, size,
                 "the recipe says '%s: %s', but the run was begun with '%s: %s'",
                 change->what, change->now, change->what, change->was);
    else if (change->of == RESUME_OF_PACK)
        snprintf(out, size, "the %s pack has id %s, but the run was begun with %s",
                 name, or_none(change->now), or_none(change->was));
    else
        snprintf(out, size, "%s is %s here, but the run was begun with %s", name,
                 change->now, change->was);
}

/* "; so have seed, batch.microbatch and 2 more" */
static void append_others(const struct resume_changes *changes,
                          const struct resume_change *first, char *out, size_t size)
{
    int n = 0;
    for (const struct resume_change *change = first + 1;
         change < changes->list + changes->n; change++)
        if (change->breaks && n++ < MAX_OTHERS)
            text_append(out, size, "%s%s", n == 1 ? "; changed as well: " : ", ",
                        change->what);
    if (n > MAX_OTHERS)
        text_append(out, size, " and %d more", n - MAX_OTHERS);
}

convoy_status resume_check(const struct resume_changes *changes,
                           const struct checkpoint *checkpoint)
{
    char text[2048], others[512] = "";
    const struct resume_change *first = changes->list;
    if (changes->n_breaking == 0)
        return CONVOY_OK;
    while (!first->breaks)
        first++;
    describe(first, text, sizeof text);
    append_others(changes, first, others, sizeof others);
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "%s (%.900s)%s: going on would not give the same %s; go back to what "
                "it was, or give another --out to start anew, or --resume-anyway to go "
                "on with the change, which run.json will note",
                text, checkpoint_path(checkpoint), others,
                strcmp(first->what, "val_pack") == 0 ? "figures" : "weights");
}

convoy_status resume_history(const struct resume_changes *changes, const char *before,
                             uint64_t step, char **text)
{
    char *lines = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&lines, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the list of changes");
    fputs(before, stream);
    for (size_t i = 0; i < changes->n; i++)
        fprintf(stream, "step %llu: %s: %s -> %s\n", (unsigned long long)step,
                changes->list[i].what, or_none(changes->list[i].was),
                or_none(changes->list[i].now));
    const bool failed = ferror(stream) != 0;
    convoy_status status = CONVOY_OK;
    if (fclose(stream) != 0 || failed)
        status = FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the list of changes");
    else
        status = mem_copy_text(lines, text);
    free(lines);
    return status;
}

/* Of what is said once, behind the changes themselves. */
static bool note_lr(const struct resume_changes *changes, char *out, size_t size)
{
    char was[TEXT_NUMBER_SIZE], now[TEXT_NUMBER_SIZE];
    if (changes->lr_was == changes->lr_now)
        return false;
    snprintf(was, sizeof was, "%.6g", changes->lr_was);
    snprintf(now, sizeof now, "%.6g", changes->lr_now);
    snprintf(out, size,
             "so the learning rate of the next step is %s; without the change it would "
             "be %s",
             now, was);
    return true;
}

bool resume_note(const struct resume_changes *changes, size_t *at, char *out,
                 size_t size)
{
    const size_t i = (*at)++, n_told = changes->n < MAX_NOTES ? changes->n : MAX_NOTES;
    const bool has_more = changes->n > n_told;
    if (i < n_told) {
        const struct resume_change *change = &changes->list[i];
        snprintf(out, size, "goes on with %s: %s, which was %s%s", change->what,
                 or_none(change->now), or_none(change->was),
                 change->breaks ? "; the run is no longer the one that was begun" : "");
        return true;
    }
    if (has_more && i == n_told) {
        snprintf(out, size, "%zu more have changed: see 'changed' in run.json",
                 changes->n - n_told);
        return true;
    }
    return i == n_told + has_more && note_lr(changes, out, size);
}
