/* What a net cannot do without: the class' probability where a square hides a part of
 * the image (Zeiler and Fergus 2014, "Visualizing and understanding convolutional
 * networks", section 4.2). The square has the value 0 of normalised images, which is
 * the mean colour. Squares stand a stride apart, the last ones at the edge; of each
 * pixel the mean over the squares that hide it is shown. */
#include <convoy/show.h>

#include "base/memory.h"
#include "see/see_net.h"
#include "see/see_picture.h"

#include <math.h>
#include <string.h>

struct occlusion {
    struct see_net net;
    struct see_output out;
    int c, window, stride, rows, columns;
    float *hidden;        /* [c, h, w]: the image with a square over it */
    float *logits;        /* [classes] */
    float *probabilities; /* [rows, columns] */
    float *loss;          /* [h, w] */
    int *n;               /* [h, w]: squares that hide it */
};

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

static convoy_status choose(struct occlusion *o, const convoy_show_options *options)
{
    const int *shape = o->net.inference.loading.shape;
    const int shorter = least_of(shape[1], shape[2]);
    o->window = options->window > 0 ? options->window : (shorter + 4) / 5;
    if (o->window > shorter)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "a square of %d pixels a side is larger than the image of %d x %d "
                    "pixels that the net sees",
                    o->window, shape[1], shape[2]);
    o->stride = options->stride > 0 ? options->stride : (o->window + 3) / 4;
    if (o->stride > o->window)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "squares of %d pixels a side that stand %d apart leave pixels "
                    "between them that none hides",
                    o->window, o->stride);
    o->rows = (shape[1] - o->window + o->stride - 1) / o->stride + 1;
    o->columns = (shape[2] - o->window + o->stride - 1) / o->stride + 1;
    return CONVOY_OK;
}

static convoy_status allocate(struct occlusion *o)
{
    convoy_status status = CONVOY_OK;
    const int *shape = o->net.inference.loading.shape;
    const size_t pixels = (size_t)shape[1] * (size_t)shape[2];
    TRY(mem_alloc_array((size_t)shape[0] * pixels, sizeof *o->hidden,
                        (void **)&o->hidden));
    TRY(mem_alloc_array((size_t)o->net.n_classes, sizeof *o->logits,
                        (void **)&o->logits));
    TRY(mem_alloc_array((size_t)o->rows * (size_t)o->columns, sizeof *o->probabilities,
                        (void **)&o->probabilities));
    TRY(mem_alloc_array(pixels, sizeof *o->loss, (void **)&o->loss));
    TRY(mem_alloc_array(pixels, sizeof *o->n, (void **)&o->n));
    memset(o->loss, 0, pixels * sizeof *o->loss);
    memset(o->n, 0, pixels * sizeof *o->n);
cleanup:
    return status;
}

static convoy_status hide(struct occlusion *o, int row, int column, double whole)
{
    const int *shape = o->net.inference.loading.shape, window = o->window;
    const int top = least_of(row * o->stride, shape[1] - window),
              left = least_of(column * o->stride, shape[2] - window);
    const size_t plane = (size_t)shape[1] * (size_t)shape[2];
    memcpy(o->hidden, o->net.image, (size_t)shape[0] * plane * sizeof *o->hidden);
    for (int c = 0; c < shape[0]; c++)
        for (int y = top; y < top + window; y++)
            memset(o->hidden + (size_t)c * plane + (size_t)y * (size_t)shape[2] + left,
                   0, (size_t)window * sizeof *o->hidden);
    const convoy_status status = see_net_forward(&o->net, o->hidden, o->logits);
    if (status != CONVOY_OK)
        return status;
    const double left_over = see_net_probability(&o->net, o->logits, o->c);
    o->probabilities[row * o->columns + column] = (float)left_over;
    for (int y = top; y < top + window; y++)
        for (int x = left; x < left + window; x++) {
            o->loss[y * shape[2] + x] += (float)(whole - left_over);
            o->n[y * shape[2] + x]++;
        }
    return CONVOY_OK;
}

