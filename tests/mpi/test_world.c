/* The ranks' view of the job, and their agreements. */
#include "comm/world.h"
#include "mpi/ranks.h"

#include <stdio.h>
#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

static int level_to_tell = -1; /* by MPI_Query_thread; -1: the library's */

// NOLINTBEGIN(readability-identifier-naming): the linker's --wrap asks for these names
int __real_MPI_Query_thread(int *level);
int __wrap_MPI_Query_thread(int *level);

int __wrap_MPI_Query_thread(int *level)
{
    if (level_to_tell < 0)
        return __real_MPI_Query_thread(level);
    *level = level_to_tell;
    return MPI_SUCCESS;
}
// NOLINTEND(readability-identifier-naming)

static int start(void **state)
{
    convoy_world *world = NULL;
    if (convoy_world_create(&world) != CONVOY_OK)
        return -1;
    *state = world;
    return 0;
}

static void ranks_are_those_of_mpi(void **state)
{
    convoy_world *world = *state;
    int rank = -1, size = -1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    assert_true(on_all_ranks(world, convoy_world_rank(world) == rank &&
                                        convoy_world_size(world) == size));
}

static void nodes_hold_all_ranks(void **state)
{
    convoy_world *world = *state;
    int node_rank = convoy_world_node_rank(world);
    int node_size = convoy_world_node_size(world);
    /* Every node's last rank tells the node's size: together they are all ranks. */
    int mine[2] = {node_rank == 0, node_rank == node_size - 1 ? node_size : 0}, all[2];
    MPI_Allreduce(mine, all, 2, MPI_INT, MPI_SUM, world->comm);
    bool ok = node_rank >= 0 && node_rank < node_size &&
              all[0] == convoy_world_nodes(world) && all[1] == convoy_world_size(world);
    assert_true(on_all_ranks(world, ok));
}

static void threads_may_call_mpi(void **state)
{
    convoy_world *world = *state;
    int level = -1;
    MPI_Query_thread(&level);
    assert_true(on_all_ranks(world, level >= MPI_THREAD_FUNNELED));
}

static void an_mpi_without_threads_is_refused(void **state)
{
    convoy_world *world = *state, *second = NULL;
    level_to_tell = MPI_THREAD_SINGLE;
    convoy_status status = convoy_world_create(&second);
    const convoy_status expected =
        world->rank == 0 ? CONVOY_ERROR_UNSUPPORTED : CONVOY_ERROR_ELSEWHERE;
    bool ok = status == expected && convoy_status_agreed() && !second;
    level_to_tell = MPI_THREAD_FUNNELED;
    ok = convoy_world_create(&second) == CONVOY_OK && ok;
    level_to_tell = -1;
    convoy_world_destroy(second);
    assert_true(on_all_ranks(world, ok));
}

static convoy_status send_to_nobody(const convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    int value = 0;
    TRY_MPI(MPI_Send(&value, 1, MPI_INT, world->size, 0, world->comm));
cleanup:
    return status;
}

static void an_mpi_error_is_returned_with_its_call_and_text(void **state)
{
    convoy_world *world = *state;
    convoy_status status = send_to_nobody(world);
    const char *text = convoy_status_text();
    bool ok = status == CONVOY_ERROR_LIBRARY && strstr(text, "MPI_Send failed: ") &&
              strstr(text, "MPI_ERR_RANK") && !strchr(text, '(');
    assert_true(on_all_ranks(world, ok));
}

/* What this rank brings to an agreement: first on rank 0, last on the last rank,
 * and middle on those between. */
static convoy_status bring(const convoy_world *world, const convoy_status statuses[3])
{
    int which = world->rank == 0 ? 0 : world->rank == world->size - 1 ? 2 : 1;
    convoy_status_clear();
    if (statuses[which] == CONVOY_OK)
        return CONVOY_OK;
    return FAIL(statuses[which], "rank %d has trouble", world->rank);
}

/* Whether only rank speaker has its own status and text back; nobody if speaker is -1.
 */
static bool heard(convoy_world *world, convoy_status mine, int speaker)
{
    char own[32];
    snprintf(own, sizeof own, "rank %d has trouble", world->rank);
    convoy_status status = convoy_world_agree(world, mine);
    if (speaker < 0)
        return status == CONVOY_OK;
    if (world->rank == speaker)
        return status == mine && strcmp(convoy_status_text(), own) == 0;
    return status == CONVOY_ERROR_ELSEWHERE;
}

