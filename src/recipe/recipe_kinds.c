/* The table of layer kinds and their options: what net.h offers, in the words of a
 * recipe. A new kind is one row here and one in train/network.c; reading, checking
 * and writing follow, and a test compares the table with the library's list of layers.
 *
 * The largest values keep every size that can be worked out from a network far from
 * overflow; what fits on which input is for the layers to say.
 */
#include "recipe/recipe_kinds.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum {
    MAX_WINDOW = 256,
    MAX_CHANNELS = 1 << 16,
    MAX_FEATURES = 1 << 20,
    MAX_FROM = 64
};

/* In the order of enum convoy_init. */
static const char *const inits[] = {"default", "he_fan_in", "uniform",
                                    "normal",  "one",       NULL};

#define AT(field) offsetof(struct recipe_options, field)
#define INT(field, preset, min, max, help)                                             \
    {                                                                                  \
#field, OPTION_INT, AT(field), preset, min, max, 0, NULL, help                 \
    }
#define OUT(max, help)                                                                 \
    {                                                                                  \
        "out", OPTION_CLASSES, AT(out), NULL, 1, max, 0, NULL, help                    \
    }
#define POSITIVE(field, preset, max, help)                                             \
    {                                                                                  \
#field, OPTION_FLOAT, AT(field), preset, 0, max, OPTION_ABOVE_MIN, NULL, help  \
    }
#define BOOL(field, preset, help)                                                      \
    {                                                                                  \
#field, OPTION_BOOL, AT(field), preset, 0, 0, 0, NULL, help                    \
    }
#define INIT(field, help)                                                              \
    {                                                                                  \
#field, OPTION_CHOICE, AT(field), "default", 0, 0, 0, inits, help              \
    }
#define KERNEL INT(kernel, NULL, 1, MAX_WINDOW, "height and width of the window")
#define STRIDE(preset)                                                                 \
    INT(stride, preset, 1, MAX_WINDOW, "pixels from one window to the next")
#define PAD INT(pad, "0", 0, MAX_WINDOW, "pixels of padding on each side")
#define CEIL_MODE BOOL(ceil_mode, "false", "round the output size up")
#define BIAS                                                                           \
    BOOL(bias, "true", "add a learnt value to each output"),                           \
        INIT(init, "how the weights start"), INIT(bias_init, "how the bias starts")

static const struct option conv_options[] = {
    OUT(MAX_CHANNELS, "output channels"),
    KERNEL,
    STRIDE("1"),
    PAD,
    INT(dilation, "1", 1, MAX_WINDOW,
        "pixels from one value of the window to the next"),
    INT(groups, "1", 1, MAX_CHANNELS, "groups of channels that do not mix"),
    BIAS,
};
static const struct option batch_norm_options[] = {
    POSITIVE(epsilon, "1e-5", 1, "added to the variance"),
    POSITIVE(momentum, "0.1", 1, "weight of the new in the running averages"),
    BOOL(zero_init, "false", "the scale starts at 0"),
};
static const struct option max_pool_options[] = {
    KERNEL,
    STRIDE("kernel"),
    PAD,
    CEIL_MODE,
};
static const struct option avg_pool_options[] = {
    KERNEL,
    STRIDE("kernel"),
    PAD,
    CEIL_MODE,
    BOOL(exclude_pad, "false", "padding does not count"),
};
static const struct option adaptive_avg_pool_options[] = {
    INT(height, NULL, 1, MAX_CHANNELS, "rows of the output"),
    INT(width, NULL, 1, MAX_CHANNELS, "columns of the output"),
};
static const struct option lrn_options[] = {
    INT(size, "5", 1, MAX_CHANNELS, "channels of the window, an odd number"),
    POSITIVE(alpha, "1e-4", INFINITY, "scale, divided by size"),
    POSITIVE(beta, "0.75", INFINITY, "exponent"),
    POSITIVE(k, "1", INFINITY, "added before the exponent"),
};
static const struct option dropout_options[] = {
    {"p", OPTION_FLOAT, AT(p), NULL, 0, 1, OPTION_BELOW_MAX, NULL,
     "probability that a value becomes 0 in training"},
};
static const struct option inner_product_options[] = {
    OUT(MAX_FEATURES, "output features"),
    BIAS,
};
static const struct option pad_channels_options[] = {
    INT(channels, NULL, 1, MAX_CHANNELS, "channels of the output"),
};

#define WITH(options) (options), (int)(sizeof(options) / sizeof((options)[0]))

static const struct recipe_kind kinds[] = {
    {"conv", 1, 1, WITH(conv_options)},
    {"batch_norm", 1, 1, WITH(batch_norm_options)},
    {"relu", 1, 1, NULL, 0},
    {"sigmoid", 1, 1, NULL, 0},
    {"tanh", 1, 1, NULL, 0},
    {"max_pool", 1, 1, WITH(max_pool_options)},
    {"avg_pool", 1, 1, WITH(avg_pool_options)},
    {"global_avg_pool", 1, 1, NULL, 0},
    {"adaptive_avg_pool", 1, 1, WITH(adaptive_avg_pool_options)},
    {"lrn", 1, 1, WITH(lrn_options)},
    {"dropout", 1, 1, WITH(dropout_options)},
    {"inner_product", 1, 1, WITH(inner_product_options)},
    {"add", 2, MAX_FROM, NULL, 0},
    {"concat", 2, MAX_FROM, NULL, 0},
    {"pad_channels", 1, 1, WITH(pad_channels_options)},
    {"flatten", 1, 1, NULL, 0},
};

enum { N_KINDS = (int)(sizeof kinds / sizeof kinds[0]) };

int recipe_n_kinds(void)
{
    return N_KINDS;
}

const struct recipe_kind *recipe_kind_at(int i)
{
    return &kinds[i];
}

const struct recipe_kind *recipe_kind_find(const char *name)
{
    for (int i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

int recipe_option_find(const struct recipe_kind *kind, const char *name)
{
    for (int i = 0; i < kind->n_options; i++)
        if (strcmp(kind->options[i].name, name) == 0)
            return i;
    return -1;
}

static void keep_nearer(const char *name, const char *known, int *best,
                        const char **nearest)
{
    const int distance = recipe_unlikeness(name, known);
    if (distance < *best) {
        *best = distance;
        *nearest = known;
    }
}

const char *recipe_kind_nearest(const char *name)
{
    static const char *const words[] = {"as", "from", "repeat", "layers"};
    const char *nearest = NULL;
    int best = INT_MAX;
    for (int i = 0; i < N_KINDS; i++)
        keep_nearer(name, kinds[i].name, &best, &nearest);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        keep_nearer(name, words[i], &best, &nearest);
    return nearest;
}

const char *recipe_option_nearest(const struct recipe_kind *kind, const char *name)
{
    const char *nearest = NULL;
    int best = INT_MAX;
    for (int i = 0; i < kind->n_options; i++)
        keep_nearer(name, kind->options[i].name, &best, &nearest);
    return nearest;
}
