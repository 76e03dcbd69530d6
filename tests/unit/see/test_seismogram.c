/* The seismogram is the convolution, and its wavelet is learnt back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <convoy/convolve.h>

#include "support/scratch.h"

#include <math.h>

static void assert_done(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static void the_wavelet_is_ricker_s(void **state)
{
    (void)state;
    convoy_seismogram s = {0};
    const double pi = acos(-1);
    assert_done(convoy_seismogram_make(&s));
    const int middle = s.n_taps / 2;
    assert_int_equal(s.n_taps % 2, 1);
    for (int k = 0; k < s.n_taps; k++) {
        const double x = pi * s.frequency_hz * (k - middle) * s.sample_s;
        const double expected = (1 - 2 * x * x) * exp(-x * x);
        assert_true(fabs((double)s.wavelet[k] - expected) < 1e-6);
    }
    assert_true(s.wavelet[middle] == 1);
    assert_true(fabs((double)s.wavelet[0]) < 1e-3);
    convoy_seismogram_free(&s);
}

static void the_seismogram_is_reflectivity_convolved_with_it(void **state)
{
    (void)state;
    convoy_seismogram s = {0};
    assert_done(convoy_seismogram_make(&s));
    int n_borders = 0;
    for (int t = 0; t < s.n; t++) {
        double sum = 0;
        for (int k = 0; k < s.n_taps; k++) {
            const int from = t - k + s.n_taps / 2;
            if (from >= 0 && from < s.n)
                sum += (double)s.reflectivity[from] * (double)s.wavelet[k];
        }
        n_borders += s.reflectivity[t] != 0;
        assert_true(fabs((double)s.seismogram[t] - sum) < 1e-5);
    }
    assert_in_range(n_borders, s.n / 5, s.n / 2);
    convoy_seismogram_free(&s);
}

static void one_layer_learns_the_wavelet_back(void **state)
{
    (void)state;
    convoy_seismogram s = {0}, again = {0};
    assert_done(convoy_seismogram_make(&s));
    assert_done(convoy_seismogram_make(&again));
    for (int k = 0; k < s.n_taps; k++)
        assert_true(fabs((double)s.learnt[k] - (double)s.wavelet[k]) < 1e-3);
    double power = 0;
    for (int t = 0; t < s.n; t++)
        power += (double)s.seismogram[t] * (double)s.seismogram[t] / s.n;
    assert_true(fabs((double)s.losses[0] - power) < 1e-4 * power);
    assert_true((double)s.losses[s.n_steps] < 1e-6 * power);
    assert_memory_equal(s.learnt, again.learnt, (size_t)s.n_taps * sizeof *s.learnt);
    convoy_seismogram_free(&s);
    convoy_seismogram_free(&again);
    assert_null(s.learnt);
}

static void its_files_read_back_as_they_are(void **state)
{
    (void)state;
    char folder[SCRATCH_PATH], why[CONVOY_SEISMOGRAM_WHY_SIZE];
    convoy_seismogram s = {0};
    assert_int_equal(scratch_make(folder), 0);
    assert_done(convoy_seismogram_make(&s));
    char out[2 * SCRATCH_PATH];
    snprintf(out, sizeof out, "%s/new/seismogram", folder);
    assert_done(convoy_seismogram_write(&s, out, why));
    const struct {
        const char *name;
        const float *values;
        int n;
    } files[] = {{"reflectivity.csv", s.reflectivity, s.n},
                 {"wavelet.csv", s.wavelet, s.n_taps},
                 {"seismogram.csv", s.seismogram, s.n},
                 {"learnt.csv", s.learnt, s.n_taps},
                 {"losses.csv", s.losses, s.n_steps + 1}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        convoy_planes read = {0};
        assert_done(convoy_signal_read(scratch_path(out, files[i].name), &read));
        assert_int_equal(read.rows, 1);
        assert_int_equal(read.columns, files[i].n);
        for (int k = 0; k < files[i].n; k++)
            assert_true(read.values[k] == files[i].values[k]);
        convoy_planes_free(&read);
    }
    for (int i = 0; i < 2 && why[0] == '\0'; i++) {
        size_t n = 0;
        unsigned char *svg =
            scratch_read(scratch_path(out, i ? "learnt.svg" : "seismogram.svg"), &n);
        assert_non_null(svg);
        svg[n] = '\0';
        assert_non_null(strstr((char *)svg, "</svg>"));
        free(svg);
    }
    convoy_seismogram_free(&s);
    scratch_remove(folder);
}

static void without_gnuplot_numbers_are_written_all_the_same(void **state)
{
    (void)state;
    char folder[SCRATCH_PATH], why[CONVOY_SEISMOGRAM_WHY_SIZE];
    convoy_seismogram s = {0};
    convoy_planes read = {0};
    assert_int_equal(scratch_make(folder), 0);
    assert_done(convoy_seismogram_make(&s));
    char *const path = getenv("PATH") ? strdup(getenv("PATH")) : NULL;
    setenv("PATH", folder, 1);
    const convoy_status status = convoy_seismogram_write(&s, folder, why);
    if (path)
        setenv("PATH", path, 1);
    assert_done(status);
    assert_string_equal(why, "there is no gnuplot");
    assert_done(convoy_signal_read(scratch_path(folder, "learnt.csv"), &read));
    assert_int_equal(read.columns, s.n_taps);
    convoy_planes_free(&read);
    convoy_seismogram_free(&s);
    scratch_remove(folder);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wavelet_is_ricker_s),
        cmocka_unit_test(the_seismogram_is_reflectivity_convolved_with_it),
        cmocka_unit_test(one_layer_learns_the_wavelet_back),
        cmocka_unit_test(its_files_read_back_as_they_are),
        cmocka_unit_test(without_gnuplot_numbers_are_written_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
