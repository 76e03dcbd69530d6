/* A file of an interrupted landscape goes on only as the same landscape: its facts are
 * compared to the last byte, so no file ever holds points of two nets or two data sets.
 */
#include "see/landscape_surface.h"

#include <convoy/landscape.h>

#include "base/file.h"
#include "base/memory.h"
#include "h5/h5.h"

#include <math.h>
#include <string.h>

enum { MAX_SHOWN = 160 };

static const double not_computed = -1;

static convoy_status make_axis(int n, double low, double high, double **out)
{
    double *axis = NULL;
    const convoy_status status =
        mem_alloc_array((size_t)n, sizeof *axis, (void **)&axis);
    if (status != CONVOY_OK)
        return status;
    /* A mean with weights: the middle of a symmetrical range is 0, not nearly 0. */
    for (int i = 1; i < n - 1; i++)
        axis[i] = (low * (n - 1 - i) + high * i) / (n - 1);
    axis[n - 1] = high;
    axis[0] = low;
    *out = axis;
    return CONVOY_OK;
}

convoy_status landscape_surface_make(int n, double low, double high, bool is_line,
                                     const char *facts,
                                     struct landscape_surface *surface)
{
    convoy_status status = CONVOY_OK;
    surface->n_x = n;
    surface->n_y = is_line ? 1 : n;
    surface->is_line = is_line;
    const size_t points = landscape_surface_n(surface);
    TRY(make_axis(surface->n_x, low, high, &surface->x));
    TRY(make_axis(surface->n_y, is_line ? 0 : low, high, &surface->y));
    TRY(mem_alloc_array(points, sizeof(double), (void **)&surface->loss));
    TRY(mem_alloc_array(points, sizeof(double), (void **)&surface->percent));
    TRY(mem_copy_text(facts, &surface->facts));
    for (size_t i = 0; i < points; i++)
        surface->loss[i] = surface->percent[i] = not_computed;
cleanup:
    return status;
}

size_t landscape_surface_n(const struct landscape_surface *surface)
{
    return (size_t)surface->n_x * (size_t)surface->n_y;
}

bool landscape_surface_has(const struct landscape_surface *surface, size_t i)
{
    return !(surface->loss[i] < 0);
}

/* "seed 7" of a line "seed\t7\n". */
static void show_line(const char *line, char out[MAX_SHOWN])
{
    const size_t n = strcspn(line, "\n");
    const size_t shown = n < MAX_SHOWN - 1 ? n : MAX_SHOWN - 1;
    memcpy(out, line, shown);
    out[shown] = '\0';
    for (char *at = out; (at = strchr(at, '\t'));)
        *at = ' ';
}

static convoy_status check_facts(const char *path, const char *there, const char *here)
{
    char was[MAX_SHOWN], is[MAX_SHOWN];
    if (strcmp(there, here) == 0)
        return CONVOY_OK;
    size_t i = 0, begin = 0;
    for (; there[i] && there[i] == here[i]; i++)
        if (there[i] == '\n')
            begin = i + 1;
    show_line(there + begin, was);
    show_line(here + begin, is);
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "%s: holds another landscape: there '%s', here '%s'; name another "
                "folder, or remove this file",
                path, was, is);
}

static int describe_dims(const struct landscape_surface *surface, uint64_t dims[2])
{
    dims[0] = (uint64_t)(surface->is_line ? surface->n_x : surface->n_y);
    dims[1] = (uint64_t)surface->n_x;
    return surface->is_line ? 1 : 2;
}

convoy_status landscape_surface_read(const char *path,
                                     struct landscape_surface *surface)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = NULL;
    char *facts = NULL;
    uint64_t dims[2];
    const int n_dims = describe_dims(surface, dims);
    if (!file_exists(path))
        return CONVOY_OK;
    TRY(h5_open(path, &file));
    TRY(h5_read_text(file, "/", "landscape", &facts));
    TRY(check_facts(path, facts, surface->facts));
    TRY(h5_read(file, "train_loss", H5_TYPE_F64, n_dims, dims, surface->loss));
    TRY(h5_read(file, "train_acc", H5_TYPE_F64, n_dims, dims, surface->percent));
