/* The plan of the training, and where its files lie. */
#include "doctor/check.h"

#include <stdlib.h>
#include <string.h>

/* Sites delete from scratch after 6 days and more. */
static const double old_days = 5;

/* So little is left that a training's files or the next pack may not fit. */
static const double few_files = 10000, little_space = 1 << 30;

static void check_plan(const struct survey *s, struct findings *f)
{
    bool told = false;
    for (int rank = 0; rank < s->n && !told; rank++) {
        /* A pack that does not open is told of by its own line. */
        const bool has_packs = !survey_has(s, rank, "pack error") &&
                               !survey_has(s, rank, "validation pack error");
        if (!survey_has(s, rank, "plan error") || !has_packs)
            continue;
        check_found(f, CONVOY_LEVEL_WRONG,
                    "mend the recipe, or start as many ranks as it takes", "on %s: %s",
                    survey_text(s, rank, "host"), survey_text(s, rank, "plan error"));
        told = true;
    }
    if (!told && survey_has(s, 0, "plan"))
        check_found(f, CONVOY_LEVEL_OK, "", "rank 0: %s", survey_text(s, 0, "plan"));
}

struct file {
    const char *name; /* "pack" */
};

static const char *fact_of(const struct survey *s, int rank, const struct file *file,
                           const char *what)
{
    char fact[64];
    snprintf(fact, sizeof fact, "%s %s", file->name, what);
    return survey_text(s, rank, fact);
}

static bool lacks(const struct survey *s, int rank, const void *context)
{
    return survey_is_first(s, rank) && *fact_of(s, rank, context, "error");
}

static bool opens(const struct survey *s, int rank, const void *context)
{
    return survey_is_first(s, rank) && *fact_of(s, rank, context, "id");
}

/* Of another pack than the first rank that has one. */
struct other_pack {
    const struct file *file;
    const char *id;
};

static bool has_other(const struct survey *s, int rank, const void *context)
{
    const struct other_pack *other = context;
    return opens(s, rank, other->file) &&
           strcmp(fact_of(s, rank, other->file, "id"), other->id) != 0;
}

static bool is_in_memory(const struct survey *s, int rank, const void *context)
{
    return survey_is_first(s, rank) &&
           strcmp(fact_of(s, rank, context, "kind"), "memory") == 0;
}

static int first_where(const struct survey *s,
                       bool (*is)(const struct survey *s, int rank,
                                  const void *context),
                       const void *context)
{
    for (int rank = 0; rank < s->n; rank++)
        if (is(s, rank, context))
            return rank;
    return -1;
}

/* Packs that some hosts do not see, or that are not the same. */
static bool pack_is_wrong(const struct survey *s, struct findings *f,
                          const struct file *file)
{
    char hosts[HOSTS_SIZE];
    const int without = first_where(s, lacks, file), with = first_where(s, opens, file);
    struct other_pack other = {file, with >= 0 ? fact_of(s, with, file, "id") : ""};
    if (without >= 0) {
        survey_hosts(s, lacks, file, hosts);
        check_found(f, CONVOY_LEVEL_WRONG,
                    with >= 0
                        ? "put it where all hosts see it, under the same path"
                        : "see the path in the recipe; 'convoy verify' looks at a pack",
                    "%s: on %s%s: %s", file->name, hosts,
                    with >= 0 ? ", though other hosts have it" : "",
                    fact_of(s, without, file, "error"));
        return true;
    }
    survey_hosts(s, has_other, &other, hosts);
    if (*hosts)
        check_found(f, CONVOY_LEVEL_WRONG, "copy the same pack to all hosts",
                    "%s: %s has another pack (id) than %s", file->name, hosts,
                    survey_text(s, with, "host"));
    return *hosts != '\0';
}