static convoy_status hide_all(struct occlusion *o, double whole)
{
    convoy_status status = CONVOY_OK;
    const int *shape = o->net.inference.loading.shape;
    const uint64_t total = (uint64_t)o->rows * (uint64_t)o->columns;
    uint64_t done = 0;
    for (int row = 0; row < o->rows; row++)
        for (int column = 0; column < o->columns; column++) {
            TRY(hide(o, row, column, whole));
            see_output_progress(&o->out, ++done, total);
        }
    for (int i = 0; i < shape[1] * shape[2]; i++)
        o->loss[i] /= (float)o->n[i]; /* each is hidden: stride <= window */
cleanup:
    return status;
}

/* As it is printed, without a minus before nothing. */
static double points(float loss)
{
    return fabs((double)loss) < 5e-5 ? 0 : 100 * (double)loss;
}

static convoy_status write_pictures(struct occlusion *o, double whole)
{
    convoy_status status = CONVOY_OK;
    const int *shape = o->net.inference.loading.shape;
    struct image picture = {0}, over = {0};
    char text[512], name[SEE_CLASS_SIZE];
    float least, most;
    struct heat heat = {.values = o->loss, .h = shape[1], .w = shape[2]};
    heat_find_range(o->loss, (size_t)shape[1] * (size_t)shape[2], &least, &most);
    heat.most = most > 0 ? most : 0; /* what helps when hidden stays dark */
    TRY(see_net_picture(&o->net, &picture));
    TRY(heat_draw_over(&heat, &picture, &over));
    snprintf(text, sizeof text,
             "What %s (%.2f %%) loses where a square hides the image: %.2f to %.2f "
             "percentage points",
             see_net_class_text(&o->net, o->c, name), 100 * whole, points(least),
             points(most));
    see_output_begin_pair(&o->out);
    status = see_net_write_image(&o->net, &o->out);
    if (status == CONVOY_OK)
        status = see_output_heat(&o->out, &over, text, &heat, 100);
    see_output_end_sheet(&o->out);
    TRY(status);
    see_net_write_answer(&o->net, &o->out);
    see_output_say(&o->out, "%s", text);
    TRY(see_output_file(&o->out, "occlusion", &over));
    see_output_paragraph(
        &o->out,
        "Occlusion: %d \u00d7 %d squares of %d pixels a side, %d pixels "
        "apart, each the mean colour. The brighter, the more is lost.",
        o->rows, o->columns, o->window, o->stride);
cleanup:
    image_free(&picture);
    image_free(&over);
    return status;
}

static convoy_status write_values(struct occlusion *o)
{
    convoy_status status = CONVOY_OK;
    const int *shape = o->net.inference.loading.shape;
    const int64_t squares[] = {o->rows, o->columns}, pixels[] = {shape[1], shape[2]};
    TRY(see_output_values(&o->out, "probability", H5_TYPE_F32, 2, squares,
                          o->probabilities));
    TRY(see_output_values(&o->out, "loss", H5_TYPE_F32, 2, pixels, o->loss));
cleanup:
    return status;
}

convoy_status convoy_show_occlusion(const char *weights, const char *image,
                                    const convoy_show_options *options)
{
    convoy_status status = CONVOY_OK;
    struct occlusion o = {.c = 0};
    TRY(see_net_open(weights, options, &o.net));
    TRY(see_net_look(&o.net, image, options));
    TRY(see_net_class(&o.net, options, &o.c));
    TRY(choose(&o, options));
    TRY(allocate(&o));
    TRY(see_output_open(options, weights, image, &o.out));
    const double whole = see_net_probability(&o.net, o.net.logits, o.c);
    TRY(hide_all(&o, whole));
    TRY(write_pictures(&o, whole));
    TRY(write_values(&o));
    TRY(see_output_finish(&o.out, "What the net cannot do without: occlusion"));
cleanup:
    see_output_close(&o.out);
    see_net_close(&o.net);
    mem_free(o.hidden);
    mem_free(o.logits);
    mem_free(o.probabilities);
    mem_free(o.loss);
    mem_free(o.n);
    return status;
}
