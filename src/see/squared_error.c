/* The mean squared error of each sample:
 *   dst[n] = 1/m sum over i of (src[n, i] - target[n, i])^2
 *   d dst[n] / d src[n, i] = 2/m (src[n, i] - target[n, i])
 * of m = c h w values. It stands in no list of layers: a recipe's nets tell classes.
 * Sums are in double. */
#include "see/squared_error.h"

struct context {
    int64_t n, m;
    const float *target;
};

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    (void)attributes;
    (void)n_src;
    (void)src;
    *dst = (struct shape){.c = 1, .h = 1, .w = 1, .flat = true};
    return CONVOY_OK;
}

static struct context context_of(const struct layer_build *b)
{
    const struct squared_error *told = b->attributes;
    const struct shape *src = &b->src_shapes[0];
    return (struct context){
        .n = b->n, .m = src->c * src->h * src->w, .target = told->target};
}

static void run_forward(const void *context, const struct run_info *info,
                        void *const *data)
{
    const struct context *c = context;
    const float *values = data[0];
    float *errors = data[1];
    (void)info;
    for (int64_t n = 0; n < c->n; n++) {
        double sum = 0;
        for (int64_t i = n * c->m; c->target && i < (n + 1) * c->m; i++) {
            const double off = (double)values[i] - (double)c->target[i];
            sum += off * off;
        }
        errors[n] = (float)(sum / (double)c->m);
    }
}

static void run_backward(const void *context, const struct run_info *info,
                         void *const *data)
{
    const struct context *c = context;
    const float *values = data[0], *diff_errors = data[1];
    float *diff = data[2];
    (void)info;
    for (int64_t n = 0; n < c->n; n++) {
        const double factor = 2 * (double)diff_errors[n] / (double)c->m;
        for (int64_t i = n * c->m; i < (n + 1) * c->m; i++) {
            const double target = c->target ? (double)c->target[i] : (double)values[i];
            diff[i] = (float)(factor * ((double)values[i] - target));
        }
    }
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    const struct context context = context_of(b);
    const int64_t dims[] = {b->n, 1};
    struct dnn_md errors = {0};
    tensor values;
    TRY(layer_src_f32(b, 0, &values));
    TRY(dnn_md_make_plain(2, dims, dnnl_f32, &errors));
    TRY(layer_tensor(b, dnn_md_ref(&errors), &b->dst));
    const tensor tensors[] = {values, b->dst};
    TRY(program_call(b->program, PHASE_FORWARD, run_forward, &context, sizeof context,
                     2, tensors));
    b->saved[0] = values;
cleanup:
    dnn_md_free(&errors);
    return status;
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    const struct context context = context_of(b);
    tensor diff;
    TRY(layer_tensor(b, program_md(b->program, b->saved[0]), &diff));
    const tensor tensors[] = {b->saved[0], b->diff_dst, diff};
    TRY(program_call(b->program, PHASE_BACKWARD, run_backward, &context, sizeof context,
                     3, tensors));
    b->diff_src[0] = diff;
cleanup:
    return status;
}

const struct layer_kind squared_error_layer = {
    .about = {.name = "squared_error",
              .help = "mean squared error",
              .size = sizeof(struct squared_error),
              .min_src = 1,
              .max_src = 1,
              .is_loss = true},
    .backward_reads_src = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
