/* Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3),
 * with PyTorch's parameters: dst[c] = src[c] / (k + alpha / size · Σ_{c' within size
 * around c} src[c']²)^beta Reads size, alpha, beta, k. */
#include "layer/layer.h"

#include <math.h>

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    convoy_status status = layer_not_flat(src);
    if (status != CONVOY_OK)
        return status;
    if (a->size % 2 == 0)
        return FAIL(CONVOY_ERROR_ARGUMENT, "size must be odd, here %d", a->size);
    return layer_same_shape(a, n_src, src, dst);
}

static struct dnn_lrn_parameters parameters_of(const struct layer_attributes *a)
{
    return (struct dnn_lrn_parameters){
        .size = a->size, .alpha = a->alpha, .beta = a->beta, .k = a->k};
}

/* With a window of 3 or 5 src stays as it is. For others there is one kernel besides
 * the reference: the AVX-512 one for channels-last, which crashes with a window of 1,
 * and whose gradients are wrong above 5 unless the channels fill its vectors (2.6.3).
 * To oneDNN 3 a row-major map of one channel or one pixel is channels-last, too. Blocks
 * of channels keep it away. */
static int first_layout(const struct layer_build *b)
{
    return layer_told(b)->size == 3 || layer_told(b)->size == 5 ? 0 : 1;
}

/* Both passes' descriptors on src in the nth layout; backward only while training. */
struct passes {
    dnnl_primitive_desc_t forward, backward;
};

static convoy_status describe(struct layer_build *b, int nth, struct passes *p)
{
    convoy_status status = CONVOY_OK;
    const struct dnn *dnn = program_dnn(b->program);
    const struct dnn_lrn_parameters parameters = parameters_of(b->attributes);
    struct dnn_md src = {0};
    TRY(layer_src_layout(b, 0, nth, &src));
    TRY(dnn_lrn(dnn, b->training ? DNN_FORWARD_TRAINING : DNN_FORWARD_INFERENCE,
                dnn_md_ref(&src), &parameters, NULL, &p->forward));
    TRY(program_adopt(b->program, p->forward));
    if (b->training) {
        TRY(dnn_lrn(dnn, DNN_BACKWARD_DATA, dnn_md_ref(&src), &parameters, p->forward,
                    &p->backward));
        TRY(program_adopt(b->program, p->backward));
    }
cleanup:
    dnn_md_free(&src);
    return status;
}

static bool is_slow(const struct passes *p)
{
    return dnn_is_reference(p->forward) ||
           (p->backward && dnn_is_reference(p->backward));
}

/* The first layout that has more than reference kernels, which take a hundred times as
 * long as copying src; its own, if none has. */
static convoy_status choose(struct layer_build *b, struct passes *p)
{
    const int first = first_layout(b);
    convoy_status status = describe(b, first, p);
    for (int nth = first + 1;
         status == CONVOY_OK && is_slow(p) && nth < LAYER_N_LAYOUTS; nth++) {
        struct passes other = {0};
        if (describe(b, nth, &other) == CONVOY_OK && !is_slow(&other))
            *p = other;
    }
    return status;
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct passes passes = {0};
    tensor src, workspace = NO_TENSOR;
    TRY(choose(b, &passes));
    b->forward_pd = passes.forward;
    b->backward_pd = passes.backward;
    dnn_cmd data = dnn_chosen(passes.forward, dnnl_query_src_md, 0);
    TRY(program_want(b->program, PHASE_FORWARD, b->src[0], data, &src));
    TRY(layer_tensor(b, data, &b->dst));
    dnn_cmd ws = dnn_chosen(passes.forward, dnnl_query_workspace_md, 0);
    if (dnn_md_bytes(ws) > 0)
        TRY(layer_tensor(b, ws, &workspace));
    const struct program_arg args[] = {
        {DNNL_ARG_SRC, src}, {DNNL_ARG_DST, b->dst}, {DNNL_ARG_WORKSPACE, workspace}};
    TRY(program_emit(b->program, PHASE_FORWARD, passes.forward,
                     workspace == NO_TENSOR ? 2 : 3, args));
    b->saved[0] = workspace;
    b->saved[1] = src;
cleanup:
    return status;
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    TRY(layer_tensor(b, program_md(b->program, b->saved[1]), &b->diff_src[0]));
    const struct program_arg args[] = {{DNNL_ARG_SRC, b->saved[1]},
                                       {DNNL_ARG_DIFF_DST, b->diff_dst},
                                       {DNNL_ARG_DIFF_SRC, b->diff_src[0]},
                                       {DNNL_ARG_WORKSPACE, b->saved[0]}};
    TRY(program_emit(b->program, PHASE_BACKWARD, b->backward_pd,
                     b->saved[0] == NO_TENSOR ? 3 : 4, args));
cleanup:
    return status;
}

static const struct option options[] = {
    {"size", OPTION_INT, LAYER_AT(size), "5", 1, LAYER_MAX_CHANNELS,
     .help = "channels of the window, an odd number"},
    {"alpha", OPTION_F32, LAYER_AT(alpha), "1e-4", 0, INFINITY, OPTION_ABOVE_MIN,
     .help = "scale, divided by size"},
    {"beta", OPTION_F32, LAYER_AT(beta), "0.75", 0, INFINITY, OPTION_ABOVE_MIN,
     .help = "exponent"},
    {"k", OPTION_F32, LAYER_AT(k), "1", 0, INFINITY, OPTION_ABOVE_MIN,
     .help = "added before the exponent"},
};

const struct layer_kind layer_lrn = {
    .about = {.name = "lrn",
              .help = "local response normalisation over channels",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .backward_reads_src = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
