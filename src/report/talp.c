/* A run in the JSON of TALP, a part of the DLB library (https://pm.bsc.es/dlb), for
 * programs that read that: TALP pages, for one. Keys and formulas are those of its
 * version 3.6, model "hybrid v2"; times are nanoseconds.
 *
 * Its one region, "training", is the steady steps of the newest life. A processor is a
 * thread of a lane; the thread that exchanges is not counted, and waits for the most
 * part. With E the region's time and c the threads of a rank, of each of them
 *
 *     useful            working
 *     mpi               E - busy: waiting for other ranks, or for samples of theirs
 *     load imbalance    busy - working: for other lanes, the rank's own loader, or the
 *                       thread that calls
 *
 * and these add up to E. A rank alone is busy for all of E. What convoy does not count
 * (instructions, calls) is 0. */
#include <convoy/json.h>
#include <convoy/report.h>

#include "base/file.h"
#include "base/memory.h"
#include "json/json_value.h"
#include "report/report_target.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { PATH_SIZE = 4096 };

static const double ns = 1e9;

/* Seconds of the region, all threads together. */
struct talp_region {
    uint64_t ranks, nodes, cpus;
    double elapsed_s;
    double useful_s, mpi_s, imbalance_s;
    double least_mpi_rank_s, least_mpi_node_s; /* of a rank or node, a thread's share */
};

static convoy_status lack(const char *path, const char *what)
{
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: has no sound '%s': it is damaged, or of another version of convoy",
                path, what);
}

/* A number above 0, or from 0 on. */
static convoy_status take(const char *path, const struct json_value *object,
                          const char *name, double *value)
{
    *value = json_value_number(json_value_member(object, name));
    if (isfinite(*value) && *value >= 0 && *value < 1e18)
        return CONVOY_OK;
    return lack(path, name);
}

struct talp_rank {
    double node, lanes, busy_s, working_s;
};

static convoy_status take_rank(const char *path, const struct json_value *object,
                               struct talp_rank *rank)
{
    convoy_status status = CONVOY_OK;
    TRY(take(path, object, "node", &rank->node));
    TRY(take(path, object, "lanes", &rank->lanes));
    TRY(take(path, object, "busy_s", &rank->busy_s));
    TRY(take(path, object, "working_s", &rank->working_s));
    if (rank->lanes < 1 || rank->lanes > INT32_MAX || rank->node > INT32_MAX)
        TRY(lack(path, "ranks"));
cleanup:
    return status;
}

static double at_least(double a, double b)
{
    return a > b ? a : b;
}

static double at_most(double a, double b)
{
    return a < b ? a : b;
}

/* The ranks of a node stand one behind the other. */
static convoy_status add_ranks(const char *path, const struct json_value *list,
                               double threads, double steps, struct talp_region *region)
{
    convoy_status status = CONVOY_OK;
    const size_t n = json_value_count(list);
    const double elapsed_s = region->elapsed_s;
    double node = -1, node_mpi_s = 0, node_cpus = 0;
    region->least_mpi_rank_s = region->least_mpi_node_s = elapsed_s;
    for (size_t i = 0; i < n; i++) {
        struct talp_rank rank;
        TRY(take_rank(path, json_value_item(list, i), &rank));
        const double cpus = rank.lanes * threads,
                     busy_s =
                         n > 1 ? at_most(rank.busy_s * steps, elapsed_s) : elapsed_s,
                     working_s = at_most(rank.working_s * steps, busy_s),
                     mpi_s = elapsed_s - busy_s;
        node_mpi_s = rank.node == node ? node_mpi_s + mpi_s * cpus : mpi_s * cpus;
        node_cpus = rank.node == node ? node_cpus + cpus : cpus;
        node = rank.node;
        const struct json_value *next = json_value_item(list, i + 1);
        if (json_value_number(json_value_member(next, "node")) != node)
            region->least_mpi_node_s =
                at_most(region->least_mpi_node_s, node_mpi_s / node_cpus);
        region->least_mpi_rank_s = at_most(region->least_mpi_rank_s, mpi_s);
        region->cpus += (uint64_t)cpus;
        region->useful_s += cpus * working_s;
        region->mpi_s += cpus * mpi_s;
        region->imbalance_s += cpus * (busy_s - working_s);
    }
    region->ranks = n;
    if (region->ranks == 0)
        TRY(lack(path, "ranks"));
cleanup:
    return status;
}

static convoy_status read_region(const char *path, const struct json_value *timeline,
                                 struct talp_region *region)
{
    convoy_status status = CONVOY_OK;
    double steps, step_s, threads, nodes;
    TRY(take(path, timeline, "steps", &steps));
    TRY(take(path, timeline, "step_s", &step_s));
    TRY(take(path, timeline, "threads", &threads));
    TRY(take(path, timeline, "nodes", &nodes));
    *region =
        (struct talp_region){.nodes = (uint64_t)nodes, .elapsed_s = steps * step_s};
    if (region->elapsed_s <= 0)
        TRY(lack(path, "step_s"));
    if (threads < 1 || threads > INT32_MAX)
        TRY(lack(path, "threads"));
    TRY(add_ranks(path, json_value_member(timeline, "ranks"), threads, steps, region));
cleanup:
    return status;
}

static void write_count(convoy_json *json, const char *name, double seconds)
{
    convoy_json_count(json, name, (uint64_t)(at_least(0, seconds) * ns + 0.5));
}

