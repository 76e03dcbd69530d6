/* A probe: values and gradients of nodes, of the net as it evaluates. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "net/net_probe.h"

#include <math.h>
#include <string.h>

enum {
    N = 2,
    CHANNELS = 3,
    SIDE = 8,
    CLASSES = 4,
    WIDTH = 8,
    FEATURES = WIDTH * 4 * 4,
    PIXELS = CHANNELS * SIDE * SIDE,
    VALUES = N * PIXELS,
    LOGITS = N * CLASSES
};

struct rig {
    convoy_net *net;
    struct compiled *probe, *evaluation;
    float images[VALUES];
};

static struct compiled *compile(convoy_net *net, bool probe)
{
    struct compiled *compiled = NULL;
    const struct compile_options options = {
        .n = N, .type = dnnl_f32, .training = probe, .probe = probe};
    if (net_compile(net, &options, &compiled) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return compiled;
}

/* Everything that a compilation for speed would join, overwrite or drop at random. */
static void build(struct rig *rig)
{
    const convoy_conv conv = {.out = WIDTH, .kernel = 3, .pad = 1};
    const convoy_pool pool = {.kernel = 2};
    const convoy_inner_product fc = {.out = CLASSES};
    assert_int_equal(convoy_net_create(CHANNELS, SIDE, SIDE, &rig->net), CONVOY_OK);
    convoy_net *net = rig->net;
    convoy_node x = convoy_net_conv(net, convoy_net_input(net), "conv1", &conv);
    x = convoy_net_batch_norm(net, x, "bn1", NULL);
    const convoy_node trunk = convoy_net_relu(net, x, "relu1");
    x = convoy_net_conv(net, trunk, "conv2", &conv);
    const convoy_node both[] = {convoy_net_batch_norm(net, x, "bn2", NULL), trunk};
    x = convoy_net_relu(net, convoy_net_add(net, 2, both, "add"), "relu2");
    x = convoy_net_max_pool(net, x, "pool", &pool);
    x = convoy_net_dropout(net, convoy_net_flatten(net, x, "flatten"), "drop", 0.5F);
    x = convoy_net_inner_product(net, x, "fc", &fc);
    convoy_net_loss(net, x, 0.1F);
}

static void set_up(struct rig *rig)
{
    struct rng rng = rng_stream(5, RNG_AUGMENT, 1, 2);
    build(rig);
    rig->probe = compile(rig->net, true);
    rig->evaluation = compile(rig->net, false);
    struct param_store *store = &rig->net->store;
    assert_int_equal(param_store_init(store, &rig->net->dnn, NULL, 7), CONVOY_OK);
    for (int i = 0; i < store->n_buffers; i++) /* statistics that are not 0 and 1 */
        for (int64_t k = 0; k < store->buffers[i].buffer.n; k++)
            store->buffer_data[store->buffers[i].offset + (size_t)k] =
                0.5F + 0.1F * (float)k;
    assert_int_equal(compiled_refresh(rig->probe), CONVOY_OK);
    assert_int_equal(compiled_refresh(rig->evaluation), CONVOY_OK);
    for (size_t i = 0; i < VALUES; i++)
        rig->images[i] = (float)rng_normal(&rng, i);
}

static void tear_down(struct rig *rig)
{
    compiled_destroy(rig->probe);
    compiled_destroy(rig->evaluation);
    convoy_net_destroy(rig->net);
}

static const float *forward(struct rig *rig, struct compiled *compiled)
{
    static const int32_t labels[N] = {-1, -1};
    const struct run_info info = {.seed = 1, .step = 1};
    assert_int_equal(compiled_forward(compiled, rig->images, labels, NULL, &info),
                     CONVOY_OK);
    return compiled_logits(compiled);
}

static void value_of(const struct rig *rig, const char *name, float *out)
{
    const int node = probe_find(rig->net, name);
    assert_true(node >= 0);
    assert_int_equal(probe_value(rig->probe, node, out), CONVOY_OK);
}

static void gradient_of(const struct rig *rig, const char *name, float *out)
{
    const int node = probe_find(rig->net, name);
    assert_true(node >= 0);
    assert_int_equal(probe_gradient(rig->probe, node, out), CONVOY_OK);
}

static void its_logits_are_those_of_an_evaluation(void **state)
{
    struct rig rig;
    (void)state;
    set_up(&rig);
    const float *seen = forward(&rig, rig.probe),
                *expected = forward(&rig, rig.evaluation);
    for (int i = 0; i < N * CLASSES; i++)
        assert_float_equal(seen[i], expected[i], 1e-4F);
    tear_down(&rig);
}

