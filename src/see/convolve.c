/* The output of a layer that moves a window over planes, and the products behind one of
 * its values. The layer `conv` correlates; for a convolution it gets the kernel turned
 * by 180 degrees. The products are only listed here: what adds them up is the layer. */
#include <convoy/convolve.h>

#include "see/planes.h"
#include "see/window_net.h"

#include <math.h>
#include <string.h>

/* NULL and zeros become what they stand for. */
static convoy_window complete(const convoy_window *window, const int stride[2])
{
    convoy_window w = window ? *window : (convoy_window){0};
    for (int d = 0; d < 2; d++) {
        w.stride[d] = w.stride[d] ? w.stride[d] : stride[d];
        w.dilation[d] = w.dilation[d] ? w.dilation[d] : 1;
    }
    return w;
}

/* The layer would say the same of a net and its data. */
static convoy_status check_fits(const convoy_planes *src, const char *what,
                                const int size[2], const convoy_window *w)
{
    static const char *const sides[] = {"row", "column"};
    const int in[2] = {src->rows, src->columns};
    for (int d = 0; d < 2; d++) {
        const int64_t span = (int64_t)(size[d] - 1) * w->dilation[d] + 1;
        const int64_t room = in[d] + INT64_C(2) * w->pad[d];
        if (span > room)
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "the input of %d x %d is smaller than the %s of %d x %d: it "
                        "has %lld %s%s with its padding, the %s reaches over %lld",
                        in[0], in[1], what, size[0], size[1], (long long)room, sides[d],
                        room == 1 ? "" : "s", what, (long long)span);
        if (size[d] > LAYER_MAX_WINDOW)
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "a %s of %d x %d is too large: at most %d %ss are possible",
                        what, size[0], size[1], LAYER_MAX_WINDOW, sides[d]);
        if (w->pad[d] > LAYER_MAX_WINDOW)
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "a padding of %d %ss is too large: at most %d are possible",
                        w->pad[d], sides[d], LAYER_MAX_WINDOW);
    }
    return CONVOY_OK;
}

static struct layer_attributes attributes_of(const int size[2], const convoy_window *w)
{
    struct layer_attributes told = {.out = 1, .groups = 1};
    for (int d = 0; d < 2; d++) {
        told.kernel[d] = size[d];
        told.stride[d] = w->stride[d];
        told.pad[d] = w->pad[d];
        told.dilation[d] = w->dilation[d];
    }
    return told;
}

/* Finite factors can have a sum that is none. */
static convoy_status check_finite(const convoy_planes *dst)
{
    const size_t n = planes_size(dst), columns = (size_t)dst->columns;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(dst->values[i]))
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "the output at row %zu, column %zu is no finite number: the "
                        "products are too large for single precision",
                        i / columns % (size_t)dst->rows, i % columns);
    return CONVOY_OK;
}

/* The layer's output for src, of the weight [kh, kw] if it has one. Plane by plane: the
 * layouts of fast kernels pad a single channel to as many as a register holds, and a
 * photograph of three planes at once would need gigabytes. */
static convoy_status pass(const convoy_planes *src, const struct layer_kind *kind,
                          const struct layer_attributes *told, const float *weight,
                          convoy_planes *dst)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {0};
    const struct window_net_options options = {
        .kind = kind, .told = told, .n = 1, .rows = src->rows, .columns = src->columns};
    const size_t n_src = planes_size(src) / (size_t)src->n;
    struct window_net w = {0};
    convoy_planes made = {0}, plane = {0}; /* plane: aligned, as layers want it */
    TRY(window_net_create(&options, &w));
    TRY(planes_make(1, src->rows, src->columns, &plane));
    if (weight)
        TRY(window_net_set_weight(&w, weight));
    TRY(compiled_refresh(w.compiled));
    TRY(planes_make(src->n, w.rows, w.columns, &made));
    const size_t n_dst = planes_size(&made) / (size_t)made.n;
    for (int c = 0; c < src->n; c++) {
        memcpy(plane.values, src->values + (size_t)c * n_src,
               n_src * sizeof *plane.values);
        TRY(compiled_forward(w.compiled, plane.values, NULL, NULL, &info));
        memcpy(made.values + (size_t)c * n_dst, compiled_logits(w.compiled),
               n_dst * sizeof *made.values);
    }
    TRY(check_finite(&made));
    *dst = made;
    made = (convoy_planes){0};
