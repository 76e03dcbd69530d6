/* What a recipe and a pack decide between them, without any state of a run: scaling,
 * shapes, the net and how samples are made. Training, evaluation, import and the
 * benches all begin here, so that they agree. */
#include "setup/setup.h"

#include "model/model.h"
#include "recipe/recipe_keys.h"
#include "setup/network.h"

#include <stdio.h>
#include <string.h>

convoy_status setup_scaling(convoy_recipe *recipe, int channels, float mean[3],
                            float std[3])
{
    static const double imagenet_mean[] = {0.485, 0.456, 0.406};
    static const double imagenet_std[] = {0.229, 0.224, 0.225};
    struct recipe_data *data = &recipe->data;
    for (int c = 0; data->mean.n == 0 && c < channels; c++)
        data->mean.values[c] = channels == 3 ? imagenet_mean[c] : 0.5;
    for (int c = 0; data->std.n == 0 && c < channels; c++)
        data->std.values[c] = channels == 3 ? imagenet_std[c] : 0.5;
    data->mean.n = data->mean.n ? data->mean.n : channels;
    data->std.n = data->std.n ? data->std.n : channels;
    if (data->mean.n != 1 && data->mean.n != channels)
        return recipe_reject(recipe, "data.mean",
                             "has %d numbers, the images %d channels", data->mean.n,
                             channels);
    if (data->std.n != 1 && data->std.n != channels)
        return recipe_reject(recipe, "data.std",
                             "has %d numbers, the images %d channels", data->std.n,
                             channels);
    for (int c = 0; c < channels; c++) {
        mean[c] = (float)data->mean.values[data->mean.n > 1 ? c : 0];
        std[c] = (float)data->std.values[data->std.n > 1 ? c : 0];
    }
    return CONVOY_OK;
}

/* Whether each record is an image of height x width. */
static bool all_have_size(const convoy_pack *pack, int height, int width)
{
    const uint64_t n = convoy_pack_describe(pack)->n_records;
    for (uint64_t i = 0; i < n; i++) {
        int h = 0, w = 0;
        pack_record_size(pack, i, &w, &h);
        if (h != height || w != width)
            return false;
    }
    return true;
}

/* Samples that are trained on as they are must be so when image files are evaluated:
 * the raw ones, whose shorter side an image file is to have, and images that all have
 * the size of the crop. */
static void resolve_resize(convoy_recipe *recipe, const convoy_pack *pack,
                           const int shape[3])
{
    const convoy_pack_info *info = convoy_pack_describe(pack);
    struct recipe_data *data = &recipe->data;
    if (data->resize > 0)
        return;
    if (info->encoding == CONVOY_ENCODING_RAW) {
        const int *record = info->shape;
        const int shorter = record[1] < record[2] ? record[1] : record[2];
        const int crop = recipe_crop_largest(&data->crop);
        const bool fits = shorter + INT64_C(2) * data->augment.pad >= crop;
        data->resize = fits ? shorter : crop;
    } else if (!data->augment.resized_crop && all_have_size(pack, shape[1], shape[2])) {
        const int crop = recipe_crop_largest(&data->crop);
        data->resize = data->val_crop > crop ? data->val_crop : crop;
    }
}

convoy_status setup_resolve(convoy_recipe *recipe, const convoy_pack *pack,
                            int shape[3], float mean[3], float std[3])
{
    const convoy_pack_info *info = convoy_pack_describe(pack);
    const bool raw = info->encoding == CONVOY_ENCODING_RAW;
    struct recipe_model *model = &recipe->model;
    if (model->classes == 0)
        model->classes = info->n_classes;
    if (model->classes < info->n_classes)
        return recipe_reject(recipe, "model.classes",
                             "is %d, but the train pack %s has %d classes",
                             model->classes, recipe->data.train, info->n_classes);
    const int crop = recipe_crop_largest(&recipe->data.crop);
    shape[0] = raw ? info->shape[0] : 3;
    if (crop == 0 && raw && info->shape[1] != info->shape[2]) {
        shape[1] = info->shape[1];
        shape[2] = info->shape[2];
    } else {
        if (crop == 0)
            recipe->data.crop = recipe_crops_of(raw ? info->shape[1] : 224);
        shape[1] = shape[2] = recipe_crop_largest(&recipe->data.crop);
    }
    if (shape[0] != 1 && shape[0] != 3)
        return FAIL(CONVOY_ERROR_UNSUPPORTED,
                    "%s: samples of %d channels; 1 and 3 work", recipe->data.train,
                    shape[0]);
    if (recipe->net_shape[0] > 0 &&
        memcmp(recipe->net_shape, shape,
               recipe->data.crop.n > 1 ? sizeof *shape : sizeof recipe->net_shape) != 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s gives samples of [%d, %d, %d], but the program's net takes "
                    "[%d, %d, %d]",
                    recipe->data.train, shape[0], shape[1], shape[2],
                    recipe->net_shape[0], recipe->net_shape[1], recipe->net_shape[2]);
    resolve_resize(recipe, pack, shape);
    return setup_scaling(recipe, shape[0], mean, std);
}

