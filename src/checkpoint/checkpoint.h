/* Checkpoints: parameters, buffers, optimizer state and the facts of a run in one HDF5
 * file (format version 2, which has more facts than version 1).
 *
 *     /params/<name>  /buffers/<name>  /optimizer/<slot>/<name>   f32, canonical layout
 *     /ema/params/<name>  /ema/buffers/<name>     the same of the averaged weights, in
 *                                                 a training that has them
 *     /class_names                                                strings
 *     attributes of the root: convoy_file "checkpoint", format_version, the facts, and
 *     content_hash: a 128-bit hash over all of the above
 *
 * A file appears under its name only when it is complete; whoever opens it learns
 * whether it still holds what was written. Nothing here knows nets or optimizers:
 * tensors are named arrays. One thread at a time (see h5/h5.h). Local, all of it.
 */
#ifndef CHECKPOINT_CHECKPOINT_H
#define CHECKPOINT_CHECKPOINT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHECKPOINT_VERSION = 2,
    CHECKPOINT_MAX_DIMS = 5,
    CHECKPOINT_NAME_SIZE = 32,
    CHECKPOINT_SHAPE_SIZE = 128
};

/* A named f32 array in canonical layout (weights: OIHW). */
struct tensor_view {
    const char *name; /* "layer1.0.conv1.weight": used as it is */
    int n_dims;       /* 0: a single value */
    int64_t dims[CHECKPOINT_MAX_DIMS];
    float *data; /* [product of dims]; only read when writing a checkpoint */
};

/* What a checkpoint says about its run. Texts may be NULL when writing: then "". */
struct checkpoint_facts {
    uint64_t step; /* steps done */
    uint64_t steps_per_epoch;
    const char *recipe; /* resolved, YAML */
    const char *model;
    int classes;
    int input_shape[3];             /* channels, height, width */
    const char *const *class_names; /* [n_class_names] */
    size_t n_class_names;
    const char *train_pack, *val_pack; /* ids */
    int microbatch, n_microbatches;    /* m, M */
    int threads;                       /* T, a rank */
    const char *isa;
    const char *convoy_version, *onednn_version, *mpi_version, *hdf5_version;
    const char *onednn_isa; /* dnn_isa's; since version 2 */
    const char *changes; /* with which the run went on at some step, a line each; since
                            version 2 */
};

struct checkpoint_slot {
    const char *name; /* "momentum" */
    const struct tensor_view *tensors;
    size_t n;
};

struct checkpoint_contents {
    struct checkpoint_facts facts;
    const struct tensor_view *params, *buffers;
    size_t n_params, n_buffers;
    /* The average of all of them, [n_params], [n_buffers]; NULL: there is none. */
    const struct tensor_view *ema_params, *ema_buffers;
    const struct checkpoint_slot *slots;
    size_t n_slots;
};

/* Writes a checkpoint to the file path, which nobody may rely on before it is synced
 * and renamed. On error its beginning may be there. Errors: IO, MEMORY. */
convoy_status checkpoint_write_to(const char *path,
                                  const struct checkpoint_contents *contents);

/* Writes a checkpoint: under a temporary name, synced, then renamed. On
 * error path is what it was before. Errors: IO, MEMORY. */
convoy_status checkpoint_write(const char *path,
                               const struct checkpoint_contents *contents);

/* The hash that convoy_weights_hash gives a file with these parameters and buffers, all
 * of whose data is there; facts, slots and averages are not looked at. Local. Errors:
 * MEMORY. */
convoy_status checkpoint_weights_hash(const struct checkpoint_contents *contents,
                                      char hex[33]);

struct checkpoint;

/* Opens a checkpoint for reading, having read all of it once to check its hash.
 * *checkpoint is new; free with checkpoint_close.
 * Errors: IO (the system cannot open or read it), FORMAT (no checkpoint, or damaged, or
 * more values than memory holds), UNSUPPORTED (of a newer format). */
convoy_status checkpoint_open(const char *path, struct checkpoint **checkpoint);

/* As checkpoint_open, and keeps all values in memory: the file is read once. */
convoy_status checkpoint_load(const char *path, struct checkpoint **checkpoint);

/* Frees the values that checkpoint_load kept; they can be read from the file again. */
void checkpoint_forget_values(struct checkpoint *checkpoint);

/* How many values of a tensor of checkpoint_tensors are not finite; 0 where its values
 * are not kept here. */
size_t checkpoint_not_finite(const struct tensor_view *tensor);

/* FORMAT where some kept values of parameters or buffers, or of their averages, are not
 * finite; the text names the file, how many, and the first tensor. */
convoy_status checkpoint_check_finite(const struct checkpoint *checkpoint);

