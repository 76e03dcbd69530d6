/* timeline.json has the energy of the newest life, where the nodes let it be read
 * (RAPL). run.json has the Slurm job of each life; sacct has the joules of a job where
 * the site measures them, which is of all that ran in it. */
#include "report/report_energy.h"

#include "base/file.h"
#include "base/memory.h"
#include "json/json_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096, JOB_SIZE = 32, MAX_JOBS = 64 };

/* The file as JSON; NULL: there is none, or it is damaged. */
static struct json_value *read_json(const char *folder, const char *name)
{
    struct json_value *value = NULL;
    char path[PATH_SIZE], *text = NULL;
    size_t n = 0;
    if (file_join(folder, name, path, sizeof path) != CONVOY_OK || !file_exists(path) ||
        file_read_all(path, &text, &n) != CONVOY_OK ||
        json_value_read(path, text, n, &value) != CONVOY_OK)
        convoy_status_clear();
    mem_free(text);
    return value;
}

static bool is_sound(double joules)
{
    return joules > 0 && joules < 1e15; /* Slurm's "not known" is 2^64 - 2 */
}

static bool take_own(const struct json_value *timeline, struct report_energy *energy)
{
    const struct json_value *own = json_value_member(timeline, "energy");
    const double joules = json_value_number(json_value_member(own, "joules")),
                 seconds = json_value_number(json_value_member(own, "seconds"));
    const int64_t nodes = json_value_integer(json_value_member(own, "nodes_read"));
    const char *source = json_value_text(json_value_member(own, "source"));
    if (!is_sound(joules))
        return false;
    *energy = (struct report_energy){.joules = joules};
    energy->seconds = seconds > 0 && seconds < 1e12 ? seconds : 0;
    energy->nodes = nodes > 0 && nodes < INT32_MAX ? (int)nodes : 0;
    snprintf(energy->source, sizeof energy->source, "%s", source ? source : "RAPL");
    return true;
}

/* Digits: it becomes a part of a command. */
static bool is_job(const char *text)
{
    const size_t n = text ? strspn(text, "0123456789") : 0;
    return n > 0 && n < JOB_SIZE && text[n] == '\0';
}

/* false: sacct is missing, fails or does not answer. */
static bool ask(const char *job, double *joules)
{
    char command[256], line[128] = "";
    snprintf(command, sizeof command,
             "timeout 10 sacct -n -X -P -j %s -o ConsumedEnergyRaw 2>/dev/null", job);
    FILE *pipe = popen(command, "r"); // NOLINT(cert-env33-c): job has digits only
    *joules = 0;
    if (!pipe)
        return false;
    while (fgets(line, sizeof line, pipe)) {
        const double one = strtod(line, NULL);
        *joules += is_sound(one) ? one : 0;
    }
    return pclose(pipe) == 0;
}

static bool is_among(char jobs[][JOB_SIZE], int n, const char *job)
{
    for (int i = 0; i < n; i++)
        if (strcmp(jobs[i], job) == 0)
            return true;
    return false;
}

/* Of the jobs of all lives, each once. All must be known. */
static bool take_jobs(const struct json_value *run, bool *asks,
                      struct report_energy *energy)
{
    const struct json_value *lives = json_value_member(run, "lives");
    char jobs[MAX_JOBS][JOB_SIZE];
    int n = 0;
    double sum = 0, joules;
    for (size_t i = 0; i < json_value_count(lives); i++) {
        const char *job =
            json_value_text(json_value_member(json_value_item(lives, i), "slurm_job"));
        if (!is_job(job) || n == MAX_JOBS)
            return false;
        if (is_among(jobs, n, job))
            continue;
        *asks = *asks && ask(job, &joules);
        if (!*asks || joules == 0)
            return false;
        sum += joules;
        snprintf(jobs[n++], JOB_SIZE, "%s", job);
    }
    if (n == 0)
        return false;
    *energy = (struct report_energy){.joules = sum};
    snprintf(energy->source, sizeof energy->source, "sacct, job %s%s", jobs[0],
             n > 1 ? " and later" : "");
    return true;
}

bool report_energy_read(const char *folder, bool *asks, struct report_energy *energy)
{
    struct json_value *timeline = read_json(folder, "timeline.json");
    bool is_known = take_own(timeline, energy);
    if (!is_known && *asks) {
        struct json_value *run = read_json(folder, "run.json");
        is_known = take_jobs(run, asks, energy);
        json_value_free(run);
    }
    json_value_free(timeline);
    return is_known;
}
