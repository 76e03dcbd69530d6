/* A checkpoint that one rank reads, once, and all have; whatever fails on one of them,
 * none waits for ever. */
#include "base/memory.h"
#include "checkpoint/checkpoint_share.h"
#include "comm/broadcast.h"
#include "mpi/ranks.h"
#include "support/scratch.h"
#include "weights/weights_checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

enum { LARGE = 1 << 20, SMALL = 5, LARGE_BYTES = 4 * LARGE };

static char folder[SCRATCH_PATH];

/* The n-th allocation from now on fails; 0: none does. */
static long countdown;

// NOLINTBEGIN(readability-identifier-naming): the linker's names for --wrap
convoy_status __real_mem_alloc(size_t bytes, void **out);
convoy_status __wrap_mem_alloc(size_t bytes, void **out);
convoy_status __real_mem_alloc_array(size_t n, size_t size, void **out);
convoy_status __wrap_mem_alloc_array(size_t n, size_t size, void **out);
convoy_status __real_mem_reserve(void **buffer, size_t *capacity, size_t bytes);
convoy_status __wrap_mem_reserve(void **buffer, size_t *capacity, size_t bytes);

static bool fails_now(void)
{
    return countdown > 0 && --countdown == 0;
}

static convoy_status no_memory(void)
{
    return FAIL(CONVOY_ERROR_MEMORY, "no memory, for the test");
}

convoy_status __wrap_mem_alloc(size_t bytes, void **out)
{
    return fails_now() ? no_memory() : __real_mem_alloc(bytes, out);
}

convoy_status __wrap_mem_alloc_array(size_t n, size_t size, void **out)
{
    return fails_now() ? no_memory() : __real_mem_alloc_array(n, size, out);
}

convoy_status __wrap_mem_reserve(void **buffer, size_t *capacity, size_t bytes)
{
    return fails_now() ? no_memory() : __real_mem_reserve(buffer, capacity, bytes);
}

// NOLINTEND(readability-identifier-naming)

static float value_at(size_t i)
{
    return (float)(i % 1021) - 0.25F;
}

/* Two tensors: 4 MiB and some bytes. */
struct sample {
    float *large, small[SMALL];
    struct tensor_view params[2];
};

static void fill(struct sample *s, bool with_values)
{
    s->params[0] = (struct tensor_view){"fc.weight", 2, {16, LARGE / 16}, s->large};
    s->params[1] = (struct tensor_view){"fc.bias", 1, {SMALL}, s->small};
    for (size_t i = 0; i < LARGE; i++)
        s->large[i] = with_values ? value_at(i) : 0;
    for (size_t i = 0; i < SMALL; i++)
        s->small[i] = with_values ? value_at(7 * i) : 0;
}

static bool is_filled(const struct sample *s)
{
    bool ok = true;
    for (size_t i = 0; i < LARGE; i++)
        ok = ok && s->large[i] == value_at(i);
    for (size_t i = 0; i < SMALL; i++)
        ok = ok && s->small[i] == value_at(7 * i);
    return ok;
}

static struct sample sample;

static const char *path(const convoy_world *world)
{
    return world->rank == 0 ? scratch_path(folder, "shared.h5")
                            : "/nowhere/that/only/rank/0/can/read.h5";
}

static int start(void **state)
{
    static const char *const classes[] = {"cat", "œuf"};
    convoy_world *world = NULL;
    if (convoy_world_create(&world) != CONVOY_OK)
        return -1;
    *state = world;
    sample.large = malloc(LARGE * sizeof *sample.large);
    if (!sample.large)
        return -1;
    fill(&sample, true);
    const struct checkpoint_contents contents = {.facts = {.step = 120,
                                                           .recipe = "model:\n",
                                                           .class_names = classes,
                                                           .n_class_names = 2,
                                                           .threads = 3,
                                                           .convoy_version = "0.1.0"},
                                                 .params = sample.params,
                                                 .n_params = 2};
    bool ok = true;
    if (world->rank == 0)
        ok = scratch_make(folder) == 0 &&
             checkpoint_write(path(world), &contents) == CONVOY_OK;
    return on_all_ranks(world, ok) ? 0 : -1;
}

static int stop(void **state)
{
    convoy_world *world = *state;
    const int result = world->rank == 0 ? scratch_remove(folder) : 0;
    free(sample.large);
    convoy_world_destroy(world);
    return result;
}

static void bytes_of_rank_0_arrive_in_pieces_of_any_size(void **state)
{
    convoy_world *world = *state;
    unsigned char bytes[1000];
    static const size_t pieces[] = {0, 1, 7, 999, 1000, 1001};
    bool ok = true;
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = world->rank == 0 ? (unsigned char)(i * 7 + p) : 0;
        ok = broadcast_bytes(world, pieces[p], bytes, sizeof bytes) == CONVOY_OK && ok;
        for (size_t i = 0; i < sizeof bytes; i++)
            ok = ok && bytes[i] == (unsigned char)(i * 7 + p);
    }
    ok = broadcast_bytes(world, 0, NULL, 0) == CONVOY_OK && ok;
    assert_true(on_all_ranks(world, ok));
}

