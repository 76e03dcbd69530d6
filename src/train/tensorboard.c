/* Every life writes a file of its own, as TensorBoard expects: it reads the files of a
 * folder in the order of their names, which begin with the time, and follows the newest
 * as it grows. The first record of a life tells it from which step on earlier records
 * no longer count. For other readers those are dropped from the files themselves. */
#include "train/tensorboard.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/owner.h"
#include "image/kernel_grid.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char folder_name[] = "tensorboard", prefix[] = "events.out.tfevents.";

/* When the file of this name was begun, in s since 1970; 0: it is none. */
static int64_t time_of(const char *name)
{
    char *end = NULL;
    const size_t n = strlen(name);
    if (strncmp(name, prefix, sizeof prefix - 1) != 0 ||
        (n > 4 && strcmp(name + n - 4, ".tmp") == 0))
        return 0;
    const long long s = strtoll(name + sizeof prefix - 1, &end, 10);
    return *end == '.' && s > 0 && s < INT64_MAX ? s : 0;
}

/* Calls take with the name of every event file in the folder, until it fails. */
static convoy_status each_file(const char *folder,
                               convoy_status (*take)(void *context, const char *name),
                               void *context)
{
    convoy_status status = CONVOY_OK;
    DIR *directory = opendir(folder);
    if (!directory)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open the folder: %s", folder,
                    strerror(errno));
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry && errno != 0)
            TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot read the folder: %s", folder,
                     strerror(errno)));
        if (!entry)
            break;
        if (time_of(entry->d_name) > 0)
            TRY(take(context, entry->d_name));
    }
cleanup:
    closedir(directory);
    return status;
}

static convoy_status take_newest(void *context, const char *name)
{
    int64_t *newest = context;
    *newest = time_of(name) > *newest ? time_of(name) : *newest;
    return CONVOY_OK;
}

/* The files of earlier lives. */
struct earlier {
    const struct run_life *life;
    const char *folder;
    uint64_t step;
    int64_t newest;
    bool is_kept; /* something of them */
};

/* Whoever wrote an older one than the newest was cut off from it by the life after. */
static convoy_status renew(struct earlier *e, const char *name, struct log_file *log,
                           const char *path)
{
    convoy_status status = CONVOY_OK;
    struct event_kept kept;
    TRY(log_file_open(log, e->life, path));
    TRY(event_copy_earlier(path, e->step, log->earlier, &kept));
    e->is_kept |= kept.n_summaries > 0;
    if (kept.n_summaries == 0)
        TRY(run_life_remove(e->life, path));
    else if (!kept.is_all || time_of(name) == e->newest)
        TRY(log_file_begin(log, e->life));
cleanup:
    return run_life_tell(e->life, status);
}

static convoy_status renew_file(void *context, const char *name)
{
    struct earlier *e = context;
    struct log_file *log = NULL;
    char path[RUN_LIFE_PATH_SIZE];
    convoy_status status = file_join(e->folder, name, path, sizeof path);
    if (status == CONVOY_OK)
        status = mem_alloc(sizeof *log, (void **)&log);
    if (status != CONVOY_OK)
        return status;
    status = renew(e, name, log, path);
    log_file_close(log);
    mem_free(log);
    return status;
}

/* A clock that was set back, or another host's, must not put it before them. */
static convoy_status name_file(const char *folder, int64_t newest,
                               char path[RUN_LIFE_PATH_SIZE])
{
    char host[OWNER_HOST_SIZE], name[OWNER_HOST_SIZE + 64];
    const int64_t now = (int64_t)clock_utc_s();
    owner_host(host);
    snprintf(name, sizeof name, "%s%010" PRId64 ".%s", prefix,
             now > newest ? now : newest + 1, host);
    return file_join(folder, name, path, RUN_LIFE_PATH_SIZE);
}

static struct event_moment moment_of(uint64_t step)
{
    return (struct event_moment){.time_s = clock_utc_s(), .step = step};
}

static convoy_status begin_file(struct tensorboard *board, const struct run_life *life,
                                const char *path, uint64_t step)
{
    convoy_status status = CONVOY_OK;
    struct log_file *log = &board->log;
    TRY(log_file_open(log, life, path));
    TRY(event_write_version(log->added, clock_utc_s()));
    TRY(event_write_start(log->added, moment_of(step)));
    TRY(log_file_begin(log, life));
cleanup:
    return status;
}

convoy_status tensorboard_open(struct tensorboard *board, const struct run_life *life,
                               bool wanted, uint64_t step)
{
    convoy_status status = CONVOY_OK;
    char folder[RUN_LIFE_PATH_SIZE], path[RUN_LIFE_PATH_SIZE];
    struct earlier earlier = {.life = life, .folder = folder, .step = step};
    TRY(file_join(life->folder, folder_name, folder, sizeof folder));
    if (wanted)
        TRY(file_make_folder(folder));
    if (file_is_folder(folder)) {
        TRY(each_file(folder, take_newest, &earlier.newest));
        TRY(each_file(folder, renew_file, &earlier));
    }
    board->has_earlier = earlier.is_kept;
    if (wanted) {
        TRY(name_file(folder, earlier.newest, path));
        TRY(begin_file(board, life, path, step));
    }
cleanup:
    return run_life_tell(life, status);
}

