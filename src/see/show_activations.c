/* What layers make of an image: the maps of a convolutional net lead from edges, large
 * and many, to parts and kinds, small and few. Left to itself it shows the last layer
 * of each size of map, which is where a net's stages end.
 *
 * A flat value has no form; it is shown in rows of 32 squares. */
#include <convoy/show.h>

#include "base/memory.h"
#include "see/see_net.h"
#include "see/see_picture.h"

#include <math.h>
#include <string.h>

enum { FLAT_WIDTH = 32, ACTIVATION_TITLE_SIZE = 160, MAX_MAPS = 64 };

/* Node's value as kernel_grid_draw takes it: [c, 1, h, w], a map each; a flat one as
 * one map, filled up with what is no number. */
static convoy_status read_maps(const struct see_net *net, int node, float **values,
                               struct kernel_set *maps)
{
    convoy_status status = CONVOY_OK;
    const struct shape *s = see_net_shape(net, node);
    const size_t n = probe_size(net->probe, node);
    *maps = (struct kernel_set){.n = s->c, .c = 1, .h = s->h, .w = s->w};
    if (s->h * s->w == 1)
        *maps = (struct kernel_set){.n = 1,
                                    .c = 1,
                                    .h = (s->c + FLAT_WIDTH - 1) / FLAT_WIDTH,
                                    .w = s->c < FLAT_WIDTH ? s->c : FLAT_WIDTH};
    const size_t room = (size_t)(maps->n * maps->h * maps->w);
    TRY(mem_alloc_array(room, sizeof **values, (void **)values));
    for (size_t i = n; i < room; i++)
        (*values)[i] = NAN;
    TRY(probe_value(net->probe, node, *values));
    maps->values = *values;
cleanup:
    return status;
}

static convoy_status write_maps(struct see_output *out, const struct kernel_set *maps)
{
    convoy_status status = CONVOY_OK;
    struct image picture = {0};
    char text[ACTIVATION_TITLE_SIZE];
    see_output_begin_sheet(out);
    for (int64_t i = 0; i < maps->n && i < MAX_MAPS; i++) {
        float least, most;
        const struct kernel_set one = see_picture_tile(maps, i);
        heat_find_range(one.values, (size_t)(one.h * one.w), &least, &most);
        TRY(kernel_grid_draw(&one, &picture));
        if (picture.width == 0)
            break;
        snprintf(text, sizeof text, "channel %lld: values %.3g to %.3g", (long long)i,
                 (double)least, (double)most);
        TRY(see_output_figure(out, &picture, text, NULL));
    }
cleanup:
    see_output_end_sheet(out);
    image_free(&picture);
    return status;
}

static void describe(const struct see_net *net, int node, const float *values,
                     struct see_output *out)
{
    float least, most;
    char form[80], first[40];
    const struct shape *s = see_net_shape(net, node);
    const size_t n = probe_size(net->probe, node);
    size_t n_zero = 0;
    for (size_t i = 0; i < n; i++)
        n_zero += values[i] == 0;
    heat_find_range(values, n, &least, &most);
    snprintf(first, sizeof first, " The first %d are shown.", MAX_MAPS);
    see_output_heading(out, see_net_name(net, node));
    if (s->h * s->w == 1)
        snprintf(form, sizeof form, "%lld values", (long long)s->c);
    else
        snprintf(form, sizeof form, "%lld map%s of %lld x %lld", (long long)s->c,
                 s->c == 1 ? "" : "s", (long long)s->h, (long long)s->w);
    see_output_paragraph(
        out,
        "%s, values %.3g to %.3g, %.0f %% of them 0. Each map is scaled "
        "by itself, from black for its least value to white for its "
        "greatest; grey is the same all over.%s",
        form, (double)least, (double)most, 100 * (double)n_zero / (double)n,
        s->h * s->w > 1 && s->c > MAX_MAPS ? first : "");
    see_output_say(out, "%s: %s, %.3g to %.3g", see_net_name(net, node), form,
                   (double)least, (double)most);
}

