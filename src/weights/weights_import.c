/* From safetensors to a checkpoint, as if training had written it at step 0: a recipe
 * names the net, the net says which tensors there must be, and the file fills them.
 * Nothing is compiled: checkpoints hold the canonical layout, as safetensors do.
 */
#include <convoy/model.h>
#include <convoy/pack.h>
#include <convoy/version.h>
#include <convoy/weights.h>

#include "base/file.h"
#include "base/memory.h"
#include "h5/h5.h"
#include "setup/setup.h"
#include "weights/weights_exchange.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

struct import {
    const convoy_weights_import_options *options;
    struct weights_skip skip;
    struct safetensors *file;
    convoy_recipe *recipe;
    convoy_net *net;
    int shape[3];     /* of the recipe's crop */
    int val_shape[3]; /* of what the net evaluates */
    struct net_tensors set;
    char **class_names; /* [n_class_names] */
    size_t n_class_names;
};

static void close_import(struct import *im)
{
    safetensors_close(im->file);
    net_tensors_free(&im->set);
    convoy_net_destroy(im->net);
    convoy_recipe_destroy(im->recipe);
    h5_free_texts(im->class_names, im->n_class_names);
}

/* A recipe that only evaluates: the model by its name, ImageNet's preprocessing. */
static convoy_status write_recipe(struct import *im, const int made_for[3], int classes)
{
    convoy_status status = CONVOY_OK;
    const convoy_weights_import_options *options = im->options;
    char name[128], text[512];
    float mean[3], std[3];
    /* Pictures that are small anyway are not scaled up to cut away a border. */
    const int resize = made_for[1] < 224 ? im->shape[1] : 0;
    snprintf(name, sizeof name, "recipe for %s", options->model);
    snprintf(text, sizeof text,
             "model: {name: %s, classes: %d}\n"
             "data: {train: \"\", crop: %d, resize: %d}\n",
             options->model, classes, im->shape[1], resize);
    convoy_recipe_destroy(im->recipe);
    im->recipe = NULL;
    TRY(convoy_recipe_load_text(name, text, options->overrides, options->n_overrides,
                                &im->recipe));
    TRY(setup_scaling(im->recipe, im->shape[0], mean, std));
cleanup:
    return status;
}

static convoy_status build_model(struct import *im, const int made_for[3], int classes)
{
    convoy_status status = CONVOY_OK;
    convoy_net_destroy(im->net);
    im->net = NULL;
    TRY(write_recipe(im, made_for, classes));
    setup_val_shape(im->recipe, im->shape, im->val_shape);
    TRY(setup_net(im->recipe, im->val_shape, &im->net));
cleanup:
    return status;
}

/* The name of the weight of the last layer that has one, on the way to the logits; NULL
 * if there is none. */
static const char *classifier(const convoy_net *net)
{
    for (int i = net->logits; i >= 0; i = net->nodes[i].src[0]) {
        const struct node *node = &net->nodes[i];
        if (node->kind && node->kind->params)
            return net->store.params[node->first_param].name;
        if (node->n_src == 0)
            break;
    }
    return NULL;
}

/* As many classes as the classifier in the file has rows; 0 where it says nothing. */
static int classes_in_file(const struct import *im)
{
    const char *name = classifier(im->net);
    if (!name || weights_skips(&im->skip, name))
        return 0;
    const struct safetensors_tensor *found = weights_find(im->file, &im->skip, name);
    if (!found || found->n_dims == 0 || found->dims[0] > INT_MAX)
        return 0;
    return (int)found->dims[0];
}

