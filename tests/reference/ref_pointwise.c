/* Kinds whose outputs each read one value, or one of each source: activations, dropout,
 * addition, and the ones that only move values (concat, pad_channels, flatten). */
#include "reference/reference.h"

#include <math.h>

static void relu_forward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        r->dst[i] = r->src[0][i] > 0 ? r->src[0][i] : 0;
}

static void relu_backward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        r->diff_src[0][i] += r->src[0][i] > 0 ? r->diff_dst[i] : 0;
}

static void sigmoid_forward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        r->dst[i] = 1 / (1 + exp(-r->src[0][i]));
}

static void sigmoid_backward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        r->diff_src[0][i] += r->diff_dst[i] * r->dst[i] * (1 - r->dst[i]);
}

static void tanh_forward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        r->dst[i] = tanh(r->src[0][i]);
}

static void tanh_backward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        r->diff_src[0][i] += r->diff_dst[i] * (1 - r->dst[i] * r->dst[i]);
}

/* What value i is multiplied with. */
static double dropout_factor(const struct reference *r, int64_t i)
{
    if (!r->training)
        return 1;
    return r->kept[i] ? 1 / (1 - (double)r->a.p) : 0;
}

static void dropout_forward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        r->dst[i] = r->src[0][i] * dropout_factor(r, i);
}

static void dropout_backward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        r->diff_src[0][i] += r->diff_dst[i] * dropout_factor(r, i);
}

static void add_forward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++) {
        double sum = 0;
        for (int s = 0; s < r->n_src; s++)
            sum += r->src[s][i];
        r->dst[i] = r->relu && sum < 0 ? 0 : sum;
    }
}

static void add_backward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        for (int s = 0; s < r->n_src; s++)
            r->diff_src[s][i] += r->relu && r->dst[i] <= 0 ? 0 : r->diff_dst[i];
}

/* Moves what concat, pad_channels and flatten move, or its gradient back: the channels
 * of the sources one after another. */
static void move_values(struct reference *r, bool backward)
{
    int64_t dst_sample = reference_sample(&r->dst_shape), first = 0;
    for (int s = 0; s < r->n_src; s++) {
        int64_t src_sample = reference_sample(&r->src_shapes[s]);
        for (int64_t i = 0; i < r->n * src_sample; i++) {
            int64_t o = i / src_sample * dst_sample + first + i % src_sample;
            if (backward)
                r->diff_src[s][i] += r->diff_dst[o];
            else
                r->dst[o] = r->src[s][i];
        }
        first += src_sample;
    }
}

static void move_forward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        r->dst[i] = 0;
    move_values(r, false);
}

static void move_backward(struct reference *r)
{
    move_values(r, true);
}

const struct reference_kind reference_relu = {
    .name = "relu", .forward = relu_forward, .backward = relu_backward};
const struct reference_kind reference_sigmoid = {
    .name = "sigmoid", .forward = sigmoid_forward, .backward = sigmoid_backward};
const struct reference_kind reference_tanh = {
    .name = "tanh", .forward = tanh_forward, .backward = tanh_backward};
const struct reference_kind reference_dropout = {
    .name = "dropout", .forward = dropout_forward, .backward = dropout_backward};
const struct reference_kind reference_add = {
    .name = "add", .forward = add_forward, .backward = add_backward};
const struct reference_kind reference_concat = {
    .name = "concat", .forward = move_forward, .backward = move_backward};
const struct reference_kind reference_pad_channels = {
    .name = "pad_channels", .forward = move_forward, .backward = move_backward};
const struct reference_kind reference_flatten = {
    .name = "flatten", .forward = move_forward, .backward = move_backward};
