/* The list of models, and building one by name. */
#include "model/model.h"

#include "base/status.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MODEL(name) extern const struct model_kind model_##name;
#include "model/model_list.h"
#undef MODEL

static const struct model_kind *const models[] = {
#define MODEL(name) &model_##name,
#include "model/model_list.h"
#undef MODEL
};

enum { N_MODELS = sizeof models / sizeof *models, MAX_NAME = 31, MAX_WIDTH = 1 << 16 };

const char *convoy_model_name(int index)
{
    return index >= 0 && index < N_MODELS ? models[index]->name : NULL;
}

const char *convoy_model_summary(int index)
{
    return index >= 0 && index < N_MODELS ? models[index]->summary : NULL;
}

static const char *nearest(const char *name)
{
    int best = 0;
    for (int i = 1; i < N_MODELS; i++)
        if (text_edits(name, models[i]->name) < text_edits(name, models[best]->name))
            best = i;
    return models[best]->name;
}

static const struct model_kind *find(const char *name)
{
    for (int i = 0; i < N_MODELS; i++)
        if (strcmp(models[i]->name, name) == 0)
            return models[i];
    return NULL;
}

/* Fails with begin, the name, and what models there are. */
static convoy_status reject_name(const char *begin, const char *name)
{
    char all[N_MODELS * (MAX_NAME + 2)] = "";
    size_t n = 0;
    for (int i = 0; i < N_MODELS; i++)
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "",
                              models[i]->name);
    return FAIL(CONVOY_ERROR_ARGUMENT, "%s '%s'; the nearest is %s; there are %s",
                begin, name, nearest(name), all);
}

convoy_status convoy_model_defaults(const char *name, int shape[3], int *classes)
{
    const struct model_kind *kind = find(name);
    if (!kind)
        return reject_name("there is no model", name);
    memcpy(shape, kind->shape, sizeof kind->shape);
    *classes = kind->classes;
    return CONVOY_OK;
}

/* The option that is set and that the model does not have, or NULL. */
static const char *find_unknown(const struct model_kind *kind,
                                const convoy_model_options *o)
{
    if (o->dropout > 0 && !kind->has_dropout)
        return "dropout";
    if (o->activation && strcmp(o->activation, "relu") != 0 && !kind->has_activation)
        return "activation";
    if (o->batch_norm && !kind->has_batch_norm)
        return "batch_norm";
    if (o->width > 0 && !kind->has_width)
        return "width";
    if (o->zero_init_residual && !kind->has_residual)
        return "zero_init_residual";
    if (o->variant && *o->variant && !kind->has_variant)
        return "variant";
    if (o->pre_activation && !kind->has_pre_activation)
        return "pre_activation";
    if (o->blur_pool && !kind->has_blur_pool)
        return "blur_pool";
    return NULL;
}

/* Fails with the models that take all that is set. */
static convoy_status reject_option(const struct model_kind *kind,
                                   const convoy_model_options *o)
{
    char others[N_MODELS * (MAX_NAME + 2)] = "";
    size_t n = 0;
    for (int i = 0; i < N_MODELS; i++)
        if (!find_unknown(models[i], o))
            n += (size_t)snprintf(others + n, sizeof others - n, "%s%s", n ? ", " : "",
                                  models[i]->name);
    return FAIL(CONVOY_ERROR_ARGUMENT, "is no option of %s; leave it out%s%s",
                kind->name, n ? ", or take another model: " : "", others);
}

/* *key is the option that the text is about. */
static convoy_status check_options(const struct model_kind *kind,
                                   const convoy_model_options *o, const char **key)
{
    const char *v = o->variant ? o->variant : "";
    *key = find_unknown(kind, o);
    if (*key)
        return reject_option(kind, o);
    *key = "classes";
    if (o->classes < 2)
        return FAIL(CONVOY_ERROR_ARGUMENT, "must be at least 2, here %d", o->classes);
    *key = "width";
    if (o->width > MAX_WIDTH)
        return FAIL(CONVOY_ERROR_ARGUMENT, "must be at most %d, here %d", MAX_WIDTH,
                    o->width);
    *key = "variant";
    if (*v && strcmp(v, "v1") != 0 && strcmp(v, "v1.5") != 0)
        return FAIL(CONVOY_ERROR_ARGUMENT, "must be v1 or v1.5, here '%s'", v);
    /* A scale of 0 before a ReLU has no gradient: the block would never start. */
    *key = "zero_init_residual";
    if (o->pre_activation && o->zero_init_residual)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "does not go with pre_activation, whose blocks end in a "
                    "convolution: leave one of the two out");
    return CONVOY_OK;
}

convoy_status model_check(const char *name, const convoy_model_options *options,
                          const char **key)
{
    const struct model_kind *kind = find(name);
    *key = "name";
    return kind ? check_options(kind, options, key)
                : reject_name("names a model that there is not,", name);
}

struct model_name model_name(const char *format, ...)
{
    struct model_name name;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name.text, sizeof name.text, format, arguments);
    va_end(arguments);
    return name;
}

convoy_node model_dropout(convoy_net *net, convoy_node x, const char *name,
                          const convoy_model_options *options, float own)
{
    const float p = options->dropout == 0 ? own : options->dropout;
    return p > 0 ? convoy_net_dropout(net, x, name, p) : x;
}

convoy_node model_activation(convoy_net *net, convoy_node x, const char *name,
                             const convoy_model_options *options)
{
    if (options->activation && strcmp(options->activation, "sigmoid") == 0)
        return convoy_net_sigmoid(net, x, name);
    if (options->activation && strcmp(options->activation, "tanh") == 0)
        return convoy_net_tanh(net, x, name);
    return convoy_net_relu(net, x, name);
}

convoy_status convoy_model_build(const char *name, const int shape[3],
                                 const convoy_model_options *options, convoy_net **net)
{
    convoy_status status = CONVOY_OK;
    const struct model_kind *kind = find(name);
    convoy_net *made = NULL;
    const char *key = NULL;
    if (!kind)
        return reject_name("there is no model", name);
    status = check_options(kind, options, &key);
    if (status != CONVOY_OK)
        TRY(status_prefix(status, "%s", key));
    TRY(convoy_net_create(shape[0], shape[1], shape[2], &made));
    convoy_node logits = kind->build(made, convoy_net_input(made), kind, options);
    convoy_net_loss(made, logits, options->label_smoothing);
    status = convoy_net_check(made);
    if (status != CONVOY_OK) {
        status_prefix(status, "model %s on an input of [%d, %d, %d]", name, shape[0],
                      shape[1], shape[2]);
        goto cleanup;
    }
    *net = made;
    made = NULL;
cleanup:
    convoy_net_destroy(made);
    return status;
}