/* Overrides of what has an option of its own would contradict it. */
static convoy_status check_overrides(const convoy_weights_import_options *options)
{
    static const char *const taken[] = {"model.name", "model.classes", "data.crop",
                                        "data.train", "network"};
    for (int i = 0; i < options->n_overrides; i++)
        for (size_t k = 0; k < sizeof taken / sizeof *taken; k++) {
            const size_t n = strlen(taken[k]);
            if (strncmp(options->overrides[i], taken[k], n) == 0 &&
                options->overrides[i][n] == '=')
                return FAIL(CONVOY_ERROR_ARGUMENT,
                            "%s: is not for an import: model, classes and crop are "
                            "options of their own, for a network give its recipe",
                            taken[k]);
        }
    return CONVOY_OK;
}

/* A model of the zoo. */
static convoy_status prepare_model(struct import *im)
{
    convoy_status status = CONVOY_OK;
    const convoy_weights_import_options *options = im->options;
    int made_for[3], classes = 0;
    TRY(check_overrides(options));
    TRY(convoy_model_defaults(options->model, made_for, &classes));
    memcpy(im->shape, made_for, sizeof im->shape);
    if (options->crop > 0)
        im->shape[1] = im->shape[2] = options->crop;
    if (options->classes > 0)
        classes = options->classes;
    TRY(build_model(im, made_for, classes));
    const int found = options->classes > 0 ? 0 : classes_in_file(im);
    if (found > 0 && found != classes)
        TRY(build_model(im, made_for, found));
cleanup:
    return status;
}

static convoy_status copy_pack_names(struct import *im, const convoy_pack *pack)
{
    convoy_status status = CONVOY_OK;
    const int n = convoy_pack_describe(pack)->n_classes;
    TRY(mem_alloc_array((size_t)n, sizeof *im->class_names, (void **)&im->class_names));
    for (; im->n_class_names < (size_t)n; im->n_class_names++)
        TRY(mem_copy_text(convoy_pack_class_name(pack, (int)im->n_class_names),
                          &im->class_names[im->n_class_names]));
cleanup:
    return status;
}

/* The net of a recipe, whose pack tells what else there is to know. */
static convoy_status prepare_recipe(struct import *im)
{
    convoy_status status = CONVOY_OK;
    const convoy_weights_import_options *options = im->options;
    convoy_pack *pack = NULL;
    float mean[3], std[3];
    if (options->classes || options->crop || options->n_overrides)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: classes, crop and all else of a recipe's model are set in the "
                    "recipe",
                    options->recipe);
    TRY(convoy_recipe_load(options->recipe, NULL, 0, &im->recipe));
    if (!*im->recipe->data.train)
        TRY(recipe_reject(im->recipe, "data.train",
                          "is empty; the pack tells channels, size and classes"));
    TRY(convoy_pack_open(im->recipe->data.train, &pack));
    TRY(setup_resolve(im->recipe, pack, im->shape, mean, std));
    setup_val_shape(im->recipe, im->shape, im->val_shape);
    TRY(setup_net(im->recipe, im->val_shape, &im->net));
    if (!options->class_names)
        TRY(copy_pack_names(im, pack));
cleanup:
    convoy_pack_close(pack);
    return status;
}

/* The line at text, without its end, as a new class name; *next: the line behind it. */
static convoy_status add_line(struct import *im, const char *text, const char **next)
{
    const size_t line = strcspn(text, "\n"), kept = strcspn(text, "\r\n");
    *next = text + line + (text[line] == '\n');
    if (kept == 0 || kept + 1 < line)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: line %zu is no class name",
                    im->options->class_names, im->n_class_names + 1);
    char *name = NULL;
    convoy_status status = mem_alloc(kept + 1, (void **)&name);
    if (status != CONVOY_OK)
        return status;
    memcpy(name, text, kept);
    im->class_names[im->n_class_names++] = name;
    return CONVOY_OK;
}

