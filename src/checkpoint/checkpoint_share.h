/* One process reads a checkpoint, all processes of a job have it. What carries bytes
 * from the one to the others is handed in: nothing here knows MPI. */
#ifndef CHECKPOINT_CHECKPOINT_SHARE_H
#define CHECKPOINT_CHECKPOINT_SHARE_H

#include "checkpoint/checkpoint.h"

struct checkpoint_channel {
    void *context;  /* of the calls */
    bool is_reader; /* on exactly one process */
    /* n bytes of the reader become those of all. Collective. */
    convoy_status (*broadcast)(void *context, void *bytes, size_t n);
    /* Fails on all where status is a failure on one. Collective. */
    convoy_status (*agree)(void *context, convoy_status status);
};

/* Gives every process the reader's *checkpoint, which checkpoint_load opened (NULL:
 * there is none, then the others get NULL, too); *checkpoint of the others is new.
 * Reading values of it is collective from then on: all processes read the same tensors
 * in the same order. Collective. channel is copied, its context borrowed until all have
 * closed the checkpoint. Errors, agreed on: MEMORY, those of the channel. */
convoy_status checkpoint_share(const struct checkpoint_channel *channel,
                               struct checkpoint **checkpoint);

/* status agreed on by all that share the checkpoint; by itself where it is not shared.
 * Collective where it is. To be called before values are read, for what may have failed
 * on one process alone. */
convoy_status checkpoint_agree(const struct checkpoint *checkpoint,
                               convoy_status status);

#endif
