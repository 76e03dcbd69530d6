/* Copies of a compiled net at work side by side: each computes what one alone computes,
 * bit for bit, on weights that are prepared together. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "net/net_lanes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { N = 4, CLASSES = 5, CHANNELS = 3, SIDE = 10, N_LANES = 3, N_BATCHES = 12 };
enum { IMAGE_FLOATS = N * CHANNELS * SIDE * SIDE };

struct rig {
    convoy_net *net;
    struct lanes *lanes;
    struct net_lanes *training, *evaluation;
    float *images; /* [N_BATCHES, IMAGE_FLOATS] */
    int32_t labels[N];
    float *leaves, *alone;    /* [N_BATCHES, net_leaf_floats] */
    double losses[N_BATCHES]; /* of the evaluation */
    size_t leaf;
};

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static struct compiled *plan(convoy_net *net, bool training)
{
    struct compiled *made = NULL;
    const struct compile_options options = {
        .n = N, .type = dnnl_f32, .training = training, .threads = 1};
    ok(net_plan(net, &options, &made));
    return made;
}

/* With a convolution whose weights the backward pass wants in another layout, and a
 * draw that depends on the microbatch. */
static convoy_net *make_net(int side)
{
    const convoy_conv conv = {.out = 32, .kernel = 3, .pad = 1};
    convoy_net *net = NULL;
    ok(convoy_net_create(CHANNELS, side, side, &net));
    convoy_node x = convoy_net_conv(net, convoy_net_input(net), "conv1", &conv);
    x = convoy_net_relu(net, convoy_net_batch_norm(net, x, "bn1", NULL), "relu1");
    x = convoy_net_relu(net, convoy_net_conv(net, x, "conv2", &conv), "relu2");
    x = convoy_net_dropout(net, convoy_net_flatten(net, x, "flatten"), "drop", 0.3F);
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = CLASSES});
    convoy_net_loss(net, x, 0);
    return net;
}

static struct run_info info_of(int batch)
{
    return (struct run_info){.seed = 1, .step = 2, .first_sample = (uint64_t)batch * N};
}

static void train(struct rig *rig, struct compiled *compiled, int batch, float *leaves)
{
    const struct run_info info = info_of(batch);
    ok(compiled_forward(compiled, rig->images + (size_t)batch * IMAGE_FLOATS,
                        rig->labels, leaves + (size_t)batch * rig->leaf, &info));
    ok(compiled_backward(compiled, 0.25F, &info));
}

static void set_up(struct rig *rig, int n_lanes)
{
    const struct lanes_options options = {.n = n_lanes, .threads = 1};
    const struct rng rng = rng_stream(3, RNG_AUGMENT, 1, 2);
    ok(lanes_create(&options, &rig->lanes));
    rig->net = make_net(SIDE);
    ok(net_lanes_create(rig->lanes, plan(rig->net, true), NULL, &rig->training));
    ok(net_lanes_create(rig->lanes, plan(rig->net, false), rig->training,
                        &rig->evaluation));
    ok(param_store_init(&rig->net->store, &rig->net->dnn, rig->lanes, 7));
    rig->leaf = net_leaf_floats(rig->net);
    ok(mem_alloc((size_t)N_BATCHES * IMAGE_FLOATS * sizeof(float),
                 (void **)&rig->images));
    ok(mem_alloc(N_BATCHES * rig->leaf * sizeof(float), (void **)&rig->leaves));
    ok(mem_alloc(N_BATCHES * rig->leaf * sizeof(float), (void **)&rig->alone));
    for (size_t i = 0; i < (size_t)N_BATCHES * IMAGE_FLOATS; i++)
        rig->images[i] = (float)rng_normal(&rng, i);
    for (int i = 0; i < N; i++)
        rig->labels[i] = i % CLASSES;
}

static void tear_down(struct rig *rig)
{
    net_lanes_destroy(rig->evaluation);
    net_lanes_destroy(rig->training);
    convoy_net_destroy(rig->net);
    lanes_destroy(rig->lanes);
    mem_free(rig->images);
    mem_free(rig->leaves);
    mem_free(rig->alone);
}

static convoy_status train_every_third(void *context, int lane)
{
    struct rig *rig = context;
    for (int b = lane; b < N_BATCHES; b += N_LANES)
        train(rig, rig->training->copies[lane], b, rig->leaves);
    return CONVOY_OK;
}

static convoy_status evaluate_every_third(void *context, int lane)
{
    struct rig *rig = context;
    struct compiled *compiled = rig->evaluation->copies[lane];
    for (int b = lane; b < N_BATCHES; b += N_LANES) {
        const struct run_info info = info_of(b);
        ok(compiled_forward(compiled, rig->images + (size_t)b * IMAGE_FLOATS,
                            rig->labels, NULL, &info));
        rig->losses[b] = (double)compiled_losses(compiled)[N - 1];
    }
    return CONVOY_OK;
}

