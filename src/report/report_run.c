/* A run's steps come from metrics.jsonl, and what makes them comparable with others'
 * from run.json and recipe.yaml.
 *
 * Steady are all steps but the first ones of each life and of each epoch
 * (metrics/metric.h). A line stands for the steps since the line before; where one of
 * them is not steady, the whole line is dropped. */
#include "report/report_run.h"

#include "base/file.h"
#include "base/memory.h"
#include "json/json_value.h"
#include "report/report_facts.h"

#include <math.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

/* While the lines are read. */
struct reading {
    struct report_run *run;
    size_t capacity;      /* of its parts, in bytes */
    int part;             /* of the life that is read; -1: none has begun */
    uint64_t steady_from; /* steps up to this one are not steady */
    bool is_older;        /* some line had no step_s */
    convoy_status status;
};

static bool is_same_place(const struct metric_start *a, const struct metric_start *b)
{
    return a->nodes == b->nodes && a->ranks == b->ranks && a->lanes == b->lanes &&
           a->cores == b->cores && a->threads == b->threads && a->batch == b->batch &&
           a->microbatch == b->microbatch;
}

static bool is_sound(const struct metric_start *place)
{
    return place->nodes > 0 && place->ranks > 0 && place->lanes > 0 &&
           place->cores > 0 && place->threads > 0 && place->batch > 0;
}

static convoy_status begin_life(struct reading *r, const struct metric_start *place)
{
    convoy_status status = CONVOY_OK;
    struct report_run *run = r->run;
    void *parts = run->parts;
    r->part = -1;
    r->steady_from = place->step + METRIC_STARTING_STEPS;
    if (!is_sound(place))
        return CONVOY_OK;
    for (int i = 0; i < run->n_parts; i++)
        if (is_same_place(&run->parts[i].place, place))
            r->part = i;
    if (r->part >= 0)
        return CONVOY_OK;
    const size_t n = (size_t)run->n_parts + 1;
    TRY(mem_reserve(&parts, &r->capacity, n * sizeof *run->parts));
    run->parts = parts;
    r->part = run->n_parts++;
    run->parts[r->part] = (struct report_part){.place = *place};
cleanup:
    return status;
}

static convoy_status take_step(struct reading *r, const struct metric_step *line)
{
    struct report_part *part = &r->run->parts[r->part];
    if (line->steps > line->step || line->steps > UINT32_MAX ||
        !isfinite(line->step_s) || line->step_s <= 0)
        return CONVOY_OK;
    if (line->step - line->steps >= r->steady_from)
        return samples_add(&part->steps, line->step_s, line->steps);
    part->n_dropped += line->steps;
    return CONVOY_OK;
}

static void take_ranks(struct reading *r, const struct metric_ranks *line)
{
    struct report_part *part = &r->run->parts[r->part];
    struct report_ranks ranks;
    if (!report_ranks_of(line, &ranks))
        return;
    if (part->place.ranks == 1)
        ranks.pop = pop_times_alone(&ranks.pop);
    report_ranks_add(&part->ranks, &ranks);
}

static void take(void *context, const struct metric_line *line)
{
    struct reading *r = context;
    if (r->status != CONVOY_OK)
        return;
    if (line->kind == METRIC_START)
        r->status = begin_life(r, &line->of_start);
    else if (line->kind == METRIC_EPOCH &&
             r->steady_from < line->step + METRIC_RESTARTING_STEPS)
        r->steady_from = line->step + METRIC_RESTARTING_STEPS;
    else if (line->kind == METRIC_STEP && r->part >= 0)
        r->status = take_step(r, &line->of_step);
    else if (line->kind == METRIC_RANKS && r->part >= 0)
        take_ranks(r, &line->of_ranks);
    else if (line->kind == METRIC_STEP)
        r->is_older = true;
}

/* Parts without steady steps go; their dropped steps with them. */
static void keep_steady(struct report_run *run)
{
    int n = 0;
    for (int i = 0; i < run->n_parts; i++) {
        struct report_part part = run->parts[i];
        samples_sort(&part.steps);
        if (part.steps.n > 0)
            run->parts[n++] = part;
    }
    run->n_parts = n;
}

static convoy_status read_metrics(const char *folder, struct report_run *run)
{
    convoy_status status = CONVOY_OK;
    struct reading reading = {.run = run, .part = -1};
    char path[PATH_SIZE];
    TRY(file_join(folder, "metrics.jsonl", path, sizeof path));
    TRY(metric_read_file(path, take, &reading));
    TRY(reading.status);
    keep_steady(run);
    if (run->n_parts == 0 && reading.is_older)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: does not say where its steps ran: it was written by an older "
                 "convoy",
                 path));
    if (run->n_parts == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: has no steady step: the first %d of each life and the first of "
                 "each epoch do not count, nor lines of means with one of them; train "
                 "for more steps, with metrics.every_steps=1",
                 path, METRIC_STARTING_STEPS));
cleanup:
    return status;
}

bool report_run_is(const char *folder)
{
    static const char *const names[] = {"metrics.jsonl", "run.json"};
    char path[PATH_SIZE];
    bool found = false;
    for (int i = 0; i < 2 && !found; i++) {
        const convoy_status status = file_join(folder, names[i], path, sizeof path);
        found = status == CONVOY_OK && file_exists(path);
        if (status != CONVOY_OK)
            convoy_status_clear();
    }
    return found;
}

convoy_status report_run_read(const char *folder, struct report_run *run)
{
    convoy_status status = CONVOY_OK;
    *run = (struct report_run){0};
    TRY(mem_copy_text(folder, &run->path));
    TRY(read_metrics(folder, run));
    TRY(report_facts_read(folder, &run->facts, &run->model));
cleanup:
    return status;
}

void report_run_free(struct report_run *run)
{
    for (int i = 0; i < run->n_parts; i++)
        samples_free(&run->parts[i].steps);
    mem_free(run->parts);
    mem_free(run->path);
    mem_free(run->facts);
    mem_free(run->model);
    *run = (struct report_run){0};
}
