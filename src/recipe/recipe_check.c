/* Rules between keys: what each key alone cannot show. A message starts at the place of
 * the first of the keys that was set and names them all. Not a rule: a key without
 * effect (gamma with decay cosine), since a resolved recipe holds every key.
 */
#include "recipe/recipe_check.h"

#include "recipe/recipe_choice.h"
#include "recipe/recipe_value.h"

#include <stdarg.h>
#include <string.h>

/* Where key was set; NULL where its default holds. */
static const char *origin_of(const convoy_recipe *recipe, const char *key)
{
    int i = recipe_key_find(recipe, key);
    return i < 0 ? NULL : recipe->origins[i];
}

static const char *place(const convoy_recipe *recipe, const char *key)
{
    const char *origin = origin_of(recipe, key);
    return origin ? origin : recipe->source;
}

convoy_status recipe_reject(const convoy_recipe *recipe, const char *key,
                            const char *format, ...)
{
    char text[STATUS_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return FAIL(CONVOY_ERROR_FORMAT, "%s: key '%s' %s", place(recipe, key), key, text);
}

static const char *blame(const convoy_recipe *recipe, const char *a, const char *b)
{
    return origin_of(recipe, a) || !origin_of(recipe, b) ? a : b;
}

const char *recipe_blame(const convoy_recipe *recipe, const char *a, const char *b)
{
    return blame(recipe, a, b);
}

static convoy_status check_required(const convoy_recipe *recipe)
{
    for (int i = 0; i < recipe_n_keys(recipe); i++) {
        const struct option *key = recipe_key_at(recipe, i);
        if (!key->default_text && !recipe->origins[i])
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: key '%s' is missing and has no default; add it (%s)",
                        recipe->source, key->name, key->help);
    }
    return CONVOY_OK;
}

/* A model's name and its options, or a network, which has no use for them. */
static convoy_status check_model(const convoy_recipe *recipe)
{
    const char *name = recipe->model.name;
    const bool is_network = strcmp(name, RECIPE_NETWORK_NAME) == 0;
    if (!recipe->network && !*name)
        return recipe_reject(recipe, "model.name",
                             "is missing; name a model, or list the layers of a net of "
                             "your own below 'network'");
    if (!recipe->network && is_network)
        return recipe_reject(recipe, "model.name",
                             "is '%s', but there is no list of layers below 'network'",
                             name);
    if (recipe->network && *name && !is_network)
        return recipe_reject(
            recipe, blame(recipe, "model.name", "network"),
            "is '%s', but there is a 'network' too; remove one of the two", name);
    for (int i = 0; recipe->network && i < recipe_n_keys(recipe); i++) {
        const struct option *key = recipe_key_at(recipe, i);
        char text[OPTION_VALUE_SIZE];
        if (strncmp(key->name, "model.", 6) != 0 || key->type == OPTION_TEXT ||
            strcmp(key->name, "model.classes") == 0)
            continue;
        option_get(key, recipe, text);
        if (strcmp(*text ? text : "\"\"", key->default_text) != 0)
            return recipe_reject(recipe, key->name,
                                 "is %s, an option of models by name; a network says "
                                 "in its list what it is made of",
                                 text);
    }
    return CONVOY_OK;
}

static convoy_status check_batch(const convoy_recipe *recipe)
{
    int size = recipe->batch.size, microbatch = recipe->batch.microbatch;
    if (size % microbatch == 0)
        return CONVOY_OK;
    const char *key = blame(recipe, "batch.size", "batch.microbatch");
    if (size < microbatch)
        return recipe_reject(
            recipe, key,
            "does not fit: batch.size %d is less than batch.microbatch "
            "%d; lower batch.microbatch to %d",
            size, microbatch, size);
    int below = size / microbatch * microbatch;
    return recipe_reject(
        recipe, key,
        "does not fit: batch.size %d is no multiple of batch.microbatch "
        "%d; take a batch.size of %d or another batch.microbatch",
        size, microbatch, below);
}

/* Whether two samples of one record may differ. */
static bool is_random(const struct recipe_augment *a)
{
    return a->resized_crop != RECIPE_RESIZED_CROP_OFF || a->pad > 0 || a->flip ||
           a->brightness > 0 || a->contrast > 0 || a->saturation > 0 || a->hue > 0 ||
           a->erasing > 0 || a->trivial || a->mixup > 0 || a->cutmix > 0;
}

