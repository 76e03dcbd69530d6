/* Optimizers: how a step of f32 parameters follows from their gradients.
 *
 * An optimizer keeps slots (momentum and the like), each one array as long as the
 * parameters. A step works on a range [begin, end) of elements, so it can be taken
 * bucket by bucket, and with another weight decay for some parameters. Every element is
 * computed alone: the bits depend neither on how ranges are cut nor on the number of
 * threads.
 *
 * A new optimizer is one file that ends in `const struct optim_kind optim_<name>`, and
 * one line in optim_list.h.
 */
#ifndef OPTIM_OPTIM_H
#define OPTIM_OPTIM_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { OPTIM_MAX_SLOTS = 4 };

/* The fixed numbers of all optimizers; each reads those it knows. */
struct optim_settings {
    double momentum;
    bool nesterov;
};

/* The elements of one step; all pointers at the first of n elements. */
struct optim_range {
    float *params;
    const float *grads;
    float *slots[OPTIM_MAX_SLOTS];
    size_t n;
    float lr;
    float weight_decay;
};

struct optim_kind {
    const char *name;
    int n_slots;
    const char *slot_names[OPTIM_MAX_SLOTS];
    void (*step)(const struct optim_settings *settings,
                 const struct optim_range *range);
};

int optim_n_kinds(void);
const struct optim_kind *optim_kind_at(int i);         /* 0 <= i < optim_n_kinds() */
const struct optim_kind *optim_find(const char *name); /* NULL: there is none */

struct optimizer;

/* An optimizer of n parameters, all slots 0. *optimizer is new; free with
 * optimizer_destroy. ARGUMENT: no optimizer has this name; the text names those there
 * are. */
convoy_status optimizer_create(const char *name, const struct optim_settings *settings,
                               size_t n, struct optimizer **optimizer);

/* Takes NULL. */
void optimizer_destroy(struct optimizer *optimizer);

/* One step of elements [begin, end). params, grads: [n], the arrays' beginnings; grads
 * of the loss without weight decay. OpenMP inside for large ranges. */
void optimizer_step(struct optimizer *optimizer, float *params, const float *grads,
                    size_t begin, size_t end, double lr, double weight_decay);

const struct optim_kind *optimizer_kind(const struct optimizer *optimizer);

/* The slot's array [n], 64-byte aligned, to save or restore it; NULL: there is none of
 * this name. Borrowed until destroy. */
float *optimizer_slot(struct optimizer *optimizer, const char *name);

#endif
