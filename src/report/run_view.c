/* Reading a run directory as far as it goes. Each file is read by itself: one that is
 * missing or damaged is a problem to tell, and nothing more. */
#include "report/run_view.h"

#include "base/file.h"
#include "base/memory.h"
#include "report/report_facts.h"

#include <math.h>
#include <string.h>

enum {
    PATH_SIZE = 4096,
    MAX_PICTURE_BYTES = 16 << 20,
    MODEL_SIZE = 256,
    MAX_POINTS = 500
};

static convoy_status add_problem(struct run_view *view, const char *text)
{
    convoy_status status = CONVOY_OK;
    void *problems = view->problems;
    const size_t n = (size_t)view->n_problems + 1;
    TRY(mem_reserve(&problems, &view->problems_capacity, n * sizeof *view->problems));
    view->problems = problems;
    TRY(mem_copy_text(text, &view->problems[view->n_problems]));
    view->n_problems++;
cleanup:
    return status;
}

/* A failure to read something becomes a problem; any other outcome stays. */
static convoy_status tell(struct run_view *view, convoy_status outcome)
{
    struct failure failure;
    if (outcome == CONVOY_OK || outcome == CONVOY_ERROR_MEMORY)
        return outcome;
    status_save(outcome, &failure);
    convoy_status_clear();
    return add_problem(view, failure.text);
}

/* While the lines are read. */
struct viewing {
    struct run_view *view;
    size_t bytes; /* of the lines so far */
    convoy_status status;
};

static convoy_status add(struct run_view *view, enum view_curve curve, double x,
                         double y)
{
    return isfinite(y) || view->curves[curve].n > 0
               ? curve_add(&view->curves[curve], x, y)
               : CONVOY_OK;
}

static convoy_status take_step_line(struct run_view *view,
                                    const struct metric_step *line)
{
    convoy_status status = CONVOY_OK;
    const double minute = view->training_s / 60;
    view->last = *line;
    view->skipped += line->skipped;
    view->skipped_steps += line->skipped_steps;
    TRY(add(view, VIEW_LOSS, line->epoch, line->loss));
    TRY(add(view, VIEW_TOP1, line->epoch, line->top1));
    TRY(add(view, VIEW_TOP5, line->epoch, line->top5));
    TRY(add(view, VIEW_RATE, line->epoch, line->lr));
    TRY(add(view, VIEW_INPUT_WAIT, line->epoch, line->input_wait));
    const double seconds = line->step_s * (double)line->steps;
    if (isfinite(seconds) && seconds > 0 && line->steps <= line->step) {
        view->training_s += seconds;
        TRY(add(view, VIEW_SPEED, minute + seconds / 120, line->images_per_s));
    }
cleanup:
    return status;
}

static convoy_status take_epoch_line(struct run_view *view,
                                     const struct metric_epoch *line)
{
    convoy_status status = CONVOY_OK;
    const double epoch = (double)line->epoch;
    view->last_epoch = *line;
    if (line->energy_nodes > 0 && isfinite(line->energy_j) && line->energy_j > 0)
        view->energy_j += line->energy_j;
    if (line->val_samples > 0 && isfinite(line->val_top1) &&
        (view->best.step == 0 || line->val_top1 > view->best.val_top1))
        view->best = *line;
    if (isfinite(line->val_seconds)) {
        view->n_evaluations++;
        view->evaluation_s += line->val_seconds;
    }
    TRY(add(view, VIEW_VAL_LOSS, epoch, line->val_loss));
    TRY(add(view, VIEW_VAL_TOP1, epoch, line->val_top1));
    TRY(add(view, VIEW_VAL_TOP5, epoch, line->val_top5));
cleanup:
    return status;
}

static void take_ranks_line(struct run_view *view, const struct metric_ranks *line)
{
    struct report_ranks ranks;
    if (report_ranks_of(line, &ranks))
        report_ranks_add(&view->ranks, &ranks);
}

