/* Mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019) as torchvision's references do
 * them: the partner is the sample before in the microbatch, and one share λ ~ Beta(α,
 * α) holds for all of it.
 *
 * mixup:  x = λ x + (1 − λ) x',  each operation rounded to f32.
 * cutmix: centre uniform in the image's pixels, half sides ⌊r W⌋ and ⌊r H⌋ with
 *   r = √(1 − λ) / 2, cut at the edges; λ is then the part of the image outside of it.
 *
 * λ = X / (X + Y) with X, Y ~ Gamma(α), by their logarithms, which no small α makes
 * vanish: Marsaglia and Tsang 2000, for α < 1 by X(α) = X(α + 1) U^(1/α). A try fails
 * with less than one in twenty; after N_TRIES of them the mode is taken. */
#include "load/mixing.h"

#include <math.h>
#include <string.h>

enum { N_TRIES = 64 };

/* Numbers of the draws in a microbatch's stream. */
enum { DRAW_WAY, DRAW_X, DRAW_Y, DRAW_GAMMA = 8, DRAWS_OF_GAMMA = 1 + 2 * N_TRIES };

/* Floats of each row at a time: they stay in the cache. */
enum { SPAN = 1024 };

/* Below, λ is 0 or 1 as far as floats can tell. */
static const double least_alpha = 1e-9;

bool mixing_is_on(const struct augment *augment)
{
    return augment->mixup > 0 || augment->cutmix > 0;
}

/* In (0, 1]. */
static double positive_unit(const struct rng *rng, uint64_t draw)
{
    return 1.0 - rng_unit(rng, draw);
}

/* The logarithm of a draw of Gamma(alpha). */
static double log_gamma(const struct rng *rng, uint64_t draw, double alpha)
{
    const double boost = alpha < 1 ? log(positive_unit(rng, draw)) / alpha : 0;
    const double d = (alpha < 1 ? alpha + 1 : alpha) - 1.0 / 3.0;
    const double c = 1.0 / sqrt(9.0 * d);
    for (uint64_t n = 0; n < N_TRIES; n++) {
        const double x = rng_normal(rng, draw + 1 + 2 * n);
        const double u = positive_unit(rng, draw + 2 + 2 * n);
        const double root = 1.0 + c * x, v = root * root * root;
        if (v > 0 && log(u) < 0.5 * x * x + d * (1.0 - v + log(v)))
            return log(d * v) + boost;
    }
    return log(d) + boost;
}

/* Beta(alpha, alpha). */
static double draw_share(const struct rng *rng, double alpha)
{
    const double a = fmax(alpha, least_alpha);
    const double x = log_gamma(rng, DRAW_GAMMA, a);
    const double y = log_gamma(rng, DRAW_GAMMA + DRAWS_OF_GAMMA, a);
    return 1.0 / (1.0 + exp(y - x));
}

/* A side of cutmix's box around the centre, within [0, size). */
static void cut_side(int centre, int half, int size, int *from, int *length)
{
    const int end = centre + half < size ? centre + half : size;
    *from = centre > half ? centre - half : 0;
    *length = end - *from;
}

struct mixing mixing_draw(const struct augment *augment, uint64_t seed, uint64_t epoch,
                          uint64_t microbatch, int height, int width)
{
    const struct rng rng = rng_stream(seed, RNG_MIXING, epoch, microbatch);
    const bool both = augment->mixup > 0 && augment->cutmix > 0;
    struct mixing mixing = {.cuts = augment->cutmix > 0};
    if (both)
        mixing.cuts = rng_unit(&rng, DRAW_WAY) >= 0.5;
    const double share =
        draw_share(&rng, mixing.cuts ? augment->cutmix : augment->mixup);
    mixing.share = (float)share;
    if (!mixing.cuts)
        return mixing;
    struct box *box = &mixing.box;
    const double r = 0.5 * sqrt(1.0 - share);
    const int x = (int)(rng_unit(&rng, DRAW_X) * width),
              y = (int)(rng_unit(&rng, DRAW_Y) * height);
    cut_side(x, (int)(r * width), width, &box->left, &box->width);
    cut_side(y, (int)(r * height), height, &box->top, &box->height);
    mixing.share =
        (float)(1.0 - (double)box->width * box->height / ((double)width * height));
    return mixing;
}

static int partner_of(const struct mixing_rows *rows, int i)
{
    return i > 0 ? i - 1 : rows->n - 1;
}

static bool is_mixed(const struct mixing_rows *rows, int i)
{
    return rows->labels[i] >= 0 && rows->labels[partner_of(rows, i)] >= 0;
}

static void blend(float *own, const float *other, size_t n, float share)
{
    const float rest = 1.0F - share;
    for (size_t k = 0; k < n; k++)
        own[k] = share * own[k] + rest * other[k];
}

/* n <= SPAN values of each row from value `at` on. From the last row to the first, each
 * finds its partner as it was; the last one's values are kept for the first. */
static void mix_span(const struct mixing *mixing, const struct mixing_rows *rows,
                     size_t at, size_t n)
{
    const size_t size =
        (size_t)rows->channels * (size_t)rows->height * (size_t)rows->width;
    float last[SPAN];
    memcpy(last, rows->values + (size_t)(rows->n - 1) * size + at, n * sizeof *last);
    for (int i = rows->n - 1; i >= 0; i--) {
        float *own = rows->values + (size_t)i * size + at;
        const float *other = i > 0 ? own - size : last;
        if (!is_mixed(rows, i))
            continue;
        if (mixing->cuts)
            memcpy(own, other, n * sizeof *own);
        else
            blend(own, other, n, mixing->share);
    }
}

static void mix_range(const struct mixing *mixing, const struct mixing_rows *rows,
                      size_t at, size_t n)
{
    for (size_t k = 0; k < n; k += SPAN)
        mix_span(mixing, rows, at + k, n - k < SPAN ? n - k : SPAN);
}

static void cut(const struct mixing *mixing, const struct mixing_rows *rows)
{
    const struct box *box = &mixing->box;
    for (int c = 0; c < rows->channels; c++)
        for (int y = box->top; y < box->top + box->height; y++)
            mix_range(mixing, rows,
                      ((size_t)c * (size_t)rows->height + (size_t)y) *
                              (size_t)rows->width +
                          (size_t)box->left,
                      (size_t)box->width);
}

/* labels[i] becomes the one that weighs more, in the order of mix_span. */
static void mix_labels(const struct mixing *mixing, const struct mixing_rows *rows)
{
    const int32_t last = rows->labels[rows->n - 1];
    for (int i = rows->n - 1; i >= 0; i--) {
        const int32_t own = rows->labels[i], other = i > 0 ? rows->labels[i - 1] : last;
        const float share = own >= 0 && other >= 0 ? mixing->share : 1.0F;
        const bool is_larger = share >= 0.5F;
        rows->labels[i] = is_larger ? own : other;
        rows->partners[i] = is_larger && share < 1.0F ? other : own;
        rows->shares[i] = is_larger ? share : 1.0F - share;
    }
}

void mixing_apply(const struct mixing *mixing, const struct mixing_rows *rows)
{
    if (mixing->cuts)
        cut(mixing, rows);
    else
        mix_range(mixing, rows, 0,
                  (size_t)rows->channels * (size_t)rows->height * (size_t)rows->width);
    mix_labels(mixing, rows);
}
