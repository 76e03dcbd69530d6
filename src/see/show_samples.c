/* A contact sheet of samples. Without a recipe each is whole: raw records as they are,
 * image files cut to a square, so that all have one size. With one the training loader
 * itself makes them, of its first microbatches: what is shown is what a net would get,
 * in that order, mixing included. */
#include <convoy/show.h>

#include "base/memory.h"
#include "load/sample.h"
#include "recipe/recipe.h"
#include "see/see_output.h"
#include "see/see_picture.h"
#include "setup/setup.h"

#include <string.h>

enum { DEFAULT_SAMPLES = 64, MAX_SAMPLES = 4096, SAMPLE_SIDE = 128, TILE_SIDE = 96 };

struct sample_show {
    struct see_output out;
    convoy_pack *pack;
    convoy_recipe *recipe; /* NULL: none */
    struct loader *loader; /* with a recipe */
    struct loader_options loading;
    int n, n_done;
    float *values;   /* [n, c, h, w] */
    int32_t *labels; /* [n] */
    struct image picture, large;
    struct sheet sheet;
};

static size_t size_of(const struct sample_show *show)
{
    const int *shape = show->loading.shape;
    return (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
}

/* Of each sample the second class, and what part it is of the first; NULL: whole. */
struct mixed {
    const int32_t *partners;
    const float *shares;
};

static const char *name_of(const struct sample_show *show, int32_t label,
                           char out[SEE_CLASS_SIZE])
{
    return label < 0 ? "none"
                     : see_output_class(convoy_pack_class_name(show->pack, label),
                                        label, out);
}

static void describe(const struct sample_show *show, uint64_t record, int i,
                     const struct mixed *mixed, char text[640])
{
    const int32_t label = show->labels[show->n_done];
    char name[SEE_CLASS_SIZE], other[SEE_CLASS_SIZE];
    if (mixed && mixed->shares && mixed->shares[i] < 1)
        snprintf(text, 640, "record %llu: %.0f %% %s, %.0f %% %s",
                 (unsigned long long)record, 100 * (double)mixed->shares[i],
                 name_of(show, label, name), 100 - 100 * (double)mixed->shares[i],
                 name_of(show, mixed->partners[i], other));
    else
        snprintf(text, 640, "record %llu: %s", (unsigned long long)record,
                 name_of(show, label, name));
}

/* Shows the sample that has just been put into values and labels. text: "record 7: …".
 */
static convoy_status add_picture(struct sample_show *show, const char *text)
{
    convoy_status status = CONVOY_OK;
    const int *shape = show->loading.shape;
    const int factor = (TILE_SIDE + shape[1] - 1) / shape[1];
    TRY(see_picture_sample(show->values + (size_t)show->n_done * size_of(show), shape,
                           show->loading.mean, show->loading.std, &show->picture));
    TRY(see_picture_enlarge(&show->picture, factor, &show->large));
    if (show->n_done == 0)
        TRY(sheet_begin(&show->sheet, show->n, show->large.width, show->large.height));
    sheet_add(&show->sheet, &show->large);
    TRY(see_output_figure(&show->out, &show->large, text, strchr(text, ':') + 2));
    show->n_done++;
cleanup:
    return status;
}

/* As they are. */
static void plain_loading(struct sample_show *show)
{
    const convoy_pack_info *info = convoy_pack_describe(show->pack);
    struct loader_options *loading = &show->loading;
    const bool is_raw = info->encoding == CONVOY_ENCODING_RAW;
    *loading = (struct loader_options){.evaluate = true, .resize = SAMPLE_SIDE};
    for (int d = 0; d < 3; d++)
        loading->shape[d] = is_raw ? info->shape[d] : d == 0 ? 3 : SAMPLE_SIDE;
    for (int c = 0; c < 3; c++)
        loading->std[c] = 1;
}

/* Spread over the pack, which may hold its classes one after another. */
static convoy_status show_plain(struct sample_show *show)
{
    convoy_status status = CONVOY_OK;
    struct sample_buffers buffers = {0};
    struct sample_rules rules;
    char text[640];
    const uint64_t has = convoy_pack_describe(show->pack)->n_records;
    TRY(sample_buffers_init(&buffers));
    TRY(sample_rules_init(show->pack, &show->loading, &rules));
    while (show->n_done < show->n) {
        const uint64_t record = (uint64_t)show->n_done * has / (uint64_t)show->n;
        TRY(sample_make(&rules, &buffers, 0, record,
                        show->values + (size_t)show->n_done * size_of(show),
                        &show->labels[show->n_done]));
        describe(show, record, 0, NULL, text);
        TRY(add_picture(show, text));
    }
cleanup:
    sample_buffers_fini(&buffers);
    return status;
}

/* As the recipe has it; the pack stands in for the recipe's own. */
static convoy_status training_loading(struct sample_show *show, const char *data,
                                      const char *path)
{
    convoy_status status = CONVOY_OK;
    int shape[3];
    float mean[3] = {0}, std[3] = {0};
    TRY(convoy_recipe_load(path, NULL, 0, &show->recipe));
    mem_free(show->recipe->data.train);
    show->recipe->data.train = NULL;
    TRY(mem_copy_text(data, &show->recipe->data.train));
    TRY(setup_resolve(show->recipe, show->pack, shape, mean, std));
    const int side = recipe_crop_at(&show->recipe->data.crop, 0);
    if (side > 0)
        shape[1] = shape[2] = side;
    show->loading = setup_loading(show->recipe, shape, mean, std);
    setup_training(show->recipe, &show->loading);
    show->loading.bf16 = false;
    show->loading.n_microbatches =
        show->recipe->batch.size / show->recipe->batch.microbatch;
    show->loading.count = show->loading.n_microbatches;
    TRY(loader_create(show->pack, &show->loading, &show->loader));
cleanup:
    return status;
}

static convoy_status show_batch(struct sample_show *show, const struct batch *batch)
{
    convoy_status status = CONVOY_OK;
    const size_t size = size_of(show);
    const float *images = batch->images;
    const struct mixed mixed = {batch->partners, batch->shares};
    char text[640];
    for (int i = 0; i < batch->n_samples && show->n_done < show->n; i++) {
        memcpy(show->values + (size_t)show->n_done * size, images + (size_t)i * size,
               size * sizeof *images);
        show->labels[show->n_done] = batch->labels[i];
        describe(show, batch->records[i], i, &mixed, text);
        TRY(add_picture(show, text));
    }
cleanup:
    return status;
}

static convoy_status show_training(struct sample_show *show)
{
    convoy_status status = CONVOY_OK;
    struct batch batch;
    TRY(loader_start(show->loader, 0));
    while (show->n_done < show->n) {
        TRY(loader_next(show->loader, &batch));
        status = show_batch(show, &batch);
        loader_release(show->loader, &batch);
        TRY(status);
    }
cleanup:
    return status;
}

static convoy_status write_values(struct sample_show *show)
{
    convoy_status status = CONVOY_OK;
    const int *shape = show->loading.shape;
    const int64_t dims[] = {show->n, shape[0], shape[1], shape[2]};
    TRY(see_output_values(&show->out, "samples", H5_TYPE_F32, 4, dims, show->values));
    TRY(see_output_values(&show->out, "labels", H5_TYPE_I32, 1, dims, show->labels));
cleanup:
    return status;
}

static convoy_status prepare(struct sample_show *show, const char *data,
                             const char *recipe, int wanted)
{
    convoy_status status = CONVOY_OK;
    TRY(convoy_pack_open(data, &show->pack));
    const uint64_t has = convoy_pack_describe(show->pack)->n_records;
    if (recipe)
        TRY(training_loading(show, data, recipe));
    else
        plain_loading(show);
    show->n = wanted > 0 ? wanted : DEFAULT_SAMPLES;
    if (show->n > MAX_SAMPLES)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%d samples are too many: at most %d make a sheet", show->n,
                 MAX_SAMPLES));
    if (!recipe && has < (uint64_t)show->n)
        show->n = (int)has;
    TRY(mem_alloc_array((size_t)show->n, size_of(show) * sizeof *show->values,
                        (void **)&show->values));
    TRY(mem_alloc_array((size_t)show->n, sizeof *show->labels, (void **)&show->labels));
