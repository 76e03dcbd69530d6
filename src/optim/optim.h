/* Optimizers: how a step of f32 parameters follows from their gradients.
 *
 * An optimizer keeps slots (momentum and the like), each one array as long as the
 * parameters. A step works on a range [begin, end) of elements, so it can be taken
 * bucket by bucket, and with another weight decay for some parameters. Every element is
 * computed alone: the bits depend neither on how ranges are cut nor on the number of
 * threads. One that needs the norm of a tensor asks for whole tensors, and takes
 * norms from optim_sum_squares: then every range is one tensor.
 *
 * A new optimizer is one file that ends in `const struct optim_kind optim_<name>`, and
 * one line in optim_list.h. What recipes can tell it is its table of options.
 */
#ifndef OPTIM_OPTIM_H
#define OPTIM_OPTIM_H

#include "base/option.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { OPTIM_MAX_SLOTS = 4 };

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
    struct option_owner about; /* name, help, and the options: fields of settings */
    bool whole_tensors;        /* a range must be one parameter's tensor: all of it */
    int n_slots;
    const char *slot_names[OPTIM_MAX_SLOTS];
    void (*step)(const void *settings, const struct optim_range *range);
};

int optim_n_kinds(void);
const struct optim_kind *optim_kind_at(int i);         /* 0 <= i < optim_n_kinds() */
const struct optim_kind *optim_find(const char *name); /* NULL: there is none */

/* The sum of the squares of values [n], in one order for all numbers of threads; OpenMP
 * inside for large n. Zeros that pad a tensor's layout change nothing. Allocates
 * nothing. */
double optim_sum_squares(const float *values, size_t n);

struct optimizer;

/* An optimizer of n parameters, all slots 0. settings: of kind, copied. *optimizer is
 * new; free with optimizer_destroy. MEMORY. */
convoy_status optimizer_create(const struct optim_kind *kind, const void *settings,
                               size_t n, struct optimizer **optimizer);

/* Takes NULL. */
void optimizer_destroy(struct optimizer *optimizer);

/* One step of elements [begin, end), of one tensor if the kind wants whole ones.
 * params: [n], the array's beginning; grads: [end - begin], of these elements, of the
 * loss without weight decay. OpenMP inside for large ranges. */
void optimizer_step(struct optimizer *optimizer, float *params, const float *grads,
                    size_t begin, size_t end, double lr, double weight_decay);

const struct optim_kind *optimizer_kind(const struct optimizer *optimizer);

/* The slot's array [n], 64-byte aligned, to save or restore it; NULL: there is none of
 * this name. Borrowed until destroy. */
float *optimizer_slot(struct optimizer *optimizer, const char *name);

#endif
