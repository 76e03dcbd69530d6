/* A layer kind: shape inference, parameters, and the primitives of its two passes.
 *
 * The net asks a kind, in this order: infer (shapes), params (what it learns), then for
 * each compilation forward and, training, backward. forward and backward append ops to
 * a program; nothing runs while building. Shapes leave out the batch: [c, h, w] or [c].
 *
 * What a kind can be told is a table of options at the end of its file, which recipes,
 * help texts and the checks of ranges read. Their offsets count in struct
 * layer_attributes, or in a struct of the kind's own, declared in its file: the net
 * keeps about.size bytes and hands them back.
 */
#ifndef LAYER_LAYER_H
#define LAYER_LAYER_H

#include "base/option.h"
#include "onednn/primitive.h"
#include "onednn/program.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LAYER_MAX_SRC = 64,
    LAYER_MAX_PARAMS = 2,
    LAYER_MAX_BUFFERS = 2,
    LAYER_MAX_SAVED = 4
};

/* Without the batch dimension. flat: [c] (then h = w = 1). */
struct shape {
    int64_t c, h, w;
    bool flat;
};

/* The first ones in the order of enum convoy_init and of layer_inits. */
enum param_init {
    INIT_DEFAULT,   /* an attribute only: what the kind does by itself */
    INIT_HE_NORMAL, /* N(0, 2 / fan): He et al. 2015, "Delving deep", eq. 10 and 14 */
    INIT_UNIFORM,   /* U(-1/sqrt(fan), 1/sqrt(fan)) */
    INIT_NORMAL,    /* N(0, 0.01²) */
    INIT_ONE,
    INIT_ZERO
};

/* What the kinds behind the calls of net.h can be told; each reads what its table of
 * options has. */
struct layer_attributes {
    int out;                          /* output channels or features */
    int kernel[2], stride[2], pad[2]; /* height, width */
    int dilation[2];                  /* 1: dense */
    int groups;
    int height, width; /* of adaptive pooling's output */
    bool bias;
    /* conv, inner product: of the weight and of the bias; any but the default takes the
     * inputs of one output for its fan */
    enum param_init init, bias_init;
    bool zero_init;   /* batch norm: the scale starts at 0 */
    bool ceil_mode;   /* pooling: round the output size up */
    bool exclude_pad; /* average pooling: padding does not count in the divisor */
    float epsilon,
        momentum;         /* batch norm; momentum of the running averages, as PyTorch */
    float alpha, beta, k; /* local response normalisation */
    int size;             /* of its window over channels */
    float p;              /* dropout: probability of zero */
    float label_smoothing; /* softmax cross-entropy */
};

/* The largest values keep every size that follows from them far from overflow; what
 * fits on which input is for infer to say. */
enum {
    LAYER_MAX_WINDOW = 256,
    LAYER_MAX_CHANNELS = 1 << 16,
    LAYER_MAX_FEATURES = 1 << 20
};

/* Words for an init, NULL-terminated. */
extern const char *const layer_inits[];

/* Rows of option tables that several kinds have. */
#define LAYER_AT(field) offsetof(struct layer_attributes, field)
#define LAYER_KERNEL                                                                   \
    {                                                                                  \
        "kernel", OPTION_PAIR, LAYER_AT(kernel), NULL, 1, LAYER_MAX_WINDOW,            \
            .help = "height and width of the window"                                   \
    }
#define LAYER_STRIDE(preset)                                                           \
    {                                                                                  \
        "stride", OPTION_PAIR, LAYER_AT(stride), preset, 1, LAYER_MAX_WINDOW,          \
            .help = "pixels from one window to the next"                               \
    }
#define LAYER_PAD                                                                      \
    {                                                                                  \
        "pad", OPTION_PAIR, LAYER_AT(pad), "0", 0, LAYER_MAX_WINDOW,                   \
            .help = "pixels of padding on each side"                                   \
    }