/* One class name a line. */
static convoy_status read_class_names(struct import *im, size_t classes)
{
    convoy_status status = CONVOY_OK;
    static const char mark[] =
        "\xef\xbb\xbf"; /* of UTF-8, as some editors begin files */
    const char *path = im->options->class_names;
    char *text = NULL;
    size_t n = 0;
    TRY(file_read_all(path, &text, &n));
    if (strlen(text) != n)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is no text: it holds a byte 0", path));
    TRY(mem_alloc_array(classes, sizeof *im->class_names, (void **)&im->class_names));
    const char *at = text + (strncmp(text, mark, strlen(mark)) == 0 ? strlen(mark) : 0);
    while (*at && im->n_class_names < classes)
        TRY(add_line(im, at, &at));
    if (*at || im->n_class_names < classes)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: has %s than %zu lines; the model has %zu classes, one line each",
                 path, *at ? "more" : "fewer", classes, classes));
cleanup:
    mem_free(text);
    return status;
}

static convoy_status number_classes(struct import *im, size_t classes)
{
    convoy_status status = CONVOY_OK;
    TRY(mem_alloc_array(classes, sizeof *im->class_names, (void **)&im->class_names));
    for (; im->n_class_names < classes; im->n_class_names++) {
        char number[32];
        snprintf(number, sizeof number, "%zu", im->n_class_names);
        TRY(mem_copy_text(number, &im->class_names[im->n_class_names]));
    }
cleanup:
    return status;
}

static convoy_status name_classes(struct import *im)
{
    const size_t classes = (size_t)im->recipe->model.classes;
    if (im->options->class_names)
        return read_class_names(im, classes);
    return im->class_names ? CONVOY_OK : number_classes(im, classes);
}

static convoy_status write_checkpoint(const struct import *im, const char *output)
{
    convoy_status status = CONVOY_OK;
    const convoy_recipe *recipe = im->recipe;
    char *resolved = NULL, hdf5[32];
    h5_version(hdf5);
    TRY(recipe_text(recipe, &resolved));
    struct checkpoint_contents contents = {
        .facts = {.recipe = resolved,
                  .model = recipe->model.name,
                  .classes = recipe->model.classes,
                  .input_shape = {im->val_shape[0], im->val_shape[1], im->val_shape[2]},
                  .class_names = (const char *const *)im->class_names,
                  .n_class_names = im->n_class_names,
                  .microbatch = recipe->batch.microbatch,
                  .n_microbatches = recipe->batch.size / recipe->batch.microbatch,
                  .convoy_version = CONVOY_VERSION,
                  .hdf5_version = hdf5},
        .params = im->set.views,
        .n_params = im->set.n_params,
        .buffers = im->set.views + im->set.n_params,
        .n_buffers = im->set.n_buffers};
    TRY(checkpoint_write(output, &contents));
cleanup:
    mem_free(resolved);
    return status;
}

static convoy_status check_options(const convoy_weights_import_options *options)
{
    if (!options->model == !options->recipe)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "importing weights needs a model or a recipe, one of them");
    if (options->classes < 0 || options->crop < 0 || options->n_skip < 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%d classes, a crop of %d or %d prefixes to skip make no sense",
                    options->classes, options->crop, options->n_skip);
    return CONVOY_OK;
}

convoy_status convoy_weights_import(const char *path, const char *output,
                                    const convoy_weights_import_options *options)
{
    convoy_status status = CONVOY_OK;
    struct import im = {.options = options,
                        .skip = {options->skip, options->n_skip, options->strip}};
    char model[256];
    TRY(check_options(options));
    TRY(weights_check_output(path, output));
    TRY(safetensors_open(path, &im.file));
    TRY(options->model ? prepare_model(&im) : prepare_recipe(&im));
    snprintf(model, sizeof model, "%s with %d classes",
             options->model ? options->model : options->recipe,
             im.recipe->model.classes);
    TRY(net_tensors_list(im.net, &im.set));
    /* Before anything large is allocated: the file may state any number of classes. */
    TRY(weights_match(im.file, path, &im.set, &im.skip, model));
    TRY(name_classes(&im));
    TRY(weights_fill(im.file, path, im.net, &im.skip, im.recipe->seed, &im.set));
    TRY(write_checkpoint(&im, output));
cleanup:
    close_import(&im);
    return status;
}
