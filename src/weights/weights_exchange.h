/* What importing and exporting weights share: the tensors of a net beside those of a
 * safetensors file. */
#ifndef WEIGHTS_WEIGHTS_EXCHANGE_H
#define WEIGHTS_WEIGHTS_EXCHANGE_H

#include "safetensors/safetensors.h"
#include "weights/net_tensors.h"

/* PyTorch's count of a batch norm's forward passes, which convoy has no use for. */
#define WEIGHTS_COUNTER ".num_batches_tracked"
#define WEIGHTS_MEAN ".running_mean"

/* Which names of a file mean what. */
struct weights_skip {
    const char *const *prefixes; /* [n]: what begins so is passed over */
    int n;
    const char *strip; /* taken off the file's names that begin so, before anything
                          else; NULL: nothing is */
};

/* The name of a checkpoint's tensor without "params/" or "buffers/" before it; NULL: it
 * is an optimizer's. */
const char *weights_name(const char *path);

/* What file and net do not have in common, a line each, for one message. */
struct weights_misfits {
    int n, n_listed;
    size_t used;
    char text[STATUS_TEXT_SIZE / 2];
};
/* Adds a line. Once there are 20, or no room is left, lines are only counted. */
void weights_misfits_add(struct weights_misfits *misfits, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Behind the last line: how many were left out, if any. */
void weights_misfits_end(struct weights_misfits *misfits);

/* Whether name starts with one of the prefixes. */
bool weights_skips(const struct weights_skip *skip, const char *name);

/* Fails unless file holds exactly the tensors of set, skipped ones apart, in their
 * shapes and as floating-point numbers; counters of batch norms may be there or not.
 * FORMAT: the text lists what is amiss, one tensor a line, and says where only a prefix
 * differs; path and model are for it. ARGUMENT: a prefix to skip or to strip is the
 * start of no name. */
convoy_status weights_match(const struct safetensors *file, const char *path,
                            const struct net_tensors *set,
                            const struct weights_skip *skip, const char *model);

/* Makes room for the values of set and reads them from a file that matches; skipped
 * tensors get those with which training would start under seed. FORMAT: values are not
 * finite; the text lists the tensors, path is for it. */
convoy_status weights_fill(const struct safetensors *file, const char *path,
                           const convoy_net *net, const struct weights_skip *skip,
                           uint64_t seed, struct net_tensors *set);

/* The file's tensor that has name once the prefix is taken off; NULL: there is none. */
const struct safetensors_tensor *weights_find(const struct safetensors *file,
                                              const struct weights_skip *skip,
                                              const char *name);

/* Fails where output cannot be the name of a new file (a folder or a device has it), or
 * is the file input. */
convoy_status weights_check_output(const char *input, const char *output);

#endif
