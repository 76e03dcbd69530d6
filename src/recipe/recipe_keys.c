/* The table of keys and what follows from it alone: lookup, the nearest key to a
 * misspelt one, and the texts that describe a key. A new key is one row here, one field
 * in recipe.h and one entry in docs/recipe.md; loading, writing and checking its range
 * follow.
 */
#include "recipe/recipe_keys.h"

#include "base/cpus.h"
#include "base/memory.h"
#include "base/text.h"
#include "recipe/recipe_catalog.h"
#include "recipe/recipe_choice.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static const char *const variants[] = {"", "v1.5", "v1", NULL};
static const char *const activations[] = {"relu", "sigmoid", "tanh", NULL};
/* Words, but for YAML a recipe may as well say true and false. */
static const char *const resized_crops[] = {"false", "true", "exact", NULL};
static const char *const reads[] = {"direct", "stage", "memory", NULL};
static const char *const bad_records[] = {"stop", "skip", NULL};
static const char *const nonfinites[] = {"stop", "skip", NULL};
static const char *const decays[] = {"constant", "step",      "cosine", "polynomial",
                                     "linear",   "one_cycle", NULL};
static const char *const batch_norms[] = {"running", "recompute", NULL};
static const char *const precisions[] = {"f32", "bf16", NULL};

/* Each list has a word for every value of its enum, and NULL. */
#define ASSERT_COMPLETE(words, last)                                                   \
    _Static_assert(sizeof(words) / sizeof *(words) == (last) + 2, "a word for each")
ASSERT_COMPLETE(variants, RECIPE_VARIANT_V1);
ASSERT_COMPLETE(activations, RECIPE_ACTIVATION_TANH);
ASSERT_COMPLETE(resized_crops, RECIPE_RESIZED_CROP_EXACT);
ASSERT_COMPLETE(reads, RECIPE_READ_MEMORY);
ASSERT_COMPLETE(bad_records, RECIPE_BAD_RECORD_SKIP);
ASSERT_COMPLETE(nonfinites, RECIPE_NONFINITE_SKIP);
ASSERT_COMPLETE(decays, RECIPE_DECAY_ONE_CYCLE);
ASSERT_COMPLETE(batch_norms, RECIPE_BATCH_NORM_RECOMPUTE);
ASSERT_COMPLETE(precisions, RECIPE_PRECISION_BF16);

#define AT(field) offsetof(struct convoy_recipe, field)
#define TEXT(path, field, preset, help)                                                \
    {                                                                                  \
        path, OPTION_TEXT, AT(field), preset, 0, 0, 0, NULL, help                      \
    }
#define TEXTS(path, field, help)                                                       \
    {                                                                                  \
        path, OPTION_TEXTS, AT(field), "[]", 0, 0, 0, NULL, help                       \
    }
#define SCALES(path, field, help)                                                      \
    {                                                                                  \
        path, OPTION_SCALES, AT(field), "{}", 0, INFINITY, 0, NULL, help               \
    }
#define BOOL(path, field, preset, help)                                                \
    {                                                                                  \
        path, OPTION_BOOL, AT(field), preset, 0, 0, 0, NULL, help                      \
    }
#define CHOICE(path, field, preset, choices, help)                                     \
    {                                                                                  \
        path, OPTION_CHOICE, AT(field), preset, 0, 0, 0, choices, help                 \
    }
/* The default is the first of the owners. */
#define CHOOSE(path, field, help)                                                      \
    {                                                                                  \
        path, OPTION_OWNER, AT(field), "", 0, 0, 0, NULL, help                         \
    }
#define THREADS(path, field, help)                                                     \
    {                                                                                  \
        path, OPTION_AUTO, AT(field), "auto", 1, CPUS_MAX_THREADS, 0, NULL, help       \
    }
#define INT(path, field, preset, min, help)                                            \
    {                                                                                  \
        path, OPTION_INT, AT(field), preset, min, INT_MAX, 0, NULL, help               \
    }
#define FLOAT(path, field, preset, min, max, open, help)                               \
    {                                                                                  \
        path, OPTION_FLOAT, AT(field), preset, min, max, open, NULL, help              \
    }
#define NUMBERS(path, field, preset, min, max, open, help)                             \
    {                                                                                  \
        path, OPTION_NUMBERS, AT(field), preset, min, max, open, NULL, help            \
    }

