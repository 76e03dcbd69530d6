/* Times come from timeline.json where there is one, else from the last line of "ranks"
 * in metrics.jsonl, with gradients that become ready evenly over the backward pass, two
 * thirds of a microbatch's time; sizes from run.json and recipe.yaml. What a file lacks
 * is taken from the next one. */
#include "plan/plan_input.h"

#include "base/file.h"
#include "base/memory.h"
#include "json/json_value.h"
#include "metrics/metric.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096, EVEN_POINTS = 64 };
static const double most_bytes = 1e12; /* of a bucket */
static const double backward_share = 2.0 / 3;

/* The last lines of their kinds. */
struct lines {
    struct metric_start start;
    struct metric_ranks ranks;
    bool has_start, has_ranks;
};

static void take_line(void *context, const struct metric_line *line)
{
    struct lines *l = context;
    if (line->kind == METRIC_START) {
        l->start = line->of_start;
        l->has_start = true;
        l->has_ranks = false; /* of another life, maybe elsewhere */
    } else if (line->kind == METRIC_RANKS && line->of_ranks.steps > 0) {
        l->ranks = line->of_ranks;
        l->has_ranks = true;
    }
}

static bool is_count(uint64_t n)
{
    return n >= 1 && n <= INT_MAX;
}

static bool is_sound(const struct metric_start *s)
{
    return is_count(s->nodes) && is_count(s->ranks) && is_count(s->lanes) &&
           is_count(s->cores) && is_count(s->threads) && is_count(s->microbatch) &&
           is_count(s->batch) && s->nodes <= s->ranks && s->ranks <= s->lanes &&
           s->batch % s->microbatch == 0 && s->ranks <= s->batch / s->microbatch;
}

static convoy_status take_lines(const char *path, const struct lines *l,
                                struct plan_input *in)
{
    const struct metric_start *s = &l->start;
    const struct metric_ranks *r = &l->ranks;
    if (!l->has_start || !is_sound(s))
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: does not say on what the run was: it was written by an older "
                    "convoy, or is damaged",
                    path);
    in->nodes = (int)s->nodes;
    in->ranks = (int)s->ranks;
    in->lanes = (int)(s->lanes / s->ranks);
    in->cores = (int)(s->cores / s->nodes > 0 ? s->cores / s->nodes : 1);
    in->threads = (int)s->threads;
    in->batch = (int64_t)s->batch;
    in->microbatch = (int)s->microbatch;
    if (!l->has_ranks)
        return CONVOY_OK;
    in->compute_s = r->compute_s_most + r->input_s;
    in->round_s = r->compute_s_most / plan_input_rounds(in);
    in->optimizer_s = r->optimizer_s;
    in->step_s = r->compute_s + r->exchange_s + r->input_s + r->optimizer_s;
    return CONVOY_OK;
}

static convoy_status read_metrics(const char *folder, struct plan_input *in)
{
    convoy_status status = CONVOY_OK;
    struct lines lines = {.has_start = false};
    char path[PATH_SIZE];
    TRY(file_join(folder, "metrics.jsonl", path, sizeof path));
    if (!file_exists(path))
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: is no run directory (there is no metrics.jsonl in it)", folder));
    TRY(metric_read_file(path, take_line, &lines));
    TRY(take_lines(path, &lines, in));
cleanup:
    return status;
}

static convoy_status read_json(const char *path, struct json_value **json)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL;
    size_t n = 0;
    TRY(file_read_all(path, &text, &n));
    TRY(json_value_read(path, text, n, json));
cleanup:
    mem_free(text);
    return status;
}

/* A member that is a number above 0; 0: there is none. */
static double positive(const struct json_value *object, const char *name)
{
    const double x = json_value_number(json_value_member(object, name));
    return isfinite(x) && x > 0 ? x : 0;
}