static convoy_status write_node(const struct see_net *net, int node,
                                struct see_output *out)
{
    convoy_status status = CONVOY_OK;
    const struct shape *s = see_net_shape(net, node);
    const int64_t dims[] = {s->c, s->h, s->w};
    struct kernel_set maps;
    struct image picture = {0};
    float *values = NULL;
    char name[320];
    TRY(read_maps(net, node, &values, &maps));
    describe(net, node, values, out);
    TRY(see_picture_grid(&maps, &picture));
    if (picture.width > 0)
        TRY(see_output_file(out, see_net_name(net, node), &picture));
    TRY(write_maps(out, &maps));
    snprintf(name, sizeof name, "activations/%s", see_net_name(net, node));
    TRY(see_output_values(out, name, H5_TYPE_F32, 3, dims, values));
cleanup:
    mem_free(values);
    image_free(&picture);
    return status;
}

/* A blur belongs to the layer behind it: what it is of says more. */
static bool is_shown(const struct see_net *net, int node)
{
    return see_net_is_map(net, node) &&
           strcmp(net->inference.net->nodes[node].kind->about.name, "blur_pool") != 0;
}

/* Whether no later map has the size of node's. */
static bool is_last_of_its_size(const struct see_net *net, int node)
{
    const struct shape *s = see_net_shape(net, node);
    if (!is_shown(net, node))
        return false;
    for (int i = node + 1; i < net->inference.net->n_nodes; i++) {
        const struct shape *other = see_net_shape(net, i);
        if (is_shown(net, i) && other->h == s->h && other->w == s->w)
            return false;
    }
    return true;
}

static convoy_status write_nodes(const struct see_net *net,
                                 const convoy_show_options *options,
                                 struct see_output *out)
{
    convoy_status status = CONVOY_OK;
    int node = 0;
    for (int i = 0; i < options->n_layers; i++) {
        TRY(see_net_node(net, options->layers[i], &node));
        TRY(write_node(net, node, out));
    }
    for (int i = 1; options->n_layers == 0 && i < net->inference.net->n_nodes; i++)
        if (is_last_of_its_size(net, i))
            TRY(write_node(net, i, out));
cleanup:
    return status;
}

static int count_nodes(const struct see_net *net, const convoy_show_options *options)
{
    int n = options->n_layers;
    for (int i = 1; options->n_layers == 0 && i < net->inference.net->n_nodes; i++)
        n += is_last_of_its_size(net, i);
    return n;
}

/* A net without maps has nothing that is shown unasked. */
static convoy_status check_maps(const struct see_net *net,
                                const convoy_show_options *options)
{
    const convoy_net *graph = net->inference.net;
    if (count_nodes(net, options) > 0)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "no layer of the net in %s has maps of more than one pixel: name one "
                "whose values are wanted, such as '%s'",
                checkpoint_path(net->inference.checkpoint),
                graph->nodes[graph->logits].name);
}

/* Names are checked before anything is written. */
static convoy_status check_names(const struct see_net *net,
                                 const convoy_show_options *options)
{
    convoy_status status = CONVOY_OK;
    int node = 0;
    for (int i = 0; status == CONVOY_OK && i < options->n_layers; i++)
        status = see_net_node(net, options->layers[i], &node);
    return status;
}

convoy_status convoy_show_activations(const char *weights, const char *image,
                                      const convoy_show_options *options)
{
    convoy_status status = CONVOY_OK;
    struct see_net net = {0};
    struct see_output out = {0};
    TRY(see_net_open(weights, options, &net));
    TRY(check_names(&net, options));
    TRY(check_maps(&net, options));
    TRY(see_net_look(&net, image, options));
    TRY(see_output_open(options, weights, image, &out));
    TRY(see_output_check(&out, count_nodes(&net, options)));
    TRY(see_net_write_image(&net, &out));
    see_net_write_answer(&net, &out);
    TRY(write_nodes(&net, options, &out));
    TRY(see_output_finish(&out, "What the layers make of an image"));
cleanup:
    see_output_close(&out);
    see_net_close(&net);
    return status;
}