/* What a run may go on with when it has changed: no result depends on it. */
#define FREE(path, type, field, preset, min, max, choices, help)                       \
    {                                                                                  \
        path, type, AT(field), preset, min, max, OPTION_MAY_CHANGE, choices, help      \
    }

/* What a run may go on with when it has changed, and notes: how long it lasts and how
 * it ends, and what it does where it cannot go on as before. */
#define NOTED(path, type, field, preset, min, max, open, choices, help)                \
    {                                                                                  \
        path, type, AT(field), preset, min, max, (open) | OPTION_NOTED, choices, help  \
    }

static const struct option keys[] = {
    TEXT("model.name", model.name, "\"\"", "the model to train; or see network"),
    INT("model.classes", model.classes, "0", 2,
        "classes; 0: as many as the train pack has"),
    FLOAT("model.dropout", model.dropout, "-1", 0, 1, OPTION_BELOW_MAX,
          "dropout probability; -1: the model's own"),
    CHOICE("model.activation", model.activation, "relu", activations,
           "activation, for models that have the choice"),
    BOOL("model.batch_norm", model.batch_norm, "false",
         "batch norm, for models that have the choice"),
    {"model.width", OPTION_INT, AT(model.width), "0", 1, 1 << 16, 0, NULL,
     "width; 0: the model's own"},
    BOOL("model.zero_init_residual", model.zero_init_residual, "false",
         "start the last norm of each residual block at 0"),
    CHOICE("model.variant", model.variant, "\"\"", variants,
           "of a residual net's strides; \"\": the model's own"),
    BOOL("model.pre_activation", model.pre_activation, "false",
         "norm and activation before each convolution, for residual nets"),
    BOOL("model.blur_pool", model.blur_pool, "false",
         "blur before strided convolutions, for residual nets of large images"),
    {"network", OPTION_NETWORK, AT(network), "[]", 0, 0, 0, NULL,
     "a net of your own, in place of model.name"},
    FREE("data.train", OPTION_TEXT, data.train, NULL, 0, 0, NULL, "pack to train on"),
    FREE("data.val", OPTION_TEXT, data.val, "\"\"", 0, 0, NULL,
         "pack to validate on; \"\": none"),
    {"data.crop", OPTION_CROPS, AT(data.crop), "0", 1, 65536, 0, NULL,
     "pixels a side that the net is trained on, or a list or ramp of them by epoch; 0: "
     "a raw pack's size, else 224"},
    NOTED("data.val_crop", OPTION_INT, data.val_crop, "0", 1, 65536, 0, NULL,
          "pixels a side that the net is validated on; 0: the last of data.crop"),
    INT("data.resize", data.resize, "0", 1,
        "shorter side of image files before validation's centre crop; 0: a raw pack's, "
        "else the crop * 256 / 224"),
    BOOL("data.shuffle", data.shuffle, "true", "a new order of the samples each epoch"),
    FREE("data.threads", OPTION_AUTO, data.threads, "auto", 1, CPUS_MAX_THREADS, NULL,
         "loader threads a rank"),
    FREE("data.read", OPTION_CHOICE, data.read, "direct", 0, 0, reads,
         "from the pack; or from the node's disk or memory, filled at the start"),
    NOTED("data.on_bad_record", OPTION_CHOICE, data.on_bad_record, "stop", 0, 0, 0,
          bad_records, "what to do with a damaged record"),
    NUMBERS("data.mean", data.mean, "[]", 0, 1, 0,
            "of pixels in [0, 1], 1 or 3 channels; []: ImageNet's, or 0.5"),
    NUMBERS("data.std", data.std, "[]", 0, INFINITY, OPTION_ABOVE_MIN,
            "of pixels in [0, 1], 1 or 3 channels; []: ImageNet's, or 0.5"),
    CHOICE("data.augment.resized_crop", data.augment.resized_crop, "false",
           resized_crops,
           "train on random crops of random size and shape; exact: slower"),
    INT("data.augment.pad", data.augment.pad, "0", 0,
        "train on random crops of the image with so many zeros around it"),
    BOOL("data.augment.flip", data.augment.flip, "false",
         "flip training images left to right, each with probability 0.5"),
    FLOAT("data.augment.brightness", data.augment.brightness, "0", 0, INFINITY, 0,
          "colour jitter: how far brightness may change; 0: not"),
    FLOAT("data.augment.contrast", data.augment.contrast, "0", 0, INFINITY, 0,
          "colour jitter: how far contrast may change; 0: not"),
    FLOAT("data.augment.saturation", data.augment.saturation, "0", 0, INFINITY, 0,
          "colour jitter: how far saturation may change; 0: not"),
    FLOAT("data.augment.hue", data.augment.hue, "0", 0, 0.5, 0,
          "colour jitter: how far hue may turn, in circles; 0: not"),
    FLOAT("data.augment.erasing", data.augment.erasing, "0", 0, 1, 0,
          "probability with which a random part of a training image is erased"),
    BOOL("data.augment.trivial", data.augment.trivial, "false",
         "TrivialAugmentWide: one of 14 operations on each training image"),
    FLOAT("data.augment.mixup", data.augment.mixup, "0", 0, INFINITY, 0,
          "alpha of the shares by which training images are blended; 0: not"),
    FLOAT("data.augment.cutmix", data.augment.cutmix, "0", 0, INFINITY, 0,
          "alpha of the shares by which parts of training images change place; 0: not"),
    INT("data.augment.repeats", data.augment.repeats, "1", 1,
        "so many samples of each record in a batch, each augmented by itself"),
    INT("batch.size", batch.size, "256", 1, "samples a step, over all ranks"),
    INT("batch.microbatch", batch.microbatch, "32", 1,
        "samples computed at once; batch.size is a multiple of it"),
    CHOOSE("optimizer.name", optimizer.kind, "the optimizer"),
    FLOAT("optimizer.weight_decay", optimizer.weight_decay, "1e-4", 0, INFINITY, 0,
          "weight decay (L2)"),
    BOOL("optimizer.decay_norm_and_bias", optimizer.decay_norm_and_bias, "true",
         "decay norms' parameters and biases too; of lars and lamb: false"),
    FLOAT("optimizer.clip_norm", optimizer.clip_norm, "0", 0, INFINITY, 0,
          "scale the gradient down where its norm is more; 0: never"),
    SCALES("optimizer.lr_scale", optimizer.lr_scale,
           "factors of lr by the beginning of a parameter's name"),
    NOTED("schedule.epochs", OPTION_INT, schedule.epochs, "90", 1, INT_MAX, 0, NULL,
          "epochs to train"),
    FLOAT("schedule.lr", schedule.lr, "0.1", 0, INFINITY, 0, "learning rate"),
    FLOAT("schedule.warmup_epochs", schedule.warmup_epochs, "0", 0, INFINITY, 0,
          "epochs over which the learning rate grows to lr"),
    FLOAT("schedule.warmup_lr", schedule.warmup_lr, "0", 0, INFINITY, 0,
          "learning rate from which the warmup grows"),
    CHOICE("schedule.decay", schedule.decay, "cosine", decays,
           "how the learning rate falls after the warmup"),
    NOTED("schedule.milestones", OPTION_NUMBERS, schedule.milestones, "[30, 60, 80]", 0,
          INFINITY, OPTION_ABOVE_MIN, NULL, "decay step: epochs after which lr falls"),
    NOTED("schedule.gamma", OPTION_FLOAT, schedule.gamma, "0.1", 0, 1, OPTION_ABOVE_MIN,
          NULL, "decay step: factor at each milestone"),
    NOTED("schedule.final_lr", OPTION_FLOAT, schedule.final_lr, "0", 0, INFINITY, 0,
          NULL, "where the decays end that fall all the time"),
    NOTED("schedule.power", OPTION_FLOAT, schedule.power, "2", 0, INFINITY,
          OPTION_ABOVE_MIN, NULL, "decay polynomial: its power"),
    FLOAT("schedule.warmup_momentum", schedule.warmup_momentum, "-1", 0, 1,
          OPTION_BELOW_MAX,
          "momentum from which the warmup grows; -1: the optimizer's"),
    BOOL("schedule.cycle_momentum", schedule.cycle_momentum, "true",
         "decay one_cycle: momentum goes against the learning rate"),
    FLOAT("schedule.base_momentum", schedule.base_momentum, "0.85", 0, 1,
          OPTION_BELOW_MAX, "decay one_cycle: momentum where lr is highest"),
    FLOAT("schedule.max_momentum", schedule.max_momentum, "0.95", 0, 1,
          OPTION_BELOW_MAX, "decay one_cycle: momentum at the start and the end"),
    FLOAT("loss.label_smoothing", loss.label_smoothing, "0", 0, 1, OPTION_BELOW_MAX,
          "probability spread evenly over all classes"),
    FLOAT("ema.decay", ema.decay, "0", 0, 1, OPTION_BELOW_MAX,
          "average of the weights over past steps: what of it stays, at torchvision's "
          "scale (0.99998); 0: none"),
    INT("ema.every_steps", ema.every_steps, "32", 1,
        "steps from one update of that average to the next"),
    NOTED("eval.batch_norm", OPTION_CHOICE, eval.batch_norm, "running", 0, 0, 0,
          batch_norms,
          "statistics to evaluate with: the running ones, or afresh from training "
          "batches"),
    NOTED("eval.batches", OPTION_AUTO, eval.batches, "auto", 1, INT_MAX, 0, NULL,
          "recompute: from so many training batches; auto: from 8,192 samples"),
    NOTED("eval.flip", OPTION_BOOL, eval.flip, "false", 0, 0, 0, NULL,
          "evaluate the mean of each image's and its mirror image's logits"),
    TEXT("init.weights", init.weights, "\"\"",
         "file of weights to start from; \"\": random ones"),
    TEXTS("init.skip", init.skip, "beginnings of names not taken from init.weights"),
    TEXTS("init.freeze", init.freeze,
          "beginnings of names of parameters that do not learn"),
    CHOICE("precision", precision, "f32", precisions,
           "type of activations and products"),
    {"seed", OPTION_U64, AT(seed), "1", 0, 0, 0, NULL, "seed of every random draw"},
    THREADS("threads", threads, "OpenMP threads of a lane; auto: 1"),
    FREE("lanes", OPTION_AUTO, lanes, "auto", 1, CPUS_MAX_THREADS, NULL,
         "microbatches that a rank computes side by side; auto: as its cores and "
         "memory allow"),
    FREE("train.recompute", OPTION_BOOL, train.recompute, "false", 0, 0, NULL,
         "compute cheap activations once more in the backward pass, for memory"),
    CHOOSE("exchange.algorithm", exchange.algorithm,
           "how gradients are summed over the ranks"),
    FREE("exchange.bucket", OPTION_AUTO, exchange.bucket, "auto", 1, 1024, NULL,
         "MiB of gradients that travel together; auto: by the number of ranks"),
    {"exchange.timeout", OPTION_FLOAT, AT(exchange.timeout), "300", 3, INFINITY,
     OPTION_MAY_CHANGE, NULL,
     "seconds after which a rank that is stopped or stuck ends the job"},
    FREE("checkpoint.every_epochs", OPTION_INT, checkpoint.every_epochs, "1", 0,
         INT_MAX, NULL, "epochs between checkpoints; 0: not after epochs"),
    FREE("checkpoint.every_steps", OPTION_INT, checkpoint.every_steps, "0", 0, INT_MAX,
         NULL, "steps between checkpoints; 0: not after steps"),
    FREE("checkpoint.every_minutes", OPTION_FLOAT, checkpoint.every_minutes, "0", 0,
         INFINITY, NULL,
         "minutes after which there is a checkpoint; 0: not by the clock"),
    FREE("checkpoint.keep", OPTION_INT, checkpoint.keep, "3", 1, INT_MAX, NULL,
         "newest checkpoints to keep, beside the best"),
    NOTED("guard.on_nonfinite", OPTION_CHOICE, guard.on_nonfinite, "stop", 0, 0, 0,
          nonfinites,
          "what to do at a step whose loss or gradient is no finite number"),
    FREE("metrics.every_steps", OPTION_INT, metrics.every_steps, "10", 1, INT_MAX, NULL,
         "steps between lines of metrics"),
    FREE("metrics.tensorboard", OPTION_BOOL, metrics.tensorboard, "false", 0, 0, NULL,
         "also write the metrics, and pictures of the first kernels, for TensorBoard"),
    FREE("metrics.grad_norms", OPTION_BOOL, metrics.grad_norms, "false", 0, 0, NULL,
         "also write the length of each weight's gradient"),
};

