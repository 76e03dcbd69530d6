/* Learnt kernels, straight from the checkpoint, in the order of the net, which need not
 * be compiled for them.
 *
 * Which layers are convolutions the tensors' shapes tell: weights [out, in, kh, kw].
 * Those of one pixel are numbers, not pictures, and shown only where they are asked
 * for. A fully connected layer on the image itself, [out, c · h · w], has a weight for
 * each pixel, which is a picture of what that output looks for. */
#include <convoy/show.h>

#include "base/memory.h"
#include "infer/inference.h"
#include "see/see_output.h"
#include "see/see_picture.h"

#include <string.h>

enum { NAME_SIZE = 256, MAX_TILES = 64 }; /* tiles: of the page */

struct kernel_view {
    char layer[NAME_SIZE];
    size_t index; /* of checkpoint_tensors */
    struct kernel_set set;
};

struct kernel_show {
    struct inference inference;
    struct see_output output;
    const convoy_show_options *options;
    float *values;
    size_t capacity;
};

/* The layer of "params/LAYER.weight", behind prefix; false: it is none. */
static bool layer_of(const char *prefix, const char *name, char out[NAME_SIZE])
{
    static const char group[] = "params/", end[] = ".weight";
    const size_t before = strlen(prefix);
    if (strncmp(name, prefix, before) != 0 ||
        strncmp(name + before, group, sizeof group - 1) != 0)
        return false;
    name += before + sizeof group - 1;
    const size_t n = strlen(name), tail = sizeof end - 1;
    if (n <= tail || n - tail >= NAME_SIZE || strcmp(name + n - tail, end) != 0)
        return false;
    memcpy(out, name, n - tail);
    out[n - tail] = '\0';
    return true;
}

/* Whether tensor i holds kernels, and which. */
static bool find_view(const struct kernel_show *show, size_t i,
                      struct kernel_view *view)
{
    size_t n = 0;
    const struct checkpoint *checkpoint = show->inference.checkpoint;
    const struct tensor_view *stored = &checkpoint_tensors(checkpoint, &n)[i];
    const int *input = checkpoint_describe(checkpoint)->input_shape;
    const int64_t *d = stored->dims;
    const char *prefix = show->options->ema ? CHECKPOINT_EMA : CHECKPOINT_OWN;
    if (!layer_of(prefix, stored->name, view->layer))
        return false;
    view->index = i;
    if (stored->n_dims == 4)
        view->set = (struct kernel_set){.n = d[0], .c = d[1], .h = d[2], .w = d[3]};
    else if (stored->n_dims == 2 && d[1] == (int64_t)input[0] * input[1] * input[2])
        view->set =
            (struct kernel_set){.n = d[0], .c = input[0], .h = input[1], .w = input[2]};
    else
        return false;
    return true;
}

static bool is_asked_for(const convoy_show_options *options,
                         const struct kernel_view *view)
{
    for (int i = 0; i < options->n_layers; i++)
        if (strcmp(options->layers[i], view->layer) == 0)
            return true;
    return options->n_layers == 0 && view->set.h * view->set.w > 1;
}

/* The kernels of a layer; false: it has none. */
static bool find_layer(const struct kernel_show *show, const char *name,
                       struct kernel_view *view)
{
    size_t n = 0;
    checkpoint_tensors(show->inference.checkpoint, &n);
    for (size_t i = 0; name && i < n; i++)
        if (find_view(show, i, view) && strcmp(view->layer, name) == 0)
            return true;
    return false;
}

/* The first layers that have kernels, for a message. */
static void list_kernels(const struct kernel_show *show, char *out, size_t size)
{
    enum { MAX_NAMES = 12 };
    const convoy_net *net = show->inference.net;
    struct kernel_view view;
    size_t used = 0;
    int named = 0;
    snprintf(out, size, "none");
    for (int i = 0; i < net->n_nodes && used < size; i++) {
        if (!find_layer(show, net->nodes[i].name, &view))
            continue;
        if (named++ == MAX_NAMES) {
            snprintf(out + used, size - used, ", ... (convoy info lists all)");
            return;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%s", named > 1 ? ", " : "",
                                 view.layer);
    }
}

static convoy_status check_layers(const struct kernel_show *show)
{
    struct kernel_view view;
    char names[1024];
    const convoy_show_options *options = show->options;
    for (int l = 0; l < options->n_layers; l++) {
        if (find_layer(show, options->layers[l], &view))
            continue;
        list_kernels(show, names, sizeof names);
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s has no layer '%s' with kernels; such layers are: %s",
                    checkpoint_path(show->inference.checkpoint), options->layers[l],
                    names);
    }
    return CONVOY_OK;
}

static convoy_status read_values(struct kernel_show *show, struct kernel_view *view)
{
    convoy_status status = CONVOY_OK;
    const struct kernel_set *s = &view->set;
    void *values = show->values;
    const size_t n = (size_t)(s->n * s->c * s->h * s->w);
    status = mem_reserve(&values, &show->capacity, n * sizeof *show->values);
    show->values = values;
    if (status == CONVOY_OK)
        status =
            checkpoint_read_values(show->inference.checkpoint, view->index, values);
    view->set.values = values;
    return status;
}

