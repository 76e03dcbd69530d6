/* run.json describes the newest life, and in "lives" all of them, the earlier ones as
 * they were found there: keys that this convoy does not know stay. A life is written
 * twice, when it begins and when it ends; one that was killed has no end. It is a
 * record for people and programs: nothing that a run computes is read from it, so a
 * damaged one ends no run.
 */
#include "train/run_record.h"

#include <convoy/json.h>
#include <convoy/version.h>

#include "base/clock.h"
#include "base/cpus.h"
#include "base/file.h"
#include "base/memory.h"
#include "comm/world.h"
#include "h5/h5.h"
#include "json/json_value.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

/* Where things ran, and with what: of the newest life, and of each. */
static void print_place(convoy_json *json, const convoy_trainer *t, const char *hosts)
{
    char onednn[32], mpi[256], hdf5[32], isa[DNN_ISA_SIZE];
    dnn_version(onednn);
    world_mpi_version(mpi, sizeof mpi);
    h5_version(hdf5);
    dnn_isa(isa);
    convoy_json_text(json, "convoy", CONVOY_VERSION);
    convoy_json_text(json, "onednn", onednn);
    convoy_json_text(json, "mpi", mpi);
    convoy_json_text(json, "hdf5", hdf5);
    convoy_json_text(json, "isa", cpus_isa());
    convoy_json_text(json, "onednn_isa", isa);
    convoy_json_integer(json, "ranks", convoy_world_size(t->world));
    convoy_json_integer(json, "nodes", convoy_world_nodes(t->world));
    convoy_json_integer(json, "lanes", t->choice.lanes);
    convoy_json_integer(json, "threads", t->threads);
    convoy_json_integer(json, "cpus_allowed", cpus_allowed());
    convoy_json_text(json, "hosts", hosts);
    convoy_json_text(json, "train_pack", convoy_pack_describe(t->train_pack)->id);
    convoy_json_text(json, "val_pack",
                     t->val_pack ? convoy_pack_describe(t->val_pack)->id : "");
}

/* Which kernels oneDNN has chosen for each convolution. */
static void print_kernels(convoy_json *json, const struct program *program)
{
    convoy_json_begin_list(json, "kernels");
    for (int i = 0; i < program_n_ops(program); i++) {
        const struct program_cost op = program_cost(program, i);
        if (strcmp(op.kind, layer_conv.about.name) != 0 || !op.primitive)
            continue;
        convoy_json_begin_object(json, NULL);
        convoy_json_text(json, "layer", op.layer);
        convoy_json_text(json, "pass",
                         op.phase == PHASE_FORWARD ? "forward"
                         : op.of_weights           ? "backward weights"
                                                   : "backward data");
        convoy_json_text(json, "kernels", op.kernels);
        convoy_json_end(json);
    }
    convoy_json_end(json);
}

/* With what the life goes on that has changed: the words of the table of keys. */
static void print_changes(convoy_json *json, const struct resume_changes *changes)
{
    convoy_json_begin_list(json, "changed");
    for (size_t i = 0; i < changes->n; i++) {
        const struct resume_change *change = &changes->list[i];
        convoy_json_begin_object(json, NULL);
        convoy_json_text(json, "what", change->what);
        convoy_json_text(json, "was", change->was);
        convoy_json_text(json, "now", change->now);
        convoy_json_text(json, "resume", change->breaks ? "same" : "noted");
        convoy_json_end(json);
    }
    convoy_json_end(json);
}

static void print_life(convoy_json *json, const convoy_trainer *t,
                       const struct run_birth *birth, int life, const char *now)
{
    const char *job = getenv("SLURM_JOB_ID");
    convoy_json_begin_object(json, NULL);
    convoy_json_integer(json, "life", life);
    convoy_json_text(json, "started", now);
    convoy_json_count(json, "from_step", t->step);
    if (job && *job)
        convoy_json_text(json, "slurm_job", job);
    convoy_json_text(json, "resumed_from", birth->resumed_from);
    print_place(json, t, birth->hosts);
    print_changes(json, &t->changes);
    convoy_json_end(json);
}

/* An older convoy wrote no lives: what it says of its newest one. */
static void print_older(convoy_json *json, const struct json_value *run)
{
    struct json_member member = {0};
    convoy_json_begin_object(json, NULL);
    convoy_json_integer(json, "life", 0);
    while (json_value_next(run, &member))
        if (json_value_count(member.value) == 0 && strcmp(member.name, "life") != 0)
            json_value_print(member.value, member.name, json);
    convoy_json_end(json);
}

/* The lives of an earlier run.json, or nothing where that is NULL. */
static void print_earlier(convoy_json *json, const struct json_value *run)
{
    const struct json_value *lives = json_value_member(run, "lives");
    if (!run)
        return;
    if (json_value_type(lives) != JSON_TYPE_LIST) {
        print_older(json, run);
        return;
    }
    for (size_t i = 0; i < json_value_count(lives); i++)
        json_value_print(json_value_item(lives, i), NULL, json);
}

