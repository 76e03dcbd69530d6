/* Directions are drawn in canonical layout, where a filter is one piece, and then put
 * into the layouts that the net's kernels want; from there on a point is a loop over
 * one arena. Padding inside layouts is 0 in all of them and stays 0.
 *
 * d_k <- d_k |w_k| / (|d_k| + 1e-10) for every filter k: the published code's constant,
 * for a filter that was drawn as 0. */
#include "see/landscape_plane.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/pulse.h"
#include "base/rng.h"
#include "h5/h5.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 320, GRAIN = 1 << 14 };

static const char *const axis_names[LANDSCAPE_MAX_AXES] = {"xdirection", "ydirection"};

uint64_t landscape_plane_bytes(const convoy_net *net, int n_axes)
{
    uint64_t n = 0;
    for (int i = 0; i < net->store.n_params; i++)
        n += (uint64_t)param_store_n_values(&net->store, i);
    return sizeof(float) * n * (1 + (uint64_t)n_axes);
}

static double length_of(const float *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum);
}

/* weights, direction: [n_filters, n]. */
static void scale_filters(const float *weights, float *direction, size_t n_filters,
                          size_t n)
{
    for (size_t k = 0; k < n_filters; k++) {
        float *filter = direction + k * n;
        const double factor =
            length_of(weights + k * n, n) / (length_of(filter, n) + 1e-10);
        for (size_t i = 0; i < n; i++)
            filter[i] = (float)(factor * (double)filter[i]);
    }
}

/* Drawing all parameters' directions, a parameter at a time. */
struct drawing {
    struct landscape_plane *plane;
    uint64_t seed;
    atomic_flag has_failed;
    struct failure failure; /* the first */
};

static convoy_status draw_axis(const struct drawing *d, int i, int axis,
                               const float *weights, float *direction)
{
    const struct param_store *store = &d->plane->net->store;
    const struct stored_param *p = &store->params[i];
    const size_t n = (size_t)param_store_n_values(store, i);
    const size_t n_filters = (size_t)p->param.dims[0];
    const uint64_t name = hash_64(p->name, strlen(p->name));
    const struct rng rng = rng_stream(d->seed, RNG_LANDSCAPE, name, (uint64_t)axis);
    for (size_t k = 0; k < n; k++)
        direction[k] = (float)rng_normal(&rng, k);
    scale_filters(weights, direction, n_filters, n / n_filters);
    return param_store_set(store, &d->plane->net->dnn, i, direction,
                           d->plane->along[axis]);
}

static convoy_status draw_param(const struct drawing *d, int i)
{
    convoy_status status = CONVOY_OK;
    const struct landscape_plane *plane = d->plane;
    const struct param_store *store = &plane->net->store;
    const size_t n = (size_t)param_store_n_values(store, i);
    float *weights = NULL, *direction = NULL;
    if (!store->params[i].param.decay)
        return CONVOY_OK; /* its direction is 0, as the arenas are */
    TRY(mem_alloc_array(n, sizeof *weights, (void **)&weights));
    TRY(mem_alloc_array(n, sizeof *direction, (void **)&direction));
    TRY(param_store_get(store, &plane->net->dnn, i, plane->centre, weights));
    for (int axis = 0; axis < plane->n_axes; axis++)
        TRY(draw_axis(d, i, axis, weights, direction));
cleanup:
    mem_free(weights);
    mem_free(direction);
    return status;
}

static void draw_params(void *context, int worker, size_t begin, size_t end)
{
    struct drawing *d = context;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const convoy_status status = draw_param(d, (int)i);
        if (status != CONVOY_OK && !atomic_flag_test_and_set(&d->has_failed))
            status_save(status, &d->failure);
        pulse();
    }
}

convoy_status landscape_plane_make(const convoy_net *net, struct lanes *lanes,
                                   uint64_t seed, int n_axes,
                                   struct landscape_plane *plane)
{
    convoy_status status = CONVOY_OK;
    const struct param_store *store = &net->store;
    struct drawing drawing = {
        .plane = plane, .seed = seed, .has_failed = ATOMIC_FLAG_INIT};
    plane->net = net;
    plane->lanes = lanes;
    plane->n = store->param_floats + store->frozen_floats;
    plane->n_axes = n_axes;
    TRY(mem_alloc_array(plane->n, sizeof(float), (void **)&plane->centre));
    for (int axis = 0; axis < n_axes; axis++)
        TRY(mem_alloc_array(plane->n, sizeof(float), (void **)&plane->along[axis]));
    memcpy(plane->centre, store->param_data, plane->n * sizeof(float));
    lanes_for(lanes, (size_t)store->n_params, 1, draw_params, &drawing);
    if (drawing.failure.status != CONVOY_OK)
        status = status_restore(&drawing.failure);
cleanup:
    return status;
}