static void check_pack(const struct survey *s, struct findings *f, const char *name)
{
    struct file file = {name};
    char hosts[HOSTS_SIZE], bytes_fact[64];
    if (!*fact_of(s, 0, &file, "path") || pack_is_wrong(s, f, &file))
        return;
    snprintf(bytes_fact, sizeof bytes_fact, "%s bytes", name);
    const double bytes = survey_number(s, 0, bytes_fact);
    const char *path = fact_of(s, 0, &file, "path");
    survey_hosts(s, is_in_memory, &file, hosts);
    if (*hosts)
        check_found(
            f, CONVOY_LEVEL_LOOK,
            "keep packs on disk: Linux keeps what is read in memory, while it is free",
            "%s: %.200s lies in memory (tmpfs) on %s: its %s count as the job's, and "
            "go "
            "with it",
            name, path, hosts, check_amount(bytes).text);
    else
        check_found(f, CONVOY_LEVEL_OK, "", "%s: %.200s, %s on %s", name, path,
                    check_amount(bytes).text, fact_of(s, 0, &file, "file system"));
}

static void check_packs(const struct survey *s, struct findings *f)
{
    check_pack(s, f, "pack");
    check_pack(s, f, "validation pack");
}

static bool has_other_size(const struct survey *s, int rank, const void *context)
{
    return survey_is_first(s, rank) && *fact_of(s, rank, context, "bytes") &&
           strcmp(fact_of(s, rank, context, "bytes"),
                  fact_of(s, 0, context, "bytes")) != 0;
}

/* Rank 0 reads it for all, so other hosts matter only when the job starts again. */
static void check_weights(const struct survey *s, struct findings *f)
{
    static const char *const fix = "put the same file where all hosts see it";
    const struct file file = {"initial weights"};
    const char *path = fact_of(s, 0, &file, "path");
    char missing[HOSTS_SIZE], other[HOSTS_SIZE];
    if (!*path)
        return;
    survey_hosts(s, lacks, &file, missing);
    survey_hosts(s, has_other_size, &file, other);
    if (lacks(s, 0, &file))
        check_found(f, CONVOY_LEVEL_WRONG,
                    "see init.weights in the recipe; only a run that goes on from a "
                    "checkpoint does without",
                    "init.weights: on %s: %.200s: %s", missing, path,
                    fact_of(s, 0, &file, "error"));
    else if (*missing)
        check_found(f, CONVOY_LEVEL_LOOK, fix,
                    "init.weights: %.200s cannot be read on %s, where rank 0, which "
                    "reads it, may be another time",
                    path, missing);
    else if (*other)
        check_found(f, CONVOY_LEVEL_LOOK, fix,
                    "init.weights: %.200s has another size on %s than on %s, whose "
                    "rank 0 reads it",
                    path, other, survey_text(s, 0, "host"));
    else
        check_found(f, CONVOY_LEVEL_OK, "", "init.weights: %.200s, %s", path,
                    check_amount(survey_number(s, 0, "initial weights bytes")).text);
}

/* Those whose file systems are looked at. */
static const struct file places[] = {{"current folder"}, {"pack"}, {"validation pack"}};
enum { N_PLACES = sizeof places / sizeof *places };

/* Of the place's file system on the host of rank. */
struct room {
    double files, files_left, space, space_left;
};

static struct room room_of(const struct survey *s, int rank, const struct file *place)
{
    return (struct room){.files = atof(fact_of(s, rank, place, "files")),
                         .files_left = atof(fact_of(s, rank, place, "files left")),
                         .space = atof(fact_of(s, rank, place, "space")),
                         .space_left = atof(fact_of(s, rank, place, "space left"))};
}

/* On a file system that a place before it is on, and that is told of there. */
static bool is_told_before(const struct survey *s, int rank, const struct file *place)
{
    const char *device = fact_of(s, rank, place, "device");
    for (const struct file *before = places; before < place; before++)
        if (strcmp(fact_of(s, rank, before, "device"), device) == 0)
            return true;
    return false;
}

/* Of none at all, it is not told: some file systems do not count files. */
static bool is_short_of(double left, double all, double least)
{
    return all > 0 && left < least;
}

static bool is_short_of_files(const struct survey *s, int rank, const void *context)
{
    const struct room room = room_of(s, rank, context);
    return survey_is_first(s, rank) && !is_told_before(s, rank, context) &&
           is_short_of(room.files_left, room.files, few_files);
}