static convoy_status take_line(struct run_view *view, const struct metric_line *line)
{
    view->n_lines++;
    switch (line->kind) {
    case METRIC_START:
        view->place = line->of_start;
        view->ranks = (struct report_ranks){0}; /* of the newest life */
        return CONVOY_OK;
    case METRIC_STEP:
        return take_step_line(view, &line->of_step);
    case METRIC_RANKS:
        take_ranks_line(view, &line->of_ranks);
        return CONVOY_OK;
    case METRIC_SAVE:
        view->n_saves++;
        view->save_s += isfinite(line->of_save.seconds) ? line->of_save.seconds : 0;
        view->save_waited_s +=
            isfinite(line->of_save.waited_s) ? line->of_save.waited_s : 0;
        return CONVOY_OK;
    case METRIC_EPOCH:
        return take_epoch_line(view, &line->of_epoch);
    default:
        return CONVOY_OK;
    }
}

static bool has_text(const struct metric_line *line, const char *text)
{
    return memmem(line->text, line->n, text, strlen(text)) != NULL;
}

/* Columns that not every run has: the side of the images where it changes, lengths of
 * gradients, and the accuracy of averaged weights. */
static convoy_status take_more(struct run_view *view, const struct metric_line *line)
{
    convoy_status status = CONVOY_OK;
    struct json_value *object = NULL;
    struct json_member member = {0};
    const bool is_step = line->kind == METRIC_STEP;
    const bool has_crop = is_step && has_text(line, "\"crop\"");
    const bool has_norms = is_step && line->of_step.grad_norms.n > 0;
    const bool has_ema = line->kind == METRIC_EPOCH && has_text(line, "ema_");
    if (!has_crop && !has_norms && !has_ema)
        return CONVOY_OK;
    TRY(json_value_read("a line", line->text, line->n, &object));
    if (has_crop)
        TRY(add(view, VIEW_CROP, line->of_step.epoch, run_view_number(object, "crop")));
    if (has_norms)
        TRY(view_gradients_add(&view->gradients, line->step,
                               json_value_member(object, "grad_norms")));
    while (has_ema && json_value_next(object, &member))
        if (strstr(member.name, "ema_") && strstr(member.name, "top1"))
            TRY(add(view, VIEW_EMA_TOP1, (double)line->of_epoch.epoch,
                    json_value_number(member.value)));
cleanup:
    json_value_free(object);
    return status;
}

static void view_line(void *context, const struct metric_line *line)
{
    struct viewing *viewing = context;
    viewing->bytes += line->n;
    if (viewing->status == CONVOY_OK)
        viewing->status = take_line(viewing->view, line);
    if (viewing->status == CONVOY_OK)
        viewing->status = take_more(viewing->view, line);
}

static convoy_status read_lines(struct run_view *view)
{
    convoy_status status = CONVOY_OK;
    struct viewing viewing = {.view = view};
    struct stat info;
    char path[PATH_SIZE];
    TRY(file_join(view->path, "metrics.jsonl", path, sizeof path));
    TRY(metric_read_file(path, view_line, &viewing));
    TRY(viewing.status);
    if (view->n_lines == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: has no line of metrics", path));
    if (stat(path, &info) == 0 && (size_t)info.st_size > viewing.bytes)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %zu of its %zu bytes are no lines of metrics; the end of one is "
                 "left where a run was killed",
                 path, (size_t)info.st_size - viewing.bytes, (size_t)info.st_size));
cleanup:
    return status;
}

static convoy_status read_object(const struct run_view *view, const char *name,
                                 struct json_value **object)
{
    convoy_status status = CONVOY_OK;
    struct json_value *read = NULL;
    char path[PATH_SIZE], *text = NULL;
    size_t n = 0;
    TRY(file_join(view->path, name, path, sizeof path));
    TRY(file_read_all(path, &text, &n));
    TRY(json_value_read(path, text, n, &read));
    if (json_value_type(read) != JSON_TYPE_OBJECT)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is no JSON object", path));
    *object = read;
    read = NULL;
cleanup:
    json_value_free(read);
    mem_free(text);
    return status;
}

static convoy_status read_recipe(struct run_view *view)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE], name[MODEL_SIZE] = "";
    size_t n = 0;
    TRY(file_join(view->path, "recipe.yaml", path, sizeof path));
    TRY(file_read_all(path, &view->recipe, &n));
    if (n == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is empty", path));
    status = report_facts_of_recipe(view->recipe, &view->facts);
    if (status == CONVOY_ERROR_FORMAT)
        status_prefix(status, "%s", path);
    TRY(status);
    report_facts_value(view->facts, "model.name", name, sizeof name);
    TRY(mem_copy_text(name, &view->model));
    if (view->recipe[n - 1] != '\n')
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: ends in the middle of a line", path));
cleanup:
    return status;
}

