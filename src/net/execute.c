/* Running a compiled net: binding the caller's memory and walking the program. */
#include "net/net.h"

size_t net_param_floats(const convoy_net *net)
{
    return net->store.param_floats;
}

size_t net_leaf_floats(const convoy_net *net)
{
    return net_param_floats(net) + net->store.buffer_floats;
}

convoy_status compiled_refresh(struct compiled *compiled)
{
    const struct run_info none = {0};
    return program_run(compiled->program, PHASE_WEIGHTS, &none);
}

/* oneDNN's handles are not const; what they point to is only read. */
static void *readable(const void *memory)
{
    union {
        const void *from;
        void *as;
    } reading = {.from = memory};
    return reading.as;
}

static convoy_status bind_inputs(struct compiled *compiled,
                                 const struct compiled_batch *batch)
{
    convoy_status status = CONVOY_OK;
    struct program *program = compiled->program;
    TRY(program_bind(program, HOME_IMAGES, readable(batch->images)));
    TRY(program_bind(program, HOME_LABELS, readable(batch->labels)));
    TRY(program_bind(program, HOME_PARTNERS, readable(batch->partners)));
    TRY(program_bind(program, HOME_SHARES, readable(batch->shares)));
cleanup:
    return status;
}

static convoy_status bind(struct compiled *compiled, const struct compiled_batch *batch)
{
    convoy_status status = CONVOY_OK;
    struct program *program = compiled->program;
    float *leaf = batch->leaf;
    TRY(bind_inputs(compiled, batch));
    if (compiled->training && !compiled->probe) {
        TRY(program_bind(program, HOME_GRADS, leaf));
        TRY(program_bind(program, HOME_STATS, leaf + net_param_floats(compiled->net)));
    }
cleanup:
    return status;
}

convoy_status compiled_forward_batch(struct compiled *compiled,
                                     const struct compiled_batch *batch,
                                     const struct run_info *info)
{
    convoy_status status = CONVOY_OK;
    TRY(bind(compiled, batch));
    TRY(program_run(compiled->program, PHASE_FORWARD, info));
cleanup:
    return status;
}

convoy_status compiled_forward(struct compiled *compiled, const void *images,
                               const int32_t *labels, float *leaf,
                               const struct run_info *info)
{
    const struct compiled_batch batch = {
        .images = images, .labels = labels, .leaf = leaf};
    return compiled_forward_batch(compiled, &batch, info);
}

convoy_status compiled_forward_statistics(struct compiled *compiled,
                                          const struct compiled_batch *batch,
                                          float *statistics,
                                          const struct run_info *info)
{
    convoy_status status = CONVOY_OK;
    TRY(bind_inputs(compiled, batch));
    TRY(program_bind(compiled->program, HOME_STATS, statistics));
    TRY(program_run(compiled->program, PHASE_FORWARD, info));
cleanup:
    return status;
}

static void set_scale(struct compiled *compiled, float scale)
{
    for (int i = 0; i < compiled->n; i++)
        compiled->loss_scale[i] = scale;
}

convoy_status compiled_backward(struct compiled *compiled, float scale,
                                const struct run_info *info)
{
    set_scale(compiled, scale);
    return program_run(compiled->program, PHASE_BACKWARD, info);
}

convoy_status compiled_backward_telling(struct compiled *compiled, float scale,
                                        const struct run_info *info,
                                        program_final *final, void *context)
{
    set_scale(compiled, scale);
    return program_run_backward(compiled->program, info, final, context);
}

convoy_status compiled_find_nonfinite(struct compiled *compiled, float scale,
                                      const struct compiled_batch *batch,
                                      const struct run_info *info, int *op)
{
    convoy_status status = CONVOY_OK;
    TRY(bind(compiled, batch));
    TRY(program_find_nonfinite(compiled->program, PHASE_FORWARD, info, op));
    if (*op != NO_OP)
        return CONVOY_OK;
    set_scale(compiled, scale);
    TRY(program_find_nonfinite(compiled->program, PHASE_BACKWARD, info, op));
cleanup:
    return status;
}

const float *compiled_logits(const struct compiled *compiled)
{
    return program_data(compiled->program, compiled->logits);
}

const float *compiled_losses(const struct compiled *compiled)
{
    return program_data(compiled->program, compiled->losses);
}

/* What makes a statistic over so many values an unbiased one, where it is to be. */
static double unbiased_by(const struct stored_buffer *b, double n_values)
{
    return b->buffer.unbiased && n_values > 1 ? n_values / (n_values - 1) : 1;
}

void compiled_update_buffers(const struct compiled *compiled, const float *sum, int n)
{
    const struct param_store *store = &compiled->net->store;
    for (int i = 0; i < store->n_buffers; i++) {
        const struct stored_buffer *b = &store->buffers[i];
        const double n_values = compiled->n_values[i];
        float *running = store->buffer_data + b->offset;
        const float *statistic = sum + b->offset;
        const float momentum = b->buffer.momentum;
        if (n_values == 0) /* nothing measured it: its layer is frozen */
            continue;
        const double factor = 1.0 / n * unbiased_by(b, n_values);
        for (int64_t k = 0; k < b->buffer.n; k++)
            running[k] = (1 - momentum) * running[k] +
                         momentum * (float)((double)statistic[k] * factor);
    }
}

void compiled_set_buffers(const struct compiled *compiled, const double *sums, double n)
{
    const struct param_store *store = &compiled->net->store;
    for (int i = 0; i < store->n_buffers; i++) {
        const struct stored_buffer *b = &store->buffers[i];
        const double n_values = compiled->n_values[i];
        if (n_values == 0) /* its layer is frozen */
            continue;
        const double factor = unbiased_by(b, n_values) / n;
        for (size_t k = b->offset; k < b->offset + (size_t)b->buffer.n; k++)
            store->buffer_data[k] = (float)(sums[k] * factor);
    }
}
