/* Are the ranks alike? Each has its facts as lines, a name and a value with a tab
 * between. In the usual case one MPI_Allreduce of a hash and of its complement says so:
 * the least hash is the largest. Only where they differ does rank 0 send its lines, and
 * every other rank looks for the first of its own that is another. */
#include "comm/world.h"

#include "base/hash.h"
#include "base/memory.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

/* One fact: lengths of its name and value, without tab and end of line. */
struct fact {
    int n_name, n_value;
    const char *name, *value;
};

/* The line at *text, which then is the next; false at the end. */
static bool next_fact(const char **text, struct fact *fact)
{
    if (!**text)
        return false;
    const int line = (int)strcspn(*text, "\n"), name = (int)strcspn(*text, "\t\n");
    const bool has_value = name < line;
    fact->name = *text;
    fact->n_name = name;
    fact->value = *text + name + has_value;
    fact->n_value = line - name - has_value;
    *text += line + ((*text)[line] == '\n');
    return true;
}

static bool is_same(const struct fact *a, const struct fact *b)
{
    return a->n_name == b->n_name && a->n_value == b->n_value &&
           memcmp(a->name, b->name, (size_t)a->n_name) == 0 &&
           memcmp(a->value, b->value, (size_t)a->n_value) == 0;
}

static convoy_status tell(const convoy_world *world, const struct fact *own,
                          const struct fact *theirs, const char *their_host)
{
    char host[MPI_MAX_PROCESSOR_NAME] = "";
    int length = 0;
    MPI_Get_processor_name(host, &length);
    const bool same_name = own->n_name == theirs->n_name &&
                           memcmp(own->name, theirs->name, (size_t)own->n_name) == 0;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "rank %d (host %s) has %.*s %.*s, rank 0 (host %s) has %.*s%s%.*s: "
                "start all ranks with the same program, files, options and environment",
                world->rank, host, own->n_name, own->name,
                own->n_value ? own->n_value : 4, own->n_value ? own->value : "none",
                their_host, same_name ? 0 : theirs->n_name, theirs->name,
                same_name ? "" : " ", theirs->n_value ? theirs->n_value : 4,
                theirs->n_value ? theirs->value : "none");
}

/* own against those of rank 0. */
static convoy_status compare(const convoy_world *world, const char *own,
                             const char *theirs, const char *their_host)
{
    const struct fact nothing = {7, 0, "nothing", ""};
    struct fact a, b;
    for (;;) {
        const bool has_a = next_fact(&own, &a), has_b = next_fact(&theirs, &b);
        if (!has_a && !has_b)
            return CONVOY_OK;
        if (!has_a || !has_b || !is_same(&a, &b))
            return tell(world, has_a ? &a : &nothing, has_b ? &b : &nothing,
                        their_host);
    }
}

/* Rank 0's text and host to all: text is new on every rank. Collective. */
static convoy_status send_first(convoy_world *world, const char *facts, char **text,
                                char host[MPI_MAX_PROCESSOR_NAME])
{
    convoy_status status = CONVOY_OK;
    int n = (int)strlen(facts) + 1, length = 0;
    TRY_MPI(MPI_Bcast(&n, 1, MPI_INT, 0, world->comm));
    TRY(convoy_world_agree(world, mem_alloc((size_t)n, (void **)text)));
    if (world->rank == 0) {
        memcpy(*text, facts, (size_t)n);
        MPI_Get_processor_name(host, &length);
    }
    TRY_MPI(MPI_Bcast(*text, n, MPI_CHAR, 0, world->comm));
    TRY_MPI(MPI_Bcast(host, MPI_MAX_PROCESSOR_NAME, MPI_CHAR, 0, world->comm));
cleanup:
    return status;
}

convoy_status convoy_world_same(convoy_world *world, const char *facts)
{
    convoy_status status = CONVOY_OK;
    char *theirs = NULL, host[MPI_MAX_PROCESSOR_NAME] = "";
    const uint64_t hash = hash_64(facts, strlen(facts));
    const uint64_t mine[2] = {hash, ~hash};
    uint64_t least[2];
    TRY_MPI(MPI_Allreduce(mine, least, 2, MPI_UINT64_T, MPI_MIN, world->comm));
    if (least[0] == ~least[1])
        return CONVOY_OK;
    TRY(send_first(world, facts, &theirs, host));
    TRY(convoy_world_agree(world, compare(world, facts, theirs, host)));
cleanup:
    mem_free(theirs);
    return status;
}