static void the_lowest_failing_rank_speaks_and_stops_come_last(void **state)
{
    convoy_world *world = *state;
    enum { FIRST, MIDDLE, LAST, NOBODY };
    static const struct {
        convoy_status statuses[3]; /* of the first, the middle, the last rank */
        int speaker;
    } table[] = {
        {{CONVOY_OK, CONVOY_OK, CONVOY_OK}, NOBODY},
        {{CONVOY_ERROR_IO, CONVOY_ERROR_IO, CONVOY_ERROR_IO}, FIRST},
        {{CONVOY_ERROR_FORMAT, CONVOY_ERROR_IO, CONVOY_ERROR_FORMAT}, FIRST},
        {{CONVOY_OK, CONVOY_OK, CONVOY_ERROR_IO}, LAST},
        {{CONVOY_OK, CONVOY_ERROR_FORMAT, CONVOY_ERROR_IO}, MIDDLE},
        {{CONVOY_STOPPED, CONVOY_STOPPED, CONVOY_STOPPED}, FIRST},
        {{CONVOY_STOPPED, CONVOY_OK, CONVOY_OK}, FIRST},
        {{CONVOY_OK, CONVOY_OK, CONVOY_STOPPED}, LAST},
        {{CONVOY_STOPPED, CONVOY_OK, CONVOY_ERROR_IO}, LAST},
        {{CONVOY_STOPPED, CONVOY_ERROR_FORMAT, CONVOY_ERROR_IO}, MIDDLE},
        {{CONVOY_ERROR_ELSEWHERE, CONVOY_OK, CONVOY_ERROR_IO}, LAST},
        {{CONVOY_ERROR_ELSEWHERE, CONVOY_STOPPED, CONVOY_ERROR_IO}, LAST},
        {{CONVOY_ERROR_ELSEWHERE, CONVOY_ERROR_ELSEWHERE, CONVOY_ERROR_ELSEWHERE},
         FIRST},
    };
    if (world->size < 3)
        skip();
    int speakers[] = {0, 1, world->size - 1, -1};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        convoy_status mine = bring(world, table[i].statuses);
        bool ok = heard(world, mine, speakers[table[i].speaker]);
        assert_true(on_all_ranks(world, ok));
    }
}

static void any_rank_alone_is_heard(void **state)
{
    convoy_world *world = *state;
    for (int rank = 0; rank < world->size; rank++) {
        convoy_status mine = CONVOY_OK;
        if (world->rank == rank)
            mine = FAIL(CONVOY_ERROR_MEMORY, "rank %d has trouble", rank);
        assert_true(on_all_ranks(world, heard(world, mine, rank)));
    }
}

static void agreeing_on_success_forgets_nothing(void **state)
{
    convoy_world *world = *state;
    convoy_status ignored = FAIL(CONVOY_ERROR_IO, "an old text");
    (void)ignored;
    convoy_status status = convoy_world_agree(world, CONVOY_OK);
    bool ok = status == CONVOY_OK && !strcmp(convoy_status_text(), "an old text");
    assert_true(on_all_ranks(world, ok));
}

static void a_failure_is_agreed_on_until_the_next_one(void **state)
{
    convoy_world *world = *state;
    bool ok = FAIL(CONVOY_ERROR_IO, "of one rank") != CONVOY_OK;
    ok = ok && !convoy_status_agreed();
    ok = ok && convoy_world_agree(world, CONVOY_OK) == CONVOY_OK;
    ok = ok && !convoy_status_agreed(); /* a success says nothing of older failures */
    const convoy_status mine = world->rank == world->size - 1
                                   ? FAIL(CONVOY_ERROR_IO, "of one rank")
                                   : CONVOY_OK;
    ok = convoy_world_agree(world, mine) != CONVOY_OK && convoy_status_agreed() && ok;
    struct failure kept;
    status_save(CONVOY_ERROR_IO, &kept);
    ok = FAIL(CONVOY_ERROR_IO, "another") != CONVOY_OK && !convoy_status_agreed() && ok;
    ok = status_restore(&kept) != CONVOY_OK && convoy_status_agreed() && ok;
    assert_true(on_all_ranks(world, ok));
}

/* Whether the outcome of other facts on rank is right on this rank: told by the lowest
 * rank that differs from rank 0, and by that alone. */
