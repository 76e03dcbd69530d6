/* timeline.json: what each rank and each bucket of gradients came to in the steady
 * steps of this life, in more detail than a line of metrics has. Written anew with
 * every line of "ranks"; nothing depends on it, so that it cannot be written is told
 * and tried again.
 *
 * Ranks tell each other a row of values each (exchange_share), and add up those that
 * nobody needs by rank: times of buckets, and reading. */
#include "train/run.h"

#include <convoy/json.h>

#include "base/file.h"
#include "base/memory.h"
#include "comm/gather.h"
#include "comm/world.h"

#include <stdlib.h>
#include <sys/resource.h>

/* Of a rank, behind what rank_spread has. */
enum { ROW_LANES = N_SPREAD_PARTS, ROW_CORES, ROW_PEAK_MEMORY, N_ROW };
_Static_assert((int)N_ROW <= (int)N_OF_RANKS, "room for what ranks share");

/* Of all ranks, behind the buckets. */
enum { SUM_READ_BYTES, SUM_READ_SECONDS, SUM_READ_THREADS, N_SUMS };
_Static_assert((int)N_SUMS <= (int)SPREAD_MORE, "room for what ranks add up");

static void fill_row(const struct run *run, double *row)
{
    const struct spread_sums *life = &run->spread.life;
    const convoy_trainer *t = run->trainer;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    for (int i = 0; i < N_SPREAD_PARTS; i++)
        row[i] = life->parts[i] / (double)life->steps;
    row[ROW_LANES] = t->choice.lanes;
    row[ROW_CORES] = t->cores.n;
    row[ROW_PEAK_MEMORY] = 1024.0 * (double)usage.ru_maxrss;
}

/* sums: [n_buckets, SPREAD_BUCKET] and then [N_SUMS]. */
static void fill_sums(const struct run *run, double *sums)
{
    const struct rank_spread *spread = &run->spread;
    const struct loader_read read = loader_read(run->trainer->loader);
    const double n = (double)spread->life.steps * convoy_world_size(run->world);
    for (int b = 0; b < spread->n_buckets; b++, sums += SPREAD_BUCKET) {
        sums[0] = spread->buckets[b].ready / n;
        sums[1] = spread->buckets[b].sent / n;
        sums[2] = spread->buckets[b].done / n;
    }
    sums[SUM_READ_BYTES] = (double)read.bytes;
    sums[SUM_READ_SECONDS] = read.seconds;
    sums[SUM_READ_THREADS] = loader_threads(run->trainer->loader);
}

static void write_rank(convoy_json *json, const struct run *run, int rank)
{
    static const char *const names[N_SPREAD_PARTS] = {
        [SPREAD_COMPUTE] = "compute_s",     [SPREAD_EXCHANGE] = "exchange_s",
        [SPREAD_HIDDEN] = "hidden_s",       [SPREAD_INPUT] = "input_s",
        [SPREAD_OPTIMIZER] = "optimizer_s", [SPREAD_BUSY] = "busy_s",
        [SPREAD_WORKING] = "working_s",     [SPREAD_STEP] = "step_s",
    };
    const double *row = run->trainer->of_ranks + (size_t)rank * N_ROW;
    int node = 0;
    while (run->world->node_firsts[node + 1] <= rank)
        node++;
    convoy_json_begin_object(json, NULL);
    convoy_json_integer(json, "rank", rank);
    convoy_json_text(json, "host", run->spread.hosts[rank]);
    convoy_json_integer(json, "node", node);
    convoy_json_count(json, "lanes", (uint64_t)row[ROW_LANES]);
    convoy_json_count(json, "cores", (uint64_t)row[ROW_CORES]);
    for (int i = 0; i < N_SPREAD_PARTS; i++)
        convoy_json_number(json, names[i], row[i]);
    convoy_json_count(json, "peak_memory_bytes", (uint64_t)row[ROW_PEAK_MEMORY]);
    convoy_json_end(json);
}

