/* Whether all ranks run the same programs on the same kind of processor. */
#include "doctor/check.h"

#include <string.h>

struct other {
    const char *fact, *value;
};

static bool has_other(const struct survey *s, int rank, const void *context)
{
    const struct other *other = context;
    return strcmp(survey_text(s, rank, other->fact), other->value) != 0;
}

/* The value that most ranks have, by votes that cancel each other out; where none has
 * more than half, one of them. */
static const char *usual(const struct survey *s, const char *fact)
{
    const char *value = "";
    int votes = 0;
    for (int rank = 0; rank < s->n; rank++) {
        const char *own = survey_text(s, rank, fact);
        if (votes == 0)
            value = own;
        votes += strcmp(own, value) == 0 ? 1 : -1;
    }
    return value;
}

/* A finding where the fact differs; what: "convoy", its name for people. */
static bool differs(const struct survey *s, struct findings *f, convoy_level level,
                    const char *fact, const char *what, const char *fix)
{
    char hosts[HOSTS_SIZE];
    const struct other other = {fact, usual(s, fact)};
    int first = 0;
    survey_hosts(s, has_other, &other, hosts);
    if (!*hosts)
        return false;
    while (!has_other(s, first, &other))
        first++;
    check_found(f, level, fix, "%s: %s %.160s (rank %d), elsewhere %.160s", hosts, what,
                survey_text(s, first, fact), first, other.value);
    return true;
}

static void check_convoy(const struct survey *s, struct findings *f)
{
    static const char *const fix =
        "start the same convoy on all nodes: a full path on a shared file system, or "
        "the same module; 'convoy --version' tells";
    if (differs(s, f, CONVOY_LEVEL_WRONG, "convoy", "convoy version", fix) ||
        differs(s, f, CONVOY_LEVEL_WRONG, "build", "build of convoy", fix))
        return;
    check_found(f, CONVOY_LEVEL_OK, "", "version %s, build %.12s, %s",
                survey_text(s, 0, "convoy"), survey_text(s, 0, "build"),
                survey_text(s, 0, "program"));
}

static void check_onednn(const struct survey *s, struct findings *f)
{
    static const char *const fix =
        "load the same oneDNN on all nodes; where processors differ, ask for one kind "
        "(--constraint)";
    if (differs(s, f, CONVOY_LEVEL_WRONG, "onednn", "oneDNN version", fix) ||
        differs(s, f, CONVOY_LEVEL_WRONG, "isa", "instruction set", fix))
        return;
    check_found(f, CONVOY_LEVEL_OK, "", "version %s, %s", survey_text(s, 0, "onednn"),
                survey_text(s, 0, "isa"));
}

static void check_processor(const struct survey *s, struct findings *f)
{
    if (!differs(s, f, CONVOY_LEVEL_LOOK, "processor", "processor",
                 "ask for one kind (--constraint): each step takes as long as on the "
                 "slowest"))
        check_found(f, CONVOY_LEVEL_OK, "", "%s", survey_text(s, 0, "processor"));
}

static bool is_without_han(const struct survey *s)
{
    return *survey_env(s, 0, "OMPI_MCA_coll") ||
           strcmp(survey_env(s, 0, "OMPI_MCA_coll_han_priority"), "0") == 0;
}

/* Open MPI 5's han is slow on processors with many small caches; only exchange: native
 * calls MPI's collectives with gradients. */
static void check_mpi(const struct survey *s, struct findings *f)
{
    const char *mpi = survey_text(s, 0, "mpi");
    const bool is_rome = strstr(survey_text(s, 0, "processor"), "EPYC 7") != NULL;
    if (differs(s, f, CONVOY_LEVEL_WRONG, "mpi", "MPI",
                "load the same MPI library on all nodes"))
        return;
    if (strstr(mpi, "Open MPI v5") && is_rome && survey_machines(s) < s->n &&
        !is_without_han(s))
        check_found(
            f, CONVOY_LEVEL_LOOK, "export OMPI_MCA_coll=^han",
            "%s: its collectives can be slow on this processor, with several ranks a "
            "node; matters for exchange: native only",
            mpi);
    else
        check_found(f, CONVOY_LEVEL_OK, "", "%s", mpi);
}

/* Slurm's MPI guide: 2.5.0 to 2.7.0 crash where the environment is changed. 2.7.1 has
 * the interface of 2.7.0. */
static void check_hwloc(const struct survey *s, struct findings *f)
{
    const char *interface = survey_text(s, 0, "hwloc");
    if (strcmp(interface, "2.5") == 0 || strcmp(interface, "2.6") == 0 ||
        strcmp(interface, "2.7") == 0)
        check_found(f, CONVOY_LEVEL_LOOK,
                    "load hwloc 2.8 or newer (2.7.1 is good, too, but cannot be told "
                    "apart)",
                    "interface %s: hwloc 2.5.0 to 2.7.0 can crash at the start",
                    interface);
    else
        check_found(f, CONVOY_LEVEL_OK, "", "interface %s", interface);
}

const struct check checks_of_programs[] = {
    {"convoy", check_convoy}, {"onednn", check_onednn}, {"processor", check_processor},
    {"mpi", check_mpi},       {"hwloc", check_hwloc},   {NULL, NULL}};
