/* What the files of this folder share; nobody else includes it. */
#ifndef CHECKPOINT_CHECKPOINT_INTERNAL_H
#define CHECKPOINT_CHECKPOINT_INTERNAL_H

#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_facts.h"
#include "checkpoint/checkpoint_share.h"
#include "h5/h5.h"

struct checkpoint {
    char *path;
    struct h5_file *file; /* NULL: another process has it */
    struct checkpoint_owned_facts facts;
    char **names; /* [n_names], owned: what the tensors' names point to */
    size_t n_names;
    struct tensor_view *tensors; /* [n_tensors], in byte order of their paths */
    size_t n_tensors;
    float *values; /* of all tensors, whose data points there; NULL: not kept */
    char hash[33];
    struct checkpoint_channel channel; /* {0}: not shared */
};

/* From the file, whatever is kept. */
convoy_status checkpoint_read_stored(const struct checkpoint *checkpoint, size_t index,
                                     float *values);

#endif
