/* A step of all parameters that learn, by several threads: in as many passes over the
 * memory as the optimizer and clipping need.
 *
 *     clipping  |g| over all that learns; then, with clip_norm c, g <- g min(1, c /
 *               (|g| + 1e-6)) wherever it is read
 *     measure   the optimizer's sums of squares, which make the norms of each tensor
 *     step      the only pass without the other two
 *
 * Ranges are cut into pieces of UPDATE_PIECE elements, each from its own beginning, and
 * threads share out pieces, so that one huge tensor is everybody's work. A sum is made
 * of the pieces' sums in their order: no result depends on threads, nor on how
 * gradients travelled.
 *
 * A step: update_begin on one thread, then either update_work on all workers at the
 * same time, or each pass by hand: update_piece for all pieces on any threads, then
 * update_end_pass. Nothing is allocated after update_create. Local.
 */
#ifndef OPTIM_UPDATE_H
#define OPTIM_UPDATE_H

#include "optim/optim.h"

/* Elements that a thread updates at a time: as many as its cache holds of all that a
 * step of them reads. */
enum { UPDATE_PIECE = 1 << 14 };

/* Parameters that learn alike, as a range of the arena. */
struct update_range {
    size_t begin, end; /* floats */
    double lr_scale;   /* factor of the learning rate */
    double weight_decay;
    bool adapts; /* weights; not norms and biases */
};

struct update;

struct update_options {
    struct optimizer *optimizer;       /* borrowed */
    const struct update_range *ranges; /* [n_ranges], borrowed; each one tensor without
                                          padding where update_by_tensor says so */
    int n_ranges;
    int workers;      /* threads that call update_work, at least 1 */
    double clip_norm; /* the most that the gradient's norm may be; 0: any */
};

/* Whether norms are asked for, so that each range has to be one tensor. */
bool update_by_tensor(const struct optim_kind *kind, double clip_norm);

/* *update is new; free with update_destroy. Errors: MEMORY. */
convoy_status update_create(const struct update_options *options,
                            struct update **update);

/* Takes NULL. */
void update_destroy(struct update *update);

/* What all pieces of a step have in common. */
struct update_step {
    float *params; /* the arena, as long as the optimizer's slots */
    uint64_t step; /* from 0: those that were left out count */
    double lr;
    const double *momentum; /* as optim_piece has it; read until the step ends */
};

/* Where the gradients of elements [begin, end) are, or are made: room [end - begin].
 * Called on several threads; the same in every pass. */
struct update_source {
    const float *(*values)(const void *context, size_t begin, size_t end, float *room);
    const void *context;
};

void update_begin(struct update *update, const struct update_step *step);

/* This worker's part, 0 <= worker < workers; all of them call it, each with a source of
 * its own, and wait for each other between passes, or until update_cancel. done: NULL,
 * or is told the first element of each piece that was seen to. */
void update_work(struct update *update, int worker, const struct update_source *source,
                 void (*done)(void *context, size_t begin), void *context);

/* Ends all waiting in this step: a worker does not come. Weights may be half updated
 * then. Any thread. */
void update_cancel(struct update *update);

int update_n_passes(const struct update *update);
size_t update_n_pieces(const struct update *update);
void update_piece(struct update *update, int pass, size_t piece, int worker,
                  const struct update_source *source);
void update_end_pass(struct update *update, int pass);

/* The norm of all gradients of the last step, before they were clipped, and whether
 * they were. Not a number without clip_norm, or where there was no step since
 * update_begin. */
double update_grad_norm(const struct update *update);
bool update_clipped(const struct update *update);

#endif
