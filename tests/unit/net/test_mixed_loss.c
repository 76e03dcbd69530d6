/* Samples that are mixed of two: their loss and its gradient are the two labels' ones,
 * by the shares. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "net/net.h"

#include <math.h>

enum { N = 6, CLASSES = 5, FEATURES = 12 };

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s (%s)", convoy_status_text(), convoy_status_where());
}

struct rig {
    convoy_net *net;
    struct compiled *plain, *mixed;
    float images[N * FEATURES];
    size_t n; /* floats of a leaf */
    float *leaves[3];
    double losses[3][N];
};

static void set_up(struct rig *rig)
{
    const struct rng rng = rng_stream(3, RNG_AUGMENT, 1, 2);
    struct compile_options options = {.n = N, .type = dnnl_f32, .training = true};
    ok(convoy_net_create(FEATURES, 1, 1, &rig->net));
    convoy_node x = convoy_net_input(rig->net);
    x = convoy_net_flatten(rig->net, x, "flatten");
    x = convoy_net_inner_product(rig->net, x, "fc",
                                 &(convoy_inner_product){.out = CLASSES});
    convoy_net_loss(rig->net, x, 0.1F);
    ok(net_compile(rig->net, &options, &rig->plain));
    options.mixes = true;
    ok(net_compile(rig->net, &options, &rig->mixed));
    ok(param_store_init(&rig->net->store, &rig->net->dnn, NULL, 7));
    ok(compiled_refresh(rig->plain));
    ok(compiled_refresh(rig->mixed));
    rig->n = net_leaf_floats(rig->net);
    for (int i = 0; i < 3; i++)
        ok(mem_alloc_array(rig->n, sizeof(float), (void **)&rig->leaves[i]));
    for (uint64_t i = 0; i < (uint64_t)N * FEATURES; i++)
        rig->images[i] = (float)rng_normal(&rng, i);
}

static void tear_down(struct rig *rig)
{
    compiled_destroy(rig->mixed);
    compiled_destroy(rig->plain);
    convoy_net_destroy(rig->net);
    for (int i = 0; i < 3; i++)
        mem_free(rig->leaves[i]);
}

/* Both passes, into leaf and losses number `to`. */
static void compute(struct rig *rig, const int32_t *labels, const int32_t *partners,
                    const float *shares, int to)
{
    const struct run_info info = {.seed = 1};
    struct compiled *compiled = shares ? rig->mixed : rig->plain;
    const struct compiled_batch batch = {rig->images, labels, rig->leaves[to], partners,
                                         shares};
    ok(compiled_forward_batch(compiled, &batch, &info));
    for (int i = 0; i < N; i++)
        rig->losses[to][i] = (double)compiled_losses(compiled)[i];
    ok(compiled_backward(compiled, 1, &info));
}

static void loss_and_gradient_are_those_of_both_labels(void **state)
{
    (void)state;
    const int32_t labels[N] = {0, 4, 2, -1, 3, 1}, partners[N] = {3, 0, 2, -1, 1, 1};
    const double shares[] = {1, 0.75, 0.5};
    struct rig rig;
    set_up(&rig);
    compute(&rig, labels, NULL, NULL, 0);
    compute(&rig, partners, NULL, NULL, 1);
    for (int k = 0; k < 3; k++) {
        float share[N];
        for (int i = 0; i < N; i++)
            share[i] = (float)shares[k];
        compute(&rig, labels, partners, share, 2);
        for (int i = 0; i < N; i++)
            assert_true(fabs(rig.losses[2][i] - shares[k] * rig.losses[0][i] -
                             (1 - shares[k]) * rig.losses[1][i]) < 1e-6);
        for (size_t i = 0; i < rig.n; i++) {
            const double wanted = shares[k] * (double)rig.leaves[0][i] +
                                  (1 - shares[k]) * (double)rig.leaves[1][i];
            assert_true(fabs((double)rig.leaves[2][i] - wanted) < 1e-5);
            if (k == 0)
                assert_true(rig.leaves[2][i] == rig.leaves[0][i]);
        }
        assert_true(rig.losses[2][3] == 0);
    }
    tear_down(&rig);
}

/* A batch of a net that may mix, without shares. */
static void without_shares_each_label_counts_alone(void **state)
{
    (void)state;
    const int32_t labels[N] = {0, 4, 2, -1, 3, 1};
    const struct run_info info = {.seed = 1};
    struct rig rig;
    set_up(&rig);
    compute(&rig, labels, NULL, NULL, 0);
    ok(compiled_forward(rig.mixed, rig.images, labels, rig.leaves[1], &info));
    for (int i = 0; i < N; i++)
        assert_true(rig.losses[0][i] == (double)compiled_losses(rig.mixed)[i]);
    ok(compiled_backward(rig.mixed, 1, &info));
    for (size_t i = 0; i < rig.n; i++)
        assert_true(rig.leaves[0][i] == rig.leaves[1][i]);
    tear_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_and_gradient_are_those_of_both_labels),
        cmocka_unit_test(without_shares_each_label_counts_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
