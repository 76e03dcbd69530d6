/* What run_story.c has read of a run directory, for people and as JSON. Texts of files
 * may be anybody's: what could upset a terminal is not printed. */
#include <convoy/train.h>

#include <convoy/json.h>

#include "base/file.h"
#include "train/run_dir.h"
#include "train/run_story.h"

#include <inttypes.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

static void put(FILE *stream, const char *text)
{
    for (const char *c = text; *c; c++)
        fputc((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c, stream);
}

static void put_size(uint64_t bytes, FILE *stream)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    int unit = 0;
    for (; size >= 1024 && unit < 4; unit++)
        size /= 1024;
    fprintf(stream, "%8.*f %-5s", unit ? 1 : 0, size, units[unit]);
}

static const char *text_of(const struct json_value *object, const char *name)
{
    const char *text = json_value_text(json_value_member(object, name));
    return text ? text : "";
}

static int64_t number_of(const struct json_value *object, const char *name)
{
    return json_value_integer(json_value_member(object, name));
}

static void print_changes(const struct json_value *life, FILE *stream)
{
    const struct json_value *changes = json_value_member(life, "changed");
    for (size_t i = 0; i < json_value_count(changes); i++) {
        const struct json_value *change = json_value_item(changes, i);
        const bool breaks = strcmp(text_of(change, "resume"), "same") == 0;
        fprintf(stream, "        changed%s: ", breaks ? ", with other weights" : "");
        put(stream, text_of(change, "what"));
        fputs(": ", stream);
        put(stream, text_of(change, "now"));
        fputs(", was ", stream);
        put(stream, text_of(change, "was"));
        fputc('\n', stream);
    }
}

/* "70 to 120"; "70 on" where it has not ended. */
static void print_steps(const struct json_value *life, FILE *stream)
{
    char text[48];
    if (*text_of(life, "ended"))
        snprintf(text, sizeof text, "%" PRId64 " to %" PRId64,
                 number_of(life, "from_step"), number_of(life, "last_step"));
    else
        snprintf(text, sizeof text, "%" PRId64 " on", number_of(life, "from_step"));
    fprintf(stream, "  %-18s", text);
}

/* How the life ended, if it has. */
static void print_end(const struct json_value *life, const struct run_story *info,
                      bool is_newest, FILE *stream)
{
    if (*text_of(life, "ended")) {
        put(stream, text_of(life, "how"));
    } else if (is_newest && info->is_held) {
        fputs(info->is_at_work ? "at work: " : "at work, or lost: ", stream);
        put(stream, info->holder);
    } else {
        fputs("ended without a word", stream);
    }
    fputc('\n', stream);
}

static void print_life(const struct json_value *life, const char *folder,
                       const struct run_story *info, bool is_newest, FILE *stream)
{
    const char *from = text_of(life, "resumed_from");
    fprintf(stream, "  %4" PRId64 "  ", number_of(life, "life"));
    put(stream, text_of(life, "started"));
    print_steps(life, stream);
    fprintf(stream, "%6" PRId64 "%6" PRId64 "  ", number_of(life, "ranks"),
            number_of(life, "nodes"));
    print_end(life, info, is_newest, stream);
    if (*from && !run_dir_owns(folder, from)) {
        fputs("        from ", stream);
        put(stream, from);
        fputc('\n', stream);
    }
    print_changes(life, stream);
}

static void print_lives(const char *folder, const struct run_story *info, FILE *stream)
{
    const struct json_value *lives = json_value_member(info->run, "lives");
    const size_t n = json_value_count(lives);
    if (!info->run) {
        fputs("\nno lives are known: ", stream);
        put(stream, info->run_why);
        fputc('\n', stream);
        return;
    }
    if (n == 0) {
        fputs("\nrun.json was written by a convoy that did not note lives\n", stream);
        return;
    }
    fprintf(stream, "\n  %4s  %-20s  %-18s%6s%6s  %s\n", "life", "started", "steps",
            "ranks", "nodes", "end");
    for (size_t i = 0; i < n; i++)
        print_life(json_value_item(lives, i), folder, info, i + 1 == n, stream);
}

static void print_files(const struct run_story *info, FILE *stream)
{
    fprintf(stream, "\n  %-24s %-14s\n", "checkpoint", "        size");
    for (size_t i = 0; i < info->n_files; i++) {
        const struct run_story_file *file = &info->files[i];
        fprintf(stream, "  %-24s ", file->name);
        put_size(file->bytes, stream);
        fprintf(stream, "  %s",
                file->is_diverged ? "diverged"
                : file->is_good   ? "whole"
                                  : "not good");
        fprintf(stream, "%s%s%s", file->is_latest ? ", latest" : "",
                file->is_best ? ", best" : "", *file->why ? ": " : "");
        put(stream, file->why);
        fputc('\n', stream);
    }
}