static convoy_status read_run(const char *folder, struct plan_input *in,
                              double *from_step)
{
    convoy_status status = CONVOY_OK;
    struct json_value *run = NULL;
    char path[PATH_SIZE];
    TRY(file_join(folder, "run.json", path, sizeof path));
    TRY(read_json(path, &run));
    const double parameters = positive(run, "parameters");
    in->steps_per_epoch = (int64_t)fmin(positive(run, "steps_per_epoch"), 1e15);
    in->total_steps = (int64_t)fmin(positive(run, "total_steps"), 1e15);
    *from_step = positive(run, "from_step");
    in->n = (size_t)fmin(parameters, 1e12);
    if (in->n == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: does not say how many 'parameters'", path));
cleanup:
    json_value_free(run);
    return status;
}

/* The value of "  key: value" below the line "section:", unquoted; "": there is none.
 * As convoy writes recipes. */
static void recipe_value(const char *text, const char *section, const char *key,
                         char *out, size_t size)
{
    const size_t n_section = strlen(section), n_key = strlen(key);
    bool is_inside = false;
    out[0] = '\0';
    for (const char *line = text; *line;) {
        const size_t n = strcspn(line, "\n");
        if (line[0] != ' ')
            is_inside =
                strncmp(line, section, n_section) == 0 && line[n_section] == ':';
        else if (is_inside && strncmp(line + 2, key, n_key) == 0 &&
                 line[2 + n_key] == ':') {
            const char *value = line + 2 + n_key + 1;
            value += strspn(value, " \"");
            snprintf(out, size, "%.*s", (int)strcspn(value, "\"\n"), value);
            return;
        }
        line += n + (line[n] == '\n');
    }
}

static void set_algorithm(struct plan_input *in, const char *name)
{
    in->is_auto = false;
    if (strcmp(name, "direct") == 0)
        in->algorithm = PLAN_DIRECT;
    else if (strcmp(name, "two-level") == 0)
        in->algorithm = PLAN_TWO_LEVEL;
    else if (strcmp(name, "native") == 0)
        in->algorithm = PLAN_NATIVE;
    else
        in->is_auto = true;
}

static convoy_status read_recipe(const char *folder, struct plan_input *in)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE], value[64], *text = NULL;
    size_t n = 0;
    TRY(file_join(folder, "recipe.yaml", path, sizeof path));
    TRY(file_read_all(path, &text, &n));
    recipe_value(text, "exchange", "algorithm", value, sizeof value);
    set_algorithm(in, value);
    recipe_value(text, "exchange", "bucket", value, sizeof value);
    const long mib = strtol(value, NULL, 10);
    in->bucket_mib = mib > 0 && mib <= 1024 ? (int)mib : 0;
cleanup:
    mem_free(text);
    return status;
}

static void spread_evenly(struct plan_input *in)
{
    const double bytes = (double)in->n * sizeof(float);
    in->n_points = EVEN_POINTS;
    for (int i = 0; i < EVEN_POINTS; i++) {
        const double share = (double)(i + 1) / EVEN_POINTS;
        in->points[i] = (struct plan_point){share * bytes,
                                            (1 - share) * backward_share * in->round_s};
    }
}

/* Where the buckets are not sound, points stay as they are. */
static void take_buckets(struct plan_input *in, const struct json_value *buckets)
{
    const size_t n = json_value_count(buckets);
    double bytes = 0, ready_s = 0;
    if (n == 0 || n > PLAN_MAX_POINTS)
        return;
    struct plan_point points[PLAN_MAX_POINTS];
    for (size_t i = 0; i < n; i++) {
        const struct json_value *b = json_value_item(buckets, i);
        const double more = positive(b, "bytes"), at = positive(b, "ready_s");
        if (more == 0 || more > most_bytes || at == 0)
            return;
        bytes += more;
        ready_s = fmax(ready_s, at);
        points[i] = (struct plan_point){bytes, ready_s};
    }
    for (size_t i = 0; i < n; i++)
        in->points[i] =
            (struct plan_point){points[i].bytes, ready_s - points[i].before_s};
    in->n_points = (int)n;
    in->n = (size_t)(bytes / sizeof(float));
    in->has_timeline = true;
}

/* Of all ranks. */
struct of_ranks {
    int n;
    double compute_s_most, exchange_s_least, optimizer_s; /* optimizer: the mean */
};

