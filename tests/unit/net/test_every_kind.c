/* Every kind of layer_list.h in a small net, told no more than it must be: gradients of
 * the parameters before it, which are its diff_src, and of its own against central
 * differences of the loss, and the same bits again. A new kind is looked at here before
 * its author writes a test; tests/unit/layer/test_conformance.c says more of kinds that
 * have a reference. And in bf16, where the processor has it, nearly the same. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/net.h"

#include "base/bf16.h"
#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2, CHANNELS = 6, SIDE = 5, CLASSES = 3, MAX_VALUES = 1 << 14 };
enum { CHECKED = 7 }; /* values of a parameter */
static const double step = 2e-3, tolerance = 2e-2;

static const int32_t labels[N] = {1, 2};
static const struct run_info info = {.seed = 3, .step = 5};
static float images[N * CHANNELS * SIDE * SIDE], values[MAX_VALUES],
    gradient[MAX_VALUES];

#define OK(call)                                                                       \
    do {                                                                               \
        if ((call) != CONVOY_OK)                                                       \
            fail_msg("%s", convoy_status_text());                                      \
    } while (0)

/* What kind must be told, numbers being number; free with mem_free. */
static void *tell(const struct layer_kind *kind, const char *number)
{
    const struct option_owner *owner = &kind->about;
    void *attributes = NULL;
    OK(mem_alloc(owner->size, &attributes));
    for (int i = 0; i < owner->n_options; i++) {
        const struct option *option = &owner->options[i];
        assert_true(option_is_scalar(option));
        if (option->default_text)
            continue;
        const bool is_whole =
            option->type != OPTION_F32 && option->type != OPTION_FLOAT;
        if (!option_set(option, is_whole ? number : "0.5", attributes))
            fail_msg("%s: %s takes no %s", owner->name, option->name, number);
    }
    for (int i = 0; i < owner->n_options; i++)
        option_set_default(owner, i, attributes);
    return attributes;
}

/* A net with the kind as layer x, or NULL where it does not fit. */
static convoy_net *build(const struct layer_kind *kind, const char *number, bool flat)
{
    convoy_net *net = NULL;
    const convoy_conv conv = {.out = CHANNELS, .kernel = 1};
    const convoy_inner_product fc = {.out = CLASSES};
    void *attributes = tell(kind, number);
    convoy_node src[LAYER_MAX_SRC];
    OK(convoy_net_create(CHANNELS, SIDE, SIDE, &net));
    convoy_node x = convoy_net_conv(net, convoy_net_input(net), "before", &conv);
    x = flat ? convoy_net_flatten(net, x, "flat") : x;
    const int n = kind->about.max_src > 1 ? 2 : 1;
    src[0] = src[1] = x;
    x = net_add(net, kind, n, src, "x", attributes);
    x = convoy_net_flatten(net, x, "flatten");
    convoy_net_loss(net, convoy_net_inner_product(net, x, "fc", &fc), 0.1F);
    mem_free(attributes);
    if (convoy_net_check(net) == CONVOY_OK)
        return net;
    convoy_net_destroy(net);
    return NULL;
}

static convoy_net *build_any(const struct layer_kind *kind)
{
    static const char *const numbers[] = {"3", "8", "1"};
    convoy_net *net = NULL;
    for (int i = 0; !net && i < 6; i++)
        net = build(kind, numbers[i / 2], i % 2 == 1);
    if (!net)
        fail_msg("%s fits on nothing: %s", kind->about.name, convoy_status_text());
    return net;
}

static double loss_of(struct compiled *compiled, float *leaf)
{
    double sum = 0;
    OK(compiled_refresh(compiled));
    OK(compiled_forward(compiled, images, labels, leaf, &info));
    for (int i = 0; i < N; i++)
        sum += (double)compiled_losses(compiled)[i];
    return sum;
}