static bool tells(convoy_world *world, int rank, const char *odd, const char *even,
                  const char *expected)
{
    const int speaker = rank > 0 ? rank : 1;
    const convoy_status status =
        convoy_world_same(world, world->rank == rank ? odd : even);
    if (!convoy_status_agreed())
        return false;
    if (world->rank != speaker)
        return status == CONVOY_ERROR_ELSEWHERE;
    return status == CONVOY_ERROR_ARGUMENT && strstr(convoy_status_text(), expected) &&
           strstr(convoy_status_text(), "rank 0 (host ");
}

static void ranks_that_differ_are_told_apart(void **state)
{
    convoy_world *world = *state;
    static const char even[] = "seed\t1\nlr\t0.1\n";
    static const struct {
        const char *odd, *found, *expected; /* found: where rank 0 has even */
    } table[] = {
        {"seed\t1\nlr\t0.2\n", "has lr 0.2, ", "has 0.1: "},
        {"seed\t\nlr\t0.1\n", "has seed none, ", "has 1: "},
        {"seed\t1\n", "has nothing none, ", "has lr 0.1: "},
        {"seed\t1\nlr\t0.1\nmore\t2\n", "has more 2, ", "has nothing none: "},
        {"", "has nothing none, ", "has seed 1: "},
    };
    assert_true(on_all_ranks(world, convoy_world_same(world, even) == CONVOY_OK &&
                                        convoy_world_same(world, "") == CONVOY_OK));
    for (int rank = 1; rank < world->size; rank++)
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
            assert_true(on_all_ranks(
                world, tells(world, rank, table[i].odd, even, table[i].found) &&
                           (world->rank != rank ||
                            strstr(convoy_status_text(), table[i].expected))));
    if (world->size > 1)
        assert_true(
            on_all_ranks(world, tells(world, 0, table[0].odd, even, "has lr 0.1, ")));
}

static void a_second_world_leaves_mpi_running(void **state)
{
    convoy_world *world = *state, *second = NULL;
    assert_true(on_all_ranks(world, convoy_world_create(&second) == CONVOY_OK));
    bool ok = second->rank == world->rank && second->size == world->size;
    convoy_world_destroy(second);
    assert_true(on_all_ranks(world, ok));
}

static void say_nothing(void *context, const char *text)
{
    (void)context;
    fail_msg("said: %s", text);
}

/* One rank has no sockets: all go on without a watch. */
static void a_watch_that_cannot_be_is_agreed_on(void **state)
{
    convoy_world *world = *state;
    const bool is_odd = world->rank == world->size - 1;
    struct rlimit limit, none = {0};
    if (world->size == 1)
        skip();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    if (is_odd)
        setrlimit(RLIMIT_NOFILE, &none);
    const convoy_status status = convoy_world_watch(world, say_nothing, NULL);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_true(on_all_ranks(
        world, status == (is_odd ? CONVOY_ERROR_UNSUPPORTED : CONVOY_ERROR_ELSEWHERE) &&
                   convoy_status_agreed() && !world->watch));
}

/* Until the world's end, next. */
static void ranks_are_watched(void **state)
{
    convoy_world *world = *state;
    const convoy_status status = convoy_world_watch(world, say_nothing, NULL);
    assert_true(
        on_all_ranks(world, status == CONVOY_OK && (world->size == 1 || world->watch)));
}

static void mpi_ends_with_its_world_and_does_not_start_again(void **state)
{
    convoy_world *again = NULL;
    convoy_world_destroy(NULL);
    convoy_world_destroy(*state);
    int is_finalized = 0;
    MPI_Finalized(&is_finalized);
    assert_true(is_finalized);
    assert_int_equal(convoy_world_create(&again), CONVOY_ERROR_ARGUMENT);
    assert_null(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_of_mpi),
        cmocka_unit_test(nodes_hold_all_ranks),
        cmocka_unit_test(threads_may_call_mpi),
        cmocka_unit_test(an_mpi_without_threads_is_refused),
        cmocka_unit_test(an_mpi_error_is_returned_with_its_call_and_text),
        cmocka_unit_test(the_lowest_failing_rank_speaks_and_stops_come_last),
        cmocka_unit_test(any_rank_alone_is_heard),
        cmocka_unit_test(agreeing_on_success_forgets_nothing),
        cmocka_unit_test(a_failure_is_agreed_on_until_the_next_one),
        cmocka_unit_test(ranks_that_differ_are_told_apart),
        cmocka_unit_test(a_second_world_leaves_mpi_running),
        cmocka_unit_test(a_watch_that_cannot_be_is_agreed_on),
        cmocka_unit_test(ranks_are_watched),
        cmocka_unit_test(mpi_ends_with_its_world_and_does_not_start_again),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
