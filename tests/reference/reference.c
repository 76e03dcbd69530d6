/* The list of reference kinds, and the memory of one reference. The loops themselves
 * are in ref_*.c; nothing here is fast. */
#include "reference/reference.h"

#include <stdlib.h>
#include <string.h>

static const struct reference_kind *const kinds[] = {&reference_conv,
                                                     &reference_locally_connected,
                                                     &reference_inner_product,
                                                     &reference_batch_norm,
                                                     &reference_lrn,
                                                     &reference_relu,
                                                     &reference_sigmoid,
                                                     &reference_tanh,
                                                     &reference_dropout,
                                                     &reference_add,
                                                     &reference_concat,
                                                     &reference_pad_channels,
                                                     &reference_flatten,
                                                     &reference_max_pool,
                                                     &reference_avg_pool,
                                                     &reference_global_avg_pool,
                                                     &reference_adaptive_avg_pool,
                                                     &reference_blur_pool,
                                                     &reference_softmax_cross_entropy};

const struct reference_kind *reference_find(const char *kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i]->name, kind) == 0)
            return kinds[i];
    return NULL;
}

int64_t reference_sample(const struct shape *shape)
{
    return shape->flat ? shape->c : shape->c * shape->h * shape->w;
}

int64_t reference_src_values(const struct reference *r, int i)
{
    return r->n * reference_sample(&r->src_shapes[i]);
}

int64_t reference_dst_values(const struct reference *r)
{
    return r->n * reference_sample(&r->dst_shape);
}

int64_t reference_param_values(const struct reference *r, int i)
{
    return r->kind->param_values ? r->kind->param_values(r, i) : 0;
}

int64_t reference_statistic_values(const struct reference *r, int i)
{
    return r->kind->statistic_values ? r->kind->statistic_values(r, i) : 0;
}

/* NULL for 0 values; *ok turns false when there is no memory. */
static double *array(int64_t n, bool *ok)
{
    double *values = n > 0 ? calloc((size_t)n, sizeof *values) : NULL;
    if (n > 0 && !values)
        *ok = false;
    return values;
}

bool reference_create(struct reference *r)
{
    bool ok = true;
    for (int i = 0; i < r->n_src; i++) {
        r->src[i] = array(reference_src_values(r, i), &ok);
        r->diff_src[i] = array(reference_src_values(r, i), &ok);
    }
    r->dst = array(reference_dst_values(r), &ok);
    r->diff_dst = array(reference_dst_values(r), &ok);
    for (int i = 0; i < REFERENCE_MAX_PARAMS; i++) {
        r->params[i] = array(reference_param_values(r, i), &ok);
        r->diff_params[i] = array(reference_param_values(r, i), &ok);
    }
    for (int i = 0; i < REFERENCE_MAX_STATISTICS; i++) {
        r->running[i] = array(reference_statistic_values(r, i), &ok);
        r->statistics[i] = array(reference_statistic_values(r, i), &ok);
    }
    return ok;
}

void reference_free(struct reference *r)
{
    for (int i = 0; i < REFERENCE_MAX_SRC; i++) {
        free(r->src[i]);
        free(r->diff_src[i]);
    }
    free(r->dst);
    free(r->diff_dst);
    for (int i = 0; i < REFERENCE_MAX_PARAMS; i++) {
        free(r->params[i]);
        free(r->diff_params[i]);
    }
    for (int i = 0; i < REFERENCE_MAX_STATISTICS; i++) {
        free(r->running[i]);
        free(r->statistics[i]);
    }
    memset(r, 0, sizeof *r);
}

void reference_forward(struct reference *r)
{
    r->kind->forward(r);
}

static void zero(double *values, int64_t n)
{
    if (values)
        memset(values, 0, (size_t)n * sizeof *values);
}

void reference_backward(struct reference *r)
{
    for (int i = 0; i < r->n_src; i++)
        zero(r->diff_src[i], reference_src_values(r, i));
    for (int i = 0; i < REFERENCE_MAX_PARAMS; i++)
        zero(r->diff_params[i], reference_param_values(r, i));
    r->kind->backward(r);
}