/* The loss with value k of parameter i moved. */
static double loss_at(struct compiled *compiled, float *leaf, int i, int64_t k,
                      double moved)
{
    struct param_store *store = &compiled->net->store;
    const float kept = values[k];
    values[k] = (float)((double)kept + moved);
    OK(param_store_set(store, &compiled->net->dnn, i, values, store->param_data));
    values[k] = kept;
    return loss_of(compiled, leaf);
}

/* Five points; the loss is a float, so the step is not small. */
static double slope_at(struct compiled *compiled, float *leaf, int i, int64_t k)
{
    const double near =
        loss_at(compiled, leaf, i, k, step) - loss_at(compiled, leaf, i, k, -step);
    const double far = loss_at(compiled, leaf, i, k, 2 * step) -
                       loss_at(compiled, leaf, i, k, -2 * step);
    return (8 * near - far) / (12 * step);
}

static void check_param(struct compiled *compiled, float *leaf, int i, const char *kind)
{
    struct param_store *store = &compiled->net->store;
    const struct dnn *dnn = &compiled->net->dnn;
    const int64_t n = param_store_n_values(store, i);
    double largest = 0;
    assert_in_range(n, 1, MAX_VALUES);
    loss_of(compiled, leaf);
    OK(compiled_backward(compiled, 1, &info));
    OK(param_store_get(store, dnn, i, leaf, gradient));
    OK(param_store_get(store, dnn, i, store->param_data, values));
    for (int64_t k = 0; k < n; k++)
        largest = fmax(largest, fabs((double)gradient[k]));
    for (int64_t k = 0; k < n; k += n / CHECKED + 1) {
        const double slope = slope_at(compiled, leaf, i, k);
        if (!(fabs(slope - (double)gradient[k]) <= tolerance * largest + 1e-3))
            fail_msg("%s: gradient %d of %s is %g, the slope %g", kind, (int)k,
                     store->params[i].name, (double)gradient[k], slope);
    }
    OK(param_store_set(store, dnn, i, values, store->param_data));
}

static void check_kind(const struct layer_kind *kind)
{
    const struct compile_options options = {.n = N, .type = dnnl_f32, .training = true};
    convoy_net *net = build_any(kind);
    struct compiled *compiled = NULL;
    float *leaf = NULL, *again = NULL;
    if (!net)
        return; /* never: for the analyser, which does not know fail_msg */
    OK(net_compile(net, &options, &compiled));
    OK(param_store_init(&net->store, &net->dnn, NULL, 11));
    const size_t n = net_leaf_floats(net);
    OK(mem_alloc_array(n, sizeof *leaf, (void **)&leaf));
    OK(mem_alloc_array(n, sizeof *again, (void **)&again));
    for (int i = 0; i < net->n_nodes; i++)
        for (int p = 0; p < net->nodes[i].n_params; p++)
            check_param(compiled, leaf, net->nodes[i].first_param + p,
                        kind->about.name);
    for (int turn = 0; turn < 2; turn++) {
        loss_of(compiled, turn ? again : leaf);
        OK(compiled_backward(compiled, 1, &info));
    }
    assert_memory_equal(leaf, again, n * sizeof *leaf);
    mem_free(leaf);
    mem_free(again);
    compiled_destroy(compiled);
    convoy_net_destroy(net);
}

static void gradients_of_every_kind_are_the_slopes_of_the_loss(void **state)
{
    (void)state;
    for (int i = 0; layer_kinds[i]; i++)
        if (!layer_kinds[i]->about.is_loss) /* it ends each of the nets */
            check_kind(layer_kinds[i]);
}

/* Losses and gradients of the same net, weights and images, computed in a type. */
struct outcome {
    convoy_net *net;
    struct compiled *compiled;
    float *leaf;
    double loss;
};