#define LAYER_DILATION                                                                 \
    {                                                                                  \
        "dilation", OPTION_PAIR, LAYER_AT(dilation), "1", 1, LAYER_MAX_WINDOW,         \
            .help = "pixels from one value of the window to the next"                  \
    }
#define LAYER_GROUPS                                                                   \
    {                                                                                  \
        "groups", OPTION_INT, LAYER_AT(groups), "1", 1, LAYER_MAX_CHANNELS,            \
            .help = "groups of channels that do not mix"                               \
    }
#define LAYER_CEIL_MODE                                                                \
    {                                                                                  \
        "ceil_mode", OPTION_BOOL, LAYER_AT(ceil_mode), "false",                        \
            .help = "round the output size up"                                         \
    }
#define LAYER_BIAS                                                                     \
    {                                                                                  \
        "bias", OPTION_BOOL, LAYER_AT(bias), "true",                                   \
            .help = "add a learnt value to each output"                                \
    }
#define LAYER_INIT(field, text)                                                        \
    {                                                                                  \
#field, OPTION_CHOICE, LAYER_AT(field), "default", .choices = layer_inits,     \
                                                           .help = (text)              \
    }
/* What a convolution can say, whether places share its weights or not. */
#define LAYER_CONV_OPTIONS                                                             \
    {"out",                                                                            \
     OPTION_CLASSES,                                                                   \
     LAYER_AT(out),                                                                    \
     NULL,                                                                             \
     1,                                                                                \
     LAYER_MAX_CHANNELS,                                                               \
     .help = "output channels"},                                                       \
        LAYER_KERNEL, LAYER_STRIDE("1"), LAYER_PAD, LAYER_DILATION, LAYER_GROUPS,      \
        LAYER_BIAS, LAYER_INIT(init, "how the weights start"),                         \
        LAYER_INIT(bias_init, "how the bias starts")

/* A parameter: canonical (PyTorch's) dims. */
struct param {
    const char *name; /* "weight", "bias" */
    int n_dims;
    int64_t dims[DNN_MAX_DIMS];
    enum param_init init;
    int64_t fan; /* for the init */
    bool decay;  /* a weight: no bias and no norm, which weight decay can spare */
};

/* A running statistic of [c] floats. After a step: new = (1 - momentum) · old +
 * momentum · factor · (mean over the microbatches of its statistic). */
struct buffer {
    const char *name; /* "running_mean", "running_var" */
    int64_t n;
    float initial;
    bool unbiased; /* the statistic is a biased variance: factor N / (N - 1) */
    float momentum;
};

/* What a layer may do while it is being compiled; filled in by the net (src/net). */
struct layer_build {
    struct program *program;
    const void *attributes; /* what the kind is told */
    bool relu; /* a ReLU behind it is this layer's to do: kinds that take it. One
                  before it becomes one behind it in kinds that take that */
    int64_t n; /* microbatch */
    dnnl_data_type_t type; /* of activations: f32 or bf16; parameters, their gradients
                              and statistics are f32 */
    bool training;
    int index;           /* of the layer in the net: dropout's stream */
    bool needs_diff_src; /* something before it learns */

    int n_src;
    const struct shape *src_shapes; /* [n_src] */
    struct shape dst_shape;
    const tensor *src;      /* [n_src] */
    bool may_overwrite_src; /* nothing else reads src[0], now or in a backward pass */
    tensor labels;          /* i32 [n], softmax cross-entropy only */
    bool mixes; /* it also has second labels, i32 [n], and the first ones' shares, f32
                   [n], of samples that are mixed */
    tensor partners, shares;
    tensor dst; /* out of forward */

    /* concat: where dst is to be, so that a concat behind it needs not copy it again:
     * the first channels of a larger tensor. NO_TENSOR: anywhere. */
    tensor place;

    tensor diff_dst; /* in, backward: in dst's layout */
    bool may_overwrite_diff_dst;
    tensor *diff_src; /* [n_src], out of backward; may be diff_dst itself */
    tensor diff_sum;  /* kinds with adds_to_diff_src: what to add diff_src[0] to, which
                         is  then diff_src[0]; NO_TENSOR: nothing */

