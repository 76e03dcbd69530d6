/* SGD against its definition in double, and values worked by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "optim/optim.h"
#include "optim/sgd.h"

#include <math.h>

enum { N = 1000, N_STEPS = 20 };

/* The definition of torch.optim.SGD, dampening 0, in double. */
static void reference_step(const struct sgd_settings *settings, double lr, double decay,
                           const float *grads, double *params, double *momentum)
{
    for (int i = 0; i < N; i++) {
        double g = (double)grads[i] + decay * params[i];
        momentum[i] = settings->momentum * momentum[i] + g;
        double d =
            settings->nesterov ? g + settings->momentum * momentum[i] : momentum[i];
        params[i] -= lr * d;
    }
}

static void assert_follows_reference(const struct sgd_settings *settings, double decay)
{
    static float params[N], grads[N];
    static double exact[N], momentum[N];
    struct optimizer *optimizer = NULL;
    assert_int_equal(optimizer_create(optim_find("sgd"), settings, N, &optimizer),
                     CONVOY_OK);
    struct rng start = rng_stream(1, RNG_INIT, 0, 0);
    for (uint64_t i = 0; i < N; i++) {
        exact[i] = params[i] = (float)rng_normal(&start, i);
        momentum[i] = 0;
    }
    for (uint64_t step = 0; step < N_STEPS; step++) {
        struct rng rng = rng_stream(2, RNG_INIT, step, 0);
        double lr = 0.1 / (double)(step + 1);
        for (uint64_t i = 0; i < N; i++)
            grads[i] = (float)rng_normal(&rng, i);
        optimizer_step(optimizer, &(struct optim_piece){.params = params,
                                                        .grads = grads,
                                                        .end = N,
                                                        .step = step,
                                                        .lr = lr,
                                                        .weight_decay = decay});
        reference_step(settings, lr, decay, grads, exact, momentum);
    }
    const float *slot = optimizer_slot(optimizer, "momentum");
    for (int i = 0; i < N; i++) {
        assert_true(fabs(params[i] - exact[i]) < 2e-6);
        assert_true(fabs(slot[i] - momentum[i]) < 1e-5);
    }
    optimizer_destroy(optimizer);
}

static void sgd_follows_its_definition(void **state)
{
    (void)state;
    static const struct sgd_settings cases[] = {
        {0, false}, {0.9, false}, {0.9, true}, {0.5, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_follows_reference(&cases[i], 0);
        assert_follows_reference(&cases[i], 0.01);
    }
}

/* Numbers that f32 holds exactly: p 8, g 2, lr 1/2, momentum 1/2, decay 1/4.
 * Plain: g = 2 + 8/4 = 4, v = 4, p = 8 - 2 = 6; then g = 2 + 1.5 = 3.5, v = 2 + 3.5
 * = 5.5, p = 6 - 2.75 = 3.25. Nesterov: p = 8 - (4 + 2) / 2 = 5; then g = 3.25, v
 * = 5.25, p = 5 - (3.25 + 2.625) / 2 = 2.0625. */
static void two_steps_by_hand(void **state)
{
    (void)state;
    static const struct {
        struct sgd_settings settings;
        float first, second;
    } cases[] = {{{0.5, false}, 6, 3.25F}, {{0.5, true}, 5, 2.0625F}};
    for (int i = 0; i < 2; i++) {
        struct optimizer *optimizer = NULL;
        float p = 8, g = 2;
        const struct optim_piece piece = {
            .params = &p, .grads = &g, .end = 1, .lr = 0.5, .weight_decay = 0.25};
        assert_int_equal(
            optimizer_create(optim_find("sgd"), &cases[i].settings, 1, &optimizer),
            CONVOY_OK);
        optimizer_step(optimizer, &piece);
        assert_true(p == cases[i].first);
        optimizer_step(optimizer, &piece);
        assert_true(p == cases[i].second);
        assert_true(g == 2);
        optimizer_destroy(optimizer);
    }
}

/* By hand: momentum 1/2 of the settings is passed over for 1/4 of a schedule. */
static void a_schedules_momentum_comes_in_place_of_the_settings(void **state)
{
    (void)state;
    struct optimizer *optimizer = NULL;
    const double momentum = 0.25;
    const struct sgd_settings settings = {0.5, false};
    float p = 8, g = 2;
    struct optim_piece piece = {.params = &p, .grads = &g, .end = 1, .lr = 0.5};
    assert_int_equal(optimizer_create(optim_find("sgd"), &settings, 1, &optimizer),
                     CONVOY_OK);
    optimizer_step(optimizer, &piece);
    assert_true(p == 7);
    piece.momentum = &momentum;
    optimizer_step(optimizer, &piece); /* v = 2 / 4 + 2 */
    assert_true(p == 5.75F);
    optimizer_destroy(optimizer);
}

static void nesterov_needs_momentum(void **state)
{
    (void)state;
    const struct option_owner *sgd = &optim_find("sgd")->about;
    const struct sgd_settings wrong = {0, true};
    const char *name = NULL;
    assert_int_equal(sgd->check(&wrong, &name), CONVOY_ERROR_ARGUMENT);
    assert_string_equal(name, "nesterov");
    assert_int_equal(sgd->check(&(struct sgd_settings){0.5, true}, &name), CONVOY_OK);
    assert_int_equal(sgd->check(&(struct sgd_settings){0, false}, &name), CONVOY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_schedules_momentum_comes_in_place_of_the_settings),
        cmocka_unit_test(nesterov_needs_momentum),
        cmocka_unit_test(sgd_follows_its_definition),
        cmocka_unit_test(two_steps_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