cleanup:
    h5_close(file);
    mem_free(facts);
    return status;
}

/* Coordinates that are finite and rise. */
static convoy_status read_axis(const struct h5_file *file, const char *name, int *n,
                               double **axis)
{
    convoy_status status = CONVOY_OK;
    uint64_t read = 0;
    TRY(h5_read_vector(file, name, H5_TYPE_F64, (void **)axis, &read));
    if (read < 2 || read > CONVOY_LANDSCAPE_MAX_POINTS)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: has %llu %s, expected 2 to %d",
                 h5_path(file), (unsigned long long)read, name,
                 CONVOY_LANDSCAPE_MAX_POINTS));
    *n = (int)read;
    for (int i = 0; i < *n; i++)
        if (!isfinite((*axis)[i]) || (i > 0 && !((*axis)[i] > (*axis)[i - 1])))
            TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: its %s do not rise", h5_path(file),
                     name));
cleanup:
    return status;
}

static convoy_status read_axes(const struct h5_file *file,
                               struct landscape_surface *surface)
{
    convoy_status status = CONVOY_OK;
    bool has_y = false;
    TRY(read_axis(file, "xcoordinates", &surface->n_x, &surface->x));
    TRY(h5_exists(file, "ycoordinates", &has_y));
    surface->is_line = !has_y;
    surface->n_y = 1;
    if (has_y)
        TRY(read_axis(file, "ycoordinates", &surface->n_y, &surface->y));
    else
        TRY(make_axis(1, 0, 0, &surface->y));
cleanup:
    return status;
}

convoy_status landscape_surface_open(const char *path,
                                     struct landscape_surface *surface)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = NULL;
    uint64_t dims[2];
    TRY(h5_open(path, &file));
    TRY(read_axes(file, surface));
    const size_t n = landscape_surface_n(surface);
    const int n_dims = describe_dims(surface, dims);
    TRY(mem_alloc_array(n, sizeof(double), (void **)&surface->loss));
    TRY(mem_alloc_array(n, sizeof(double), (void **)&surface->percent));
    TRY(h5_read(file, "train_loss", H5_TYPE_F64, n_dims, dims, surface->loss));
    TRY(h5_read(file, "train_acc", H5_TYPE_F64, n_dims, dims, surface->percent));
    for (size_t i = 0; i < n; i++)
        if (!landscape_surface_has(surface, i))
            surface->loss[i] = surface->percent[i] = (double)NAN;
cleanup:
    h5_close(file);
    return status;
}

static convoy_status write_file(const char *path, const void *contents)
{
    convoy_status status = CONVOY_OK;
    const struct landscape_surface *surface = contents;
    struct h5_file *file = NULL;
    uint64_t dims[2];
    const uint64_t n_x = (uint64_t)surface->n_x, n_y = (uint64_t)surface->n_y;
    const int n_dims = describe_dims(surface, dims);
    TRY(h5_create(path, &file));
    TRY(h5_write_text(file, "/", "landscape", surface->facts));
    TRY(h5_write(file, "xcoordinates", H5_TYPE_F64, 1, &n_x, surface->x));
    if (!surface->is_line)
        TRY(h5_write(file, "ycoordinates", H5_TYPE_F64, 1, &n_y, surface->y));
    TRY(h5_write(file, "train_loss", H5_TYPE_F64, n_dims, dims, surface->loss));
    TRY(h5_write(file, "train_acc", H5_TYPE_F64, n_dims, dims, surface->percent));
    TRY(h5_finish(file));
cleanup:
    h5_close(file);
    return status;
}

convoy_status landscape_surface_write(const struct landscape_surface *surface,
                                      const char *path)
{
    return file_write_by(path, write_file, surface);
}

void landscape_surface_free(struct landscape_surface *surface)
{
    mem_free(surface->x);
    mem_free(surface->y);
    mem_free(surface->loss);
    mem_free(surface->percent);
    mem_free(surface->facts);
    *surface = (struct landscape_surface){0};
}
