/* The list of optimizers, and one optimizer's slots: an array each, allocated once. The
 * arithmetic is in the file of each kind.
 */
#include "optim/optim.h"

#include "base/memory.h"

#include <string.h>

#define OPTIM(name) extern const struct optim_kind optim_##name;
#include "optim/optim_list.h"
#undef OPTIM

static const struct optim_kind *const kinds[] = {
#define OPTIM(name) &optim_##name,
#include "optim/optim_list.h"
#undef OPTIM
};

enum { N_KINDS = (int)(sizeof kinds / sizeof kinds[0]) };

struct optimizer {
    const struct optim_kind *kind;
    void *settings; /* [kind->about.size] */
    size_t n;
    float *slots[OPTIM_MAX_SLOTS]; /* each [n] */
};

int optim_n_kinds(void)
{
    return N_KINDS;
}

const struct optim_kind *optim_kind_at(int i)
{
    return kinds[i];
}

const struct optim_kind *optim_find(const char *name)
{
    for (int i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i]->about.name, name) == 0)
            return kinds[i];
    return NULL;
}

convoy_status optimizer_create(const struct optim_kind *kind, const void *settings,
                               size_t n, struct optimizer **optimizer)
{
    struct optimizer *new_optimizer = NULL;
    convoy_status status = CONVOY_OK;
    TRY(mem_alloc(sizeof *new_optimizer, (void **)&new_optimizer));
    new_optimizer->kind = kind;
    new_optimizer->n = n;
    TRY(mem_alloc(kind->about.size, &new_optimizer->settings));
    if (kind->about.size > 0)
        memcpy(new_optimizer->settings, settings, kind->about.size);
    for (int i = 0; i < kind->n_slots; i++)
        TRY(mem_alloc_array(n, sizeof(float), (void **)&new_optimizer->slots[i]));
    *optimizer = new_optimizer;
    new_optimizer = NULL;
cleanup:
    optimizer_destroy(new_optimizer);
    return status;
}

void optimizer_destroy(struct optimizer *optimizer)
{
    if (!optimizer)
        return;
    for (int i = 0; i < OPTIM_MAX_SLOTS; i++)
        mem_free(optimizer->slots[i]);
    mem_free(optimizer->settings);
    mem_free(optimizer);
}

static struct optim_range range_of(const struct optimizer *optimizer,
                                   const struct optim_piece *piece)
{
    struct optim_range range = {.params = piece->params + piece->begin,
                                .grads = piece->grads,
                                .n = piece->end - piece->begin,
                                .step = piece->step,
                                .lr = piece->lr,
                                .weight_decay = piece->weight_decay,
                                .momentum = piece->momentum ? *piece->momentum : -1,
                                .adapts = piece->adapts};
    for (int i = 0; i < optimizer->kind->n_slots; i++)
        range.slots[i] = optimizer->slots[i] + piece->begin;
    for (int i = 0; i < OPTIM_MAX_NORMS; i++)
        range.norms[i] = piece->norms[i];
    return range;
}

void optimizer_measure(struct optimizer *optimizer, const struct optim_piece *piece,
                       double sums[OPTIM_MAX_NORMS])
{
    const struct optim_range range = range_of(optimizer, piece);
    for (int i = 0; i < OPTIM_MAX_NORMS; i++)
        sums[i] = 0;
    optimizer->kind->measure(optimizer->settings, &range, sums);
}

void optimizer_step(struct optimizer *optimizer, const struct optim_piece *piece)
{
    const struct optim_range range = range_of(optimizer, piece);
    optimizer->kind->step(optimizer->settings, &range);
}

const struct optim_kind *optimizer_kind(const struct optimizer *optimizer)
{
    return optimizer->kind;
}

const char *optimizer_slot_name(const struct optimizer *optimizer, int i)
{
    const struct optim_kind *kind = optimizer->kind;
    return kind->slot_name ? kind->slot_name(optimizer->settings, i)
                           : kind->slot_names[i];
}

float *optimizer_slot(struct optimizer *optimizer, const char *name)
{
    for (int i = 0; i < optimizer->kind->n_slots; i++)
        if (strcmp(optimizer_slot_name(optimizer, i), name) == 0)
            return optimizer->slots[i];
    return NULL;
}