    /* From forward to backward; the descriptors are the program's. */
    dnnl_primitive_desc_t forward_pd, backward_pd;
    tensor saved[LAYER_MAX_SAVED];

    /* Where this layer's parameters and statistics are kept. */
    struct param_store *store;
    int first_param, first_buffer;
    bool learns; /* its parameters get gradients; without, batch norm takes the running
                    statistics and leaves them as they are */
};

/* What a kind of struct layer_attributes is told. */
static inline const struct layer_attributes *layer_told(const struct layer_build *b)
{
    return b->attributes;
}

/* The layout that parameter i must have: fixed by an earlier compilation, else "any".
 * For other types than f32 always "any", of that type, and a bias plain f32. */
convoy_status layer_param_any(const struct layer_build *b, int i, int n_dims,
                              const int64_t *dims, struct dnn_md *md);

/* Fixes the layout in which parameter i is kept to the f32 layout md, unless an earlier
 * compilation has fixed it. */
convoy_status layer_param_fix(struct layer_build *b, int i, dnn_cmd md);

/* Whether an earlier compilation has fixed the layout of parameter i. */
bool layer_param_is_fixed(const struct layer_build *b, int i);

/* Parameter i in layout md. The first compilation that asks fixes the layout in which
 * it is kept; later ones get a reordered copy where they want another. */
convoy_status layer_param(struct layer_build *b, int i, dnn_cmd md, tensor *out);

/* The gradient of parameter i: a tensor of layout md to let a primitive write to, then
 * layer_grad_done after that primitive. */
convoy_status layer_grad(struct layer_build *b, int i, dnn_cmd md, tensor *out);
convoy_status layer_grad_done(struct layer_build *b, int i, tensor grad);

/* Running statistic i (f32 [c]), and this microbatch's statistic for it. */
convoy_status layer_buffer(struct layer_build *b, int i, tensor *out);
convoy_status layer_statistic(struct layer_build *b, int i, tensor *out);

/* A new md for an activation of this layer: [n, c, h, w] or [n, c], in oneDNN's choice
 * of layout, or plain. */
convoy_status layer_any(const struct layer_build *b, const struct shape *shape,
                        struct dnn_md *md);
convoy_status layer_plain(const struct layer_build *b, const struct shape *shape,
                          struct dnn_md *md);

/* src[i] as plain row-major memory of its shape ([n, c] if flat): itself, or a copy. */
convoy_status layer_src_plain(struct layer_build *b, int i, tensor *out);
/* The same in f32, whatever the type of activations. */
convoy_status layer_src_f32(struct layer_build *b, int i, tensor *out);

/* src[i] in the nth layout worth a try, where a kind follows its input's layout but has
 * fast kernels for few: 0 is its own, then channels in blocks of 16 and of 8. */
enum { LAYER_N_LAYOUTS = 3 };
convoy_status layer_src_layout(struct layer_build *b, int i, int nth,
                               struct dnn_md *md);

/* Which of the usual layouts (nChw16c, nChw8c, nhwc, nchw) t of this shape has;
 * dnnl_format_tag_undef for another. */
dnnl_format_tag_t layer_tag(const struct layer_build *b, tensor t,
                            const struct shape *shape);

/* A window over height and width as the attributes give it. */
struct layer_window {
    int64_t kernel[2], stride[2], pad[2], dilation[2];
};
/* Output height and width of a window over src. */
convoy_status layer_window_out(const struct layer_window *w, const struct shape *src,
                               bool ceil_mode, int64_t out[2]);
/* The same for oneDNN, with the padding behind that the output size implies. */
void layer_window_fill(const struct layer_window *w, const struct shape *src,
                       const struct shape *dst, struct dnn_window *window);

/* What kinds share of which each output sees a window of the channels of its group: the
 * window, infer, and multiply-adds. */