/* As many records as it takes, with a tag for each weight. */
static convoy_status add_gradients(struct tensorboard *board, uint64_t step,
                                   const struct metric_numbers *norms)
{
    convoy_status status = CONVOY_OK;
    struct event_scalar scalars[EVENT_MAX_SCALARS];
    char tags[EVENT_MAX_SCALARS][320];
    for (uint64_t done = 0, n; done < norms->n; done += n) {
        n = norms->n - done < EVENT_MAX_SCALARS ? norms->n - done : EVENT_MAX_SCALARS;
        for (uint64_t i = 0; i < n; i++) {
            snprintf(tags[i], sizeof tags[i], "grad_norms/%s", norms->names[done + i]);
            scalars[i] = (struct event_scalar){tags[i], norms->values[done + i]};
        }
        TRY(event_write_scalars(board->log.added, moment_of(step), scalars, (int)n));
    }
cleanup:
    return status;
}

convoy_status tensorboard_line(struct tensorboard *board, enum metric_kind kind,
                               const void *values)
{
    struct event_scalar scalars[EVENT_MAX_SCALARS];
    uint64_t step;
    if (!board->log.added)
        return CONVOY_OK;
    const int n = event_scalars_of(kind, values, scalars);
    memcpy(&step, values, sizeof step); /* every kind's first */
    if (n == 0)
        return CONVOY_OK;
    const convoy_status status =
        event_write_scalars(board->log.added, moment_of(step), scalars, n);
    if (status != CONVOY_OK || kind != METRIC_STEP)
        return status;
    const struct metric_step *line = values;
    return add_gradients(board, step, &line->grad_norms);
}

/* A weight, and how to look at it. */
struct first_kernels {
    const convoy_trainer *trainer;
    const char *layer;
    int param;
    struct kernel_set set;
    float *values;
};

/* A convolution's weight is [n, c, h, w]. That of an inner product on all of an image
 * is as many images. */
static bool is_kernels(const convoy_net *net, const struct param *param,
                       struct kernel_set *set)
{
    const struct shape *input = &net->nodes[0].shape;
    const int64_t *dims = param->dims;
    if (param->n_dims == 4)
        *set = (struct kernel_set){NULL, dims[0], dims[1], dims[2], dims[3]};
    else
        *set = (struct kernel_set){NULL, dims[0], input->c, input->h, input->w};
    return param->n_dims == 4 || (param->n_dims == 2 && input->h * input->w > 1 &&
                                  dims[1] == input->c * input->h * input->w);
}

/* Of the first layer with a weight matrix: what batch norms scale has no form. */
static bool find_kernels(const convoy_net *net, struct first_kernels *found)
{
    for (int i = 0; i < net->n_nodes; i++) {
        const struct node *node = &net->nodes[i];
        for (int p = node->first_param; p < node->first_param + node->n_params; p++) {
            const struct param *param = &net->store.params[p].param;
            if (param->n_dims < 2)
                continue;
            found->layer = node->name;
            found->param = p;
            return is_kernels(net, param, &found->set);
        }
    }
    return false;
}

/* On a lane: the calling thread has no OpenMP team. */
static convoy_status get_values(void *context, int lane)
{
    const struct first_kernels *k = context;
    const convoy_net *net = k->trainer->net;
    if (lane > 0)
        return CONVOY_OK;
    return param_store_get(&net->store, &net->dnn, k->param, net->store.param_data,
                           k->values);
}

static convoy_status add_picture(struct tensorboard *board, const char *layer,
                                 uint64_t step, const struct image *picture)
{
    char tag[512];
    uint8_t *png = NULL;
    size_t n = 0;
    convoy_status status = image_encode_png(picture, &png, &n);
    if (status == CONVOY_OK) {
        snprintf(tag, sizeof tag, "kernels/%s", layer);
        status = event_write_image(board->log.added, moment_of(step),
                                   &(struct event_image){tag, picture->width,
                                                         picture->height,
                                                         picture->channels, png, n});
    }
    mem_free(png);
    return status;
}

convoy_status tensorboard_kernels(struct tensorboard *board,
                                  const convoy_trainer *trainer)
{
    convoy_status status = CONVOY_OK;
    struct first_kernels k = {.trainer = trainer};
    struct image picture = {.width = 0};
    if (!board->log.added || (trainer->step == 0 && board->has_earlier) ||
        !find_kernels(trainer->net, &k))
        return CONVOY_OK;
    TRY(mem_alloc_array((size_t)param_store_n_values(&trainer->net->store, k.param),
                        sizeof *k.values, (void **)&k.values));
    TRY(lanes_run(trainer->lanes, get_values, &k));
    k.set.values = k.values;
    TRY(kernel_grid_draw(&k.set, &picture));
    if (picture.width > 0)
        TRY(add_picture(board, k.layer, trainer->step, &picture));
cleanup:
    image_free(&picture);
    mem_free(k.values);
    return status;
}
