/* Weight files: the checkpoints that training writes. Weights are the parameters and
 * buffers of a model; the state of the optimizer is none of them.
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
 * same hash where these are the same to the last bit, whatever else they hold. Local.
 * hex: 32 digits and a 0, written only on success.
 * Errors: IO, FORMAT (no weight file, or damaged). */
convoy_status convoy_weights_hash(const char *path, char hex[33]);

/* How one tensor of two files differs. */
typedef struct convoy_weights_difference {
    const char *name; /* "params/fc.weight"; borrowed for the call */
    bool equal;       /* to the last bit */
    const char *why; /* values cannot be compared: it is in one file only, or the shapes
                        differ; else NULL. Borrowed for the call */
    double max_abs;  /* largest |a - b|; infinite where only one of a, b is a number */
    double max_rel;  /* largest |a - b| / max(|a|, |b|) */
} convoy_weights_difference;

/* Compares the parameters and buffers of the files a and b. Local. Calls
 * visit(context, difference) for every tensor that one of them has, in byte order of
 * the names; visit may be NULL. *equal: all are, to the last bit. Errors: as
 * convoy_weights_hash, or MEMORY. */
convoy_status convoy_weights_diff(const char *a, const char *b,
                                  void (*visit)(void *context,
                                                const convoy_weights_difference *found),
                                  void *context, bool *equal);

/* Writes what the file holds, for people: the facts of its run, its tensors with their
 * shapes, and the number of parameters. Local. Errors: as convoy_weights_hash. */
convoy_status convoy_weights_describe(const char *path, FILE *stream);

#ifdef __cplusplus
}
#endif
#endif
