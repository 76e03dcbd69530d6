/* A family of models: functions that add layers to a net. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <convoy/model.h>

struct model_kind {
    const char *name;
    const char *summary;
    int shape[3]; /* of the input it was made for: channels, height, width */
    int classes;  /* of the data it was made for */
    int depth;    /* what the family's build makes of it */
    /* Which options the model knows: others must be left at their defaults. */
    bool has_dropout, has_activation, has_batch_norm, has_width, has_residual,
        has_variant, has_pre_activation, has_blur_pool;
    /* Adds layers from x on and returns the logits' node; failures stay in the net. */
    convoy_node (*build)(convoy_net *net, convoy_node x, const struct model_kind *kind,
                         const convoy_model_options *options);
};

/* Whether name is a model and has these options with these values. ARGUMENT: *key is
 * the option ("variant"; "name" for the model itself) that the text goes on about ("is
 * no option of mlp"). */
convoy_status model_check(const char *name, const convoy_model_options *options,
                          const char **key);

#define MODEL_FOR_DIGITS .shape = {1, 28, 28}, .classes = 10
#define MODEL_FOR_CIFAR .shape = {3, 32, 32}, .classes = 10
#define MODEL_FOR_IMAGENET .shape = {3, 224, 224}, .classes = 1000

/* The activation that the options ask for, as a layer called name. */
convoy_node model_activation(convoy_net *net, convoy_node x, const char *name,
                             const convoy_model_options *options);

/* Dropout with the options' probability, else own; x itself where that is 0. */
convoy_node model_dropout(convoy_net *net, convoy_node x, const char *name,
                          const convoy_model_options *options, float own);

/* A layer's name, to be passed on at once: model_name("%sconv%d", prefix, 1).text. */
struct model_name {
    char text[64];
};
struct model_name model_name(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
