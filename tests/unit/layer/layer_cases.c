/* The cases that every layer kind must pass: odd sizes, one sample, channels that fill
 * no block of 8 or 16, strides that leave a rest, windows of unequal sides. dst is what
 * PyTorch's modules give. A new kind wants a case here and
 * a reference. */
#include "unit/layer/layer_rig.h"

/* Kernel, stride, padding, dilation: of height and of width. */
#define WINDOW(kh, kw, sh, sw, ph, pw, dh, dw)                                         \
    .kernel = {kh, kw}, .stride = {sh, sw}, .pad = {ph, pw}, .dilation = {dh, dw}
#define SQUARE(k, s, p) WINDOW(k, k, s, s, p, p, 1, 1)
#define MAP(channels, height, width)                                                   \
    {                                                                                  \
        .c = (channels), .h = (height), .w = (width), .flat = false                    \
    }
#define FLAT(features)                                                                 \
    {                                                                                  \
        .c = (features), .h = 1, .w = 1, .flat = true                                  \
    }
#define NORM .epsilon = 1e-5F, .momentum = 0.1F

/* clang-format off */
const struct layer_case layer_cases[] = {
    {"conv", "one channel, one sample", 1, 1, {MAP(1, 7, 5)}, .dst = MAP(3, 7, 5),
     .a = {.out = 3, SQUARE(3, 1, 1), .groups = 1, .bias = true}},
    {"conv", "stride 3, 2 and pad 2, 1", 2, 1, {MAP(3, 13, 11)}, .dst = MAP(20, 5, 5),
     .a = {.out = 20, WINDOW(5, 5, 3, 2, 2, 1, 1, 1), .groups = 1, .bias = true}},
    {"conv", "dilation 2", 2, 1, {MAP(5, 11, 9)}, .dst = MAP(24, 11, 9),
     .a = {.out = 24, WINDOW(3, 3, 1, 1, 2, 2, 2, 2), .groups = 1}},
    {"conv", "dilation 2, 3 and no pad", 3, 1, {MAP(16, 9, 10)}, .dst = MAP(16, 5, 4),
     .a = {.out = 16, WINDOW(3, 3, 1, 1, 0, 0, 2, 3), .groups = 1, .bias = true}},
    {"conv", "2 groups of 3 and 5 channels", 2, 1, {MAP(6, 7, 7)}, .dst = MAP(10, 4, 4),
     .a = {.out = 10, SQUARE(3, 2, 1), .groups = 2, .bias = true}},
    {"conv", "2 groups of 16 channels", 2, 1, {MAP(32, 6, 5)}, .dst = MAP(32, 6, 5),
     .a = {.out = 32, SQUARE(3, 1, 1), .groups = 2}},
    {"conv", "depthwise, 24 channels", 2, 1, {MAP(24, 9, 9)}, .dst = MAP(24, 9, 9),
     .a = {.out = 24, SQUARE(3, 1, 1), .groups = 24, .bias = true}},
    {"conv", "depthwise, 5 channels to 10", 1, 1, {MAP(5, 8, 7)}, .dst = MAP(10, 4, 4),
     .a = {.out = 10, SQUARE(3, 2, 1), .groups = 5}},
    {"conv", "1 x 1, 64 channels", 2, 1, {MAP(64, 5, 5)}, .dst = MAP(64, 5, 5),
     .a = {.out = 64, SQUARE(1, 1, 0), .groups = 1}},
    {"conv", "1 x 1 with stride 2", 2, 1, {MAP(20, 7, 8)}, .dst = MAP(64, 4, 4),
     .a = {.out = 64, SQUARE(1, 2, 0), .groups = 1}},
    {"conv", "3 x 3, 64 channels", 3, 1, {MAP(64, 7, 7)}, .dst = MAP(64, 7, 7),
     .a = {.out = 64, SQUARE(3, 1, 1), .groups = 1, .bias = true}},
    {"conv", "7 x 7 with stride 2 on images", 2, 1, {MAP(3, 17, 15)},
     .dst = MAP(64, 9, 8), .a = {.out = 64, SQUARE(7, 2, 3), .groups = 1}},
    {"conv", "11 x 11 with stride 4 on images", 2, 1, {MAP(3, 23, 27)},
     .dst = MAP(16, 5, 6),
     .a = {.out = 16, SQUARE(11, 4, 2), .groups = 1, .bias = true}},
    {"conv", "kernel as large as the input", 2, 1, {MAP(24, 5, 3)}, .dst = MAP(7, 1, 1),
     .a = {.out = 7, WINDOW(5, 3, 1, 1, 0, 0, 1, 1), .groups = 1, .bias = true}},
    {"conv", "stride 3 leaves a row", 2, 1, {MAP(5, 10, 11)}, .dst = MAP(20, 3, 3),
     .a = {.out = 20, SQUARE(3, 3, 0), .groups = 1}},
    {"conv", "1 x 7 kernel", 1, 1, {MAP(16, 5, 9)}, .dst = MAP(24, 5, 9),
     .a = {.out = 24, WINDOW(1, 7, 1, 1, 0, 3, 1, 1), .groups = 1}},
    {"conv", "one output channel", 2, 1, {MAP(20, 4, 4)}, .dst = MAP(1, 4, 4),
     .a = {.out = 1, SQUARE(3, 1, 1), .groups = 1, .bias = true}},

    {"batch_norm", "one sample", 1, 1, {MAP(5, 5, 7)}, .dst = MAP(5, 5, 7),
     .a = {NORM}},
    {"batch_norm", "3 channels", 4, 1, {MAP(3, 7, 5)}, .dst = MAP(3, 7, 5),
     .a = {NORM}},
    {"batch_norm", "20 channels, ReLU", 2, 1, {MAP(20, 5, 5)}, .dst = MAP(20, 5, 5),
     .a = {NORM}, .relu = true},
    {"batch_norm", "64 channels, ReLU", 3, 1, {MAP(64, 4, 3)}, .dst = MAP(64, 4, 3),
     .a = {NORM}, .relu = true},
    {"batch_norm", "1 x 1", 8, 1, {MAP(24, 1, 1)}, .dst = MAP(24, 1, 1), .a = {NORM}},
    {"batch_norm", "large epsilon", 2, 1, {MAP(16, 3, 3)}, .dst = MAP(16, 3, 3),
     .a = {.epsilon = 0.5F, .momentum = 0.3F}},

    {"relu", "5 channels, one sample", 1, 1, {MAP(5, 7, 3)}, .dst = MAP(5, 7, 3)},
    {"relu", "64 channels", 2, 1, {MAP(64, 3, 3)}, .dst = MAP(64, 3, 3)},
    {"relu", "features", 3, 1, {FLAT(30)}, .dst = FLAT(30), .map = MAP(5, 2, 3)},

    {"sigmoid", "5 channels, one sample", 1, 1, {MAP(5, 7, 3)}, .dst = MAP(5, 7, 3)},
    {"sigmoid", "64 channels", 2, 1, {MAP(64, 3, 3)}, .dst = MAP(64, 3, 3)},
    {"sigmoid", "features", 3, 1, {FLAT(7)}, .dst = FLAT(7)},

    {"tanh", "5 channels, one sample", 1, 1, {MAP(5, 7, 3)}, .dst = MAP(5, 7, 3)},
    {"tanh", "64 channels", 2, 1, {MAP(64, 3, 3)}, .dst = MAP(64, 3, 3)},
    {"tanh", "features", 3, 1, {FLAT(7)}, .dst = FLAT(7)},

    {"max_pool", "3 x 3 with stride 2", 2, 1, {MAP(3, 9, 7)}, .dst = MAP(3, 5, 4),
     .a = {SQUARE(3, 2, 1)}},
    {"max_pool", "2 x 2", 1, 1, {MAP(20, 7, 7)}, .dst = MAP(20, 3, 3),
     .a = {SQUARE(2, 2, 0)}},
    {"max_pool", "ceil mode", 2, 1, {MAP(5, 8, 9)}, .dst = MAP(5, 4, 4),
     .a = {SQUARE(3, 2, 0), .ceil_mode = true}},
    {"max_pool", "ceil mode drops a window in the padding", 2, 1, {MAP(24, 5, 6)},
     .dst = MAP(24, 3, 4), .a = {SQUARE(2, 2, 1), .ceil_mode = true}},
    {"max_pool", "unequal sides", 2, 1, {MAP(1, 9, 10)}, .dst = MAP(1, 5, 4),
     .a = {WINDOW(3, 2, 2, 3, 1, 1, 1, 1)}},
    {"max_pool", "dilation 2", 2, 1, {MAP(16, 11, 9)}, .dst = MAP(16, 9, 7),
     .a = {WINDOW(3, 3, 1, 1, 1, 1, 2, 2)}},
    {"max_pool", "stride above kernel", 2, 1, {MAP(64, 8, 8)}, .dst = MAP(64, 3, 3),
     .a = {SQUARE(2, 3, 0)}},

    {"avg_pool", "2 x 2", 1, 1, {MAP(20, 7, 7)}, .dst = MAP(20, 3, 3),
     .a = {SQUARE(2, 2, 0), .exclude_pad = true}},
    {"avg_pool", "padding not counted", 2, 1, {MAP(5, 9, 7)}, .dst = MAP(5, 5, 4),
     .a = {SQUARE(3, 2, 1), .exclude_pad = true}},
    {"avg_pool", "padding counted", 2, 1, {MAP(5, 9, 7)}, .dst = MAP(5, 5, 4),
     .a = {SQUARE(3, 2, 1)}},
    {"avg_pool", "ceil mode", 2, 1, {MAP(3, 8, 9)}, .dst = MAP(3, 4, 4),
     .a = {SQUARE(3, 2, 0), .ceil_mode = true, .exclude_pad = true}},
    {"avg_pool", "ceil mode that rounds nothing up, padding counted", 2, 1,
     {MAP(3, 9, 7)}, .dst = MAP(3, 5, 4),
     .a = {SQUARE(3, 2, 1), .ceil_mode = true}},
    {"avg_pool", "unequal sides, stride 3", 2, 1, {MAP(64, 9, 10)},
     .dst = MAP(64, 5, 4),
     .a = {WINDOW(3, 2, 2, 3, 1, 1, 1, 1)}},

    {"global_avg_pool", "5 channels", 1, 1, {MAP(5, 7, 3)}, .dst = MAP(5, 1, 1)},
    {"global_avg_pool", "64 channels", 2, 1, {MAP(64, 7, 7)}, .dst = MAP(64, 1, 1)},
    {"global_avg_pool", "1 x 1", 3, 1, {MAP(20, 1, 1)}, .dst = MAP(20, 1, 1)},

    {"adaptive_avg_pool", "the input's size", 2, 1, {MAP(20, 6, 6)}, .dst = MAP(20, 6, 6),
     .a = {.height = 6, .width = 6}},
    {"adaptive_avg_pool", "sides that divide", 2, 1, {MAP(24, 6, 9)},
     .dst = MAP(24, 3, 3), .a = {.height = 3, .width = 3}},
    {"adaptive_avg_pool", "windows that overlap", 2, 1, {MAP(64, 7, 10)},
     .dst = MAP(64, 6, 4), .a = {.height = 6, .width = 4}},
    {"adaptive_avg_pool", "rows divide, columns do not", 1, 1, {MAP(5, 8, 7)},
     .dst = MAP(5, 4, 3), .a = {.height = 4, .width = 3}},
    {"adaptive_avg_pool", "larger than the input", 3, 1, {MAP(16, 2, 3)},
     .dst = MAP(16, 7, 7), .a = {.height = 7, .width = 7}},
    {"adaptive_avg_pool", "a single pixel", 2, 1, {MAP(3, 5, 7)}, .dst = MAP(3, 1, 1),
     .a = {.height = 1, .width = 1}},

    {"lrn", "window as large as the channels", 1, 1, {MAP(5, 5, 7)},
     .dst = MAP(5, 5, 7), .a = {.size = 5, .alpha = 0.5F, .beta = 0.75F, .k = 2}},
    {"lrn", "20 channels", 2, 1, {MAP(20, 3, 3)}, .dst = MAP(20, 3, 3),
     .a = {.size = 3, .alpha = 1, .beta = 0.5F, .k = 1}},
    {"lrn", "AlexNet's numbers", 2, 1, {MAP(64, 3, 5)}, .dst = MAP(64, 3, 5),
     .a = {.size = 5, .alpha = 1e-4F, .beta = 0.75F, .k = 2}},
    {"lrn", "window of 1", 2, 1, {MAP(5, 3, 3)}, .dst = MAP(5, 3, 3),
     .a = {.size = 1, .alpha = 0.5F, .beta = 0.75F, .k = 1}},
    {"lrn", "window of 1, one channel", 2, 1, {MAP(1, 3, 3)}, .dst = MAP(1, 3, 3),
     .a = {.size = 1, .alpha = 0.5F, .beta = 0.75F, .k = 1}},
    {"lrn", "window of 7, one pixel", 2, 1, {MAP(20, 1, 1)}, .dst = MAP(20, 1, 1),
     .a = {.size = 7, .alpha = 0.5F, .beta = 0.75F, .k = 1}},
    {"lrn", "window of 7, 24 channels", 2, 1, {MAP(24, 4, 4)}, .dst = MAP(24, 4, 4),
     .a = {.size = 7, .alpha = 0.5F, .beta = 0.75F, .k = 1}},

    {"dropout", "half of 5 channels", 2, 1, {MAP(5, 7, 3)}, .dst = MAP(5, 7, 3),
     .a = {.p = .5F}},
    {"dropout", "a fifth of 20 channels", 3, 1, {MAP(20, 5, 5)}, .dst = MAP(20, 5, 5),
     .a = {.p = 0.2F}},
    {"dropout", "features", 1, 1, {FLAT(45)}, .dst = FLAT(45), .a = {.p = 0.5F},
     .map = MAP(5, 3, 3)},
    {"dropout", "none", 2, 1, {FLAT(7)}, .dst = FLAT(7), .a = {.p = 0}},

    {"inner_product", "features", 2, 1, {FLAT(20)}, .dst = FLAT(10),
     .a = {.out = 10, .bias = true}},
    {"inner_product", "one sample of a feature map", 1, 1, {FLAT(105)}, .dst = FLAT(24),
     .a = {.out = 24, .bias = true}, .map = MAP(3, 5, 7)},
    {"inner_product", "no bias, feature map of 64 channels", 5, 1, {FLAT(576)},
     .dst = FLAT(3), .a = {.out = 3}, .map = MAP(64, 3, 3)},
    {"inner_product", "20 channels of 1 x 1", 4, 1, {FLAT(20)}, .dst = FLAT(64),
     .a = {.out = 64, .bias = true}, .map = MAP(20, 1, 1)},
    {"inner_product", "one output", 3, 1, {FLAT(33)}, .dst = FLAT(1),
     .a = {.out = 1, .bias = true}},

    {"add", "5 channels", 1, 2, {MAP(5, 7, 3), MAP(5, 7, 3)}, .dst = MAP(5, 7, 3)},
    {"add", "64 channels, ReLU", 2, 2, {MAP(64, 3, 3), MAP(64, 3, 3)},
     .dst = MAP(64, 3, 3), .relu = true},
    {"add", "three inputs, ReLU", 2, 3, {MAP(20, 3, 5), MAP(20, 3, 5), MAP(20, 3, 5)},
     .dst = MAP(20, 3, 5), .relu = true},
    {"add", "features", 3, 2, {FLAT(12), FLAT(12)}, .dst = FLAT(12),
     .map = MAP(3, 2, 2)},

    {"concat", "3 and 5 channels", 2, 2, {MAP(3, 5, 3), MAP(5, 5, 3)},
     .dst = MAP(8, 5, 3)},
    {"concat", "16, 24 and 20 channels", 1, 3,
     {MAP(16, 3, 3), MAP(24, 3, 3), MAP(20, 3, 3)}, .dst = MAP(60, 3, 3)},
    {"concat", "64 and 32 channels", 2, 2, {MAP(64, 2, 3), MAP(32, 2, 3)},
     .dst = MAP(96, 2, 3)},
    {"concat", "one input", 2, 1, {MAP(20, 2, 3)}, .dst = MAP(20, 2, 3)},
    {"concat", "features", 3, 2, {FLAT(12), FLAT(12)}, .dst = FLAT(24),
     .map = MAP(3, 2, 2)},
    {"concat", "features of two lengths", 2, 2, {FLAT(7), FLAT(12)}, .dst = FLAT(19)},

    {"pad_channels", "3 to 8", 1, 1, {MAP(3, 5, 7)}, .dst = MAP(8, 5, 7),
     .a = {.out = 8}},
    {"pad_channels", "16 to 32", 2, 1, {MAP(16, 4, 4)}, .dst = MAP(32, 4, 4),
     .a = {.out = 32}},
    {"pad_channels", "20 to 24", 2, 1, {MAP(20, 3, 3)}, .dst = MAP(24, 3, 3),
     .a = {.out = 24}},
    {"pad_channels", "none", 2, 1, {MAP(5, 3, 3)}, .dst = MAP(5, 3, 3),
     .a = {.out = 5}},

    {"flatten", "5 channels", 1, 1, {MAP(5, 3, 7)}, .dst = FLAT(105)},
    {"flatten", "64 channels", 2, 1, {MAP(64, 3, 3)}, .dst = FLAT(576)},
    {"flatten", "features", 2, 1, {FLAT(7)}, .dst = FLAT(7)},

    {"softmax_cross_entropy", "10 classes", 4, 1, {FLAT(10)}, .dst = FLAT(1)},
    {"softmax_cross_entropy", "1000 classes, smoothed", 3, 1, {FLAT(1000)},
     .dst = FLAT(1), .a = {.label_smoothing = 0.1F}},
    {"softmax_cross_entropy", "some labels are no sample", 5, 1, {FLAT(20)},
     .dst = FLAT(1), .a = {.label_smoothing = 0.3F}, .no_sample = true,
     .map = MAP(5, 2, 2)},
    {"softmax_cross_entropy", "two classes, one sample", 1, 1, {FLAT(2)},
     .dst = FLAT(1)},

    {0},
};
/* clang-format on */
