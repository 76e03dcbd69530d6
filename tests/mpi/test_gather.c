/* Texts of all ranks on rank 0, and the ring, of which ranks of one machine are no
 * part.
 */
#include "comm/gather.h"
#include "comm/world.h"
#include "mpi/ranks.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

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

/* Of a rank: its letter, so many times; the first has none. */
static void write_text(int rank, char text[64])
{
    memset(text, 'a' + rank, (size_t)rank);
    text[rank] = '\0';
}

static void texts_of_any_length_are_gathered(void **state)
{
    convoy_world *world = *state;
    char own[64], expected[64], **texts = NULL;
    write_text(world->rank, own);
    bool ok = gather_texts(world, own, &texts) == CONVOY_OK &&
              (texts != NULL) == (world->rank == 0);
    for (int rank = 0; texts && rank < world->size; rank++) {
        write_text(rank, expected);
        ok = ok && strcmp(texts[rank], expected) == 0;
    }
    mem_free(texts);
    assert_true(on_all_ranks(world, ok));
}

static void ranks_here_are_on_one_machine(void **state)
{
    convoy_world *world = *state;
    struct ring_speed speed = {.bytes_a_s = 7};
    int first = -1;
    bool ok = gather_machine(world, &first) == CONVOY_OK && first == 0;
    ok = gather_ring_speed(world, 1024, &speed) == CONVOY_OK && speed.bytes_a_s == 0 &&
         ok;
    assert_true(on_all_ranks(world, ok));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_any_length_are_gathered),
        cmocka_unit_test(ranks_here_are_on_one_machine),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