static void print_next(const struct run_story *info, FILE *stream)
{
    if (info->next)
        fprintf(stream, "\n--resume auto goes on from %s\n", info->next->name);
    else if (info->n_files == 0)
        fputs("\nno checkpoint: --resume auto begins anew\n", stream);
    else {
        fputs("\n--resume auto refuses to go on: ", stream);
        put(stream, info->why_none);
        fputc('\n', stream);
    }
}

static void print(const char *folder, const struct run_story *info, FILE *stream)
{
    put(stream, folder);
    fputs(": a run", stream);
    if (info->next) {
        fputs(" of ", stream);
        put(stream, info->model);
        fprintf(stream, ", saved after %" PRIu64, info->next->step);
        if (number_of(info->run, "total_steps") > 0)
            fprintf(stream, " of %" PRId64, number_of(info->run, "total_steps"));
        fputs(" steps", stream);
        if (info->steps_per_epoch > 0)
            fprintf(stream, ", %.4g epochs",
                    (double)info->next->step / (double)info->steps_per_epoch);
    }
    fputc('\n', stream);
    print_lives(folder, info, stream);
    if (info->n_files > 0)
        print_files(info, stream);
    print_next(info, stream);
}

static void print_json_file(convoy_json *json, const struct run_story_file *file)
{
    convoy_json_begin_object(json, NULL);
    convoy_json_text(json, "file", file->name);
    convoy_json_count(json, "step", file->step);
    convoy_json_count(json, "bytes", file->bytes);
    convoy_json_bool(json, "good", file->is_good);
    convoy_json_bool(json, "diverged", file->is_diverged);
    convoy_json_bool(json, "latest", file->is_latest);
    convoy_json_bool(json, "best", file->is_best);
    convoy_json_text(json, "why", *file->why ? file->why : NULL);
    convoy_json_end(json);
}

/* The lives as they are in run.json. */
static void print_json(const char *folder, const struct run_story *info, FILE *stream)
{
    convoy_json json = {.stream = stream};
    const struct json_value *lives = json_value_member(info->run, "lives");
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "kind", "run");
    convoy_json_text(&json, "folder", folder);
    convoy_json_text(&json, "model", *info->model ? info->model : NULL);
    convoy_json_count(&json, "steps_per_epoch", info->steps_per_epoch);
    convoy_json_integer(&json, "total_steps", number_of(info->run, "total_steps"));
    convoy_json_text(&json, "holder", *info->holder ? info->holder : NULL);
    convoy_json_text(&json, "holder_is",
                     !*info->holder     ? NULL
                     : info->is_at_work ? "at work"
                     : info->is_held    ? "not known"
                                        : "over");
    convoy_json_text(&json, "run_json", *info->run_why ? info->run_why : NULL);
    convoy_json_begin_list(&json, "lives");
    for (size_t i = 0; i < json_value_count(lives); i++)
        json_value_print(json_value_item(lives, i), NULL, &json);
    convoy_json_end(&json);
    convoy_json_begin_list(&json, "checkpoints");
    for (size_t i = 0; i < info->n_files; i++)
        print_json_file(&json, &info->files[i]);
    convoy_json_end(&json);
    convoy_json_text(&json, "next", info->next ? info->next->name : NULL);
    convoy_json_text(&json, "why_none", *info->why_none ? info->why_none : NULL);
    convoy_json_end(&json);
}

bool convoy_run_recognise(const char *folder)
{
    static const char *const names[] = {"run.json", "metrics.jsonl", "checkpoints"};
    char path[PATH_SIZE];
    if (!file_is_folder(folder))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (file_join(folder, names[i], path, sizeof path) != CONVOY_OK)
            convoy_status_clear();
        else if (file_exists(path))
            return true;
    }
    return false;
}

convoy_status convoy_run_describe(const char *folder, bool json, FILE *stream)
{
    convoy_status status = CONVOY_OK;
    struct run_story info = {0};
    if (!file_is_folder(folder))
        TRY(FAIL(CONVOY_ERROR_IO, "%s: is no folder", folder));
    TRY(run_story_read(folder, &info));
    (json ? print_json : print)(folder, &info, stream);
    if (fflush(stream) != 0 || ferror(stream))
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot print what it holds", folder));
cleanup:
    run_story_free(&info);
    return status;
}
