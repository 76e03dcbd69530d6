/* What a rank finds out of its job: scontrol here is a script of the test's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "doctor/facts.h"
#include "doctor/survey.h"
#include "support/scratch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[SCRATCH_PATH], *old_path;

static int make(void **state)
{
    (void)state;
    old_path = getenv("PATH");
    return scratch_make(folder);
}

static int clear(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

static void write_scontrol(const char *body)
{
    char path[2 * SCRATCH_PATH];
    snprintf(path, sizeof path, "%s/scontrol", folder);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fprintf(stream, "#!/bin/sh\n%s\n", body);
    fclose(stream);
    assert_int_equal(chmod(path, 0700), 0);
    snprintf(path, sizeof path, "%s:%s", folder, old_path);
    setenv("PATH", path, 1);
}

/* Free with free, as it is held by *text. */
static struct survey job_facts(char **text)
{
    size_t size = 0;
    struct survey survey;
    FILE *facts = open_memstream(text, &size);
    assert_non_null(facts);
    facts_of_job(facts);
    fclose(facts);
    survey_read(&survey, text, 1);
    return survey;
}

static void scontrol_is_asked_of_the_job(void **state)
{
    char *text = NULL;
    (void)state;
    write_scontrol(
        "case \"$*\" in\n"
        "'show job 7') echo 'JobId=7 JobName=x'; echo '   Requeue=1 "
        "BatchFlag=1' ;;\n"
        "'show config') echo 'KillWait                = 30 sec' ;;\n"
        "'write batch_script 7 -') echo '# --open-mode=truncate'\n"
        "  echo '#SBATCH --open-mode=append # why'\n"
        "  echo '#SBATCH -N2 --signal B:USR1@300'; echo '# --signal=TERM' ;;\n"
        "esac");
    setenv("SLURM_JOB_ID", "7", 1);
    const struct survey survey = job_facts(&text);
    assert_string_equal(survey_text(&survey, 0, "slurm Requeue"), "1");
    assert_string_equal(survey_text(&survey, 0, "slurm BatchFlag"), "1");
    assert_string_equal(survey_text(&survey, 0, "slurm KillWait"), "30");
    assert_string_equal(survey_text(&survey, 0, "script"), "read");
    assert_string_equal(survey_text(&survey, 0, "script --open-mode"), "append ");
    assert_string_equal(survey_text(&survey, 0, "script --signal"), "B:USR1@300");
    free(text);
}

static void one_process_asks_for_all(void **state)
{
    char *text = NULL;
    (void)state;
    setenv("PMIX_RANK", "1", 1);
    assert_false(facts_is_first_process());
    struct survey survey = job_facts(&text);
    assert_false(survey_has(&survey, 0, "script"));
    free(text);
    unsetenv("PMIX_RANK");
    unsetenv("SLURM_JOB_ID");
    survey = job_facts(&text);
    assert_false(survey_has(&survey, 0, "script"));
    free(text);
}

/* It fails, prints without an end, or does not answer; each is left alone. */
static void a_bad_scontrol_is_survived(void **state)
{
    static const char *const bodies[] = {"echo Requeue=1; exit 1", "yes Requeue=1",
                                         "exec sleep 100", "kill -9 $$"};
    (void)state;
    setenv("SLURM_JOB_ID", "7", 1);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char *text = NULL;
        write_scontrol(bodies[i]);
        const struct survey survey = job_facts(&text);
        assert_false(survey_has(&survey, 0, "slurm Requeue"));
        free(text);
    }
    unsetenv("SLURM_JOB_ID");
}

static void file_systems_are_named(void **state)
{
    char *text = NULL;
    size_t size = 0;
    struct survey survey;
    (void)state;
    FILE *facts = open_memstream(&text, &size);
    facts_of_file_system(facts, "a", "/dev/shm");
    facts_of_file_system(facts, "b", "/nowhere/at/all");
    survey_put(facts, "c", "a\tb\nc");
    fclose(facts);
    survey_read(&survey, &text, 1);
    assert_string_equal(survey_text(&survey, 0, "a file system"), "tmpfs");
    assert_string_equal(survey_text(&survey, 0, "a kind"), "memory");
    assert_false(survey_has(&survey, 0, "b kind"));
    assert_string_equal(survey_text(&survey, 0, "c"), "a b c");
    free(text);
}

static void room_is_what_the_file_system_tells(void **state)
{
    char *text = NULL;
    size_t size = 0;
    struct survey survey;
    (void)state;
    FILE *facts = open_memstream(&text, &size);
    facts_of_room(facts, "a", folder);
    facts_of_room(facts, "b", "/nowhere/at/all");
    fclose(facts);
    survey_read(&survey, &text, 1);
    assert_true(survey_number(&survey, 0, "a space") > 0);
    assert_true(survey_number(&survey, 0, "a space left") <=
                survey_number(&survey, 0, "a space"));
    assert_true(survey_number(&survey, 0, "a files left") <=
                survey_number(&survey, 0, "a files"));
    assert_true(survey_has(&survey, 0, "a device"));
    assert_false(survey_has(&survey, 0, "b space"));
    free(text);
}

static void weights_are_a_file_that_can_be_read(void **state)
{
    char path[2 * SCRATCH_PATH];
    (void)state;
    write_scontrol("exit 0");
    snprintf(path, sizeof path, "%s/scontrol", folder);
    const struct weights_case {
        const char *path, *error, *bytes;
    } cases[] = {{path, "", "17"}, /* "#!/bin/sh\nexit 0\n" */
                 {folder, "this is no file", ""},
                 {"/nowhere/at/all", "No such file or directory", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        size_t size = 0;
        struct survey survey;
        FILE *facts = open_memstream(&text, &size);
        facts_of_weights(facts, cases[i].path);
        fclose(facts);
        survey_read(&survey, &text, 1);
        assert_string_equal(survey_text(&survey, 0, "initial weights error"),
                            cases[i].error);
        assert_string_equal(survey_text(&survey, 0, "initial weights bytes"),
                            cases[i].bytes);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scontrol_is_asked_of_the_job),
        cmocka_unit_test(one_process_asks_for_all),
        cmocka_unit_test(a_bad_scontrol_is_survived),
        cmocka_unit_test(file_systems_are_named),
        cmocka_unit_test(room_is_what_the_file_system_tells),
        cmocka_unit_test(weights_are_a_file_that_can_be_read),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
