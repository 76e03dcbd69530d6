/* Where a net looks, by gradients of the class' score (its logit).
 *
 * Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks
 * via gradient-based localization", equations 1 and 2), of a layer's maps A_k:
 *   alpha_k = mean over pixels of d score / d A_k,  cam = max(0, Σ_k alpha_k · A_k)
 * Saliency (Simonyan et al. 2014, "Deep inside convolutional networks", section 3.1):
 *   saliency[y, x] = max over c of |d score / d input[c, y, x]|
 * Sums are in double, in one order. */
#include <convoy/show.h>

#include "base/memory.h"
#include "see/see_net.h"
#include "see/see_picture.h"

#include <math.h>

/* What both have. */
struct look {
    struct see_net net;
    struct see_output out;
    int c; /* the class */
    char class_name[SEE_CLASS_SIZE];
    double probability;
};

static convoy_status look_at(const char *weights, const char *image,
                             const convoy_show_options *options, struct look *look)
{
    convoy_status status = CONVOY_OK;
    TRY(see_net_open(weights, options, &look->net));
    TRY(see_net_look(&look->net, image, options));
    TRY(see_net_class(&look->net, options, &look->c));
    see_net_class_text(&look->net, look->c, look->class_name);
    look->probability = see_net_probability(&look->net, look->net.logits, look->c);
cleanup:
    return status;
}

static void close_look(struct look *look)
{
    see_output_close(&look->out);
    see_net_close(&look->net);
}

/* A map over the image, as a file and on the page, beside the image itself. */
static convoy_status write_heat(struct look *look, const struct heat *heat,
                                const char *name, const char *text)
{
    convoy_status status = CONVOY_OK;
    struct image picture = {0}, over = {0};
    TRY(see_net_picture(&look->net, &picture));
    TRY(heat_draw_over(heat, &picture, &over));
    see_output_begin_pair(&look->out);
    status = see_net_write_image(&look->net, &look->out);
    if (status == CONVOY_OK)
        status = see_output_heat(&look->out, &over, text, heat, 1);
    see_output_end_sheet(&look->out);
    TRY(status);
    see_net_write_answer(&look->net, &look->out);
    see_output_say(&look->out, "%s", text);
    TRY(see_output_file(&look->out, name, &over));
cleanup:
    image_free(&picture);
    image_free(&over);
    return status;
}

/* The layer named, or the last with maps. */
static convoy_status choose_layer(const struct see_net *net,
                                  const convoy_show_options *options, int *node)
{
    if (options->n_layers > 1)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%d layers are named, one is expected",
                    options->n_layers);
    if (options->n_layers == 1)
        return see_net_map(net, options->layers[0], node);
    for (*node = net->inference.net->n_nodes - 1; *node > 0; --*node)
        if (see_net_is_map(net, *node))
            return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "the net in %s has no maps of more than one pixel: it has no "
                "convolutions, and convoy show saliency says more of it",
                checkpoint_path(net->inference.checkpoint));
}

static void weigh_maps(const float *maps, const float *gradient, int64_t channels,
                       int64_t pixels, float *alpha, float *cam)
{
    for (int64_t k = 0; k < channels; k++) {
        double sum = 0;
        for (int64_t i = 0; i < pixels; i++)
            sum += (double)gradient[k * pixels + i];
        alpha[k] = (float)(sum / (double)pixels);
    }
    for (int64_t i = 0; i < pixels; i++) {
        double sum = 0;
        for (int64_t k = 0; k < channels; k++)
            sum += (double)alpha[k] * (double)maps[k * pixels + i];
        cam[i] = sum > 0 ? (float)sum : 0;
    }
}

static convoy_status write_cam(struct look *look, int node, const float *alpha,
                               const float *cam)
{
    convoy_status status = CONVOY_OK;
    const struct shape *s = see_net_shape(&look->net, node);
    const int64_t dims[] = {s->h, s->w};
    struct heat heat = {.values = cam, .h = (int)s->h, .w = (int)s->w};
    char text[512];
    heat_find_range(cam, (size_t)(s->h * s->w), &heat.least, &heat.most);
    heat.least = 0;
    snprintf(text, sizeof text,
             "What speaks for %s (%.2f %%) in the maps of %s: 0 to %.3g",
             look->class_name, 100 * look->probability, see_net_name(&look->net, node),
             (double)heat.most);
    TRY(write_heat(look, &heat, "cam", text));
    if (!(heat.most > 0))
        see_output_paragraph(
            &look->out, "Nothing in these maps speaks for this class: every sum is "
                        "0 or less.");
    TRY(see_output_values(&look->out, "cam", H5_TYPE_F32, 2, dims, cam));
    TRY(see_output_values(&look->out, "alpha", H5_TYPE_F32, 1, &s->c, alpha));
cleanup:
    return status;
}