/* Takes NULL. */
void checkpoint_close(struct checkpoint *checkpoint);

/* These are borrowed until checkpoint_close. */
const char *checkpoint_path(const struct checkpoint *checkpoint);
const struct checkpoint_facts *checkpoint_describe(const struct checkpoint *checkpoint);
/* 32 hex digits. */
const char *checkpoint_content_hash(const struct checkpoint *checkpoint);
/* All n tensors in byte order of their paths, which are their names here
 * ("params/fc.bias", "optimizer/momentum/fc.bias"); data is NULL where values are not
 * kept. */
const struct tensor_view *checkpoint_tensors(const struct checkpoint *checkpoint,
                                             size_t *n);

/* Values of the tensor at a path of checkpoint_tensors. values: [product of its dims].
 * This and the next two are collective over those who share the checkpoint
 * (checkpoint_share.h). */
convoy_status checkpoint_read_values(const struct checkpoint *checkpoint, size_t index,
                                     float *values);

/* Where parameters and buffers stand: what comes before "params" and "buffers" in the
 * names of their groups. */
#define CHECKPOINT_OWN ""
#define CHECKPOINT_EMA "ema/"

/* Whether it has averaged weights. Local. */
bool checkpoint_has_ema(const struct checkpoint *checkpoint);

/* FORMAT: it has none; the text names the file. Local. */
convoy_status checkpoint_need_ema(const struct checkpoint *checkpoint);

/* Reads group ("params", "buffers", "optimizer/momentum") into the data of n tensors,
 * which must be exactly those that the group holds, in any order, with the same shapes.
 * FORMAT: one is missing, has another shape (the text has both) or is there but not
 * asked for. On error, data may be partly overwritten. */
convoy_status checkpoint_read(const struct checkpoint *checkpoint, const char *group,
                              const struct tensor_view *tensors, size_t n);

/* As checkpoint_read, but a tensor that the group does not have becomes zeros, and
 * others that it has are passed over. FORMAT: another shape, or the group has none at
 * all. */
convoy_status checkpoint_read_known(const struct checkpoint *checkpoint,
                                    const char *group,
                                    const struct tensor_view *tensors, size_t n);

/* "[64, 3, 7, 7]" */
void checkpoint_shape_text(const struct tensor_view *tensor,
                           char out[CHECKPOINT_SHAPE_SIZE]);

/* "step-00000120.h5" */
void checkpoint_name(uint64_t step, char out[CHECKPOINT_NAME_SIZE]);
/* "diverged-00000120.h5": of a state that nobody should go on from. */
void checkpoint_diverged_name(uint64_t step, char out[CHECKPOINT_NAME_SIZE]);

/* Checkpoints that could not be used, and why the first of them. */
struct checkpoint_skipped {
    int n;
    char why[STATUS_TEXT_SIZE];
};

/* Loads the checkpoint with the highest step in its name, of those in folder that are
 * whole and of finite numbers; *checkpoint is NULL where there is none or no such
 * folder. Others, and diverged ones of later steps, are counted in *skipped. Errors:
 * MEMORY, IO (of the folder, or of a checkpoint: what cannot be read now is not
 * damaged), UNSUPPORTED (a checkpoint of a newer format: going back behind it would
 * lose work). */
convoy_status checkpoint_newest(const char *folder, struct checkpoint_skipped *skipped,
                                struct checkpoint **checkpoint);

/* The steps that names of checkpoints in folder have, the highest first, whatever they
 * hold; diverged: names of states that diverged. None where there is no such folder.
 * *steps is new; free with mem_free. Errors: MEMORY, IO. */
convoy_status checkpoint_steps(const char *folder, bool diverged, uint64_t **steps,
                               size_t *n);

/* The highest step that a checkpoint's name in folder has, whatever it holds; *any is
 * false where there is none or no such folder. Errors: MEMORY, IO. */
convoy_status checkpoint_last_step(const char *folder, bool *any, uint64_t *step);

/* How a file is removed. */
struct checkpoint_remover {
    convoy_status (*remove)(void *context, const char *path);
    void *context;
};

/* Of the checkpoints up to step newest, removes all but the keep with the highest
 * steps, and that of step *best (NULL: none), and temporary files that interrupted
 * writes of earlier steps left, as far as their processes are known to have ended.
 * Later ones stay and do not count: a resume passed them over as damaged. remover:
 * NULL: they are simply removed. */
convoy_status checkpoint_prune(const char *folder, uint64_t newest, int keep,
                               const uint64_t *best,
                               const struct checkpoint_remover *remover);

/* Removes the diverged states in folder, but that of step newest. */
convoy_status checkpoint_prune_diverged(const char *folder, uint64_t newest,
                                        const struct checkpoint_remover *remover);

#endif