static bool is_short_of_space(const struct survey *s, int rank, const void *context)
{
    const struct room room = room_of(s, rank, context);
    return survey_is_first(s, rank) && !is_told_before(s, rank, context) &&
           is_short_of(room.space_left, room.space, little_space);
}

/* The numbers are of the first host that is named. */
static void check_place(const struct survey *s, struct findings *f,
                        const struct file *place)
{
    char hosts[HOSTS_SIZE];
    int rank = first_where(s, is_short_of_files, place);
    if (rank >= 0) {
        const struct room room = room_of(s, rank, place);
        survey_hosts(s, is_short_of_files, place, hosts);
        check_found(f, CONVOY_LEVEL_LOOK,
                    "'convoy pack' makes one file of a data set; remove files, or ask "
                    "for a larger quota",
                    "%s: its file system on %s has room for %.0f more files, of %.0f",
                    place->name, hosts, room.files_left, room.files);
    }
    rank = first_where(s, is_short_of_space, place);
    if (rank >= 0) {
        const struct room room = room_of(s, rank, place);
        survey_hosts(s, is_short_of_space, place, hosts);
        check_found(
            f, CONVOY_LEVEL_LOOK,
            "remove what is not needed, ask for a larger quota, or take another "
            "file system",
            "%s: its file system on %s has %s left, of %s", place->name, hosts,
            check_amount(room.space_left).text, check_amount(room.space).text);
    }
}

static void check_room(const struct survey *s, struct findings *f)
{
    const int before = f->n;
    for (int i = 0; i < N_PLACES; i++)
        check_place(s, f, &places[i]);
    if (f->n == before && *fact_of(s, 0, &places[0], "space"))
        check_found(f, CONVOY_LEVEL_OK, "",
                    "%s left in the current folder; a quota that only its own program "
                    "tells is not seen",
                    check_amount(room_of(s, 0, &places[0]).space_left).text);
}

/* A file system that deletes what is old: by the path, since nothing else tells. */
static void check_scratch(const struct survey *s, struct findings *f)
{
    static const char *const names[] = {"pack", "validation pack"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct file file = {names[i]};
        char age_fact[64];
        snprintf(age_fact, sizeof age_fact, "%s age", names[i]);
        const char *path = fact_of(s, 0, &file, "path");
        const double days = survey_number(s, 0, age_fact);
        if (strstr(path, "scratch") && days > old_days)
            check_found(
                f, CONVOY_LEVEL_LOOK,
                "keep packs in the project's space; or 'convoy verify' and copy anew",
                "%s: %.200s was not touched for %.0f days: scratch file systems delete "
                "after 6 days and more",
                names[i], path, days);
    }
}

static void check_tmpdir(const struct survey *s, struct findings *f)
{
    struct file file = {"tmpdir"};
    const char *kind = fact_of(s, 0, &file, "kind"),
               *path = fact_of(s, 0, &file, "path"),
               *name = fact_of(s, 0, &file, "file system");
    const bool stages = atoi(survey_text(s, 0, "staging")) == 1;
    if (!*kind)
        return;
    if (strcmp(kind, "memory") == 0)
        check_found(
            f, stages ? CONVOY_LEVEL_LOOK : CONVOY_LEVEL_OK,
            stages ? "data.read: memory says the same, and checks that it fits" : "",
            "$TMPDIR, %.200s, is memory (%s): what is staged there counts as the job's",
            path, name);
    else if (strcmp(kind, "shared") == 0)
        check_found(
            f, stages ? CONVOY_LEVEL_LOOK : CONVOY_LEVEL_OK,
            stages ? "data.read: direct or memory, or a node with a disk of its own "
                     "(--constraint=scratch-node on Snellius)"
                   : "",
            "$TMPDIR, %.200s, is a shared file system (%s): staging there gains "
            "nothing",
            path, name);
    else
        check_found(f, CONVOY_LEVEL_OK, "", "$TMPDIR is %.200s, on %s", path, name);
}

const struct check checks_of_data[] = {{"plan", check_plan},
                                       {"pack", check_packs},
                                       {"weights", check_weights},
                                       {"scratch", check_scratch},
                                       {"room", check_room},
                                       {"tmpdir", check_tmpdir},
                                       {NULL, NULL}};
