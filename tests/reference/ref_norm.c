/* Batch normalization (Ioffe and Szegedy 2015) with an optional ReLU behind it, and
 * local response normalization across channels (Krizhevsky et al. 2012, section 3.3,
 * with PyTorch's alpha / size). */
#include "reference/reference.h"

#include <math.h>

/* Batch normalization sees src as [n, c, spatial]. */
static int64_t spatial_of(const struct reference *r)
{
    return reference_sample(&r->src_shapes[0]) / r->src_shapes[0].c;
}

/* Index of value i (0 <= i < n · spatial) of channel c. */
static int64_t index_of(const struct reference *r, int64_t c, int64_t i)
{
    int64_t spatial = spatial_of(r);
    return (i / spatial * r->src_shapes[0].c + c) * spatial + i % spatial;
}

static int64_t per_channel(const struct reference *r, int i)
{
    return i < 2 ? r->src_shapes[0].c : 0;
}

/* Mean and biased variance of channel c in this microbatch. */
static void measure(struct reference *r, int64_t c)
{
    int64_t m = r->n * spatial_of(r);
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < m; i++)
        mean += r->src[0][index_of(r, c, i)];
    mean /= (double)m;
    for (int64_t i = 0; i < m; i++) {
        double distance = r->src[0][index_of(r, c, i)] - mean;
        variance += distance * distance;
    }
    r->statistics[0][c] = mean;
    r->statistics[1][c] = variance / (double)m;
}

/* params: scale, shift */
static bool uses_own(const struct reference *r)
{
    return r->training && !r->frozen;
}

static void batch_norm_forward(struct reference *r)
{
    int64_t m = r->n * spatial_of(r);
    for (int64_t c = 0; c < r->src_shapes[0].c; c++) {
        if (r->training)
            measure(r, c);
        double *const *statistics = uses_own(r) ? r->statistics : r->running;
        double scale = r->params[0][c] / sqrt(statistics[1][c] + (double)r->a.epsilon);
        for (int64_t i = 0; i < m; i++) {
            int64_t at = index_of(r, c, i);
            double y = (r->src[0][at] - statistics[0][c]) * scale + r->params[1][c];
            r->dst[at] = r->relu && y < 0 ? 0 : y;
        }
    }
}

/* With x̂ = (x - mean) / s and s = sqrt(variance + epsilon):
 *   diff_x = scale / s · (diff_y - mean(diff_y) - x̂ · mean(diff_y · x̂)) */
static void batch_norm_backward(struct reference *r)
{
    int64_t m = r->n * spatial_of(r);
    for (int64_t c = 0; c < r->src_shapes[0].c; c++) {
        double *const *statistics = uses_own(r) ? r->statistics : r->running;
        double mean = statistics[0][c];
        double s = sqrt(statistics[1][c] + (double)r->a.epsilon);
        double sum = 0, product = 0;
        for (int64_t i = 0; i < m; i++) {
            int64_t at = index_of(r, c, i);
            double d = r->relu && r->dst[at] <= 0 ? 0 : r->diff_dst[at];
            sum += d;
            product += d * (r->src[0][at] - mean) / s;
        }
        r->diff_params[0][c] += product;
        r->diff_params[1][c] += sum;
        if (!uses_own(r))
            sum = product = 0; /* the statistics are constants */
        for (int64_t i = 0; i < m; i++) {
            int64_t at = index_of(r, c, i);
            double d = r->relu && r->dst[at] <= 0 ? 0 : r->diff_dst[at];
            double normal = (r->src[0][at] - mean) / s;
            r->diff_src[0][at] += r->params[0][c] / s *
                                  (d - sum / (double)m - normal * product / (double)m);
        }
    }
}

/* k + alpha / size · the sum of squares over the window of channels around element i.
 */
static double lrn_base(const struct reference *r, int64_t i)
{
    int64_t spatial = spatial_of(r), channels = r->src_shapes[0].c;
    int64_t c = i / spatial % channels;
    double sum = 0;
    for (int64_t j = c - r->a.size / 2; j < c - r->a.size / 2 + r->a.size; j++) {
        if (j < 0 || j >= channels)
            continue;
        double x = r->src[0][i + (j - c) * spatial];
        sum += x * x;
    }
    return (double)r->a.k + (double)r->a.alpha / (double)r->a.size * sum;
}

static void lrn_forward(struct reference *r)
{
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        r->dst[i] = r->src[0][i] / pow(lrn_base(r, i), (double)r->a.beta);
}

static void lrn_backward(struct reference *r)
{
    int64_t spatial = spatial_of(r), channels = r->src_shapes[0].c;
    double beta = (double)r->a.beta;
    for (int64_t i = 0; i < reference_dst_values(r); i++) {
        int64_t c = i / spatial % channels;
        double base = lrn_base(r, i);
        double common = -2 * (double)r->a.alpha / (double)r->a.size * beta *
                        r->diff_dst[i] * r->src[0][i] * pow(base, -beta - 1);
        r->diff_src[0][i] += r->diff_dst[i] * pow(base, -beta);
        for (int64_t j = c - r->a.size / 2; j < c - r->a.size / 2 + r->a.size; j++) {
            if (j < 0 || j >= channels)
                continue;
            int64_t at = i + (j - c) * spatial;
            r->diff_src[0][at] += common * r->src[0][at];
        }
    }
}

const struct reference_kind reference_batch_norm = {.name = "batch_norm",
                                                    .param_values = per_channel,
                                                    .statistic_values = per_channel,
                                                    .forward = batch_norm_forward,
                                                    .backward = batch_norm_backward};

const struct reference_kind reference_lrn = {
    .name = "lrn", .forward = lrn_forward, .backward = lrn_backward};
