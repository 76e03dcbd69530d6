/* Nets: a graph of layers, built node by node.
 *
 *     convoy_net *net = NULL;
 *     convoy_net_create(3, 32, 32, &net);
 *     convoy_node x = convoy_net_input(net);
 *     const convoy_conv conv = {.out = 16, .kernel = 3, .pad = 1};
 *     x = convoy_net_conv(net, x, "conv1", &conv);
 *     x = convoy_net_batch_norm(net, x, "bn1", NULL);
 *     x = convoy_net_relu(net, x, "relu1");
 *     …
 *     convoy_net_loss(net, x, 0.1F);
 *     if (convoy_net_check(net) != CONVOY_OK)
 *         puts(convoy_status_text());
 *
 * A function that adds a node returns its number, or -1 if the layer cannot be built on
 * its inputs; nodes on a node -1 are -1 too, and convoy_net_check tells the first
 * reason. So code that builds a net needs one check, at its end.
 *
 * Shapes leave out the batch: [channels, height, width], or [features] after a flatten.
 * Names are unique in a net; parameters are called NAME.weight, NAME.bias,
 * NAME.running_mean and NAME.running_var, as in PyTorch. In option structs 0 stands for
 * the default, where there is one; NULL for a struct of zeros. All functions here are
 * Local. Different threads may build different nets at once.
 */
#ifndef CONVOY_NET_H
#define CONVOY_NET_H

#include <convoy/status.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct convoy_net convoy_net;
typedef int convoy_node;

/* A net of one input [channels, height, width], each 1 to 65536. *net is new; free with
 * convoy_net_destroy. Errors: ARGUMENT, MEMORY, LIBRARY (oneDNN does not start). */
convoy_status convoy_net_create(int channels, int height, int width, convoy_net **net);
/* Takes NULL. */
void convoy_net_destroy(convoy_net *net);

/* OK, or why the first node that failed could not be added: the text names the layer
 * and the shapes. Also fails for a net without a loss. */
convoy_status convoy_net_check(const convoy_net *net);

/* The input's node. */
convoy_node convoy_net_input(const convoy_net *net);

/* [c, h, w] of a node ([c, 1, 1] if flat); all 0 for node -1. */
void convoy_net_shape(const convoy_net *net, convoy_node x, int64_t shape[3]);

/* Number of learned values (weights and biases, batch norm's scale and shift). */
int64_t convoy_net_n_params(const convoy_net *net);

/* Layer i as a table shows it. Figures are of one sample. */
typedef struct convoy_layer {
    const char *name, *kind; /* "layer1.0.conv1", "conv"; borrowed from the net */
    int64_t shape[3];        /* of its output: [c, h, w], [c, 1, 1] if flat */
    bool flat;
    int64_t n_params;  /* learned values */
    int64_t n_weights; /* … without biases */
    int64_t n_macs;    /* multiply-adds of a convolution, inner product or locally
                          connected layer, forward */
    int64_t bytes;     /* of the output in f32 */
} convoy_layer;

/* Layers, in the order in which they were added: neither the input nor the loss. */
int convoy_net_n_layers(const convoy_net *net);
/* i: from 0, below convoy_net_n_layers. */
void convoy_net_describe(const convoy_net *net, int i, convoy_layer *layer);

/* How many weights, biases left out, three kinds of layers need between the same input
 * and output: every output of every input (fully connected); every output of its own
 * window (locally connected); and the outputs of a channel with one set of weights
 * (convolution). For an inner product the window is all of the input, and the three are
 * the same. INT64_MAX: that many or more. */
typedef struct convoy_comparison {
    int64_t src[3], dst[3];    /* input and output: [c, h, w], [c, 1, 1] if flat */
    int64_t channels;          /* that an output sees: all, or those of its group */
    int64_t kernel[2];         /* height and width of its window, padding included */
    int64_t fully_connected;   /* src · dst */
    int64_t locally_connected; /* channels · kernel · dst */
    int64_t convolutional;     /* channels · kernel · channels of dst */
} convoy_comparison;

/* Of layer i, from 0, below convoy_net_n_layers. False, and *comparison is left as it
 * is: a layer without weights between its input and its output. */
bool convoy_net_compare(const convoy_net *net, int i, convoy_comparison *comparison);

/* Where a parameter starts. fan: the inputs that one output sums over. */
typedef enum convoy_init {
    CONVOY_INIT_DEFAULT,   /* weight: N(0, 2 / n), n the fan of an inner product, the
                              outputs that one input goes to of a convolution or a
                              locally connected layer (He et al. 2015); bias: 0 */
    CONVOY_INIT_HE_FAN_IN, /* N(0, 2 / fan) */
    CONVOY_INIT_UNIFORM,   /* U(-1/sqrt(fan), 1/sqrt(fan)): PyTorch's own */
    CONVOY_INIT_NORMAL,    /* N(0, 0.01²) */
    CONVOY_INIT_ONE
} convoy_init;