cleanup:
    return status;
}

convoy_status convoy_show_samples(const char *data, const char *recipe,
                                  const convoy_show_options *options)
{
    convoy_status status = CONVOY_OK;
    struct sample_show show = {.n = 0};
    TRY(prepare(&show, data, recipe, options->n));
    TRY(see_output_open(options, data, NULL, &show.out));
    see_output_paragraph(&show.out,
                         recipe ? "%d samples as training sees them, %d \u00d7 %d."
                                : "%d samples, spread over the pack, %d \u00d7 %d.",
                         show.n, show.loading.shape[1], show.loading.shape[2]);
    see_output_begin_columns(&show.out);
    status = recipe ? show_training(&show) : show_plain(&show);
    see_output_end_sheet(&show.out);
    TRY(status);
    TRY(see_output_file(&show.out, "samples", &show.sheet.image));
    TRY(write_values(&show));
    TRY(see_output_finish(&show.out, recipe ? "What training sees" : "Samples"));
cleanup:
    see_output_close(&show.out);
    loader_destroy(show.loader);
    convoy_recipe_destroy(show.recipe);
    convoy_pack_close(show.pack);
    image_free(&show.picture);
    image_free(&show.large);
    image_free(&show.sheet.image);
    mem_free(show.values);
    mem_free(show.labels);
    return status;
}
