/* Facts are read by walking over them: there are some dozens a rank. */
#include "doctor/survey.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HOSTS = 6 };

void survey_put(FILE *facts, const char *name, const char *value)
{
    fprintf(facts, "%s\t", name);
    for (; *value; value++)
        fputc(strchr("\t\n\r", *value) ? ' ' : *value, facts);
    fputc('\n', facts);
}

void survey_put_number(FILE *facts, const char *name, double value)
{
    fprintf(facts, "%s\t%.10g\n", name, value);
}

/* Names and values end in a 0 each, an empty name ends them all. */
void survey_read(struct survey *survey, char **texts, int n)
{
    survey->n = n;
    survey->texts = texts;
    for (int rank = 0; rank < n; rank++) {
        char *line = texts[rank];
        while (*line) {
            const size_t length = strcspn(line, "\n"), name = strcspn(line, "\t\n");
            const bool is_whole = line[length] == '\n' && name < length;
            if (!is_whole) { /* cut off, or none of ours: the end */
                *line = '\0';
                break;
            }
            line[name] = line[length] = '\0';
            line += length + 1;
        }
    }
}

/* NULL: not told. */
static const char *find(const struct survey *survey, int rank, const char *name)
{
    const char *at = survey->texts[rank];
    while (*at) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *survey_text(const struct survey *survey, int rank, const char *name)
{
    const char *value = find(survey, rank, name);
    return value ? value : "";
}

bool survey_has(const struct survey *survey, int rank, const char *name)
{
    return find(survey, rank, name) != NULL;
}

double survey_number(const struct survey *survey, int rank, const char *name)
{
    return strtod(survey_text(survey, rank, name), NULL);
}

const char *survey_env(const struct survey *survey, int rank, const char *name)
{
    char fact[128];
    snprintf(fact, sizeof fact, "env %s", name);
    return survey_text(survey, rank, fact);
}

bool survey_is_first(const struct survey *survey, int rank)
{
    return (int)survey_number(survey, rank, "machine") == rank;
}

int survey_machines(const struct survey *survey)
{
    int n = 0;
    for (int rank = 0; rank < survey->n; rank++)
        n += survey_is_first(survey, rank);
    return n;
}

/* Ranks may go round the hosts, so a machine is marked first, at its first rank. */
void survey_hosts(const struct survey *survey,
                  bool (*pick)(const struct survey *survey, int rank,
                               const void *context),
                  const void *context, char text[HOSTS_SIZE])
{
    bool *picked = NULL;
    int n = 0;
    size_t used = 0;
    text[0] = '\0';
    if (mem_alloc_array((size_t)survey->n, sizeof *picked, (void **)&picked) !=
        CONVOY_OK)
        return;
    for (int rank = 0; rank < survey->n; rank++) {
        const int machine = (int)survey_number(survey, rank, "machine");
        const bool is_known = machine >= 0 && machine < survey->n;
        if (pick(survey, rank, context))
            picked[is_known ? machine : rank] = true;
    }
    for (int rank = 0; rank < survey->n; rank++) {
        if (!picked[rank])
            continue;
        n++;
        if (n <= MAX_HOSTS && used < HOSTS_SIZE)
            used +=
                (size_t)snprintf(text + used, HOSTS_SIZE - used, "%s%.40s",
                                 n > 1 ? ", " : "", survey_text(survey, rank, "host"));
    }
    if (n > MAX_HOSTS && used < HOSTS_SIZE)
        snprintf(text + used, HOSTS_SIZE - used, " and %d more", n - MAX_HOSTS);
    mem_free(picked);
}