static struct of_ranks take_ranks(const struct json_value *ranks)
{
    struct of_ranks of = {.n = (int)json_value_count(ranks), .exchange_s_least = 1e300};
    for (int i = 0; i < of.n; i++) {
        const struct json_value *rank = json_value_item(ranks, (size_t)i);
        of.compute_s_most = fmax(of.compute_s_most, positive(rank, "compute_s"));
        of.exchange_s_least = fmin(of.exchange_s_least, positive(rank, "exchange_s"));
        of.optimizer_s += positive(rank, "optimizer_s") / of.n;
    }
    return of;
}

/* Computing ends on the slowest rank of each step: the most that one is busy, but for
 * the update. The rest is what neither that nor the exchange takes; on one rank alone
 * the wait for sums is no exchange: lanes end at other times. */
static void take_timeline(struct plan_input *in, const struct json_value *t,
                          double from_step)
{
    const struct of_ranks of = take_ranks(json_value_member(t, "ranks"));
    const double step_s = positive(t, "step_s"), ideal_s = positive(t, "ideal_s");
    const double images = (positive(t, "step") - from_step) * (double)in->batch;
    const struct json_value *read = json_value_member(t, "read");
    if (images > 0)
        in->image_bytes = positive(read, "bytes") / images;
    if (of.n == 0 || of.compute_s_most == 0 || step_s == 0)
        return;
    set_algorithm(in, json_value_text(json_value_member(t, "algorithm"))
                          ? json_value_text(json_value_member(t, "algorithm"))
                          : "");
    in->step_s = step_s;
    in->optimizer_s = of.optimizer_s;
    in->compute_s = fmax(ideal_s - of.optimizer_s, of.compute_s_most);
    in->round_s = of.compute_s_most / plan_input_rounds(in);
    in->rest_s = fmax(0, step_s - in->compute_s - of.optimizer_s -
                             (in->ranks > 1 ? of.exchange_s_least : 0));
    take_buckets(in, json_value_member(t, "buckets"));
}

static convoy_status read_timeline(const char *folder, struct plan_input *in,
                                   double from_step)
{
    convoy_status status = CONVOY_OK;
    struct json_value *timeline = NULL;
    char path[PATH_SIZE];
    TRY(file_join(folder, "timeline.json", path, sizeof path));
    if (!file_exists(path))
        return CONVOY_OK;
    TRY(read_json(path, &timeline));
    take_timeline(in, timeline, from_step);
cleanup:
    json_value_free(timeline);
    return status;
}

convoy_status plan_input_read(const char *folder, struct plan_input *input)
{
    convoy_status status = CONVOY_OK;
    struct plan_input in = {.nodes = 0};
    double from_step = 0;
    TRY(read_metrics(folder, &in));
    TRY(read_run(folder, &in, &from_step));
    TRY(read_recipe(folder, &in));
    const bool was_auto = in.is_auto;
    TRY(read_timeline(folder, &in, from_step));
    in.is_auto = was_auto;
    if (!(in.round_s > 0) || !(in.step_s > 0) || !isfinite(in.compute_s))
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: does not say where the time of a step goes (no line of \"ranks\" "
                 "in metrics.jsonl with steady steps): train for 20 steps or more",
                 folder));
    if (!in.has_timeline)
        spread_evenly(&in);
    *input = in;
cleanup:
    return status;
}

int plan_input_rounds(const struct plan_input *in)
{
    const int64_t microbatches = in->batch / in->microbatch;
    const int64_t of_rank = (microbatches + in->ranks - 1) / in->ranks;
    return (int)((of_rank + in->lanes - 1) / in->lanes);
}

double plan_input_before_s(const struct plan_input *in, double bytes)
{
    struct plan_point last = {0, in->points[0].before_s};
    for (int i = 0; i < in->n_points; i++) {
        const struct plan_point next = in->points[i];
        if (bytes <= next.bytes && next.bytes > last.bytes)
            return last.before_s + (next.before_s - last.before_s) *
                                       (bytes - last.bytes) / (next.bytes - last.bytes);
        last = next;
    }
    return last.before_s;
}