struct layer_window layer_conv_window(const struct layer_attributes *a);
convoy_status layer_conv_infer(const void *attributes, int n_src,
                               const struct shape *src, struct shape *dst);
int64_t layer_conv_macs(const void *attributes, const struct shape *src,
                        const struct shape *dst);

/* What one output of a layer sees of the input. */
struct layer_reach {
    int64_t channels;  /* all, or those of its group */
    int64_t kernel[2]; /* height, width of its window, padding included */
};
/* The same kinds' reach. */
void layer_conv_reach(const void *attributes, const struct shape *src,
                      struct layer_reach *reach);

/* infer of kinds whose dst has src[0]'s shape. */
convoy_status layer_same_shape(const void *attributes, int n_src,
                               const struct shape *src, struct shape *dst);
/* Fails for a [c] shape. */
convoy_status layer_not_flat(const struct shape *src);

/* A planned tensor in src[i]'s layout, for its gradient. */
convoy_status layer_diff_src(struct layer_build *b, int i, tensor *out);

/* A planned tensor of layout md. */
convoy_status layer_tensor(struct layer_build *b, dnn_cmd md, tensor *out);

struct layer_kind {
    struct option_owner about; /* its name, inputs and options */
    bool backward_reads_src;   /* its backward pass needs the values of src … */
    bool backward_reads_dst;   /* … of dst */
    bool adds_to_diff_src;     /* it minds diff_sum */
    bool takes_labels;
    bool is_relu;           /* max(0, ·), which a layer before it may do: */
    bool takes_relu;        /* it minds relu */
    bool takes_relu_before; /* it minds relu, of a layer before it */
    bool reads_parts;       /* src may be the first channels of a larger tensor */
    bool joins;             /* it puts its inputs one after another and minds place */
    bool passes_evaluating; /* where nothing is trained, dst is src[0] as it is */

    /* Writes *dst; an error names what does not fit and both shapes. */
    convoy_status (*infer)(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst);
    /* NULL: no parameters. Writes params [LAYER_MAX_PARAMS] and their number. */
    int (*params)(const void *attributes, const struct shape *src,
                  struct param *params);
    /* NULL: no running statistics. */
    int (*buffers)(const void *attributes, const struct shape *src,
                   struct buffer *buffers);
    convoy_status (*forward)(struct layer_build *b);
    convoy_status (*backward)(struct layer_build *b);
    /* NULL: too dear. Computes in the backward pass once more, before anything there
     * reads it, what forward has computed: to a new *dst, the same bits. src [n_src]
     * and saved hold what they held in the forward pass; may_overwrite_src as there. */
    convoy_status (*recompute)(struct layer_build *b);
    /* What oneDNN has for the whole of a pass that the layer does by a call, from the
     * passes' layouts; to be compared with. After forward or backward. The caller owns
     * *pd, which is left alone where there is nothing. */
    convoy_status (*rival)(struct layer_build *b, enum phase phase,
                           dnnl_primitive_desc_t *pd);
    /* Multiply-adds of one sample's forward pass; NULL: 0. */
    int64_t (*macs)(const void *attributes, const struct shape *src,
                    const struct shape *dst);
    /* NULL: it has no weights between input and output. */
    void (*reach)(const void *attributes, const struct shape *src,
                  struct layer_reach *reach);
};

#define LAYER(kind) extern const struct layer_kind layer_##kind;
#include "layer/layer_list.h"
#undef LAYER

/* The kind with this name, or NULL. */
const struct layer_kind *layer_find(const char *name);
/* All kinds, in list order, ended by NULL. */
extern const struct layer_kind *const layer_kinds[];

/* Checks the number of inputs and the ranges of the options, then infers. Errors say
 * what was found and what is expected. */
convoy_status layer_infer(const struct layer_kind *kind, const void *attributes,
                          int n_src, const struct shape *src, struct shape *dst);

/* "[64, 7, 7]" or "[64]"; returns text. */
const char *layer_shape_text(const struct shape *shape, char text[64]);

#endif