cleanup:
    convoy_planes_free(&made);
    convoy_planes_free(&plane);
    window_net_free(&w);
    return status;
}

/* The kernel as the layer is to have it: itself, or turned by 180 degrees. */
static convoy_status weight_of(const convoy_planes *kernel, bool correlate,
                               convoy_planes *weight)
{
    const convoy_status status = planes_make(1, kernel->rows, kernel->columns, weight);
    const size_t n = planes_size(kernel);
    for (size_t i = 0; status == CONVOY_OK && i < n; i++)
        weight->values[i] = kernel->values[correlate ? i : n - 1 - i];
    return status;
}

convoy_status convoy_convolve(const convoy_planes *src, const convoy_planes *kernel,
                              const convoy_window *window, convoy_planes *dst)
{
    static const int one[] = {1, 1};
    convoy_status status = CONVOY_OK;
    const convoy_window w = complete(window, one);
    const int size[] = {kernel->rows, kernel->columns};
    const struct layer_attributes told = attributes_of(size, &w);
    convoy_planes weight = {0};
    TRY(check_fits(src, "kernel", size, &w));
    TRY(weight_of(kernel, w.correlate, &weight));
    TRY(pass(src, &layer_conv, &told, weight.values, dst));
cleanup:
    convoy_planes_free(&weight);
    return status;
}

convoy_status convoy_convolve_pool(const convoy_planes *src, const int size[2],
                                   bool average, const convoy_window *window,
                                   convoy_planes *dst)
{
    convoy_status status = CONVOY_OK;
    const convoy_window w = complete(window, size);
    const struct layer_attributes told = attributes_of(size, &w);
    if (w.dilation[0] != 1 || w.dilation[1] != 1)
        return FAIL(CONVOY_ERROR_ARGUMENT, "windows of pooling have no dilation");
    if (2 * w.pad[0] > size[0] || 2 * w.pad[1] > size[1])
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "a padding of %d and %d is more than half of the window of %d x %d",
                    w.pad[0], w.pad[1], size[0], size[1]);
    TRY(check_fits(src, "window", size, &w));
    TRY(pass(src, average ? &layer_avg_pool : &layer_max_pool, &told, NULL, dst));
cleanup:
    return status;
}

/* A side of the output; the layer's formula (layer_window_out). */
static int64_t side_of(int in, int size, int stride, int pad, int dilation)
{
    const int64_t span = (int64_t)(size - 1) * dilation + 1;
    return (in + INT64_C(2) * pad - span) / stride + 1;
}

static convoy_status check_place(const convoy_planes *src, const int size[2],
                                 const convoy_window *w, const int at[3])
{
    const int64_t rows =
        side_of(src->rows, size[0], w->stride[0], w->pad[0], w->dilation[0]);
    const int64_t columns =
        side_of(src->columns, size[1], w->stride[1], w->pad[1], w->dilation[1]);
    if (at[0] >= 0 && at[0] < src->n && at[1] >= 0 && at[1] < rows && at[2] >= 0 &&
        at[2] < columns)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "there is no output value at row %d, column %d: the output has %lld "
                "rows and %lld columns, counted from 0",
                at[1], at[2], (long long)rows, (long long)columns);
}

convoy_status convoy_convolve_explain(const convoy_planes *src,
                                      const convoy_planes *kernel,
                                      const convoy_window *window, const int at[3],
                                      convoy_product *products)
{
    static const int one[] = {1, 1};
    convoy_status status = CONVOY_OK;
    const convoy_window w = complete(window, one);
    const int size[] = {kernel->rows, kernel->columns}, n = size[0] * size[1];
    TRY(check_fits(src, "kernel", size, &w));
    TRY(check_place(src, size, &w, at));
    const float *plane =
        src->values + (size_t)at[0] * (size_t)src->rows * (size_t)src->columns;
    for (int k = 0; k < n; k++) {
        const int row = at[1] * w.stride[0] + k / size[1] * w.dilation[0] - w.pad[0];
        const int column = at[2] * w.stride[1] + k % size[1] * w.dilation[1] - w.pad[1];
        const bool inside =
            row >= 0 && row < src->rows && column >= 0 && column < src->columns;
        products[k] = (convoy_product){
            .row = row,
            .column = column,
            .pixel =
                inside ? plane[(size_t)row * (size_t)src->columns + (size_t)column] : 0,
            .weight = kernel->values[w.correlate ? k : n - 1 - k]};
    }
cleanup:
    return status;
}