enum { N_KEYS = (int)(sizeof keys / sizeof keys[0]) };

static void add_key(struct recipe_keys *to, const struct option *row)
{
    snprintf(to->paths[to->n], sizeof to->paths[to->n], "%s", row->name);
    to->rows[to->n] = *row;
    to->rows[to->n].name = to->paths[to->n];
    to->n++;
}

/* Other defaults where what was chosen has others. */
static void take_presets(const struct option_owner *owner, struct recipe_keys *to)
{
    for (const char *const *preset = owner ? owner->presets : NULL; preset && *preset;
         preset += 2) {
        const int i = option_find(to->rows, to->n, preset[0]);
        if (i >= 0)
            to->rows[i].default_text = preset[1];
    }
}

/* The options of what key chose, as keys of its section. */
static void add_options(const convoy_recipe *recipe, const char *key,
                        struct recipe_keys *to)
{
    const struct recipe_choice *choice = recipe_choice_in(recipe, key);
    const size_t settings =
        (size_t)((const char *)choice->settings - (const char *)recipe);
    for (int i = 0; choice->owner && i < choice->owner->n_options; i++) {
        struct option option = choice->owner->options[i];
        char path[RECIPE_PATH_SIZE];
        recipe_option_path(key, option.name, path);
        option.name = path;
        option.offset += settings;
        add_key(to, &option);
    }
}

