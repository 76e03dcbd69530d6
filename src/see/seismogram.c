/* A seismogram by convolution, and its impulse response learnt back.
 *
 * Reflectivity is white: a third of its samples, at random, are borders of layers that
 * reflect up to 30 % either way, and none lies so near to an end that its wavelet would
 * be cut. From it and the wavelet the layer `conv` makes the seismogram, and another,
 * of zeros, learns from the two by least squares:
 *   E(w) = 1/n sum over t of ((reflectivity * w)[t] - seismogram[t])^2
 *   v <- momentum v + grad E,  w <- w - rate v
 * A correlating layer learns the response backwards; it is turned around here.
 *
 * The rate: E is a quadratic form with the matrix 2/n X'X, whose diagonal is 2/n sum of
 * reflectivity^2, about 0.02. For white X its eigenvalues are within a factor of ten
 * around that. A rate times the largest must stay below 2 (1 + momentum), and the
 * smallest should be more than (1 - sqrt(momentum))^2 = 0.003: then the error shrinks
 * by sqrt(momentum) a step whatever the direction. A rate of 10 is amid both. */
#include <convoy/convolve.h>

#include "base/memory.h"
#include "base/rng.h"
#include "see/window_net.h"

#include <math.h>
#include <string.h>

enum { N = 600, TAPS = 51, STEPS = 400, MIDDLE = TAPS / 2 };

static const double sample_s = 0.002, frequency_hz = 25;
static const float rate = 10, momentum = 0.9F;
static const double pi = 3.14159265358979323846;

static void fill_reflectivity(float *reflectivity)
{
    const struct rng rng = rng_stream(1, RNG_REFLECTIVITY, 0, 0);
    for (int i = MIDDLE; i < N - MIDDLE; i++) {
        const uint64_t word = 2 * (uint64_t)i;
        const bool is_border = rng_to_unit(rng_word(&rng, word)) < 1.0F / 3;
        const float strength = 0.6F * rng_to_unit(rng_word(&rng, word + 1)) - 0.3F;
        reflectivity[i] = is_border ? strength : 0;
    }
}

static void fill_wavelet(float *wavelet)
{
    for (int k = 0; k < TAPS; k++) {
        const double t = (k - MIDDLE) * sample_s;
        const double square = pi * pi * frequency_hz * frequency_hz * t * t;
        wavelet[k] = (float)((1 - 2 * square) * exp(-square));
    }
}

static convoy_status allocate(convoy_seismogram *s)
{
    convoy_status status = CONVOY_OK;
    const struct {
        float **array;
        size_t n;
    } wanted[] = {{&s->reflectivity, N},
                  {&s->seismogram, N},
                  {&s->wavelet, TAPS},
                  {&s->learnt, TAPS},
                  {&s->losses, STEPS + 1}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        TRY(mem_alloc_array(wanted[i].n, sizeof **wanted[i].array,
                            (void **)wanted[i].array));
cleanup:
    return status;
}

void convoy_seismogram_free(convoy_seismogram *s)
{
    mem_free(s->reflectivity);
    mem_free(s->seismogram);
    mem_free(s->wavelet);
    mem_free(s->learnt);
    mem_free(s->losses);
    *s = (convoy_seismogram){0};
}

/* As long as the reflectivity, and each wavelet's middle where its border is. */
static convoy_status record(convoy_seismogram *s)
{
    convoy_status status = CONVOY_OK;
    const convoy_planes source = {1, 1, N, s->reflectivity};
    const convoy_planes response = {1, 1, TAPS, s->wavelet};
    const convoy_window window = {.pad = {0, MIDDLE}};
    convoy_planes made = {0};
    TRY(convoy_convolve(&source, &response, &window, &made));
    memcpy(s->seismogram, made.values, N * sizeof *s->seismogram);
cleanup:
    convoy_planes_free(&made);
    return status;
}

/* The loss before the step; velocity: [parameters]. */
static convoy_status step(struct window_net *w, const convoy_seismogram *s, float *leaf,
                          float *velocity, float *loss)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {0};
    const size_t n = net_param_floats(w->net);
    float *weight = w->net->store.param_data;
    TRY(compiled_refresh(w->compiled));
    TRY(compiled_forward(w->compiled, s->reflectivity, NULL, leaf, &info));
    *loss = *compiled_losses(w->compiled);
    TRY(compiled_backward(w->compiled, 1, &info));
    for (size_t i = 0; i < n; i++) {
        velocity[i] = momentum * velocity[i] + leaf[i];
        weight[i] -= rate * velocity[i];
    }
cleanup:
    return status;
}

/* The weight is read before the last step, which only measures. */
static convoy_status train(struct window_net *w, convoy_seismogram *s)
{
    convoy_status status = CONVOY_OK;
    float *leaf = NULL, *velocity = NULL, weight[TAPS];
    TRY(mem_alloc_array(net_leaf_floats(w->net), sizeof *leaf, (void **)&leaf));
    TRY(mem_alloc_array(net_param_floats(w->net), sizeof *velocity,
                        (void **)&velocity));
    for (int i = 0; i < STEPS; i++)
        TRY(step(w, s, leaf, velocity, &s->losses[i]));
    TRY(window_net_weight(w, weight));
    TRY(step(w, s, leaf, velocity, &s->losses[STEPS]));
    for (int k = 0; k < TAPS; k++)
        s->learnt[k] = weight[TAPS - 1 - k];
cleanup:
    mem_free(leaf);
    mem_free(velocity);
    return status;
}

static convoy_status learn(convoy_seismogram *s)
{
    convoy_status status = CONVOY_OK;
    const struct layer_attributes told = {.out = 1,
                                          .groups = 1,
                                          .kernel = {1, TAPS},
                                          .stride = {1, 1},
                                          .pad = {0, MIDDLE},
                                          .dilation = {1, 1}};
    const struct window_net_options options = {.kind = &layer_conv,
                                               .told = &told,
                                               .n = 1,
                                               .rows = 1,
                                               .columns = N,
                                               .target = s->seismogram};
    struct window_net w = {0};
    TRY(window_net_create(&options, &w));
    TRY(train(&w, s));
cleanup:
    window_net_free(&w);
    return status;
}

convoy_status convoy_seismogram_make(convoy_seismogram *seismogram)
{
    convoy_status status = CONVOY_OK;
    convoy_seismogram made = {.n = N,
                              .n_taps = TAPS,
                              .n_steps = STEPS,
                              .sample_s = sample_s,
                              .frequency_hz = frequency_hz};
    TRY(allocate(&made));
    fill_reflectivity(made.reflectivity);
    fill_wavelet(made.wavelet);
    TRY(record(&made));
    TRY(learn(&made));
    *seismogram = made;
    made = (convoy_seismogram){0};
cleanup:
    convoy_seismogram_free(&made);
    return status;
}
