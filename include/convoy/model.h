/* The model zoo: nets by the names that people know them by, built with net.h, and like
 * it with any number of threads at once. */
#ifndef CONVOY_MODEL_H
#define CONVOY_MODEL_H

#include <convoy/net.h>

#ifdef __cplusplus
extern "C" {
#endif

/* {0} but for classes is each model's own default. */
typedef struct convoy_model_options {
    int classes;
    float dropout;           /* probability; 0: the model's own; below 0: none; models
                                without dropout refuse a value above 0 */
    const char *activation;  /* "relu", "sigmoid", "tanh"; NULL: relu; mlp and lenet */
    bool batch_norm;         /* lenet: batch norm after each convolution */
    int width;               /* of the first block or of the hidden layers, up to
                                65536; 0: the model's own */
    bool zero_init_residual; /* residual nets: each block's last batch norm is 0 at
                                first */
    float label_smoothing;
    const char *variant; /* bottleneck residual nets: "v1.5" has the stride in the 3 x 3
                            convolution, "v1" in the first 1 x 1 as in the paper; NULL
                            or "": v1.5 */
    bool pre_activation; /* residual nets: norm and ReLU before each convolution (He et
                            al. 2016, "Identity mappings") */
    bool blur_pool; /* residual and plain nets: a blur_pool in front of each strided
                       convolution of 16 input channels or more */
} convoy_model_options;

/* The input that model name was made for, [channels, height, width], and the number of
 * classes. Local. Errors: ARGUMENT (an unknown name, as in convoy_model_build). */
convoy_status convoy_model_defaults(const char *name, int shape[3], int *classes);

/* Builds model name for an input of shape [channels, height, width], with its loss.
 * Local. *net is new; free with convoy_net_destroy.
 * Errors: ARGUMENT (an unknown name: the text tells the nearest and all; an option the
 * model does not have; an input on which a layer does not fit: the text names the layer
 * and the shapes). */
convoy_status convoy_model_build(const char *name, const int shape[3],
                                 const convoy_model_options *options, convoy_net **net);

/* Name and one-line description of model index, from 0; NULL past the last. Local. */
const char *convoy_model_name(int index);
const char *convoy_model_summary(int index);

#ifdef __cplusplus
}
#endif
#endif
