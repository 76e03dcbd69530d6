/* The cores of a rank, and what they can do when all of the job's compute at once. */
#include "doctor/facts.h"

#include "base/cpus.h"
#include "doctor/survey.h"
#include "onednn/gemm.h"

#include <stdlib.h>

enum { MAX_LANES = 1024 };
static const double seconds = 1;

struct speeds {
    double flop_a_s[MAX_LANES];
};

static convoy_status measure(void *context, int lane)
{
    struct speeds *speeds = context;
    return dnn_gemm_speed(seconds, &speeds->flop_a_s[lane]);
}

static void tell_speed(FILE *facts, const struct cores *cores)
{
    convoy_status status = CONVOY_OK;
    struct speeds speeds = {{0}};
    struct lanes *lanes = NULL;
    double sum = 0;
    const int n = cores->n < MAX_LANES ? cores->n : MAX_LANES;
    TRY(cores_start_lanes(cores, &(struct cores_use){n, 1, false}, &lanes));
    TRY(lanes_run(lanes, measure, &speeds));
    for (int lane = 0; lane < n; lane++)
        sum += speeds.flop_a_s[lane];
    survey_put_number(facts, "flop/s a core", sum / n);
cleanup:
    lanes_destroy(lanes);
    if (status != CONVOY_OK)
        survey_put(facts, "lanes error", convoy_status_text());
}

void facts_of_cores(FILE *facts, const struct cores *cores)
{
    const struct crowd *crowd = &cores->crowd;
    int processors = 0;
    for (int i = 0; i < cores->n; i++)
        processors += CPU_COUNT(&cores->sets[i]);
    /* Where cores cannot be divided, each set is all of them. */
    if (crowd->overlaps || crowd->sharers > 0)
        processors = CPU_COUNT(&cores->sets[0]);
    survey_put(facts, "host", crowd->host);
    survey_put_number(facts, "cores", cores->n);
    survey_put_number(facts, "processors", processors);
    survey_put_number(facts, "cores in the mask", crowd->cores);
    survey_put_number(facts, "share", crowd->share);
    survey_put_number(facts, "sharers", crowd->sharers);
    survey_put_number(facts, "overlaps", crowd->overlaps);
    survey_put_number(facts, "ranks of the machine", crowd->ranks);
    survey_put_number(facts, "cores in use", crowd->used_cores);
    survey_put_number(facts, "cores of the machine", crowd->machine_cores);
    survey_put_number(facts, "threads of a core", cores->core_threads);
    survey_put_number(facts, "bound by OpenMP", cpus_are_bound());
    tell_speed(facts, cores);
}
