/* The sentence of a study, and the doubt behind it where sizes are more efficient than
 * the one that they are compared with. */
#include "report/report_sentence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { N_ROWS = 3 };

struct study {
    struct report_row rows[N_ROWS];
    int order[N_ROWS];
    struct report_table table;
    convoy_report report;
};

/* Strong scaling on 1, 2 and 4 nodes at these images a second. */
static void make_study(struct study *s, const double images_per_s[N_ROWS])
{
    *s = (struct study){0};
    for (int i = 0; i < N_ROWS; i++) {
        s->rows[i].place.nodes = 1U << i;
        s->rows[i].place.cores = 8U << i;
        s->rows[i].images_per_s = images_per_s[i];
        s->rows[i].n_runs = 1;
        s->order[i] = i;
    }
    s->rows[0].step_s_q1 = 0.043;
    s->rows[0].step_s_q3 = 0.0731;
    s->rows[0].least_s = 0.05;
    s->rows[0].most_s = 0.06;
    s->report.rows = s->rows;
    s->report.n_rows = N_ROWS;
    s->table = (struct report_table){
        .kind = REPORT_STRONG, .rows = s->order, .n_rows = N_ROWS};
}

static void efficiencies_up_to_noise_above_1_raise_no_doubt(void **state)
{
    (void)state;
    struct study s;
    char doubt[REPORT_SENTENCE_SIZE], sentence[REPORT_SENTENCE_SIZE];
    make_study(&s, (const double[]){100, 209, 380});
    report_doubt(&s.report, &s.table, doubt);
    assert_string_equal(doubt, "");
    report_sentence(&s.report, &s.table, sentence);
    assert_string_equal(sentence, "Efficiency stays above 80 % on all sizes that were "
                                  "measured, up to 4 nodes (95 %).");
}

static void an_efficiency_above_1_doubts_the_first_row(void **state)
{
    (void)state;
    struct study s;
    char doubt[REPORT_SENTENCE_SIZE], sentence[REPORT_SENTENCE_SIZE];
    make_study(&s, (const double[]){100, 342, 380});
    report_doubt(&s.report, &s.table, doubt);
    assert_non_null(strstr(doubt, "above 100 % (171 % on 2 nodes)"));
    assert_non_null(strstr(doubt, "(quartiles of its steps from 0.043 to 0.0731 s)"));
    assert_non_null(strstr(doubt, "measure it again"));
    report_sentence(&s.report, &s.table, sentence);
    const char *behind = strstr(sentence, "up to 4 nodes (95 %). ");
    assert_non_null(behind);
    assert_string_equal(behind + strlen("up to 4 nodes (95 %). "), doubt);
}

static void repetitions_tell_their_spread(void **state)
{
    (void)state;
    struct study s;
    char doubt[REPORT_SENTENCE_SIZE];
    make_study(&s, (const double[]){100, 210.1, 380});
    s.rows[0].n_runs = 3;
    report_doubt(&s.report, &s.table, doubt);
    assert_non_null(strstr(doubt, "(105 % on 2 nodes)"));
    assert_non_null(strstr(doubt, "(medians of its runs from 0.05 to 0.06 s)"));
}

static void one_size_has_none(void **state)
{
    (void)state;
    struct study s;
    char doubt[REPORT_SENTENCE_SIZE];
    make_study(&s, (const double[]){100, 342, 380});
    s.table.kind = REPORT_SINGLE;
    s.table.n_rows = 1;
    report_doubt(&s.report, &s.table, doubt);
    assert_string_equal(doubt, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(efficiencies_up_to_noise_above_1_raise_no_doubt),
        cmocka_unit_test(an_efficiency_above_1_doubts_the_first_row),
        cmocka_unit_test(repetitions_tell_their_spread),
        cmocka_unit_test(one_size_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
