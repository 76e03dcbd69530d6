/* Files of a run beside its metrics. Rank 0 looks for checkpoints and tells the others
 * the step, so all open the same file. */
#include "train/run_dir.h"

#include <convoy/json.h>
#include <convoy/version.h>

#include "base/clock.h"
#include "base/cpus.h"
#include "base/file.h"
#include "base/memory.h"
#include "comm/world.h"
#include "h5/h5.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

convoy_status run_dir_checkpoints(const char *folder, char *path, size_t size)
{
    return file_join(folder, "checkpoints", path, size);
}

convoy_status run_dir_checkpoint(const char *folder, uint64_t step, char *path,
                                 size_t size)
{
    char name[CHECKPOINT_NAME_SIZE], checkpoints[PATH_SIZE];
    checkpoint_name(step, name);
    convoy_status status = run_dir_checkpoints(folder, checkpoints, sizeof checkpoints);
    return status == CONVOY_OK ? file_join(checkpoints, name, path, size) : status;
}

convoy_status run_dir_prepare(const char *folder)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE];
    TRY(run_dir_checkpoints(folder, path, sizeof path));
    TRY(file_make_folder(folder));
    TRY(file_make_folder(path));
    if (access(folder, W_OK) != 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot write there: %s", folder,
                 strerror(errno)));
    if (access(path, W_OK) != 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot write there: %s", path, strerror(errno)));
cleanup:
    return status;
}

/* Rank 0's search: the step to go on from, -1 for none. */
static convoy_status find_step(const char *folder, char *note, double *step)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *checkpoint = NULL;
    struct checkpoint_skipped skipped = {0};
    char path[PATH_SIZE];
    TRY(run_dir_checkpoints(folder, path, sizeof path));
    TRY(checkpoint_newest(path, &skipped, &checkpoint));
    *step = checkpoint ? (double)checkpoint_describe(checkpoint)->step : -1;
    if (skipped.n > 0)
        snprintf(note, STATUS_TEXT_SIZE, "passed over %d damaged checkpoint%s: %.800s",
                 skipped.n, skipped.n > 1 ? "s" : "", skipped.why);
cleanup:
    checkpoint_close(checkpoint);
    return status;
}

static bool is_search(const char *resume)
{
    return !resume || strcmp(resume, "auto") == 0;
}

/* What resume asks for, where newest is the last step that folder holds, -1 for none.
 */
static convoy_status open_chosen(const char *folder, const char *resume, double newest,
                                 struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *opened = NULL;
    char path[PATH_SIZE];
    const bool search = is_search(resume);
    if (!search && strcmp(resume, "never") == 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s holds a run up to step %.0f, and --resume never asks for a new "
                    "one: give another --out, or remove that run",
                    folder, newest);
    if (search)
        TRY(run_dir_checkpoint(folder, (uint64_t)newest, path, sizeof path));
    TRY(checkpoint_open(search ? path : resume, &opened));
    /* Its later checkpoints would be taken for this run's by the next resume. */
    if ((double)checkpoint_describe(opened)->step < newest)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%s is of step %llu, but %s already holds a run up to step %.0f: give "
                 "another --out, or remove the later checkpoints",
                 resume, (unsigned long long)checkpoint_describe(opened)->step, folder,
                 newest));
    *checkpoint = opened;
    opened = NULL;
cleanup:
    checkpoint_close(opened);
    return status;
}

convoy_status run_dir_resume(convoy_world *world, const char *folder,
                             const char *resume, char note[STATUS_TEXT_SIZE],
                             struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    const bool is_file = !is_search(resume) && strcmp(resume, "never") != 0;
    double newest = -1;
    note[0] = '\0';
    if (convoy_world_rank(world) == 0)
        status = find_step(folder, note, &newest);
    TRY(convoy_world_agree(world, status));
    TRY(exchange_share(world, &newest, 1, 1));
    if (newest < 0 && !is_file)
        *checkpoint = NULL;
    else
        TRY(convoy_world_agree(world, open_chosen(folder, resume, newest, checkpoint)));
cleanup:
    return status;
}

/* Keys that may change between the lives of a run: they do not change what it computes.
 */
static bool is_free_key(const char *section, const char *line)
{
    static const char *const free_keys[][2] = {
        {"data:", "train:"},          {"data:", "val:"},
        {"data:", "threads:"},        {"data:", "read:"},
        {"checkpoint:", "keep:"},     {"checkpoint:", "every_epochs:"},
        {"metrics:", "every_steps:"},
    };
    while (*line == ' ')
        line++;
    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        if (strncmp(section, free_keys[i][0], strlen(free_keys[i][0])) == 0 &&
            strncmp(line, free_keys[i][1], strlen(free_keys[i][1])) == 0)
            return true;
    return false;
}