convoy_status recipe_keys_make(convoy_recipe *recipe)
{
    convoy_status status = CONVOY_OK;
    struct recipe_keys made = {0};
    int n = N_KEYS;
    for (int i = 0; i < N_KEYS; i++) {
        const struct recipe_choice *choice = recipe_choice_in(recipe, keys[i].name);
        if (keys[i].type == OPTION_OWNER && choice->owner)
            n += choice->owner->n_options;
    }
    TRY(mem_alloc_array((size_t)n, sizeof *made.rows, (void **)&made.rows));
    TRY(mem_alloc_array((size_t)n, sizeof *made.paths, (void **)&made.paths));
    for (int i = 0; i < N_KEYS; i++) {
        add_key(&made, &keys[i]);
        if (keys[i].type == OPTION_OWNER)
            add_options(recipe, keys[i].name, &made);
    }
    for (int i = 0; i < N_KEYS; i++)
        if (keys[i].type == OPTION_OWNER)
            take_presets(recipe_choice_in(recipe, keys[i].name)->owner, &made);
    recipe_keys_free(&recipe->keys);
    recipe->keys = made;
    memset(&made, 0, sizeof made);
cleanup:
    recipe_keys_free(&made);
    return status;
}

void recipe_keys_free(struct recipe_keys *to)
{
    mem_free(to->rows);
    mem_free(to->paths);
    memset(to, 0, sizeof *to);
}