/* One way from the centre. */
struct going {
    const struct landscape_plane *plane;
    const double *at;
};

static void go_range(void *context, int worker, size_t begin, size_t end)
{
    const struct going *going = context;
    const struct landscape_plane *plane = going->plane;
    const double x = going->at[0], y = plane->n_axes > 1 ? going->at[1] : 0;
    const float *d = plane->along[0], *e = plane->along[plane->n_axes - 1];
    float *to = plane->net->store.param_data;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        to[i] = (float)((double)plane->centre[i] + x * (double)d[i] + y * (double)e[i]);
}

void landscape_plane_go(const struct landscape_plane *plane, const double *at)
{
    struct going going = {plane, at};
    lanes_for(plane->lanes, plane->n, GRAIN, go_range, &going);
}

/* values: room for the largest parameter. */
static convoy_status write_axis(const struct landscape_plane *plane, int axis,
                                struct h5_file *file, float *values)
{
    convoy_status status = CONVOY_OK;
    const struct param_store *store = &plane->net->store;
    for (int i = 0; i < store->n_params; i++) {
        const struct param *param = &store->params[i].param;
        uint64_t dims[DNN_MAX_DIMS];
        char name[NAME_SIZE];
        for (int d = 0; d < param->n_dims; d++)
            dims[d] = (uint64_t)param->dims[d];
        snprintf(name, sizeof name, "%s/%s", axis_names[axis], store->params[i].name);
        TRY(param_store_get(store, &plane->net->dnn, i, plane->along[axis], values));
        TRY(h5_write(file, name, H5_TYPE_F32, param->n_dims, dims, values));
        pulse();
    }
cleanup:
    return status;
}

/* What directions.h5 holds. */
struct directions {
    const struct landscape_plane *plane;
    uint64_t seed;
};

static convoy_status write_file(const char *path, const void *contents)
{
    convoy_status status = CONVOY_OK;
    const struct directions *directions = contents;
    const struct landscape_plane *plane = directions->plane;
    const struct param_store *store = &plane->net->store;
    struct h5_file *file = NULL;
    float *values = NULL;
    size_t most = 0;
    for (int i = 0; i < store->n_params; i++)
        if (store->params[i].n_floats > most)
            most = store->params[i].n_floats;
    TRY(mem_alloc_array(most, sizeof *values, (void **)&values));
    TRY(h5_create(path, &file));
    TRY(h5_write_text(file, "/", "dir_type", "weights"));
    TRY(h5_write_text(file, "/", "ignore", "biasbn"));
    TRY(h5_write_text(file, "/", "norm", "filter"));
    TRY(h5_write_i64(file, "/", "seed", (int64_t)directions->seed));
    for (int axis = 0; axis < plane->n_axes; axis++)
        TRY(write_axis(plane, axis, file, values));
    TRY(h5_finish(file));
cleanup:
    h5_close(file);
    mem_free(values);
    return status;
}

/* A file of this name that holds no directions is somebody's, such as the weights. */
static convoy_status check_old(const char *path)
{
    struct h5_file *file = NULL;
    char *kind = NULL;
    const bool is_ours =
        !file_exists(path) || (h5_open(path, &file) == CONVOY_OK &&
                               h5_read_text(file, "/", "dir_type", &kind) == CONVOY_OK);
    h5_close(file);
    mem_free(kind);
    if (is_ours)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "%s: is there, and holds no directions of a landscape: name another "
                "folder, or remove it",
                path);
}

convoy_status landscape_plane_write(const struct landscape_plane *plane, uint64_t seed,
                                    const char *path)
{
    convoy_status status = CONVOY_OK;
    const struct directions directions = {plane, seed};
    TRY(check_old(path));
    TRY(file_write_by(path, write_file, &directions));
cleanup:
    return status;
}

void landscape_plane_free(struct landscape_plane *plane)
{
    mem_free(plane->centre);
    for (int axis = 0; axis < LANDSCAPE_MAX_AXES; axis++)
        mem_free(plane->along[axis]);
    *plane = (struct landscape_plane){0};
}
