/* The fit of a network's costs to measured sums. In a bench all buckets are ready at
 * once, and ranks have a leaf each. What is looked for are bandwidth, latency and
 * overhead with the least sum of squares of log(played / measured), each sum's weighted
 * by its bytes: long ones are what trainings send. A pattern search in the logarithms
 * (Hooke and Jeeves 1961): from the best point so far each cost is tried some larger
 * and some smaller, and where none is better the step is halved. */
#include "plan/plan_network.h"

#include "base/file.h"
#include "base/memory.h"
#include "comm/bucket.h"
#include "json/json_value.h"

#include <math.h>
#include <string.h>

enum { MAX_SUMS = 512, N_COSTS = 3, MAX_BUCKETS = 1024, NATIVE_N = 1 << 21 };

struct measured {
    struct plan_ranks ranks;
    double bytes, seconds;
    size_t bucket_n;
};

struct fit {
    enum plan_algorithm algorithm;
    struct measured sums[MAX_SUMS];
    int n;
};

static const char *way_of(enum plan_algorithm algorithm)
{
    static const char *const names[] = {"direct", "two-level", "native"};
    return names[algorithm];
}

static void add_times(struct fit *f, const struct json_value *bench)
{
    const int64_t ranks = json_value_integer(json_value_member(bench, "ranks"));
    const int64_t nodes = json_value_integer(json_value_member(bench, "nodes"));
    const int64_t bucket = json_value_integer(json_value_member(bench, "bucket_bytes"));
    const struct json_value *times = json_value_member(bench, "times");
    if (nodes < 2 || ranks < nodes || ranks > 1 << 20 || ranks % nodes != 0)
        return; /* nothing went over the network, or not alike on all nodes */
    for (size_t i = 0; i < json_value_count(times) && f->n < MAX_SUMS; i++) {
        const struct json_value *time = json_value_item(times, i);
        const char *way = json_value_text(json_value_member(time, "way"));
        const double bytes = json_value_number(json_value_member(time, "bytes"));
        const double seconds = json_value_number(json_value_member(time, "seconds"));
        if (!way || strcmp(way, way_of(f->algorithm)) != 0 || !(seconds > 0) ||
            !isfinite(seconds) || !(bytes >= sizeof(float)) || bytes > 1e12)
            continue;
        f->sums[f->n++] = (struct measured){
            .ranks = {.algorithm = f->algorithm,
                      .nodes = (int)nodes,
                      .node_ranks = (int)(ranks / nodes),
                      .n_leaves = (int)ranks},
            .bytes = bytes,
            .seconds = seconds,
            .bucket_n = bucket > 0 ? (size_t)bucket / sizeof(float) : 0};
    }
}

static convoy_status read_bench(struct fit *f, const char *path)
{
    convoy_status status = CONVOY_OK;
    struct json_value *bench = NULL;
    char *text = NULL;
    size_t n = 0;
    TRY(file_read_all(path, &text, &n));
    TRY(json_value_read(path, text, n, &bench));
    if (json_value_type(json_value_member(bench, "times")) != JSON_TYPE_LIST)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: holds no 'times': is it from convoy bench exchange --json?",
                 path));
    add_times(f, bench);
cleanup:
    json_value_free(bench);
    mem_free(text);
    return status;
}

static double play(const struct measured *m, const struct plan_network *w)
{
    static _Thread_local struct plan_bucket list[MAX_BUCKETS];
    struct plan_ranks ranks = m->ranks;
    const int size = ranks.nodes * ranks.node_ranks;
    const size_t most = m->bucket_n > 0                  ? m->bucket_n
                        : ranks.algorithm == PLAN_NATIVE ? NATIVE_N
                                                         : bucket_auto_n(size);
    const struct buckets cut = buckets_cut((size_t)m->bytes / sizeof(float), most);
    const int n = cut.count < MAX_BUCKETS ? cut.count : MAX_BUCKETS;
    for (int b = 0; b < n; b++)
        list[b] = (struct plan_bucket){m->bytes / n, 0};
    ranks.flights = cut.flights;
    return plan_exchange_s(w, &ranks, list, n, 0);
}

/* The weighted mean square. */
static double distance(const struct fit *f, const double *logs,
                       const struct plan_network *like)
{
    const struct plan_network w = {exp(logs[0]), exp(logs[1]), exp(logs[2]),
                                   like->sum_bytes_per_s};
    double sum = 0, weights = 0;
    for (int i = 0; i < f->n; i++) {
        const double off = log(play(&f->sums[i], &w) / f->sums[i].seconds);
        sum += f->sums[i].bytes * off * off;
        weights += f->sums[i].bytes;
    }
    return sum / weights;
}

/* One round over the costs; whether any was better. */
static bool improve(const struct fit *f, double *logs, double step, double *best,
                    const struct plan_network *like)
{
    bool is_better = false;
    for (int k = 0; k < N_COSTS; k++)
        for (int sign = -1; sign <= 1; sign += 2) {
            double tried[N_COSTS];
            memcpy(tried, logs, sizeof tried);
            tried[k] += sign * step;
            const double d = distance(f, tried, like);
            if (d < *best) {
                *best = d;
                memcpy(logs, tried, sizeof tried);
                is_better = true;
            }
        }
    return is_better;
}

/* From what the longest sum says of the bandwidth and the shortest of the latency. */
static void begin(const struct fit *f, double *logs)
{
    const struct measured *longest = &f->sums[0], *shortest = &f->sums[0];
    for (int i = 1; i < f->n; i++) {
        if (f->sums[i].bytes > longest->bytes)
            longest = &f->sums[i];
        if (f->sums[i].bytes < shortest->bytes)
            shortest = &f->sums[i];
    }
    logs[0] = log(longest->bytes / longest->seconds);
    logs[1] = log(shortest->seconds / 2);
    logs[2] = log(shortest->seconds / 10 / shortest->ranks.nodes);
}

convoy_status plan_network_fit(const char *const *files, int n,
                               enum plan_algorithm algorithm,
                               struct plan_network *network, double *error)
{
    convoy_status status = CONVOY_OK;
    struct fit *f = NULL;
    double logs[N_COSTS], best;
    TRY(mem_alloc(sizeof *f, (void **)&f));
    f->algorithm = algorithm;
    for (int i = 0; i < n; i++)
        TRY(read_bench(f, files[i]));
    if (f->n == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: has no time of '%s' on several nodes with as many ranks each: "
                 "run convoy bench exchange --json on two nodes or more",
                 files[0], way_of(algorithm)));
    TRY(plan_network_find("1gbe", network)); /* for the speed of adding up */
    begin(f, logs);
    best = distance(f, logs, network);
    for (double step = 1; step > 1e-3;)
        if (!improve(f, logs, step, &best, network))
            step /= 2;
    *network = (struct plan_network){exp(logs[0]), exp(logs[1]), exp(logs[2]),
                                     network->sum_bytes_per_s};
    *error = exp(sqrt(best)) - 1;
cleanup:
    mem_free(f);
    return status;
}