/* What one compilation, without lanes, makes of the same weights. */
static void compute_alone(struct rig *rig, double *losses)
{
    struct compiled *training = plan(rig->net, true),
                    *evaluation = plan(rig->net, false);
    ok(compiled_allocate(training, NULL));
    ok(program_create_primitives(training->program, 0, 1));
    ok(compiled_allocate(evaluation, NULL));
    ok(program_create_primitives(evaluation->program, 0, 1));
    ok(compiled_refresh(training));
    ok(compiled_refresh(evaluation));
    for (int b = 0; b < N_BATCHES; b++) {
        const struct run_info info = info_of(b);
        train(rig, training, b, rig->alone);
        ok(compiled_forward(evaluation, rig->images + (size_t)b * IMAGE_FLOATS,
                            rig->labels, NULL, &info));
        losses[b] = (double)compiled_losses(evaluation)[N - 1];
    }
    compiled_destroy(training);
    compiled_destroy(evaluation);
}

static void lanes_compute_what_one_computes(void **state)
{
    struct rig rig = {0};
    double losses[N_BATCHES];
    (void)state;
    set_up(&rig, N_LANES);
    assert_true(program_prepared_bytes(rig.training->copies[0]->program) > 0);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < net_param_floats(rig.net); i++)
            rig.net->store.param_data[i] *= 1.25F;
        compute_alone(&rig, losses);
        memset(rig.leaves, 0, N_BATCHES * rig.leaf * sizeof(float));
        ok(net_lanes_refresh(rig.training));
        ok(lanes_run(rig.lanes, train_every_third, &rig));
        assert_memory_equal(rig.leaves, rig.alone,
                            N_BATCHES * rig.leaf * sizeof(float));
        ok(net_lanes_refresh(rig.evaluation));
        ok(lanes_run(rig.lanes, evaluate_every_third, &rig));
        assert_memory_equal(rig.losses, losses, sizeof losses);
    }
    assert_memory_not_equal(rig.leaves, rig.leaves + rig.leaf,
                            rig.leaf * sizeof(float));
    tear_down(&rig);
}

/* Activations are a lane's own; an evaluation takes those that training lends it. */
static void each_lane_has_memory_of_its_own(void **state)
{
    struct rig rig = {0};
    (void)state;
    set_up(&rig, N_LANES);
    const size_t size = program_arena_bytes(rig.training->copies[0]->program);
    for (int a = 0; a < N_LANES; a++) {
        const char *x = (const char *)compiled_logits(rig.training->copies[a]);
        const char *lent = (const char *)compiled_logits(rig.evaluation->copies[a]);
        assert_true(lent < x + size && x < lent + size);
        for (int b = 0; b < a; b++) {
            const char *y = (const char *)compiled_logits(rig.training->copies[b]);
            assert_true(llabs(x - y) >= (long long)size);
        }
    }
    tear_down(&rig);
}

/* Lanes at their first microbatch. */
struct first {
    struct net_lanes *net_lanes;
    const float *image;
    float *leaves[N_LANES];
    long faults[N_LANES]; /* of its thread, in all */
};

static convoy_status train_first(void *context, int lane)
{
    struct first *first = context;
    struct compiled *compiled = first->net_lanes->copies[lane];
    const int32_t labels[N] = {0};
    const struct run_info info = info_of(lane);
    struct rusage usage;
    ok(compiled_forward(compiled, first->image, labels, first->leaves[lane], &info));
    ok(compiled_backward(compiled, 0.25F, &info));
    getrusage(RUSAGE_THREAD, &usage);
    first->faults[lane] = usage.ru_minflt;
    return CONVOY_OK;
}

static float *touched(size_t n)
{
    void *memory = NULL;
    ok(mem_alloc(n * sizeof(float), &memory));
    memset(memory, 0, n * sizeof(float));
    return memory;
}

/* A page is on the NUMA node of the processor that touches it first, which is a page
 * fault of its thread. */
static void each_lane_touches_its_memory_first(void **state)
{
    enum { LARGE_SIDE = 8 * SIDE };
    const struct lanes_options options = {.n = N_LANES, .threads = 1};
    struct lanes *lanes = NULL;
    struct first first = {0};
    (void)state;
    /* Of small pages, there are enough to stand out from other faults. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    convoy_net *net = make_net(LARGE_SIDE);
    float *image = touched((size_t)N * CHANNELS * LARGE_SIDE * LARGE_SIDE);
    ok(lanes_create(&options, &lanes));
    ok(net_lanes_create(lanes, plan(net, true), NULL, &first.net_lanes));
    ok(param_store_init(&net->store, &net->dnn, lanes, 7));
    first.image = image;
    for (int i = 0; i < N_LANES; i++)
        first.leaves[i] = touched(net_leaf_floats(net));
    ok(net_lanes_refresh(first.net_lanes));
    ok(lanes_run(lanes, train_first, &first));
    const size_t arena = program_arena_bytes(first.net_lanes->copies[0]->program);
    const long pages = (long)arena / sysconf(_SC_PAGESIZE);
    assert_true(pages > 200);
    for (int i = 0; i < N_LANES; i++) {
        assert_true(first.faults[i] > pages / 2);
        mem_free(first.leaves[i]);
    }
    net_lanes_destroy(first.net_lanes);
    convoy_net_destroy(net);
    lanes_destroy(lanes);
    mem_free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_compute_what_one_computes),
        cmocka_unit_test(each_lane_has_memory_of_its_own),
        cmocka_unit_test(each_lane_touches_its_memory_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