static void run_in(dnnl_data_type_t type, const struct layer_kind *kind,
                   const void *batch, struct outcome *o)
{
    const struct compile_options options = {.n = N, .type = type, .training = true};
    *o = (struct outcome){.net = build_any(kind)};
    OK(net_compile(o->net, &options, &o->compiled));
    OK(param_store_init(&o->net->store, &o->net->dnn, NULL, 11));
    OK(mem_alloc_array(net_leaf_floats(o->net), sizeof *o->leaf, (void **)&o->leaf));
    OK(compiled_refresh(o->compiled));
    OK(compiled_forward(o->compiled, batch, labels, o->leaf, &info));
    OK(compiled_backward(o->compiled, 1, &info));
    for (int i = 0; i < N; i++)
        o->loss += (double)compiled_losses(o->compiled)[i];
}

static void forget(struct outcome *o)
{
    mem_free(o->leaf);
    compiled_destroy(o->compiled);
    convoy_net_destroy(o->net);
}

static double length(const float *a, int64_t n)
{
    double square = 0;
    for (int64_t k = 0; k < n; k++)
        square += (double)a[k] * (double)a[k];
    return sqrt(square);
}

/* How far a is from b, in lengths of b, and a fifth of whole: some gradients are 0 but
 * for rounding, such as that of a bias before batch norm. */
static double distance(const float *a, const float *b, int64_t n, double whole)
{
    double apart = 0;
    for (int64_t k = 0; k < n; k++)
        apart += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
    return sqrt(apart) / (length(b, n) + whole / 5);
}

/* bf16 has 8 bits; a few roundings in a row make a per cent or two. */
static void check_kind_in_bf16(const struct layer_kind *kind, const uint16_t *rounded,
                               const float *images_rounded)
{
    struct outcome f32, bf16, again;
    run_in(dnnl_f32, kind, images_rounded, &f32);
    run_in(dnnl_bf16, kind, rounded, &bf16);
    run_in(dnnl_bf16, kind, rounded, &again);
    if (!(fabs(bf16.loss - f32.loss) <= 0.03 * f32.loss))
        fail_msg("%s: the loss is %g in bf16, %g in f32", kind->about.name, bf16.loss,
                 f32.loss);
    const double whole = length(f32.leaf, (int64_t)net_param_floats(f32.net));
    for (int i = 0; i < f32.net->store.n_params; i++) {
        const int64_t n = param_store_n_values(&f32.net->store, i);
        OK(param_store_get(&f32.net->store, &f32.net->dnn, i, f32.leaf, values));
        OK(param_store_get(&bf16.net->store, &bf16.net->dnn, i, bf16.leaf, gradient));
        const double off = distance(gradient, values, n, whole);
        if (!(off <= 0.06))
            fail_msg("%s: the gradient of %s is %g of its length off in bf16",
                     kind->about.name, f32.net->store.params[i].name, off);
    }
    assert_memory_equal(bf16.leaf, again.leaf,
                        net_leaf_floats(bf16.net) * sizeof *bf16.leaf);
    forget(&f32);
    forget(&bf16);
    forget(&again);
}

static void bf16_of_every_kind_is_near_f32(void **state)
{
    enum { N_IMAGES = sizeof images / sizeof *images };
    uint16_t rounded[N_IMAGES];
    float images_rounded[N_IMAGES];
    (void)state;
    if (dnn_check_type(dnnl_bf16) != CONVOY_OK) {
        assert_non_null(strstr(convoy_status_text(), "use f32"));
        skip();
    }
    bf16_from_floats(rounded, images, N_IMAGES);
    for (int i = 0; i < N_IMAGES; i++)
        images_rounded[i] = bf16_to_f32(rounded[i]);
    for (int i = 0; layer_kinds[i]; i++)
        /* Which values dropout drops depends on how they lie. */
        if (!layer_kinds[i]->about.is_loss && layer_kinds[i] != &layer_dropout)
            check_kind_in_bf16(layer_kinds[i], rounded, images_rounded);
}

static void draw_images(void)
{
    const struct rng rng = rng_stream(1, RNG_INIT, 0, 0);
    for (uint64_t i = 0; i < sizeof images / sizeof *images; i++)
        images[i] = (float)rng_normal(&rng, i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_every_kind_are_the_slopes_of_the_loss),
        cmocka_unit_test(bf16_of_every_kind_is_near_f32),
    };
    draw_images();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