static void write_times(convoy_json *json, const struct talp_region *r)
{
    write_count(json, "elapsedTime", r->elapsed_s);
    write_count(json, "usefulTime", r->useful_s);
    write_count(json, "mpiTime", r->mpi_s);
    convoy_json_count(json, "mpiWorkerIdleTime", 0);
    write_count(json, "ompLoadImbalanceTime", r->imbalance_s);
    convoy_json_count(json, "ompSchedulingTime", 0);
    convoy_json_count(json, "ompSerializationTime", 0);
    convoy_json_count(json, "gpuRuntimeTime", 0);
    write_count(json, "minMpiNormdProc", r->least_mpi_rank_s);
    write_count(json, "minMpiNormdNode", r->least_mpi_node_s);
}

static void write_zeros(convoy_json *json, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        convoy_json_count(json, names[i], 0);
}

static void write_efficiencies(convoy_json *json, const struct talp_region *r)
{
    const double e = r->elapsed_s, cpus = (double)r->cpus;
    const double out = e - r->mpi_s / cpus, out_rank = e - r->least_mpi_rank_s,
                 out_node = e - r->least_mpi_node_s;
    const double active = r->useful_s + r->mpi_s,
                 all = r->useful_s + r->mpi_s + r->imbalance_s;
    convoy_json_number(json, "parallelEfficiency", r->useful_s / all);
    convoy_json_number(json, "mpiParallelEfficiency", out / e);
    convoy_json_number(json, "mpiCommunicationEfficiency", out_rank / e);
    convoy_json_number(json, "mpiLoadBalance", out / out_rank);
    convoy_json_number(json, "mpiLoadBalanceIn", out_node / out_rank);
    convoy_json_number(json, "mpiLoadBalanceOut", out / out_node);
    convoy_json_number(json, "ompParallelEfficiency", active / all);
    convoy_json_number(json, "ompLoadBalance", active / all);
    convoy_json_number(json, "ompSchedulingEfficiency", 1);
    convoy_json_number(json, "ompSerializationEfficiency", 1);
    convoy_json_number(json, "deviceOffloadEfficiency", 1);
}

static void write_application(convoy_json *json, const struct talp_region *r)
{
    static const char *const counts[] = {"numMpiCalls", "numOmpParallels",
                                         "numOmpTasks", "numGpuRuntimeCalls"};
    static const char *const gpu_times[] = {"gpuUsefulTime", "gpuCommunicationTime",
                                            "gpuInactiveTime", "maxGpuUsefulTime",
                                            "maxGpuActiveTime"};
    static const char *const gpu_efficiencies[] = {
        "gpuParallelEfficiency", "gpuLoadBalance", "gpuCommunicationEfficiency",
        "gpuOrchestrationEfficiency"};
    convoy_json_begin_object(json, "Application");
    convoy_json_begin_object(json, "training");
    convoy_json_count(json, "numCpus", r->cpus);
    convoy_json_count(json, "numOmpThreads", r->cpus);
    convoy_json_count(json, "numMpiRanks", r->ranks);
    convoy_json_count(json, "numNodes", r->nodes);
    convoy_json_count(json, "avgCpus", r->cpus);
    convoy_json_count(json, "numGpus", 0);
    convoy_json_count(json, "cycles", 0);
    convoy_json_count(json, "instructions", 0);
    convoy_json_count(json, "numMeasurements", r->ranks);
    write_zeros(json, counts, sizeof counts / sizeof *counts);
    write_times(json, r);
    write_zeros(json, gpu_times, sizeof gpu_times / sizeof *gpu_times);
    write_efficiencies(json, r);
    write_zeros(json, gpu_efficiencies,
                sizeof gpu_efficiencies / sizeof *gpu_efficiencies);
    convoy_json_end(json);
    convoy_json_end(json);
}

/* at: when it was measured. */
static void write_json(FILE *stream, const struct talp_region *r, time_t at)
{
    convoy_json json = {.stream = stream, .style = CONVOY_JSON_LINES};
    char time_text[64] = "";
    struct tm utc;
    if (gmtime_r(&at, &utc))
        strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S+00:00", &utc);
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "dlbVersion", "3.6.0");
    convoy_json_text(&json, "timestamp", time_text);
    convoy_json_begin_object(&json, "resources");
    convoy_json_count(&json, "numCpus", r->cpus);
    convoy_json_count(&json, "numAvailableCpus", r->cpus);
    convoy_json_count(&json, "numNodes", r->nodes);
    convoy_json_count(&json, "numMpiRanks", r->ranks);
    convoy_json_count(&json, "numGpus", 0);
    convoy_json_end(&json);
    write_application(&json, r);
    convoy_json_end(&json);
}

/* Of the run in folder; *text is to be freed with free, on error, too. */
static convoy_status make_text(const char *folder, char **text, size_t *n)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE], *read = NULL;
    struct json_value *timeline = NULL;
    struct talp_region region;
    struct stat file;
    FILE *stream = NULL;
    TRY(file_join(folder, "timeline.json", path, sizeof path));
    if (stat(path, &file) != 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: there is no such file: %s is no run directory, or its run had no "
                 "steady steps, or was of an older convoy",
                 path, folder));
    TRY(file_read_all(path, &read, n));
    TRY(json_value_read(path, read, *n, &timeline));
    TRY(read_region(path, timeline, &region));
    stream = open_memstream(text, n);
    if (!stream)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate its text", path));
    write_json(stream, &region, file.st_mtime);
    const bool failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || failed)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate its text", path));
cleanup:
    json_value_free(timeline);
    mem_free(read);
    return status;
}

convoy_status convoy_report_save_talp(const char *folder, const char *path)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL;
    size_t n = 0;
    TRY(report_target_check(path, "dlbVersion"));
    TRY(make_text(folder, &text, &n));
    TRY(file_write_whole(path, text, n));
cleanup:
    free(text);
    return status;
}
