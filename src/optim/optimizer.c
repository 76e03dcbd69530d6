/* The list of optimizers, and one optimizer's slots: an array each, allocated once. The
 * arithmetic is in the file of each kind.
 */
#include "optim/optim.h"

#include "base/memory.h"

#include <stdio.h>
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
    struct optim_settings settings;
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
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

static convoy_status reject_name(const char *name)
{
    char known[256] = "";
    size_t n = 0;
    for (int i = 0; i < N_KINDS && n < sizeof known; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "",
                              kinds[i]->name);
    return FAIL(CONVOY_ERROR_ARGUMENT, "'%s' is no optimizer; there are: %s", name,
                known);
}

convoy_status optimizer_create(const char *name, const struct optim_settings *settings,
                               size_t n, struct optimizer **optimizer)
{
    const struct optim_kind *kind = optim_find(name);
    if (!kind)
        return reject_name(name);
    struct optimizer *new_optimizer = NULL;
    convoy_status status = CONVOY_OK;
    TRY(mem_alloc(sizeof *new_optimizer, (void **)&new_optimizer));
    new_optimizer->kind = kind;
    new_optimizer->settings = *settings;
    new_optimizer->n = n;
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
    mem_free(optimizer);
}

void optimizer_step(struct optimizer *optimizer, float *params, const float *grads,
                    size_t begin, size_t end, double lr, double weight_decay)
{
    struct optim_range range = {.params = params + begin,
                                .grads = grads + begin,
                                .n = end - begin,
                                .lr = (float)lr,
                                .weight_decay = (float)weight_decay};
    for (int i = 0; i < optimizer->kind->n_slots; i++)
        range.slots[i] = optimizer->slots[i] + begin;
    optimizer->kind->step(&optimizer->settings, &range);
}

const struct optim_kind *optimizer_kind(const struct optimizer *optimizer)
{
    return optimizer->kind;
}

float *optimizer_slot(struct optimizer *optimizer, const char *name)
{
    for (int i = 0; i < optimizer->kind->n_slots; i++)
        if (strcmp(optimizer->kind->slot_names[i], name) == 0)
            return optimizer->slots[i];
    return NULL;
}