/* The kernels one by one, each with its values as its title. */
static convoy_status write_tiles(struct kernel_show *show, const struct kernel_view *v)
{
    convoy_status status = CONVOY_OK;
    const int64_t n = see_picture_tiles(&v->set);
    struct image picture = {0};
    char text[160];
    see_output_begin_sheet(&show->output);
    for (int64_t i = 0; i < n && i < MAX_TILES; i++) {
        float least, most;
        const struct kernel_set one = see_picture_tile(&v->set, i);
        heat_find_range(one.values, (size_t)(one.c * one.h * one.w), &least, &most);
        TRY(kernel_grid_draw(&one, &picture));
        if (picture.width == 0)
            break;
        if (n == v->set.n)
            snprintf(text, sizeof text, "kernel %lld: weights %.3g to %.3g",
                     (long long)i, (double)least, (double)most);
        else
            snprintf(text, sizeof text,
                     "kernel %lld on channel %lld: weights %.3g to %.3g",
                     (long long)(i / v->set.c), (long long)(i % v->set.c),
                     (double)least, (double)most);
        TRY(see_output_figure(&show->output, &picture, text, NULL));
    }
cleanup:
    see_output_end_sheet(&show->output);
    image_free(&picture);
    return status;
}

static void tell(struct kernel_show *show, const struct kernel_view *v)
{
    const struct kernel_set *s = &v->set;
    float least, most;
    char first[40] = "";
    const char *plural = s->c == 1 ? "" : "s";
    heat_find_range(s->values, (size_t)(s->n * s->c * s->h * s->w), &least, &most);
    if (see_picture_tiles(s) > MAX_TILES)
        snprintf(first, sizeof first, " The first %d are shown.", MAX_TILES);
    see_output_paragraph(
        &show->output,
        "%lld kernels of %lld \u00d7 %lld on %lld channel%s, weights %.3g to %.3g. %s "
        "is "
        "scaled by itself, from black for its least weight to white for its "
        "greatest.%s",
        (long long)s->n, (long long)s->h, (long long)s->w, (long long)s->c, plural,
        (double)least, (double)most,
        s->c == 3   ? "Red, green and blue are the three channels; each picture"
        : s->c == 1 ? "Each picture"
                    : "Each channel of a kernel is a picture, which",
        first);
    see_output_say(&show->output, "%s: %lld kernels of %lld x %lld on %lld channel%s",
                   v->layer, (long long)s->n, (long long)s->h, (long long)s->w,
                   (long long)s->c, plural);
}

static convoy_status write_layer(struct kernel_show *show, struct kernel_view *view)
{
    convoy_status status = CONVOY_OK;
    char name[NAME_SIZE + 16];
    struct image picture = {0};
    TRY(read_values(show, view));
    const int64_t dims[] = {view->set.n, view->set.c, view->set.h, view->set.w};
    TRY(see_picture_grid(&view->set, &picture));
    see_output_heading(&show->output, view->layer);
    tell(show, view);
    if (picture.width > 0)
        TRY(see_output_file(&show->output, view->layer, &picture));
    TRY(write_tiles(show, view));
    snprintf(name, sizeof name, "kernels/%s", view->layer);
    TRY(see_output_values(&show->output, name, H5_TYPE_F32, 4, dims, view->set.values));
cleanup:
    image_free(&picture);
    return status;
}

static bool is_shown(const struct kernel_show *show, int node, struct kernel_view *view)
{
    return find_layer(show, show->inference.net->nodes[node].name, view) &&
           is_asked_for(show->options, view);
}

/* What can be told before anything is written. */
static convoy_status check_number(const struct kernel_show *show, const char *weights)
{
    struct kernel_view view;
    int n = 0;
    for (int i = 0; i < show->inference.net->n_nodes; i++)
        n += is_shown(show, i, &view);
    if (n == 0)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s has no kernels of more than one pixel",
                    weights);
    return see_output_check(&show->output, n);
}

convoy_status convoy_show_kernels(const char *weights,
                                  const convoy_show_options *options)
{
    convoy_status status = CONVOY_OK;
    struct kernel_show show = {.options = options, .inference = {.ema = options->ema}};
    struct kernel_view view;
    TRY(inference_open(NULL, weights, &show.inference));
    TRY(inference_build(&show.inference));
    TRY(check_layers(&show));
    TRY(see_output_open(options, weights, NULL, &show.output));
    TRY(check_number(&show, weights));
    for (int i = 0; i < show.inference.net->n_nodes; i++)
        if (is_shown(&show, i, &view))
            TRY(write_layer(&show, &view));
    TRY(see_output_finish(&show.output, "Kernels"));
cleanup:
    see_output_close(&show.output);
    inference_close(&show.inference);
    mem_free(show.values);
    return status;
}