/* What augmentation wants of the batch. */
static convoy_status check_samples(const convoy_recipe *recipe)
{
    const struct recipe_augment *augment = &recipe->data.augment;
    const int size = recipe->batch.size, repeats = augment->repeats;
    const char *mixes = augment->mixup > 0    ? "data.augment.mixup"
                        : augment->cutmix > 0 ? "data.augment.cutmix"
                                              : NULL;
    if (mixes && recipe->batch.microbatch < 2)
        return recipe_reject(
            recipe, blame(recipe, "batch.microbatch", mixes),
            "does not fit: %s mixes the samples of a microbatch, and batch.microbatch "
            "is 1; take a batch.microbatch of 2 or more, or set %s to 0",
            mixes, mixes);
    if (size % repeats != 0)
        return recipe_reject(
            recipe, blame(recipe, "data.augment.repeats", "batch.size"),
            "does not fit: batch.size %d is no multiple of data.augment.repeats %d; "
            "take a divisor of batch.size, or 1",
            size, repeats);
    if (repeats > 1 && !is_random(augment))
        return recipe_reject(
            recipe, "data.augment.repeats",
            "is %d, but nothing in data.augment is random: all samples of a record "
            "would be the same; switch flip, resized_crop or trivial on, or take 1",
            repeats);
    if (repeats > 1 && size == repeats)
        return recipe_reject(
            recipe, blame(recipe, "data.augment.repeats", "batch.size"),
            "does not fit: data.augment.repeats %d leaves one record to a batch.size "
            "of %d; take a smaller divisor of batch.size, 4 is usual",
            repeats, size);
    return CONVOY_OK;
}

/* The rules of what a key such as optimizer.name chose. */
static convoy_status check_choices(const convoy_recipe *recipe)
{
    for (int i = 0; i < recipe_n_keys(recipe); i++) {
        const struct option *key = recipe_key_at(recipe, i);
        const char *option = NULL;
        char path[RECIPE_PATH_SIZE];
        if (key->type != OPTION_OWNER)
            continue;
        const struct recipe_choice *choice = recipe_choice_in(recipe, key->name);
        if (!choice->owner->check ||
            choice->owner->check(choice->settings, &option) == CONVOY_OK)
            continue;
        recipe_option_path(key->name, option, path);
        return recipe_reject(recipe, path, "%s", convoy_status_text());
    }
    return CONVOY_OK;
}

static convoy_status check_channels(const convoy_recipe *recipe, const char *key,
                                    const struct recipe_numbers *numbers)
{
    if (numbers->n == 0 || numbers->n == 1 || numbers->n == 3)
        return CONVOY_OK;
    return recipe_reject(recipe, key,
                         "has %d numbers, expected one a channel: 1 or 3 (or none)",
                         numbers->n);
}

static convoy_status check_data(const convoy_recipe *recipe)
{
    const struct recipe_data *data = &recipe->data;
    convoy_status status = CONVOY_OK;
    TRY(check_channels(recipe, "data.mean", &data->mean));
    TRY(check_channels(recipe, "data.std", &data->std));
    if (data->mean.n && data->std.n && data->mean.n != data->std.n)
        return recipe_reject(recipe, "data.mean",
                             "has another number of channels, %d, than data.std, %d",
                             data->mean.n, data->std.n);
    const int largest = recipe_crop_largest(&data->crop);
    if (data->resize && data->resize + INT64_C(2) * data->augment.pad < largest)
        return recipe_reject(recipe, "data.resize",
                             "does not fit: data.resize %d is less than data.crop "
                             "%d; set data.resize to at least %d, or lower data.crop",
                             data->resize, largest, largest - 2 * data->augment.pad);
    if (data->resize && data->resize + INT64_C(2) * data->augment.pad < data->val_crop)
        return recipe_reject(recipe, blame(recipe, "data.val_crop", "data.resize"),
                             "does not fit: data.val_crop %d is more than data.resize "
                             "%d, the shorter side of what it is cut out of; set "
                             "data.resize to at least %d",
                             data->val_crop, data->resize, data->val_crop);
    if (data->augment.resized_crop && data->augment.pad)
        return recipe_reject(recipe, "data.augment.pad",
                             "is %d, but data.augment.resized_crop is on: both choose "
                             "the crop; set one of the two",
                             data->augment.pad);
cleanup:
    return status;
}

/* Each size has its epochs, or the training would not be what the recipe says. */
static convoy_status check_crops(const convoy_recipe *recipe)
{
    const struct recipe_crops *crops = &recipe->data.crop;
    const int epochs = recipe->schedule.epochs;
    const int last = crops->list[crops->n - 1].epoch;
    if (last < epochs)
        return CONVOY_OK;
    return recipe_reject(
        recipe, blame(recipe, "data.crop", "schedule.epochs"),
        "does not fit: data.crop is %d from epoch %d on, but with schedule.epochs %d "
        "the last epoch is %d (they count from 0); train longer or take data.crop's %s",
        recipe_crop_last(crops), last, epochs, epochs - 1,
        crops->ramp.from > 0 ? "end earlier" : "last entry away");
}

static convoy_status check_init(const convoy_recipe *recipe)
{
    if (recipe->init.skip.n && !*recipe->init.weights)
        return recipe_reject(recipe, "init.skip",
                             "says what not to take from a file of weights, but "
                             "init.weights names none; set it or remove init.skip");
    return CONVOY_OK;
}

convoy_status recipe_check(const convoy_recipe *recipe)
{
    convoy_status status = CONVOY_OK;
    TRY(check_model(recipe));
    TRY(check_required(recipe));
    TRY(check_data(recipe));
    TRY(check_batch(recipe));
    TRY(check_samples(recipe));
    TRY(check_choices(recipe));
    TRY(recipe_check_schedule(recipe));
    TRY(check_crops(recipe));
    TRY(check_init(recipe));
cleanup:
    return status;
}