int recipe_n_keys(const convoy_recipe *recipe)
{
    return recipe->keys.n;
}

const struct option *recipe_key_at(const convoy_recipe *recipe, int i)
{
    return &recipe->keys.rows[i];
}

int recipe_key_find(const convoy_recipe *recipe, const char *path)
{
    return option_find(recipe->keys.rows, recipe->keys.n, path);
}

bool recipe_is_section(const convoy_recipe *recipe, const char *path)
{
    size_t n = strlen(path);
    for (int i = 0; i < recipe->keys.n; i++) {
        const char *known = recipe->keys.rows[i].name;
        if (strncmp(known, path, n) == 0 && known[n] == '.')
            return true;
    }
    return false;
}

void recipe_section_keys(const convoy_recipe *recipe, const char *path, char *out,
                         size_t size)
{
    const int n = (int)strcspn(path, ".");
    const char *between = "";
    out[0] = '\0';
    text_append(out, size, "%.*s has ", n, path);
    for (int i = 0; i < recipe->keys.n; i++) {
        const char *known = recipe->keys.rows[i].name;
        if (strncmp(known, path, (size_t)n) == 0 && known[n] == '.') {
            text_append(out, size, "%s%s", between, known + n + 1);
            between = ", ";
        }
    }
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

int recipe_unlikeness(const char *text, const char *known)
{
    /* A right name in the wrong section is as likely a slip as a misspelt one. */
    enum { OTHER_SECTION = 2 };
    char path[RECIPE_PATH_SIZE];
    snprintf(path, sizeof path, "%s", text);
    int whole = text_edits(path, known);
    int name = text_edits(last_part(path), last_part(known)) + OTHER_SECTION;
    return least(whole, name);
}

static void keep_nearer(const char *path, const char *known, size_t n, int *best,
                        char out[RECIPE_PATH_SIZE])
{
    char candidate[RECIPE_PATH_SIZE];
    memcpy(candidate, known, n);
    candidate[n] = '\0';
    int distance = recipe_unlikeness(path, candidate);
    if (distance < *best) {
        *best = distance;
        memcpy(out, candidate, n + 1);
    }
}

void recipe_nearest(const convoy_recipe *recipe, const char *path,
                    char out[RECIPE_PATH_SIZE])
{
    int best = INT_MAX;
    for (int i = 0; i < recipe->keys.n; i++) {
        const char *known = recipe->keys.rows[i].name;
        for (const char *dot = strchr(known, '.'); dot; dot = strchr(dot + 1, '.'))
            keep_nearer(path, known, (size_t)(dot - known), &best, out);
        keep_nearer(path, known, strlen(known), &best, out);
    }
}

const char *recipe_key_resume(const struct option *key)
{
    if (key->open & OPTION_MAY_CHANGE)
        return "any";
    return key->open & OPTION_NOTED ? "noted" : "same";
}

static void describe(FILE *stream, const char *path, const char *type,
                     const char *preset, const char *help)
{
    fprintf(stream, "%-29s %-32s  %-13s %s\n", path, type,
            preset ? preset : "(required)", help);
}

/* Of a recipe's key, which has a column more: path, values, default, resume; before the
 * help, whose option it is. */
#define KEY_ROW "%-29s %-32s  %-13s %-6s  %s%s\n"

static void describe_key(FILE *stream, const char *path, const struct option *key,
                         const char *of_owner)
{
    char type[64];
    option_type_text(key, type, sizeof type);
    fprintf(stream, KEY_ROW, path, type,
            key->default_text ? key->default_text : "(required)",
            recipe_key_resume(key), of_owner, key->help);
}

/* The key's options are those of every owner from which it chooses. */
static void describe_choice(FILE *stream, const struct recipe_catalog *catalog,
                            const struct option *key)
{
    const struct option_owner *const *owners = recipe_owners(catalog, key->name);
    char names[128];
    recipe_owner_names(owners, "|", names, sizeof names);
    fprintf(stream, KEY_ROW, key->name, names, owners[0]->name, recipe_key_resume(key),
            "", key->help);
    for (; *owners; owners++) {
        fprintf(stream, KEY_ROW, "", (*owners)->name, "", "", "", (*owners)->help);
        for (int i = 0; i < (*owners)->n_options; i++) {
            const struct option *option = &(*owners)->options[i];
            char path[RECIPE_PATH_SIZE], of_owner[64];
            recipe_option_path(key->name, option->name, path);
            snprintf(of_owner, sizeof of_owner, "%s: ", (*owners)->name);
            describe_key(stream, path, option, of_owner);
        }
    }
}

/* The kinds of layers for a network, each with its options below it. */
static void describe_layers(FILE *stream, const struct option_owner *const *kinds)
{
    fprintf(stream, "\nLAYERS FOR network\n");
    for (; *kinds; kinds++) {
        if ((*kinds)->is_loss)
            continue;
        fprintf(stream, "%-77s %s\n", (*kinds)->name, (*kinds)->help);
        for (int i = 0; i < (*kinds)->n_options; i++) {
            const struct option *option = &(*kinds)->options[i];
            char path[RECIPE_PATH_SIZE], type[64];
            snprintf(path, sizeof path, "  %s", option->name);
            option_type_text(option, type, sizeof type);
            describe(stream, path, type, option->default_text, option->help);
        }
    }
}

convoy_status recipe_describe_keys(const struct recipe_catalog *catalog, FILE *stream)
{
    fprintf(stream, KEY_ROW, "KEY", "VALUES", "DEFAULT", "RESUME", "", "MEANING");
    for (int i = 0; i < N_KEYS; i++) {
        if (keys[i].type == OPTION_OWNER)
            describe_choice(stream, catalog, &keys[i]);
        else
            describe_key(stream, keys[i].name, &keys[i], "");
    }
    fprintf(stream, "\nRESUME: what a run may go on with: any value; any, which it "
                    "notes; only the same, unless\n--resume-anyway is given.\n");
    describe_layers(stream, catalog->layers);
    if (fflush(stream) != 0 || ferror(stream))
        return FAIL(CONVOY_ERROR_IO, "cannot write the table of recipe keys");
    return CONVOY_OK;
}