/* Bytes that this process has read; 0 where the system does not tell. */
static unsigned long long bytes_read(void)
{
    char text[512];
    FILE *stream = fopen("/proc/self/io", "re");
    const size_t n = stream ? fread(text, 1, sizeof text - 1, stream) : 0;
    if (stream)
        fclose(stream);
    text[n] = '\0';
    const char *at = strstr(text, "rchar: ");
    return at ? strtoull(at + 7, NULL, 10) : 0;
}

static void rank_0_alone_reads_and_reads_once(void **state)
{
    convoy_world *world = *state;
    struct checkpoint *checkpoint = NULL;
    const unsigned long long before = bytes_read();
    fill(&sample, false);
    bool ok = weights_checkpoint_open(world, path(world), &checkpoint) == CONVOY_OK &&
              checkpoint_read(checkpoint, "params", sample.params, 2) == CONVOY_OK;
    const unsigned long long read = bytes_read() - before;
    ok = ok && is_filled(&sample);
    if (ok && before > 0 && world->rank == 0)
        ok = read < LARGE_BYTES + LARGE_BYTES / 2;
    else if (ok && before > 0)
        ok = read < LARGE_BYTES / 2;
    if (ok) {
        const struct checkpoint_facts *facts = checkpoint_describe(checkpoint);
        size_t n = 0;
        const struct tensor_view *tensors = checkpoint_tensors(checkpoint, &n);
        ok = facts->step == 120 && facts->threads == 3 && facts->n_class_names == 2 &&
             strcmp(facts->class_names[1], "œuf") == 0 &&
             strcmp(facts->recipe, "model:\n") == 0 && n == 2 &&
             strcmp(tensors[1].name, "params/fc.weight") == 0 &&
             tensors[1].dims[1] == LARGE / 16 &&
             strlen(checkpoint_content_hash(checkpoint)) == 32 &&
             strstr(checkpoint_path(checkpoint), "shared.h5");
    }
    checkpoint_close(checkpoint);
    assert_true(on_all_ranks(world, ok));
}

static void what_rank_0_cannot_open_fails_on_all(void **state)
{
    convoy_world *world = *state;
    struct checkpoint *checkpoint = NULL;
    const char *none = scratch_path(folder, "none.h5");
    const convoy_status found = weights_checkpoint_open(world, none, &checkpoint);
    const bool ok =
        !checkpoint && (world->rank == 0 ? found == CONVOY_ERROR_IO &&
                                               strstr(convoy_status_text(), none)
                                         : found == CONVOY_ERROR_ELSEWHERE);
    assert_true(on_all_ranks(world, ok));
}

static void there_may_be_none(void **state)
{
    convoy_world *world = *state;
    struct checkpoint *checkpoint = NULL;
    const bool ok =
        weights_checkpoint_give(world, CONVOY_OK, &checkpoint) == CONVOY_OK &&
        !checkpoint;
    assert_true(on_all_ranks(world, ok));
}

static void a_rank_that_wants_something_else_fails_on_all(void **state)
{
    convoy_world *world = *state;
    struct checkpoint *checkpoint = NULL;
    fill(&sample, false);
    bool ok = weights_checkpoint_open(world, path(world), &checkpoint) == CONVOY_OK;
    if (ok && world->rank == world->size - 1)
        sample.params[1].dims[0] = SMALL - 1;
    ok = ok && checkpoint_read(checkpoint, "params", sample.params, 2) != CONVOY_OK;
    checkpoint_close(checkpoint);
    assert_true(on_all_ranks(world, ok));
}

/* Opens and reads; what is not agreed on would hang here. */
static convoy_status use(convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *checkpoint = NULL;
    TRY(weights_checkpoint_open(world, path(world), &checkpoint));
    TRY(checkpoint_read(checkpoint, "params", sample.params, 2));
cleanup:
    checkpoint_close(checkpoint);
    return status;
}

static void an_allocation_that_fails_on_one_rank_fails_on_all(void **state)
{
    convoy_world *world = *state;
    bool ok = true;
    fill(&sample, false);
    for (int rank = 0; rank < world->size; rank++) {
        bool failed = true;
        for (long n = 1; failed; n++) {
            countdown = world->rank == rank ? n : 0;
            const bool is_good = use(world) == CONVOY_OK;
            countdown = 0;
            failed = !on_all_ranks(world, is_good);
            ok = on_all_ranks(world, is_good == !failed) && ok;
        }
    }
    assert_true(on_all_ranks(world, ok && is_filled(&sample)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_rank_0_arrive_in_pieces_of_any_size),
        cmocka_unit_test(rank_0_alone_reads_and_reads_once),
        cmocka_unit_test(what_rank_0_cannot_open_fails_on_all),
        cmocka_unit_test(there_may_be_none),
        cmocka_unit_test(a_rank_that_wants_something_else_fails_on_all),
        cmocka_unit_test(an_allocation_that_fails_on_one_rank_fails_on_all),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
