/* Versions, processor, limits and environment of a rank. */
#include "doctor/facts.h"

#include <convoy/version.h>

#include "base/build.h"
#include "base/cpus.h"
#include "comm/world.h"
#include "doctor/survey.h"
#include "onednn/engine.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE",
                                        "OMPI_MCA_coll",
                                        "OMPI_MCA_coll_han_priority",
                                        "OMP_NUM_THREADS",
                                        "PATH",
                                        "PMIX_RANK",
                                        "PMI_SIZE",
                                        "SBATCH_OPEN_MODE",
                                        "SBATCH_SIGNAL",
                                        "SLURM_CPUS_ON_NODE",
                                        "SLURM_CPUS_PER_TASK",
                                        "SLURM_EXPORT_ENV",
                                        "SLURM_JOB_CPUS_PER_NODE",
                                        "SLURM_JOB_ID",
                                        "SLURM_MEM_PER_CPU",
                                        "SLURM_MEM_PER_NODE",
                                        "SLURM_NTASKS",
                                        "SLURM_STEP_ID",
                                        "SLURM_STEP_NUM_TASKS",
                                        "SRUN_CPUS_PER_TASK"};

static void tell_processor(FILE *facts)
{
    char line[512];
    FILE *stream = fopen("/proc/cpuinfo", "re");
    while (stream && fgets(line, sizeof line, stream)) {
        const char *colon = strstr(line, ": ");
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        survey_put(facts, "processor", colon + 2);
        break;
    }
    if (stream)
        fclose(stream);
}

/* "none" or the number. */
static void tell_limit(FILE *facts, const char *name, int resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        return;
    if (limit.rlim_cur == RLIM_INFINITY)
        survey_put(facts, name, "none");
    else
        survey_put_number(facts, name, (double)limit.rlim_cur);
}

static void tell_infiniband(FILE *facts)
{
    DIR *folder = opendir("/sys/class/infiniband");
    const struct dirent *entry = NULL;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.') {
            survey_put(facts, "infiniband", entry->d_name);
            break;
        }
    if (folder)
        closedir(folder);
}

static void tell_program(FILE *facts)
{
    char path[4096], build[BUILD_ID_SIZE];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n > 0) {
        path[n] = '\0';
        survey_put(facts, "program", path);
    }
    build_id(build);
    survey_put(facts, "convoy", CONVOY_VERSION);
    survey_put(facts, "build", build);
}

void facts_of_host(FILE *facts)
{
    char text[512], isa[DNN_ISA_SIZE], mpi[256], hwloc[32];
    tell_program(facts);
    dnn_version(text);
    survey_put(facts, "onednn", text);
    dnn_isa(isa);
    snprintf(text, sizeof text, "%s, convoy's loops %s", isa, cpus_isa());
    survey_put(facts, "isa", text);
    world_mpi_version(mpi, sizeof mpi);
    survey_put(facts, "mpi", mpi);
    cores_hwloc_interface(hwloc, sizeof hwloc);
    survey_put(facts, "hwloc", hwloc);
    tell_processor(facts);
    tell_limit(facts, "open files", RLIMIT_NOFILE);
    tell_limit(facts, "locked memory", RLIMIT_MEMLOCK);
    tell_infiniband(facts);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        if (!value)
            continue;
        snprintf(text, sizeof text, "env %s", variables[i]);
        /* Of a path only whether there is one: it may be long. */
        survey_put(facts, text, *value == '/' ? "a path" : value);
    }
}
