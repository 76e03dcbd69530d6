/* Bytes between all pairs of ranks, of any number. */
#include "base/memory.h"
#include "comm/swap.h"
#include "mpi/ranks.h"

#include <stdlib.h>
#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

enum { MAX_RANKS = 16, UNIT = 70000 };

static int start(void **state)
{
    convoy_world *world = NULL;
    if (convoy_world_create(&world) != CONVOY_OK)
        return -1;
    *state = world;
    return 0;
}

static int stop(void **state)
{
    convoy_world_destroy(*state);
    return 0;
}

/* How much goes from one to the other: nothing for some pairs, much for others. */
static size_t length(int from, int to, int round)
{
    return (size_t)((from * 3 + to * 5 + round) % 4 * UNIT + (from > to ? 1 : 0)) *
           (size_t)((from + to + round) % 3);
}

static uint8_t byte_at(int from, int to, int round, size_t i)
{
    return (uint8_t)(31 * from + 7 * to + round + (int)(i % 251));
}

static bool is_right(const convoy_world *world, int round, const uint8_t *received)
{
    bool right = true;
    for (int from = 0; from < world->size; from++)
        for (size_t i = 0; i < length(from, world->rank, round); i++)
            right = right && *received++ == byte_at(from, world->rank, round, i);
    return right;
}

static convoy_status run_round(convoy_world *world, struct swap *swap, int round,
                               bool *right)
{
    convoy_status status = CONVOY_OK;
    size_t out[MAX_RANKS], in[MAX_RANKS], n_out = 0, n_in = 0;
    uint8_t *send = NULL, *receive = NULL;
    for (int r = 0; r < world->size; r++) {
        n_out += out[r] = length(world->rank, r, round);
        n_in += in[r] = length(r, world->rank, round);
    }
    TRY(mem_alloc(n_out, (void **)&send));
    TRY(mem_alloc(n_in, (void **)&receive));
    uint8_t *at = send;
    for (int r = 0; r < world->size; r++)
        for (size_t i = 0; i < out[r]; i++)
            *at++ = byte_at(world->rank, r, round, i);
    TRY(swap_reserve(swap, out, in));
    TRY(swap_bytes(swap, send, out, receive, in));
    *right = is_right(world, round, receive);
cleanup:
    mem_free(send);
    mem_free(receive);
    return status;
}

static void every_byte_arrives(void **state)
{
    convoy_world *world = *state;
    bool ok = world->size <= MAX_RANKS;
    /* In one piece, in many, and in pieces that end where the bytes do. */
    static const size_t pieces[] = {0, 1009, UNIT};
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces && ok; p++) {
        struct swap *swap = NULL;
        ok = swap_create(world, pieces[p], &swap) == CONVOY_OK;
        for (int round = 0; round < 6 && ok; round++) {
            bool right = false;
            ok = run_round(world, swap, round, &right) == CONVOY_OK && right;
        }
        swap_destroy(swap);
    }
    assert_true(on_all_ranks(world, ok));
}

/* A node's name is its lowest rank, which as many ranks have as the node has. */
static void ranks_know_who_is_on_which_node(void **state)
{
    convoy_world *world = *state;
    int nodes[MAX_RANKS], n_same = 0, n_nodes = 0;
    bool ok = swap_nodes(world, nodes) == CONVOY_OK;
    for (int r = 0; r < world->size && ok; r++) {
        n_same += nodes[r] == nodes[world->rank];
        n_nodes += nodes[r] == r;
        ok = nodes[r] <= r && nodes[nodes[r]] == nodes[r];
    }
    ok = ok && n_same == world->node_size && n_nodes == world->nodes;
    assert_true(on_all_ranks(world, ok));
}

int main(void)
{
    setenv("CONVOY_RANKS_PER_NODE", "2", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_arrives),
        cmocka_unit_test(ranks_know_who_is_on_which_node),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
