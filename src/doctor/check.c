#include "doctor/check.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct check *const tables[] = {checks_of_launch,   checks_of_cores,
                                             checks_of_programs, checks_of_machines,
                                             checks_of_data,     checks_of_slurm};

void check_found(struct findings *f, convoy_level level, const char *fix,
                 const char *format, ...)
{
    const size_t bytes = ((size_t)f->n + 1) * sizeof *f->items;
    if (f->status == CONVOY_OK && bytes > f->capacity)
        f->status = mem_reserve((void **)&f->items, &f->capacity, 2 * bytes);
    if (f->status != CONVOY_OK)
        return;
    convoy_finding *made = &f->items[f->n++];
    *made = (convoy_finding){.level = level, .check = f->check};
    snprintf(made->fix, sizeof made->fix, "%s", fix);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(made->text, sizeof made->text, format, arguments);
    va_end(arguments);
}

void checks_run(const char *name, const struct survey *survey,
                struct findings *findings)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct check *check = tables[i]; check->name; check++) {
            findings->check = check->name;
            if (!name || strcmp(name, check->name) == 0)
                check->run(survey, findings);
        }
}

struct check_amount check_amount(double bytes)
{
    struct check_amount amount;
    const double mib = bytes / (1 << 20);
    if (mib < 1024)
        snprintf(amount.text, sizeof amount.text, "%.0f MiB", mib);
    else
        snprintf(amount.text, sizeof amount.text, "%.1f GiB", mib / 1024);
    return amount;
}
