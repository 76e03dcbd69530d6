/* A family of models: functions that add layers to a net. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <convoy/model.h>

struct model_kind {
    const char *name;
    const char *summary;
    int depth; /* what the family's build makes of it */
    /* Which options the model knows: others must be left at their defaults. */
    bool has_dropout, has_activation, has_batch_norm, has_width, has_residual;
    /* Adds layers from x on and returns the logits' node; failures stay in the net. */
    convoy_node (*build)(convoy_net *net, convoy_node x, const struct model_kind *kind,
                         const convoy_model_options *options);
};

/* The activation that the options ask for, as a layer called name. */
convoy_node model_activation(convoy_net *net, convoy_node x, const char *name,
                             const convoy_model_options *options);

#endif
