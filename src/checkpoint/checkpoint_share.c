/* The reader describes its checkpoint in one row of bytes (path, hash, facts, names and
 * shapes of the tensors), from which the others make one without a file. Values follow
 * when they are asked for, tensor by tensor, straight into their place: no process but
 * the reader holds all of them twice.
 *
 * What may fail on one process alone is agreed on before the next broadcast, so none
 * waits for one that has given up. */
#include "checkpoint/checkpoint_share.h"

#include "base/memory.h"
#include "checkpoint/checkpoint_internal.h"
#include "checkpoint/checkpoint_wire.h"
#include "h5/h5.h"

#include <stdio.h>
#include <string.h>

static convoy_status describe(const struct checkpoint *checkpoint, struct wire *wire)
{
    convoy_status status = CONVOY_OK;
    TRY(wire_put_text(wire, checkpoint->path));
    TRY(wire_put_text(wire, checkpoint->hash));
    TRY(checkpoint_facts_put(wire, &checkpoint->facts.facts));
    TRY(wire_put_u64(wire, checkpoint->n_tensors));
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        const struct tensor_view *tensor = &checkpoint->tensors[i];
        TRY(wire_put_text(wire, tensor->name));
        TRY(wire_put_u64(wire, (uint64_t)tensor->n_dims));
        for (int d = 0; d < tensor->n_dims; d++)
            TRY(wire_put_u64(wire, (uint64_t)tensor->dims[d]));
    }
cleanup:
    return status;
}

static convoy_status take_tensor(struct wire *wire, struct checkpoint *checkpoint)
{
    convoy_status status = CONVOY_OK;
    struct tensor_view *tensor = &checkpoint->tensors[checkpoint->n_tensors];
    uint64_t number = 0;
    TRY(wire_get_text(wire, &checkpoint->names[checkpoint->n_tensors]));
    tensor->name = checkpoint->names[checkpoint->n_tensors];
    checkpoint->n_names = ++checkpoint->n_tensors;
    TRY(wire_get_u64(wire, &number));
    tensor->n_dims = (int)number;
    for (int d = 0; d < tensor->n_dims; d++) {
        TRY(wire_get_u64(wire, &number));
        tensor->dims[d] = (int64_t)number;
    }
cleanup:
    return status;
}

static convoy_status take(struct wire *wire, struct checkpoint **out)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *made = NULL;
    char *hash = NULL;
    uint64_t n = 0;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    TRY(wire_get_text(wire, &made->path));
    TRY(wire_get_text(wire, &hash));
    snprintf(made->hash, sizeof made->hash, "%s", hash);
    TRY(checkpoint_facts_get(wire, &made->facts));
    TRY(wire_get_u64(wire, &n));
    TRY(mem_alloc_array((size_t)n, sizeof *made->names, (void **)&made->names));
    TRY(mem_alloc_array((size_t)n, sizeof *made->tensors, (void **)&made->tensors));
    for (uint64_t i = 0; i < n; i++)
        TRY(take_tensor(wire, made));
    *out = made;
    made = NULL;
cleanup:
    mem_free(hash);
    checkpoint_close(made);
    return status;
}

convoy_status checkpoint_share(const struct checkpoint_channel *channel,
                               struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    const bool is_reader = channel->is_reader;
    struct checkpoint *made = NULL;
    struct wire wire = {0};
    uint64_t n = 0;
    if (is_reader && *checkpoint)
        status = describe(*checkpoint, &wire);
    TRY(channel->agree(channel->context, status));
    n = wire.n;
    TRY(channel->broadcast(channel->context, &n, sizeof n));
    if (n > 0) {
        if (!is_reader)
            status = mem_reserve(&wire.bytes, &wire.capacity, (size_t)n);
        TRY(channel->agree(channel->context, status));
        wire.n = (size_t)n;
        TRY(channel->broadcast(channel->context, wire.bytes, wire.n));
        if (!is_reader)
            status = take(&wire, &made);
        TRY(channel->agree(channel->context, status));
    }
    if (!is_reader)
        *checkpoint = made;
    if (*checkpoint)
        (*checkpoint)->channel = *channel;
    made = NULL;
cleanup:
    mem_free(wire.bytes);
    checkpoint_close(made);
    return status;
}

convoy_status checkpoint_agree(const struct checkpoint *checkpoint,
                               convoy_status status)
{
    const struct checkpoint_channel *channel = &checkpoint->channel;
    return channel->agree ? channel->agree(channel->context, status) : status;
}
