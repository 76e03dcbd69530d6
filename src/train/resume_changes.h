/* What is not as it was when the run was begun that a training goes on with. */
#ifndef TRAIN_RESUME_CHANGES_H
#define TRAIN_RESUME_CHANGES_H

#include <convoy/trainer.h>

#include "checkpoint/checkpoint.h"

enum resume_of { RESUME_OF_RECIPE, RESUME_OF_PACK, RESUME_OF_MACHINE };

struct resume_change {
    char *what;      /* a key of the recipe, or of run.json: "schedule.epochs", "isa" */
    char *was, *now; /* values as one line; "": none */
    enum resume_of of;
    bool breaks; /* the weights will be other ones than without the change, or of a
                    validation the figures */
};

/* Start with {0}; free with resume_changes_free. */
struct resume_changes {
    struct resume_change
        *list;          /* [n]: keys of the recipe in its order, then the rest */
    size_t n, capacity; /* capacity: bytes */
    int n_breaking;
    double lr_was, lr_now; /* of the next step, without and with what has changed */
};

/* What of the trainer's recipe, packs, machine and versions is not as the checkpoint
 * says; what that does not say is left out. *changes: those that were are freed; on
 * error, too, to be freed. reads_any: a checkpoint whose recipe this convoy cannot read
 * is a change; else it is an error. Local. Errors: MEMORY, those of
 * weights_checkpoint_recipe. */
convoy_status resume_compare(const convoy_trainer *trainer,
                             const struct checkpoint *checkpoint, bool reads_any,
                             struct resume_changes *changes);

/* Fails where a change breaks the promise that a run which goes on gives the weights of
 * one that never stopped: ARGUMENT, the text has the first with both values. Local. */
convoy_status resume_check(const struct resume_changes *changes,
                           const struct checkpoint *checkpoint);

/* The lines of a checkpoint's fact "changes": before (or ""), and those of a run that
 * went on at step. *text is new; free with mem_free. Errors: MEMORY. */
convoy_status resume_history(const struct resume_changes *changes, const char *before,
                             uint64_t step, char **text);

/* The next thing to tell of the changes, in words: *at begins with 0. False: there is
 * none. */
bool resume_note(const struct resume_changes *changes, size_t *at, char *out,
                 size_t size);

void resume_changes_free(struct resume_changes *changes);

#endif
