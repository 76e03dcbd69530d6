/* Finding the runs of a report: folders that are runs, or hold some. */
#include "report/report_table.h"

#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

/* While folders are looked into. */
struct search {
    convoy_report *report;
    size_t runs_capacity, views_capacity, passed_capacity; /* bytes */
    int n_found; /* runs, those included that were there already or passed over */
};

static bool is_there(const convoy_report *report, const char *folder)
{
    bool found = false;
    char *path = realpath(folder, NULL);
    for (int i = 0; i < report->n_views && path && !found; i++) {
        char *other = realpath(report->views[i].path, NULL);
        found = other && strcmp(path, other) == 0;
        free(other);
    }
    free(path);
    return found;
}

/* Reads all that a person may look at. */
static convoy_status add_view(struct search *s, const char *folder)
{
    convoy_status status = CONVOY_OK;
    convoy_report *report = s->report;
    struct run_view view = {0};
    void *views = report->views;
    const size_t n = (size_t)report->n_views + 1;
    TRY(run_view_read(folder, &view));
    TRY(mem_reserve(&views, &s->views_capacity, n * sizeof *report->views));
    report->views = views;
    report->n_shown += run_view_shows(&view);
    report->views[report->n_views++] = view;
    view = (struct run_view){0};
cleanup:
    run_view_free(&view);
    return status;
}

/* Reads a run that is not there yet. */
static convoy_status add_run(struct search *s, const char *folder)
{
    convoy_status status = CONVOY_OK;
    convoy_report *report = s->report;
    struct report_run run = {0};
    void *runs = report->runs;
    s->n_found++;
    if (is_there(report, folder))
        return CONVOY_OK;
    TRY(add_view(s, folder));
    TRY(report_run_read(folder, &run));
    const size_t n = (size_t)report->n_runs + 1;
    TRY(mem_reserve(&runs, &s->runs_capacity, n * sizeof *report->runs));
    report->runs = runs;
    report->runs[report->n_runs++] = run;
    run = (struct report_run){0};
cleanup:
    report_run_free(&run);
    return status;
}

/* Keeps the text of a failure to read a folder: it is no reason to have no report of
 * the others. Returns any other outcome as it is. */
static convoy_status pass_over(struct search *s, convoy_status outcome)
{
    convoy_status status = CONVOY_OK;
    convoy_report *report = s->report;
    struct failure failure;
    void *passed = report->passed;
    if (outcome != CONVOY_ERROR_FORMAT && outcome != CONVOY_ERROR_IO)
        return outcome;
    status_save(outcome, &failure);
    convoy_status_clear();
    const size_t n = (size_t)report->n_passed + 1;
    TRY(mem_reserve(&passed, &s->passed_capacity, n * sizeof *report->passed));
    report->passed = passed;
    TRY(mem_copy_text(failure.text, &report->passed[report->n_passed]));
    report->n_passed++;
cleanup:
    return status;
}

/* One of the folders in a folder of runs. */
static convoy_status add_member(struct search *s, const char *folder)
{
    if (report_run_is(folder))
        return pass_over(s, add_run(s, folder));
    return pass_over(s, FAIL(CONVOY_ERROR_FORMAT,
                             "%s: holds no metrics.jsonl: no run began", folder));
}

static int is_name(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static convoy_status add_members(struct search *s, const char *folder)
{
    convoy_status status = CONVOY_OK;
    struct dirent **names = NULL;
    char path[PATH_SIZE];
    const int before = s->n_found, passed = s->report->n_passed;
    const int n = scandir(folder, &names, is_name, versionsort);
    if (n < 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot read the folder: %s", folder,
                    strerror(errno));
    for (int i = 0; i < n && status == CONVOY_OK; i++) {
        status = file_join(folder, names[i]->d_name, path, sizeof path);
        if (status == CONVOY_OK && file_is_folder(path))
            status = add_member(s, path);
    }
    TRY(status);
    if (s->n_found == before && s->report->n_passed > passed)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: holds no run to report on: %s", folder,
                 s->report->passed[passed]));
    if (s->n_found == before)
        TRY(FAIL(
            CONVOY_ERROR_FORMAT,
            "%s: is no run directory (there is no metrics.jsonl in it), nor has it "
            "folders that are",
            folder));
cleanup:
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return status;
}

/* A folder that was named. */
static convoy_status add_named(struct search *s, const char *folder)
{
    if (report_run_is(folder))
        return pass_over(s, add_run(s, folder));
    const convoy_status status = add_members(s, folder);
    if ((status == CONVOY_ERROR_FORMAT || status == CONVOY_ERROR_IO) &&
        s->report->missing == 0)
        s->report->missing = s->report->n_passed + 1;
    return pass_over(s, status);
}

/* None of them is to be reported on. */
static convoy_status fail_with_reasons(const convoy_report *report)
{
    char text[STATUS_TEXT_SIZE] = "";
    size_t n = 0;
    if (report->n_passed == 1)
        return FAIL(CONVOY_ERROR_FORMAT, "%s", report->passed[0]);
    for (int i = 0; i < report->n_passed && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "\n  %s", report->passed[i]);
    return FAIL(CONVOY_ERROR_FORMAT, "there is no run to report on:%s", text);
}

convoy_status convoy_report_create(const char *const *folders, int n,
                                   convoy_report **report)
{
    convoy_status status = CONVOY_OK;
    struct search search = {0};
    TRY(mem_alloc(sizeof *search.report, (void **)&search.report));
    for (int i = 0; i < n; i++)
        TRY(add_named(&search, folders[i]));
    TRY(report_arrange(search.report));
    *report = search.report;
    search.report = NULL;
cleanup:
    convoy_report_destroy(search.report);
    return status;
}

convoy_status convoy_report_outcome(const convoy_report *report)
{
    if (report->missing > 0 && (report->n_shown > 0 || report->n_views == 0))
        return FAIL(CONVOY_ERROR_FORMAT, "%s", report->passed[report->missing - 1]);
    return report->n_shown == 0 ? fail_with_reasons(report) : CONVOY_OK;
}

bool convoy_report_is_empty(const convoy_report *report)
{
    return report->n_shown == 0;
}

convoy_status report_need_rows(const convoy_report *report)
{
    return report->n_rows == 0 ? fail_with_reasons(report) : CONVOY_OK;
}

void convoy_report_destroy(convoy_report *report)
{
    if (!report)
        return;
    for (int i = 0; i < report->n_tables; i++)
        mem_free(report->tables[i].rows);
    for (int i = 0; i < report->n_rows; i++)
        samples_free(&report->rows[i].steps);
    for (int i = 0; i < report->n_runs; i++)
        report_run_free(&report->runs[i]);
    for (int i = 0; i < report->n_views; i++)
        run_view_free(&report->views[i]);
    for (int i = 0; i < report->n_passed; i++)
        mem_free(report->passed[i]);
    mem_free(report->tables);
    mem_free(report->rows);
    mem_free(report->groups);
    mem_free(report->runs);
    mem_free(report->views);
    mem_free(report->passed);
    mem_free(report);
}