static void write_buckets(convoy_json *json, const struct run *run, const double *sums)
{
    const struct buckets *buckets = exchange_buckets(run->trainer->exchange);
    convoy_json_begin_list(json, "buckets");
    for (int b = 0; b < buckets->count; b++, sums += SPREAD_BUCKET) {
        const struct extent extent = buckets_extent(buckets, b);
        convoy_json_begin_object(json, NULL);
        convoy_json_count(json, "bytes", (extent.end - extent.begin) * sizeof(float));
        convoy_json_number(json, "ready_s", sums[0]);
        if (run->world->size > 1) {
            convoy_json_number(json, "sent_s", sums[1]);
            convoy_json_number(json, "done_s", sums[2]);
        }
        convoy_json_end(json);
    }
    convoy_json_end(json);
}

static void write_read(convoy_json *json, const double *sums)
{
    if (sums[SUM_READ_BYTES] <= 0)
        return;
    convoy_json_begin_object(json, "read");
    convoy_json_count(json, "bytes", (uint64_t)sums[SUM_READ_BYTES]);
    convoy_json_number(json, "seconds", sums[SUM_READ_SECONDS]);
    convoy_json_count(json, "threads", (uint64_t)sums[SUM_READ_THREADS]);
    convoy_json_end(json);
}

static void write_energy(convoy_json *json, const struct run_energy *energy)
{
    if (energy->nodes == 0)
        return;
    convoy_json_begin_object(json, "energy");
    convoy_json_number(json, "joules", energy->joules);
    convoy_json_number(json, "seconds", energy->seconds);
    convoy_json_count(json, "nodes_read", energy->nodes);
    convoy_json_text(json, "source", "RAPL");
    convoy_json_end(json);
}

static void write_json(FILE *stream, const struct run *run, const double *sums)
{
    convoy_json json = {.stream = stream, .style = CONVOY_JSON_LINES};
    const convoy_trainer *t = run->trainer;
    const struct spread_sums *life = &run->spread.life;
    double step_s = 0;
    for (int rank = 0; rank < run->world->size; rank++)
        step_s += t->of_ranks[(size_t)rank * N_ROW + SPREAD_STEP] / run->world->size;
    convoy_json_begin_object(&json, NULL);
    convoy_json_count(&json, "step", t->step);
    convoy_json_count(&json, "steps", life->steps);
    convoy_json_integer(&json, "batch", t->recipe->batch.size);
    convoy_json_integer(&json, "microbatch", t->recipe->batch.microbatch);
    convoy_json_integer(&json, "threads", t->threads);
    convoy_json_text(&json, "algorithm",
                     exchange_algorithm_of(t->exchange)->about.name);
    convoy_json_integer(&json, "nodes", run->world->nodes);
    convoy_json_number(&json, "step_s", step_s);
    convoy_json_number(&json, "ideal_s", life->ideal / (double)life->steps);
    convoy_json_begin_list(&json, "ranks");
    for (int rank = 0; rank < run->world->size; rank++)
        write_rank(&json, run, rank);
    convoy_json_end(&json);
    write_buckets(&json, run, sums);
    write_read(&json, sums + (size_t)run->spread.n_buckets * SPREAD_BUCKET);
    write_energy(&json, &run->energy);
    convoy_json_end(&json);
}

static convoy_status write_file(const struct run *run, const double *sums)
{
    convoy_status status = CONVOY_OK;
    char path[RUN_LIFE_PATH_SIZE], *text = NULL;
    size_t n = 0;
    FILE *stream = NULL;
    TRY(file_join(run->life.folder, "timeline.json", path, sizeof path));
    stream = open_memstream(&text, &n);
    if (!stream)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate its text", path));
    write_json(stream, run, sums);
    const bool failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || failed)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate its text", path));
    TRY(run_life_write(&run->life, path, text, n));
cleanup:
    free(text);
    return status;
}

convoy_status run_write_timeline(struct run *run, convoy_status *written)
{
    convoy_status status = CONVOY_OK;
    convoy_trainer *t = run->trainer;
    double *sums = run->spread.room;
    *written = CONVOY_OK;
    if (run->spread.life.steps == 0)
        return CONVOY_OK;
    fill_row(run, t->of_ranks + (size_t)run->world->rank * N_ROW);
    fill_sums(run, sums);
    TRY(exchange_share(run->world, t->of_ranks, run->world->size, N_ROW));
    TRY(gather_sums(run->world, sums, run->spread.n_buckets * SPREAD_BUCKET + N_SUMS));
    if (run->speaks && run->spread.hosts)
        *written = write_file(run, sums);
cleanup:
    return status;
}