static void values_of_layers_that_are_joined_elsewhere_are_apart(void **state)
{
    struct rig rig;
    static float before[N * WIDTH * SIDE * SIDE], after[N * WIDTH * SIDE * SIDE];
    static float flat[N * FEATURES], dropped[N * FEATURES];
    int n_below = 0;
    (void)state;
    set_up(&rig);
    forward(&rig, rig.probe);
    value_of(&rig, "bn1", before);
    value_of(&rig, "relu1", after);
    for (int i = 0; i < N * WIDTH * SIDE * SIDE; i++) {
        n_below += before[i] < 0;
        assert_float_equal(after[i], fmaxf(before[i], 0), 0);
    }
    assert_true(n_below > 0);
    value_of(&rig, "flatten", flat);
    value_of(&rig, "drop", dropped);
    assert_memory_equal(flat, dropped, sizeof flat);
    tear_down(&rig);
}

/* The logits of all samples with another value in one of them. */
static void logits_at(struct rig *rig, size_t pixel, float value, float logits[LOGITS])
{
    const float kept = rig->images[pixel];
    rig->images[pixel] = value;
    memcpy(logits, forward(rig, rig->evaluation), LOGITS * sizeof *logits);
    rig->images[pixel] = kept;
}

struct slopes {
    int n;
    double far, sum; /* the largest difference to a gradient; of the gradients' sizes */
};

/* Where a logit rises as much to the right of a pixel's value as to the left, there is
 * no kink between, and the gradient is that slope but for rounding. A step across a
 * kink tells nothing. */
static void compare(struct rig *rig, size_t pixel, const float *here,
                    float gradients[CLASSES][VALUES], struct slopes *out)
{
    const float step = 4e-3F, x = rig->images[pixel];
    float above[LOGITS], below[N * CLASSES];
    logits_at(rig, pixel, x + step, above);
    logits_at(rig, pixel, x - step, below);
    for (int c = 0; c < CLASSES; c++) {
        const size_t at = pixel / PIXELS * CLASSES + (size_t)c;
        const double right = (double)(above[at] - here[at]) / (double)step,
                     left = (double)(here[at] - below[at]) / (double)step,
                     gradient = (double)gradients[c][pixel];
        if (fabs(right - left) > 5e-4)
            continue;
        out->n++;
        out->far = fmax(out->far, fabs((right + left) / 2 - gradient));
        out->sum += fabs(gradient);
    }
}

/* The net is linear but for kinks of ReLU and max pooling: 209 of these 220 slopes are
 * compared, rounding makes at most 2e-4, and gradients are 0.027 in the mean. One
 * forward pass serves all classes. */
static void the_gradient_of_the_input_is_that_of_differences(void **state)
{
    struct rig rig;
    struct slopes slopes = {0};
    static float gradients[CLASSES][VALUES];
    float here[LOGITS];
    (void)state;
    set_up(&rig);
    forward(&rig, rig.probe);
    for (int c = 0; c < CLASSES; c++) {
        assert_int_equal(probe_backward(rig.probe, c), CONVOY_OK);
        gradient_of(&rig, "input", gradients[c]);
    }
    memcpy(here, forward(&rig, rig.evaluation), sizeof here);
    for (size_t i = 0; i < VALUES; i += 7)
        compare(&rig, i, here, gradients, &slopes);
    assert_true(slopes.n > 180);
    assert_true(slopes.far < 1e-3);
    assert_true(slopes.sum / slopes.n > 0.02);
    tear_down(&rig);
}

/* Of the last layer's input it is the class' row of the weights. */
static void gradients_of_nodes_are_those_of_the_class(void **state)
{
    struct rig rig;
    static float weights[CLASSES * FEATURES], gradient[N * FEATURES];
    (void)state;
    set_up(&rig);
    const struct param_store *store = &rig.net->store;
    int fc = -1;
    for (int i = 0; i < store->n_params; i++)
        if (strcmp(store->params[i].name, "fc.weight") == 0)
            fc = i;
    assert_true(fc >= 0);
    assert_int_equal(
        param_store_get(store, &rig.net->dnn, fc, store->param_data, weights),
        CONVOY_OK);
    forward(&rig, rig.probe);
    for (int c = CLASSES - 1; c >= 0; c--) {
        assert_int_equal(probe_backward(rig.probe, c), CONVOY_OK);
        gradient_of(&rig, "flatten", gradient);
        for (int i = 0; i < N * FEATURES; i++)
            assert_float_equal(gradient[i], weights[c * FEATURES + i % FEATURES],
                               1e-6F);
    }
    assert_int_equal(probe_find(rig.net, "no such layer"), -1);
    assert_int_equal(probe_value(rig.probe, probe_find(rig.net, "loss"), gradient),
                     CONVOY_ERROR_ARGUMENT);
    tear_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_logits_are_those_of_an_evaluation),
        cmocka_unit_test(values_of_layers_that_are_joined_elsewhere_are_apart),
        cmocka_unit_test(the_gradient_of_the_input_is_that_of_differences),
        cmocka_unit_test(gradients_of_nodes_are_those_of_the_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