static convoy_status make_cam(struct look *look, int node)
{
    convoy_status status = CONVOY_OK;
    const struct shape *s = see_net_shape(&look->net, node);
    const size_t n = probe_size(look->net.probe, node), pixels = (size_t)(s->h * s->w);
    float *maps = NULL, *gradient = NULL, *alpha = NULL, *cam = NULL;
    TRY(mem_alloc_array(n, sizeof *maps, (void **)&maps));
    TRY(mem_alloc_array(n, sizeof *gradient, (void **)&gradient));
    TRY(mem_alloc_array((size_t)s->c, sizeof *alpha, (void **)&alpha));
    TRY(mem_alloc_array(pixels, sizeof *cam, (void **)&cam));
    TRY(probe_backward(look->net.probe, look->c));
    TRY(probe_value(look->net.probe, node, maps));
    TRY(probe_gradient(look->net.probe, node, gradient));
    weigh_maps(maps, gradient, s->c, (int64_t)pixels, alpha, cam);
    TRY(write_cam(look, node, alpha, cam));
cleanup:
    mem_free(maps);
    mem_free(gradient);
    mem_free(alpha);
    mem_free(cam);
    return status;
}

convoy_status convoy_show_cam(const char *weights, const char *image,
                              const convoy_show_options *options)
{
    convoy_status status = CONVOY_OK;
    struct look look = {.c = 0};
    int node = 0;
    TRY(look_at(weights, image, options, &look));
    TRY(choose_layer(&look.net, options, &node));
    TRY(see_output_open(options, weights, image, &look.out));
    TRY(make_cam(&look, node));
    see_output_paragraph(&look.out,
                         "Grad-CAM: each map counts by the mean of the class score's "
                         "gradient in it; what is against the class is left out. The "
                         "brighter, the more.");
    TRY(see_output_finish(&look.out, "Where the net looks: Grad-CAM"));
cleanup:
    close_look(&look);
    return status;
}

static convoy_status write_saliency(struct look *look, const float *gradient,
                                    float *saliency)
{
    convoy_status status = CONVOY_OK;
    const struct shape *s = see_net_shape(&look->net, 0);
    const int64_t pixels = s->h * s->w, dims[] = {s->c, s->h, s->w};
    struct heat heat = {.values = saliency, .h = (int)s->h, .w = (int)s->w};
    char text[512];
    for (int64_t i = 0; i < pixels; i++) {
        saliency[i] = 0;
        for (int64_t c = 0; c < s->c; c++)
            saliency[i] = fmaxf(saliency[i], fabsf(gradient[c * pixels + i]));
    }
    heat_find_range(saliency, (size_t)pixels, &heat.least, &heat.most);
    heat.least = 0;
    snprintf(text, sizeof text,
             "How much a pixel changes the score of %s (%.2f %%): 0 to %.3g",
             look->class_name, 100 * look->probability, (double)heat.most);
    TRY(write_heat(look, &heat, "saliency", text));
    TRY(see_output_values(&look->out, "saliency", H5_TYPE_F32, 2, dims + 1, saliency));
    TRY(see_output_values(&look->out, "gradient", H5_TYPE_F32, 3, dims, gradient));
cleanup:
    return status;
}

static convoy_status make_saliency(struct look *look)
{
    convoy_status status = CONVOY_OK;
    const struct shape *s = see_net_shape(&look->net, 0);
    float *gradient = NULL, *saliency = NULL;
    TRY(mem_alloc_array(probe_size(look->net.probe, 0), sizeof *gradient,
                        (void **)&gradient));
    TRY(mem_alloc_array((size_t)(s->h * s->w), sizeof *saliency, (void **)&saliency));
    TRY(probe_backward(look->net.probe, look->c));
    TRY(probe_gradient(look->net.probe, 0, gradient));
    TRY(write_saliency(look, gradient, saliency));
cleanup:
    mem_free(gradient);
    mem_free(saliency);
    return status;
}

convoy_status convoy_show_saliency(const char *weights, const char *image,
                                   const convoy_show_options *options)
{
    convoy_status status = CONVOY_OK;
    struct look look = {.c = 0};
    TRY(look_at(weights, image, options, &look));
    TRY(see_output_open(options, weights, image, &look.out));
    TRY(make_saliency(&look));
    see_output_paragraph(&look.out,
                         "Saliency: of each pixel the largest gradient of the class' "
                         "score by its channels, whatever its sign. The brighter, the "
                         "more.");
    TRY(see_output_finish(&look.out, "Which pixels matter: saliency"));
cleanup:
    close_look(&look);
    return status;
}
