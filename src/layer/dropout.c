/* Dropout (Srivastava et al. 2014), inverted: training, each value is zeroed with
 * probability p and the others are divided by 1 - p; else values pass unchanged.
 *
 * The mask is drawn for (seed, step, layer, sample of the global batch, position in
 * memory): it is the same whichever rank computes the sample, and the backward pass
 * draws it again instead of keeping it. */
#include "layer/layer.h"

#include "base/bf16.h"
#include "base/rng.h"

#include <stddef.h>

struct context {
    float p;
    int layer;
    bool bf16; /* values are; else f32 */
    int64_t n,
        sample_size; /* samples, and values of one, padding of the layout included */
};

/* Up to four values, which words decide on. */
static void mask_f32(const uint32_t *words, uint32_t threshold, float scale, int64_t n,
                     const float *from, float *to)
{
    for (int64_t k = 0; k < n; k++)
        to[k] = words[k] < threshold ? 0.0F : from[k] * scale;
}

static void mask_bf16(const uint32_t *words, uint32_t threshold, float scale, int64_t n,
                      const uint16_t *from, uint16_t *to)
{
    for (int64_t k = 0; k < n; k++)
        to[k] = words[k] < threshold ? 0 : bf16_from_f32(bf16_to_f32(from[k]) * scale);
}

/* Sample i: to = mask · from / (1 - p). */
static void mask_sample(const struct context *c, const struct rng *rng, int64_t i,
                        const void *from, void *to)
{
    const uint32_t threshold = (uint32_t)((double)c->p * 0x1p32);
    const float scale = 1.0F / (1.0F - c->p);
    const int64_t first = i * c->sample_size;
    for (int64_t k = 0; k < c->sample_size; k += 4) {
        uint32_t words[4];
        const int64_t n = c->sample_size - k < 4 ? c->sample_size - k : 4;
        const int64_t at = first + k;
        rng_block(rng, (uint32_t)(k / 4), words);
        if (c->bf16)
            mask_bf16(words, threshold, scale, n, (const uint16_t *)from + at,
                      (uint16_t *)to + at);
        else
            mask_f32(words, threshold, scale, n, (const float *)from + at,
                     (float *)to + at);
    }
}

static void run(const void *context, const struct run_info *info, void *const *data)
{
    const struct context *c = context;
    const uint64_t stream = info->step << 16 | (uint64_t)c->layer;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < c->n; i++) {
        struct rng rng = rng_stream(info->seed, RNG_DROPOUT, stream,
                                    info->first_sample + (uint64_t)i);
        mask_sample(c, &rng, i, data[0], data[1]);
    }
}

static convoy_status emit(struct layer_build *b, enum phase phase, tensor from,
                          tensor to)
{
    const bool bf16 = b->type == dnnl_bf16;
    const size_t bytes = dnn_md_bytes(program_md(b->program, from));
    const struct context context = {
        .p = layer_told(b)->p,
        .layer = b->index,
        .bf16 = bf16,
        .n = b->n,
        .sample_size =
            (int64_t)(bytes / (bf16 ? sizeof(uint16_t) : sizeof(float))) / b->n};
    const tensor tensors[] = {from, to};
    if (b->type != dnnl_f32 && !bf16)
        return FAIL(CONVOY_ERROR_UNSUPPORTED, "dropout works on f32 and bf16 only");
    return program_call(b->program, phase, run, &context, sizeof context, 2, tensors);
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    tensor src = b->src[0];
    if (!b->training || layer_told(b)->p == 0) {
        b->dst = src;
        return CONVOY_OK;
    }
    if (!dnn_md_is_sample_major(program_md(b->program, src)))
        TRY(layer_src_plain(b, 0, &src));
    if (b->may_overwrite_src || src != b->src[0])
        b->dst = src;
    else
        TRY(layer_tensor(b, program_md(b->program, src), &b->dst));
    TRY(emit(b, PHASE_FORWARD, src, b->dst));
cleanup:
    return status;
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    if (layer_told(b)->p == 0 || b->may_overwrite_diff_dst)
        b->diff_src[0] = b->diff_dst;
    else
        TRY(layer_tensor(b, program_md(b->program, b->diff_dst), &b->diff_src[0]));
    if (layer_told(b)->p != 0)
        TRY(emit(b, PHASE_BACKWARD, b->diff_dst, b->diff_src[0]));
cleanup:
    return status;
}

static const struct option options[] = {
    {"p", OPTION_F32, LAYER_AT(p), NULL, 0, 1, OPTION_BELOW_MAX,
     .help = "probability that a value becomes 0 in training"},
};

const struct layer_kind layer_dropout = {
    .about = {.name = "dropout",
              .help = "zeroes values at random in training",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .passes_evaluating = true,
    .infer = layer_same_shape,
    .forward = forward,
    .backward = backward,
};
