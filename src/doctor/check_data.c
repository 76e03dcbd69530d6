/* The plan of the training, and where its files lie. */
#include "doctor/check.h"

#include <stdlib.h>
#include <string.h>

/* Sites delete from scratch after 6 days and more. */
static const double old_days = 5;

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
                                       {"scratch", check_scratch},
                                       {"tmpdir", check_tmpdir},
                                       {NULL, NULL}};
