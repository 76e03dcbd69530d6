/* Weight files: the checkpoints that training writes. Weights are the parameters and
 * buffers of a model; the state of the optimizer is none of them. A checkpoint of a
 * training that averages its weights (the recipe's ema) has the averaged ones as well:
 * ema stands for these in place of the others. All of this opens HDF5 files: one thread
 * at a time in all of convoy.
 */
#ifndef CONVOY_WEIGHTS_H
#define CONVOY_WEIGHTS_H

#include <convoy/status.h>

#include <stdbool.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the file at path says that it is a weight file of convoy. Local. false, too,
 * where it cannot be read. */
bool convoy_weights_recognise(const char *path);

/* Hashes names, shapes and values of all parameters and buffers: two files have the
 * same hash where these are the same to the last bit, whatever else they hold. Averaged
 * ones have the names of the others. Local. hex: 32 digits and a 0, written only on
 * success. Errors: IO, FORMAT (no weight file, damaged, or without averaged weights
 * that are asked for). */
convoy_status convoy_weights_hash(const char *path, bool ema, char hex[33]);

/* How one tensor of two files differs. */
typedef struct convoy_weights_difference {
    const char *name; /* "params/fc.weight"; borrowed for the call */
    bool equal;       /* to the last bit */
    const char *why; /* values cannot be compared: it is in one file only, or the shapes
                        differ; else NULL. Borrowed for the call */
    double max_abs;  /* largest |a - b|; infinite where only one of a, b is a number */
    double max_rel;  /* largest |a - b| / max(|a|, |b|) */
} convoy_weights_difference;

/* Compares the parameters and buffers of the files a and b, the averaged ones of both
 * with ema. Local. Calls
 * visit(context, difference) for every tensor that one of them has, in byte order of
 * the names; visit may be NULL. *equal: all are, to the last bit. Errors: as
 * convoy_weights_hash, or MEMORY. */
convoy_status convoy_weights_diff(const char *a, const char *b, bool ema,
                                  void (*visit)(void *context,
                                                const convoy_weights_difference *found),
                                  void *context, bool *equal);

/* Writes what the file holds, for people: the facts of its run, its tensors with their
 * shapes, and the number of parameters. Local. Errors: as convoy_weights_hash. */
convoy_status convoy_weights_describe(const char *path, FILE *stream);

/* What an import must be told: a model of the zoo, or a recipe. */
typedef struct convoy_weights_import_options {
    const char *model;  /* its name (convoy/model.h); NULL with a recipe */
    const char *recipe; /* path of a recipe whose pack (data.train) can be opened: its
                           net and classes; NULL with a model */
    int classes;        /* of a model; 0: as many as the file's classifier has */
    int crop;           /* height and width of a model's input; 0: the model's own */
    const char *const *overrides; /* [n_overrides]: of a model, what a recipe would say
                                     besides, "model.variant=v1", "data.mean=[0.5]" */
    int n_overrides;
    const char *class_names; /* path of a text file, one name a line; NULL: the names of
                                the recipe's pack, or "0", "1", … */
    const char *const *skip; /* [n_skip]: prefixes of tensor names to pass over */
    int n_skip;
    const char *strip; /* a prefix to take off the file's names, such as "module.";
                          NULL: none */
} convoy_weights_import_options;

/* Makes output, a weight file of convoy, of the safetensors file path. Local. The file
 * must hold the model's parameters and buffers under torchvision's names, each in its
 * shape, as F32, F64, F16 or BF16, and nothing else; "num_batches_tracked" of a batch
 * norm may be there and is not read. What is skipped is not read, and the model starts
 * there as training would. output appears, or is replaced, only when complete. Errors:
 * IO; FORMAT (no safetensors file, or not these weights, or values that are
 * not finite: the text lists the tensors);
 * ARGUMENT (no such model, options that do not go together, a prefix to skip or
 * strip that nothing starts with, an output that is a folder or the input); UNSUPPORTED
 * (more than 8 dimensions, an F64 value beyond f32); MEMORY. */
convoy_status convoy_weights_import(const char *path, const char *output,
                                    const convoy_weights_import_options *options);

/* Writes the parameters and buffers of the weight file path to output, a safetensors
 * file with F32 values under torchvision's names, and each batch norm's
 * "num_batches_tracked": the number of steps. Local. output appears, or is replaced,
 * only when complete. Errors: as convoy_weights_hash; ARGUMENT (output is a folder or
 * the input). */
convoy_status convoy_weights_export(const char *path, bool ema, const char *output);

#ifdef __cplusplus
}
#endif
#endif
