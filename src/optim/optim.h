/* Optimizers: how a step of f32 parameters follows from their gradients.
 *
 * An optimizer keeps slots (momentum and the like), each one array as long as the
 * parameters. A step works on a piece [begin, end) of elements at a time. Every element
 * is computed alone: the bits depend neither on how pieces are cut nor on the number of
 * threads. One that needs norms of tensors has two passes: measure gives a piece's sums
 * of squares, which update.h adds up tensor by tensor in one order, and step is then
 * told the norms of its piece's tensor.
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
#include <stdint.h>

enum { OPTIM_MAX_SLOTS = 4, OPTIM_MAX_NORMS = 2 };

/* The elements of a pass; all pointers at the first of n elements. */
struct optim_range {
    float *params;
    const float *grads;
    float *slots[OPTIM_MAX_SLOTS];
    size_t n;
    uint64_t step; /* from 0 */
    double lr;
    double weight_decay;
    double momentum; /* a schedule's; negative: there is none (optim_momentum) */
    bool adapts;     /* a weight, whose rate may go by its norms; not a norm or bias */
    double norms[OPTIM_MAX_NORMS]; /* step: roots of the tensor's sums of measure */
};

struct optim_kind {
    struct option_owner about; /* name, help, and the options: fields of settings */
    int n_slots;
    const char *slot_names[OPTIM_MAX_SLOTS];
    /* The name where settings decide what a slot means; NULL: slot_names[i]. Values of
     * another meaning have another name, so that no run goes on with them. */
    const char *(*slot_name)(const void *settings, int i);
    const char *momentum; /* the option in whose place a schedule's momentum comes;
                             NULL: there is none */

    bool shrinks; /* a step multiplies what decays by 1 - lr weight_decay */

    /* The first of two passes: sums of squares over the range, which add up to those of
     * a tensor. May change slots, not params. NULL: there is one pass only. */
    void (*measure)(const void *settings, const struct optim_range *range,
                    double sums[OPTIM_MAX_NORMS]);
    bool measure_uses_up_grads; /* step does not read grads: they are NULL then */
    void (*step)(const void *settings, const struct optim_range *range);
};

int optim_n_kinds(void);
const struct optim_kind *optim_kind_at(int i);         /* 0 <= i < optim_n_kinds() */
const struct optim_kind *optim_find(const char *name); /* NULL: there is none */

/* The sum of the squares of values [n], in one order for all numbers of threads; OpenMP
 * inside for large n. Zeros that pad a tensor's layout change nothing. Allocates
 * nothing. */
double optim_sum_squares(const float *values, size_t n);

/* The momentum of this step, own being the option's. */
static inline double optim_momentum(const struct optim_range *range, double own)
{
    return range->momentum < 0 ? own : range->momentum;
}

struct optimizer;

/* An optimizer of n parameters, all slots 0. settings: of kind, copied. *optimizer is
 * new; free with optimizer_destroy. MEMORY. */
convoy_status optimizer_create(const struct optim_kind *kind, const void *settings,
                               size_t n, struct optimizer **optimizer);

/* Takes NULL. */
void optimizer_destroy(struct optimizer *optimizer);

/* Elements [begin, end) in one step, of one tensor where the kind measures. */
struct optim_piece {
    float *params;      /* [n], the array's beginning */
    const float *grads; /* [end - begin], of these elements, of the loss without weight
                           decay */
    size_t begin, end;
    uint64_t step; /* from 0: those that were left out count */
    double lr, weight_decay;
    const double *momentum; /* a schedule's, in place of the kind's own; NULL: none */
    bool adapts;            /* as optim_range has it, as norms are */
    double norms[OPTIM_MAX_NORMS];
};

/* The kind's passes over one piece, the first only where there are two. Different
 * pieces at the same time on any threads; OpenMP inside for large pieces. Local. */
void optimizer_measure(struct optimizer *optimizer, const struct optim_piece *piece,
                       double sums[OPTIM_MAX_NORMS]);
void optimizer_step(struct optimizer *optimizer, const struct optim_piece *piece);

const struct optim_kind *optimizer_kind(const struct optimizer *optimizer);

/* A slot's name in checkpoints, 0 <= i < n_slots; static. */
const char *optimizer_slot_name(const struct optimizer *optimizer, int i);

/* The slot's array [n], 64-byte aligned, to save or restore it; NULL: there is none of
 * this name. Borrowed until destroy. */
float *optimizer_slot(struct optimizer *optimizer, const char *name);

#endif