static void print_run(const convoy_trainer *t, const struct run_birth *birth,
                      const struct json_value *earlier, int life, FILE *stream)
{
    convoy_json json = {.stream = stream, .style = CONVOY_JSON_LINES};
    char now[21];
    clock_utc(now);
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "started", now);
    convoy_json_count(&json, "from_step", t->step);
    print_place(&json, t, birth->hosts);
    convoy_json_integer(&json, "parameters", convoy_net_n_params(t->net));
    convoy_json_integer(&json, "multiply_adds", net_multiply_adds(t->net));
    convoy_json_count(&json, "steps_per_epoch", t->steps_per_epoch);
    convoy_json_count(&json, "total_steps", t->total_steps);
    convoy_json_count(&json, "activation_bytes", t->memory.activations);
    convoy_json_count(&json, "memory_bytes", t->memory.total);
    print_kernels(&json, t->net_lanes->copies[0]->program);
    convoy_json_begin_list(&json, "lives");
    print_earlier(&json, earlier);
    print_life(&json, t, birth, life, now);
    convoy_json_end(&json);
    convoy_json_end(&json);
}

/* An object; *run is new. Errors: IO, MEMORY, FORMAT. */
static convoy_status read_run(const char *path, struct json_value **run)
{
    convoy_status status = CONVOY_OK;
    struct json_value *read = NULL;
    char *text = NULL;
    size_t n = 0;
    TRY(file_read_all(path, &text, &n));
    TRY(json_value_read(path, text, n, &read));
    if (json_value_type(read) != JSON_TYPE_OBJECT)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is no JSON object", path));
    *run = read;
    read = NULL;
cleanup:
    json_value_free(read);
    mem_free(text);
    return status;
}

/* *run: NULL where there is none to go on from, note then says why. */
static convoy_status read_earlier(const char *path, char note[STATUS_TEXT_SIZE],
                                  struct json_value **run)
{
    note[0] = '\0';
    const convoy_status status = file_exists(path) ? read_run(path, run) : CONVOY_OK;
    if (status == CONVOY_OK || status == CONVOY_ERROR_MEMORY)
        return status;
    snprintf(note, STATUS_TEXT_SIZE, "the list of lives begins anew: %.3000s",
             convoy_status_text());
    convoy_status_clear();
    return CONVOY_OK;
}

/* Ends the stream of a text and writes it to path. */
static convoy_status write_text(const struct run_life *life, const char *path,
                                FILE *stream, char *const *text, const size_t *n)
{
    const bool failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || failed)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of %s", path);
    return run_life_write(life, path, *text, *n);
}

convoy_status run_record_begin(const convoy_trainer *t, const struct run_life *life,
                               const struct run_birth *birth,
                               char note[STATUS_TEXT_SIZE])
{
    convoy_status status = CONVOY_OK;
    struct json_value *earlier = NULL;
    char path[PATH_SIZE], *text = NULL;
    size_t n = 0;
    FILE *stream = NULL;
    TRY(file_join(life->folder, "run.json", path, sizeof path));
    TRY(read_earlier(path, note, &earlier));
    stream = open_memstream(&text, &n);
    if (!stream)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of %s", path));
    print_run(t, birth, earlier, life->life, stream);
    TRY(write_text(life, path, stream, &text, &n));
cleanup:
    json_value_free(earlier);
    free(text);
    return status;
}

/* The life with its end. */
static void print_ended(convoy_json *json, const struct json_value *life, uint64_t step,
                        const char *how)
{
    struct json_member member = {0};
    char now[21];
    clock_utc(now);
    convoy_json_begin_object(json, NULL);
    while (json_value_next(life, &member))
        if (strcmp(member.name, "last_step") != 0 && strcmp(member.name, "how") != 0)
            json_value_print(member.value, member.name, json);
    convoy_json_text(json, "ended", now);
    convoy_json_count(json, "last_step", step);
    convoy_json_text(json, "how", how);
    convoy_json_end(json);
}

static void print_end(const struct json_value *run, uint64_t step, const char *how,
                      FILE *stream)
{
    convoy_json json = {.stream = stream, .style = CONVOY_JSON_LINES};
    struct json_member member = {0};
    convoy_json_begin_object(&json, NULL);
    while (json_value_next(run, &member)) {
        if (strcmp(member.name, "lives") != 0) {
            json_value_print(member.value, member.name, &json);
            continue;
        }
        const size_t n = json_value_count(member.value);
        convoy_json_begin_list(&json, member.name);
        for (size_t i = 0; i + 1 < n; i++)
            json_value_print(json_value_item(member.value, i), NULL, &json);
        print_ended(&json, json_value_item(member.value, n - 1), step, how);
        convoy_json_end(&json);
    }
    convoy_json_end(&json);
}

/* Whether the newest life has this number and no end. */
static bool is_newest(const struct json_value *run, int life)
{
    const struct json_value *lives = json_value_member(run, "lives");
    const size_t n = json_value_count(lives);
    const struct json_value *newest = n > 0 ? json_value_item(lives, n - 1) : NULL;
    return newest && json_value_integer(json_value_member(newest, "life")) == life &&
           !json_value_member(newest, "ended");
}

convoy_status run_record_end(const struct run_life *life, uint64_t step,
                             const char *how)
{
    convoy_status status = CONVOY_OK;
    struct json_value *run = NULL;
    char path[PATH_SIZE], *text = NULL;
    size_t n = 0;
    FILE *stream = NULL;
    TRY(file_join(life->folder, "run.json", path, sizeof path));
    TRY(read_run(path, &run));
    if (!is_newest(run, life->life))
        goto cleanup;
    stream = open_memstream(&text, &n);
    if (!stream)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of %s", path));
    print_end(run, step, how, stream);
    TRY(write_text(life, path, stream, &text, &n));
cleanup:
    json_value_free(run);
    free(text);
    return status;
}
