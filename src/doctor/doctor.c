/* Every rank tells what it finds of itself, as text; rank 0 reads it all, and checks.
 * So a check sees all ranks at once, needs no messages of its own, and is tested on
 * texts.
 */
#include <convoy/doctor.h>

#include "base/memory.h"
#include "comm/broadcast.h"
#include "comm/gather.h"
#include "comm/world.h"
#include "doctor/check.h"
#include "doctor/facts.h"

#include <stdlib.h>
#include <string.h>

enum { RING_BYTES = 16 << 20 };

struct convoy_doctor {
    convoy_doctor_options options;
    FILE *facts; /* of this rank, into text once it is flushed */
    char *text;
    size_t text_size;
    char warning[512];
    struct findings findings;
    convoy_level verdict;
};

const char *convoy_level_name(convoy_level level)
{
    switch (level) {
    case CONVOY_LEVEL_OK:
        return "OK";
    case CONVOY_LEVEL_LOOK:
        return "look";
    default:
        return "wrong";
    }
}

/* srun starts a step of several tasks, but gives them nothing by which MPI could find
 * the others. Open MPI knows PMIx only, and ends the process where it starts. */
static void foresee_start(convoy_doctor *doctor)
{
    char mpi[256];
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    world_mpi_version(mpi, sizeof mpi);
    const bool has_pmix = getenv("PMIX_RANK") || getenv("OMPI_COMM_WORLD_SIZE"),
               has_pmi = getenv("PMI_RANK") && !strstr(mpi, "Open MPI");
    if (!getenv("SLURM_STEP_ID") || !tasks || atoi(tasks) < 2 || has_pmix || has_pmi ||
        !facts_is_first_process())
        return;
    snprintf(doctor->warning, sizeof doctor->warning,
             "wrong  launch: srun gives its %s tasks no way to find each other (%s): "
             "srun --mpi=pmix (srun --mpi=list names what there is), else mpirun in "
             "the job",
             tasks, mpi);
}

convoy_status convoy_doctor_create(const convoy_doctor_options *options,
                                   convoy_doctor **doctor)
{
    convoy_status status = CONVOY_OK;
    convoy_doctor *made = NULL;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    made->options = *options;
    made->facts = open_memstream(&made->text, &made->text_size);
    if (!made->facts)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a list of facts"));
    foresee_start(made);
    facts_of_job(made->facts);
    *doctor = made;
    made = NULL;
cleanup:
    convoy_doctor_destroy(made);
    return status;
}

void convoy_doctor_destroy(convoy_doctor *doctor)
{
    if (!doctor)
        return;
    if (doctor->facts)
        fclose(doctor->facts);
    free(doctor->text);
    mem_free(doctor->findings.items);
    mem_free(doctor);
}

const char *convoy_doctor_warning(const convoy_doctor *doctor)
{
    return *doctor->warning ? doctor->warning : NULL;
}

/* All but the speeds before all of them, so that ranks measure at the same time.
 * Collective. */
static convoy_status collect(convoy_doctor *doctor, convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    struct cores cores = {0};
    struct ring_speed ring;
    uint64_t left = 0;
    int first = 0;
    FILE *facts = doctor->facts;
    TRY(cores_share(world, &cores));
    TRY(world_memory_left(world, &left));
    TRY(gather_machine(world, &first));
    survey_put_number(facts, "machine", first);
    if (left > 0)
        survey_put_number(facts, "memory left", (double)left);
    facts_of_host(facts);
    if (first == convoy_world_rank(world))
        facts_of_training(facts, &doctor->options, convoy_world_size(world), &cores);
    TRY(convoy_world_agree(world, CONVOY_OK)); /* all wait here */
    facts_of_cores(facts, &cores);
    TRY(gather_ring_speed(world, RING_BYTES, &ring));
    if (ring.bytes_a_s > 0) {
        survey_put_number(facts, "ring bytes/s", ring.bytes_a_s);
        survey_put_number(facts, "ring to", ring.to);
    }
cleanup:
    cores_free(&cores);
    return status;
}

static convoy_status finish_facts(convoy_doctor *doctor)
{
    if (fflush(doctor->facts) != 0)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a list of facts");
    return CONVOY_OK;
}

/* Root, which has all texts. */
static convoy_status judge(convoy_doctor *doctor, char **texts, int n)
{
    struct survey survey;
    struct findings *findings = &doctor->findings;
    survey_read(&survey, texts, n);
    checks_run(NULL, &survey, findings);
    for (int i = 0; i < findings->n; i++)
        if (findings->items[i].level > doctor->verdict)
            doctor->verdict = findings->items[i].level;
    return findings->status;
}

convoy_status convoy_doctor_examine(convoy_doctor *doctor, convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    char **texts = NULL;
    const int size = convoy_world_size(world);
    TRY(collect(doctor, world));
    TRY(convoy_world_agree(world, finish_facts(doctor)));
    TRY(gather_texts(world, doctor->text, &texts));
    if (texts)
        status = judge(doctor, texts, size);
    TRY(convoy_world_agree(world, status));
    int verdict = (int)doctor->verdict;
    TRY(broadcast_bytes(world, 0, &verdict, sizeof verdict));
    doctor->verdict = (convoy_level)verdict;
    /* Of processes that are each alone by mistake, one speaks. */
    if (size == 1 && !facts_is_first_process())
        doctor->findings.n = 0;
cleanup:
    mem_free(texts);
    return status;
}

convoy_level convoy_doctor_verdict(const convoy_doctor *doctor)
{
    return doctor->verdict;
}

const convoy_finding *convoy_doctor_findings(const convoy_doctor *doctor, int *n)
{
    *n = doctor->findings.n;
    return doctor->findings.items;
}