void setup_val_shape(const convoy_recipe *recipe, const int shape[3], int val_shape[3])
{
    const struct recipe_data *data = &recipe->data;
    const int side =
        data->val_crop > 0 ? data->val_crop : recipe_crop_last(&data->crop);
    memcpy(val_shape, shape, 3 * sizeof *shape);
    if (side > 0) /* a raw pack's size may not be square */
        val_shape[1] = val_shape[2] = side;
}

_Static_assert((int)RECIPE_RESIZED_CROP_OFF == (int)AUGMENT_CROP_OFF &&
                   (int)RECIPE_RESIZED_CROP_SCALED == (int)AUGMENT_CROP_SCALED &&
                   (int)RECIPE_RESIZED_CROP_EXACT == (int)AUGMENT_CROP_EXACT,
               "the loader's crops are the recipe's");

void setup_training(const convoy_recipe *recipe, struct loader_options *options)
{
    const struct recipe_augment *augment = &recipe->data.augment;
    options->augment = (struct augment){
        .resized_crop = (enum augment_crop)augment->resized_crop,
        .pad = augment->pad,
        .flip = augment->flip,
        .brightness = augment->brightness,
        .contrast = augment->contrast,
        .saturation = augment->saturation,
        .hue = augment->hue,
        .erasing = augment->erasing,
        .trivial = augment->trivial,
        .mixup = augment->mixup,
        .cutmix = augment->cutmix,
        .repeats = augment->repeats,
    };
    options->shuffle = recipe->data.shuffle;
    options->seed = recipe->seed;
}

convoy_status setup_optimizer(const convoy_recipe *recipe, size_t n,
                              struct optimizer **optimizer)
{
    const struct recipe_choice *choice = &recipe->optimizer.kind;
    return optimizer_create(optim_find(choice->owner->name), choice->settings, n,
                            optimizer);
}

/* A recipe has -1 for the model's own dropout and 0 for none; option structs have 0 for
 * what is the model's own. */
static float dropout_option(double dropout)
{
    if (dropout < 0)
        return 0;
    return dropout > 0 ? (float)dropout : -1;
}

convoy_status setup_net(const convoy_recipe *recipe, const int shape[3],
                        convoy_net **net)
{
    static const char *const activations[] = {"relu", "sigmoid", "tanh"};
    static const char *const variants[] = {NULL, "v1.5", "v1"};
    _Static_assert(sizeof activations / sizeof *activations ==
                           RECIPE_ACTIVATION_TANH + 1 &&
                       sizeof variants / sizeof *variants == RECIPE_VARIANT_V1 + 1,
                   "a name for each that a recipe can choose");
    const struct recipe_model *model = &recipe->model;
    const char *option = NULL;
    if (recipe->network)
        return network_build(recipe->network, shape, model->classes,
                             (float)recipe->loss.label_smoothing, net);
    const convoy_model_options options = {
        .classes = model->classes,
        .dropout = dropout_option(model->dropout),
        .activation = activations[model->activation],
        .batch_norm = model->batch_norm,
        .width = model->width,
        .zero_init_residual = model->zero_init_residual,
        .label_smoothing = (float)recipe->loss.label_smoothing,
        .variant = variants[model->variant],
        .pre_activation = model->pre_activation,
        .blur_pool = model->blur_pool,
    };
    if (model_check(model->name, &options, &option) != CONVOY_OK) {
        char key[RECIPE_PATH_SIZE];
        snprintf(key, sizeof key, "model.%s", option);
        return recipe_reject(recipe, key, "%s", convoy_status_text());
    }
    return convoy_model_build(model->name, shape, &options, net);
}

dnnl_data_type_t setup_type(const convoy_recipe *recipe)
{
    return recipe->precision == RECIPE_PRECISION_BF16 ? dnnl_bf16 : dnnl_f32;
}

struct loader_options setup_loading(const convoy_recipe *recipe, const int shape[3],
                                    const float mean[3], const float std[3])
{
    struct loader_options options = {
        .microbatch = recipe->batch.microbatch,
        .shape = {shape[0], shape[1], shape[2]},
        .bf16 = setup_type(recipe) == dnnl_bf16,
        .resize = recipe->data.resize,
        .augment = {.pad = recipe->data.augment.pad},
        .n_threads = recipe->data.threads > 0 ? recipe->data.threads : 1,
        .skip_bad = recipe->data.on_bad_record == RECIPE_BAD_RECORD_SKIP,
    };
    memcpy(options.mean, mean, sizeof options.mean);
    memcpy(options.std, std, sizeof options.std);
    return options;
}