static size_t line_length(const char *text)
{
    return strcspn(text, "\n");
}

/* Both texts come from recipe_text: the same keys in the same order, one a line. */
static convoy_status compare_recipes(const char *now, const char *then,
                                     const char *path)
{
    char section[64] = "";
    while (*now && *then) {
        const size_t n = line_length(now), m = line_length(then);
        if (*now != ' ')
            snprintf(section, sizeof section, "%.*s", (int)n, now);
        if ((n != m || strncmp(now, then, n) != 0) && !is_free_key(section, now)) {
            const int a = (int)strspn(now, " "), b = (int)strspn(then, " ");
            return FAIL(
                CONVOY_ERROR_ARGUMENT,
                "the recipe says '%s%s%.*s', but the run was begun with '%.*s' (%s): "
                "going on would not give the same weights; give another --out to "
                "start anew, or --resume FILE to go on with the change",
                a ? section : "", a ? " " : "", (int)n - a, now + a, (int)m - b,
                then + b, path);
        }
        now += n + (now[n] == '\n');
        then += m + (then[m] == '\n');
    }
    return CONVOY_OK;
}

static convoy_status compare_pack(const char *what, const char *now, const char *then)
{
    if (strcmp(now, then) != 0)
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "the %s pack has id %s, but the run was begun with %s: give the pack "
            "that it was begun with, or another --out to start anew",
            what, *now ? now : "none", *then ? then : "none");
    return CONVOY_OK;
}

convoy_status run_dir_check_same(const convoy_trainer *t,
                                 const struct checkpoint *checkpoint)
{
    convoy_status status = CONVOY_OK;
    const struct checkpoint_facts *facts = checkpoint_describe(checkpoint);
    char *recipe = NULL;
    TRY(recipe_text(t->recipe, &recipe));
    TRY(compare_recipes(recipe, facts->recipe, checkpoint_path(checkpoint)));
    TRY(compare_pack("train", convoy_pack_describe(t->train_pack)->id,
                     facts->train_pack));
    TRY(compare_pack("validation",
                     t->val_pack ? convoy_pack_describe(t->val_pack)->id : "",
                     facts->val_pack));
cleanup:
    mem_free(recipe);
    return status;
}

static void print_versions(convoy_json *json)
{
    char onednn[32], mpi[256], hdf5[32];
    dnn_version(onednn);
    world_mpi_version(mpi, sizeof mpi);
    h5_version(hdf5);
    convoy_json_text(json, "convoy", CONVOY_VERSION);
    convoy_json_text(json, "onednn", onednn);
    convoy_json_text(json, "mpi", mpi);
    convoy_json_text(json, "hdf5", hdf5);
    convoy_json_text(json, "isa", cpus_isa());
}

static void print_run(const convoy_trainer *t, const char *hosts, FILE *stream)
{
    convoy_json json = {.stream = stream, .style = CONVOY_JSON_LINES};
    char now[21];
    clock_utc(now);
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "started", now);
    convoy_json_count(&json, "from_step", t->step);
    print_versions(&json);
    convoy_json_integer(&json, "ranks", convoy_world_size(t->world));
    convoy_json_integer(&json, "nodes", convoy_world_nodes(t->world));
    convoy_json_integer(&json, "threads", t->threads);
    convoy_json_integer(&json, "cpus_allowed", cpus_allowed());
    convoy_json_text(&json, "hosts", hosts);
    convoy_json_text(&json, "train_pack", convoy_pack_describe(t->train_pack)->id);
    convoy_json_text(&json, "val_pack",
                     t->val_pack ? convoy_pack_describe(t->val_pack)->id : "");
    convoy_json_integer(&json, "parameters", convoy_net_n_params(t->net));
    convoy_json_count(&json, "steps_per_epoch", t->steps_per_epoch);
    convoy_json_count(&json, "total_steps", t->total_steps);
    convoy_json_count(&json, "activation_bytes",
                      program_planned_bytes(t->compiled->program));
    convoy_json_end(&json);
}

static convoy_status write_run(const convoy_trainer *t, const char *path,
                               const char *hosts)
{
    char *text = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&text, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of %s", path);
    print_run(t, hosts, stream);
    fclose(stream);
    convoy_status status = file_write_whole(path, text, n);
    free(text);
    return status;
}

convoy_status run_dir_describe(const convoy_trainer *t, const char *folder,
                               const char *hosts)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE], *recipe = NULL;
    TRY(recipe_text(t->recipe, &recipe));
    TRY(file_join(folder, "recipe.yaml", path, sizeof path));
    TRY(file_write_whole(path, recipe, strlen(recipe)));
    TRY(file_join(folder, "run.json", path, sizeof path));
    TRY(write_run(t, path, hosts));
cleanup:
    mem_free(recipe);
    return status;
}