/* 2-D convolution. Weight [out, in / groups, kernel, kernel], bias [out]. */
typedef struct convoy_conv {
    int out;
    int kernel;
    int stride;   /* 0: 1 */
    int pad;      /* zeros on each side */
    int dilation; /* 0: 1, dense */
    int groups;   /* 0: 1 */
    bool no_bias;
    convoy_init init, bias_init; /* of weight and bias */
} convoy_conv;
convoy_node convoy_net_conv(convoy_net *net, convoy_node x, const char *name,
                            const convoy_conv *options);

/* A convolution whose weights are not shared: each place of the output has a kernel and
 * a bias of its own. Weight [out, in / groups, kernel, kernel, places], bias [out,
 * places]; place y · width + x is that of row y and column x of the output. Such a net
 * takes images of one size only. Errors: ARGUMENT, also for more than 2^40 weights. */
convoy_node convoy_net_locally_connected(convoy_net *net, convoy_node x,
                                         const char *name, const convoy_conv *options);

/* Batch normalisation (Ioffe and Szegedy 2015) over each microbatch. */
typedef struct convoy_batch_norm {
    float epsilon;  /* 0: 1e-5 */
    float momentum; /* of the running averages, as PyTorch; 0: 0.1 */
    bool zero_init; /* the scale starts at 0 (Goyal et al. 2017, section 5.1) */
} convoy_batch_norm;
convoy_node convoy_net_batch_norm(convoy_net *net, convoy_node x, const char *name,
                                  const convoy_batch_norm *options);

convoy_node convoy_net_relu(convoy_net *net, convoy_node x, const char *name);
convoy_node convoy_net_sigmoid(convoy_net *net, convoy_node x, const char *name);
convoy_node convoy_net_tanh(convoy_net *net, convoy_node x, const char *name);

typedef struct convoy_pool {
    int kernel;
    int stride;       /* 0: kernel */
    int pad;          /* at most kernel / 2 */
    bool ceil_mode;   /* round the output size up; average pooling: not where a window
                         passes padding that counts */
    bool exclude_pad; /* average pooling: the padding does not count */
} convoy_pool;
convoy_node convoy_net_max_pool(convoy_net *net, convoy_node x, const char *name,
                                const convoy_pool *options);
convoy_node convoy_net_avg_pool(convoy_net *net, convoy_node x, const char *name,
                                const convoy_pool *options);
/* [c, h, w] to [c, 1, 1]. */
convoy_node convoy_net_global_avg_pool(convoy_net *net, convoy_node x,
                                       const char *name);

/* [c, h, w] to [c, height, width] by averages: row i of the output is over rows
 * floor(i·h / height) to ceil((i + 1)·h / height) - 1 of the input, and so for columns;
 * PyTorch's AdaptiveAvgPool2d. An output larger than the input repeats values. */
convoy_node convoy_net_adaptive_avg_pool(convoy_net *net, convoy_node x,
                                         const char *name, int height, int width);

/* Zhang 2019, "Making convolutional networks shift-invariant again": each pixel becomes
 * a mean of itself and its neighbours, weighted [1 2 1] x [1 2 1] / 16 with zeros
 * around the map, and of stride 2 every second one stays. stride: 1 or 2; 0: 2. */
convoy_node convoy_net_blur_pool(convoy_net *net, convoy_node x, const char *name,
                                 int stride);

/* Local response normalisation (Krizhevsky et al. 2012, section 3.3); PyTorch's meaning
 * of alpha, which is divided by size. */
typedef struct convoy_lrn {
    int size;    /* channels of the window, odd; 0: 5 */
    float alpha; /* 0: 1e-4 */
    float beta;  /* 0: 0.75 */
    float k;     /* 0: 1 */
} convoy_lrn;
convoy_node convoy_net_lrn(convoy_net *net, convoy_node x, const char *name,
                           const convoy_lrn *options);

/* Zeroes values with probability p, 0 <= p < 1, while training, and divides the others
 * by 1 - p (Srivastava et al. 2014). */
convoy_node convoy_net_dropout(convoy_net *net, convoy_node x, const char *name,
                               float p);

/* Fully connected: weight [out, in], bias [out]. */
typedef struct convoy_inner_product {
    int out;
    bool no_bias;
    convoy_init init, bias_init; /* of weight and bias */
} convoy_inner_product;
convoy_node convoy_net_inner_product(convoy_net *net, convoy_node x, const char *name,
                                     const convoy_inner_product *options);

/* Sum of n nodes of one shape, 2 to 64. */
convoy_node convoy_net_add(convoy_net *net, int n, const convoy_node *x,
                           const char *name);

/* The channels of n nodes, 1 to 64, one node's after another's; height and width are
 * the same in all. */
convoy_node convoy_net_concat(convoy_net *net, int n, const convoy_node *x,
                              const char *name);

/* Zero channels appended up to channels (He et al. 2015, section 4.2, option A). */
convoy_node convoy_net_pad_channels(convoy_net *net, convoy_node x, const char *name,
                                    int channels);

/* [c, h, w] to [c · h · w]. */
convoy_node convoy_net_flatten(convoy_net *net, convoy_node x, const char *name);

/* Softmax cross-entropy of the logits [classes], flat and at least 2, with label
 * smoothing, 0 to below 1: ends the net. */
convoy_node convoy_net_loss(convoy_net *net, convoy_node logits, float label_smoothing);

#ifdef __cplusplus
}
#endif
#endif