/* Whether something has this name, be it a link to nowhere. */
static bool is_entry(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static convoy_status read_picture(struct run_view *view, struct view_picture *picture)
{
    convoy_status status = CONVOY_OK;
    static const unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    char path[PATH_SIZE], *bytes = NULL;
    size_t n = 0;
    TRY(file_join(view->path, picture->name, path, sizeof path));
    if (!is_entry(path))
        return CONVOY_OK;
    TRY(file_read_all(path, &bytes, &n));
    if (n < sizeof png || memcmp(bytes, png, sizeof png) != 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is no PNG picture", path));
    if (n > MAX_PICTURE_BYTES)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is too large for a page, with %zu bytes",
                 path, n));
    picture->bytes = bytes;
    picture->n = n;
    bytes = NULL;
cleanup:
    mem_free(bytes);
    return status;
}

/* timeline.json is not there in runs of an older convoy, or before the first epoch. */
static convoy_status read_timeline(struct run_view *view)
{
    char path[PATH_SIZE];
    const convoy_status status =
        file_join(view->path, "timeline.json", path, sizeof path);
    if (status != CONVOY_OK || !is_entry(path))
        return status;
    return read_object(view, "timeline.json", &view->timeline);
}

convoy_status run_view_read(const char *folder, struct run_view *view)
{
    convoy_status status = CONVOY_OK;
    *view = (struct run_view){
        .pictures = {{.name = "confusion.png"}, {.name = "samples.png"}}};
    TRY(mem_copy_text(folder, &view->path));
    for (size_t n = strlen(view->path); n > 1 && view->path[n - 1] == '/'; n--)
        view->path[n - 1] = '\0';
    const char *slash = strrchr(view->path, '/');
    view->name = slash && slash[1] ? slash + 1 : view->path;
    TRY(tell(view, read_lines(view)));
    TRY(tell(view, read_object(view, "run.json", &view->run)));
    TRY(tell(view, read_recipe(view)));
    TRY(tell(view, read_timeline(view)));
    for (int i = 0; i < N_VIEW_PICTURES; i++)
        TRY(tell(view, read_picture(view, &view->pictures[i])));
    for (int i = 0; i < N_VIEW_CURVES; i++)
        curve_thin(&view->curves[i], MAX_POINTS);
    if (!view->model)
        TRY(mem_copy_text("", &view->model));
cleanup:
    return status;
}

bool run_view_shows(const struct run_view *view)
{
    return view->n_lines > 0 || view->run || (view->recipe && view->recipe[0]);
}

double run_view_number(const struct json_value *object, const char *name)
{
    return json_value_number(json_value_member(object, name));
}

const char *run_view_text(const struct json_value *object, const char *name)
{
    return json_value_text(json_value_member(object, name));
}

const struct json_value *run_view_life(const struct run_view *view)
{
    const struct json_value *lives = json_value_member(view->run, "lives");
    const size_t n =
        json_value_type(lives) == JSON_TYPE_LIST ? json_value_count(lives) : 0;
    return n > 0 ? json_value_item(lives, n - 1) : NULL;
}

bool run_view_is_stopped(const struct run_view *view)
{
    const char *how = run_view_text(run_view_life(view), "how");
    return how && strcmp(how, "--stop-after-steps") == 0;
}

void run_view_free(struct run_view *view)
{
    for (int i = 0; i < N_VIEW_CURVES; i++)
        curve_free(&view->curves[i]);
    view_gradients_free(&view->gradients);
    for (int i = 0; i < view->n_problems; i++)
        mem_free(view->problems[i]);
    for (int i = 0; i < N_VIEW_PICTURES; i++)
        mem_free(view->pictures[i].bytes);
    mem_free(view->problems);
    mem_free(view->recipe);
    mem_free(view->facts);
    mem_free(view->model);
    mem_free(view->path);
    json_value_free(view->run);
    json_value_free(view->timeline);
    *view = (struct run_view){0};
}
