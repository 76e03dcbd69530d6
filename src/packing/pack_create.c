/* Packing: rank 0 finds the kind of the source and lists it; then every rank makes the
 * parts k with k % size == rank, in rounds, and after each round the ranks agree: so
 * where one fails the others do not go on for hours. */
#include <convoy/pack.h>

#include "pack/pack_file.h"
#include "packing/pack_part.h"
#include "packing/source.h"
#include "packing/subset.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SOURCE(kind) extern const struct source_kind source_##kind;
#include "packing/source_list.h"
#undef SOURCE

static const struct source_kind *const kinds[] = {
#define SOURCE(kind) &source_##kind,
#include "packing/source_list.h"
#undef SOURCE
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* Says why there is no kind for path. */
static convoy_status refuse(const char *path)
{
    char expected[512] = "";
    struct stat info = {0};
    if (stat(path, &info) != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return FAIL(CONVOY_ERROR_FORMAT, "%s: not a regular file", path);
    for (int k = 0; k < N_KINDS; k++) {
        size_t at = strlen(expected);
        snprintf(expected + at, sizeof expected - at, "%s%s", k ? ", or " : "",
                 kinds[k]->expects);
    }
    return FAIL(CONVOY_ERROR_ARGUMENT, "%s: cannot be packed: %s is expected", path,
                expected);
}

static convoy_status check_option(const struct source_kind *kind, unsigned option,
                                  const char *value, const char *name)
{
    if (!value || kind->takes & option)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT, "--%s is not for this kind of source: %s", name,
                kind->expects);
}

static convoy_status find_kind(const char *path, const convoy_pack_options *options,
                               const struct source_kind **found)
{
    convoy_status status = CONVOY_OK;
    int k = 0;
    while (k < N_KINDS && !kinds[k]->matches(path))
        k++;
    if (k == N_KINDS)
        return refuse(path);
    TRY(check_option(kinds[k], SOURCE_DEVKIT, options->devkit, "devkit"));
    TRY(check_option(kinds[k], SOURCE_INSIDE, options->inside, "inside"));
    TRY(check_option(kinds[k], SOURCE_SPLIT, options->split, "split"));
    *found = kinds[k];
cleanup:
    return status;
}

/* What rank 0 does before the others begin. */
static convoy_status make_plan(struct pack_plan *plan)
{
    convoy_status status = CONVOY_OK;
    const convoy_pack_options *options = plan->options;
    const struct source_kind *kind = NULL;
    TRY(pack_plan_check(options));
    if (!*plan->output)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT, "the output's path is empty, or too long"));
    TRY(find_kind(plan->source, options, &kind));
    TRY(pack_plan_try_output(plan->source, plan->output));
    TRY(kind->list(plan->source, options, &plan->listing));
    if (options->strict && plan->listing.notes.n)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s", texts_get(&plan->listing.notes, 0)));
    TRY(subset_choose(plan->source, options, &plan->listing));
    TRY(pack_plan_divide(plan));
    TRY(pack_plan_prepare(plan));
    if (options->size > 1)
        TRY(pack_plan_share(plan));
cleanup:
    return status;
}

static convoy_status agree(const convoy_pack_options *options, convoy_status status)
{
    return options->size > 1 ? options->agree(options->agree_context, status) : status;
}

/* Makes part k, unless it is there already. */
static convoy_status make_part(struct pack_job *job, int k)
{
    convoy_status status = CONVOY_OK;
    const struct pack_plan *plan = job->plan;
    char path[PATH_MAX];
    uint64_t first = 0, end = 0;
    if (plan->n_parts == 1)
        return pack_part_write(job, 0, plan->output);
    TRY(pack_file_name_part(plan->output, k, path, sizeof path));
    if (!pack_part_is_done(job, k, path))
        return pack_part_write(job, k, path);
    pack_plan_range(plan, k, &first, &end);
    job->n_done += end - first;
    if (plan->options->progress)
        plan->options->progress(plan->options->context, job->n_done, job->n_all);
cleanup:
    return status;
}

/* The parts of this rank. */
static convoy_status make_parts(const struct pack_plan *plan, int rank, int size)
{
    convoy_status status = CONVOY_OK;
    struct pack_job job = {.plan = plan};
    TRY(agree(plan->options,
              source_reader_open(plan->source, &plan->listing, &job.reader)));
    for (int k = rank; k < plan->n_parts; k += size) {
        uint64_t first = 0, end = 0;
        pack_plan_range(plan, k, &first, &end);
        job.n_all += end - first;
    }
    for (int k = 0; k < plan->n_parts; k += size) {
        if (k + rank < plan->n_parts)
            status = make_part(&job, k + rank);
        TRY(agree(plan->options, status));
    }
cleanup:
    source_reader_close(job.reader);
    return status;
}

/* Whether the parts make a whole. */
static convoy_status check_whole(const char *path)
{
    convoy_pack *pack = NULL;
    convoy_status status = convoy_pack_open(path, &pack);
    convoy_pack_close(pack);
    return status;
}

convoy_status convoy_pack_create(const char *source, const char *output,
                                 const convoy_pack_options *options)
{
    static const convoy_pack_options defaults = {.rank = 0};
    convoy_status status = CONVOY_OK;
    char name[PATH_MAX];
    size_t n = strlen(output);
    struct pack_plan plan = {
        .source = source, .output = name, .options = options ? options : &defaults};
    const int size = plan.options->size > 1 ? plan.options->size : 1;
    const int rank = size > 1 ? plan.options->rank : 0;
    while (n > 1 && output[n - 1] == '/')
        n--;
    plan.wants_folder = output[n] == '/';
    snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : 0, output);
    TRY(agree(plan.options, rank == 0 ? make_plan(&plan) : CONVOY_OK));
    TRY(agree(plan.options, rank > 0 ? pack_plan_receive(&plan) : CONVOY_OK));
    TRY(make_parts(&plan, rank, size));
    TRY(agree(plan.options, rank == 0 ? check_whole(name) : CONVOY_OK));
cleanup:
    if (rank == 0 && size > 1)
        pack_plan_unshare(&plan);
    listing_free(&plan.listing);
    return status;
}
