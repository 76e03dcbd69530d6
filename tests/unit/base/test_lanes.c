/* Lanes: they run side by side, with the teams and on the processors that they are
 * given, whatever OpenMP's settings and environment say. For the environment the test
 * starts itself again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpus.h"
#include "base/lanes.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ThreadSanitizer does not see how libgomp's threads wait for each other. */
#ifdef __SANITIZE_THREAD__
enum { MAX_LANES = 5, MAX_THREADS = 1, HAS_TEAMS = 0 };
#else
enum { MAX_LANES = 5, MAX_THREADS = 3, HAS_TEAMS = 1 };
#endif

static struct lanes *create(int n, int threads)
{
    const struct lanes_options options = {.n = n, .threads = threads};
    struct lanes *lanes = NULL;
    if (lanes_create(&options, &lanes) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    assert_int_equal(lanes_n(lanes), n);
    assert_int_equal(lanes_threads(lanes), threads);
    assert_int_equal(lanes_workers(lanes), n * threads);
    return lanes;
}

struct meeting {
    pthread_barrier_t barrier;
    pthread_t threads[MAX_LANES];
    int times[MAX_LANES];
};

/* Returns only when all lanes are in it. */
static convoy_status meet(void *context, int lane)
{
    struct meeting *meeting = context;
    pthread_barrier_wait(&meeting->barrier);
    meeting->threads[lane] = pthread_self();
    meeting->times[lane]++;
    return CONVOY_OK;
}

static void lanes_run_side_by_side_on_threads_of_their_own(void **state)
{
    enum { RUNS = 20 };
    (void)state;
    for (int n = 1; n <= MAX_LANES; n++) {
        struct meeting meeting = {.times = {0}};
        struct lanes *lanes = create(n, 1);
        pthread_barrier_init(&meeting.barrier, NULL, (unsigned)n);
        for (int run = 0; run < RUNS; run++)
            assert_int_equal(lanes_run(lanes, meet, &meeting), CONVOY_OK);
        for (int i = 0; i < n; i++) {
            assert_int_equal(meeting.times[i], RUNS);
            assert_false(pthread_equal(meeting.threads[i], pthread_self()));
            for (int j = 0; j < i; j++)
                assert_false(pthread_equal(meeting.threads[i], meeting.threads[j]));
        }
        lanes_destroy(lanes);
        pthread_barrier_destroy(&meeting.barrier);
    }
}

/* Lanes from *context on fail. */
static convoy_status fail_from(void *context, int lane)
{
    const int *first = context;
    if (lane < *first)
        return CONVOY_OK;
    return FAIL(lane % 2 ? CONVOY_ERROR_IO : CONVOY_ERROR_FORMAT, "of lane %d", lane);
}

static void the_first_lane_that_fails_is_heard(void **state)
{
    (void)state;
    struct lanes *lanes = create(3, 1);
    for (int first = 0; first < 3; first++) {
        char text[32];
        snprintf(text, sizeof text, "of lane %d", first);
        convoy_status_clear();
        assert_int_equal(lanes_run(lanes, fail_from, &first),
                         first % 2 ? CONVOY_ERROR_IO : CONVOY_ERROR_FORMAT);
        assert_string_equal(convoy_status_text(), text);
        assert_non_null(strstr(convoy_status_where(), "test_lanes.c"));
    }
    /* A failure is one run's. */
    int none = 3;
    assert_int_equal(lanes_run(lanes, fail_from, &none), CONVOY_OK);
    lanes_destroy(lanes);
}

/* Threads of a lane's team, and what OpenMP promises for the next. */
struct teams {
    int sizes[MAX_LANES], next[MAX_LANES];
};

static convoy_status count_team(void *context, int lane)
{
    struct teams *teams = context;
#pragma omp parallel
#pragma omp single
    teams->sizes[lane] = omp_get_num_threads();
    teams->next[lane] = omp_get_max_threads();
    return CONVOY_OK;
}

static bool teams_have(int n, int threads)
{
    struct teams teams;
    struct lanes *lanes = create(n, threads);
    bool ok = lanes_run(lanes, count_team, &teams) == CONVOY_OK;
    for (int i = 0; i < n; i++)
        ok = ok && teams.sizes[i] == threads && teams.next[i] == threads;
    lanes_destroy(lanes);
    return ok;
}

static void teams_have_their_threads_whatever_the_caller_set(void **state)
{
    (void)state;
    for (int own = 1; own <= 4; own++) {
        omp_set_num_threads(own);
        omp_set_dynamic(own % 2);
        for (int n = 1; n <= MAX_LANES; n += 2)
            for (int threads = 1; threads <= MAX_THREADS; threads++)
                assert_true(teams_have(n, threads));
        assert_int_equal(omp_get_max_threads(), own);
    }
    omp_set_num_threads(1);
    omp_set_dynamic(0);
}

/* How often each element was visited, and whether ranges were as promised. */
struct visits {
    size_t n, grain;
    int workers;
    _Atomic int counts[1000];
    _Atomic int busy[MAX_LANES * MAX_THREADS]; /* calls under way of each worker */
    atomic_bool ok;
};

static void visit(void *context, int worker, size_t begin, size_t end)
{
    struct visits *v = context;
    const bool has_end = end == begin + v->grain || (end == v->n && end > begin);
    if (worker < 0 || worker >= v->workers || begin % v->grain != 0 || !has_end ||
        end - begin > v->grain || end > v->n) {
        v->ok = false;
        return;
    }
    if (atomic_fetch_add(&v->busy[worker], 1) != 0)
        v->ok = false;
    for (size_t i = begin; i < end; i++)
        v->counts[i]++;
    v->busy[worker]--;
}

static void check_ranges(struct lanes *lanes, size_t n, size_t grain)
{
    struct visits v = {.n = n, .grain = grain, .workers = lanes_workers(lanes)};
    v.ok = true;
    lanes_for(lanes, n, grain, visit, &v);
    assert_true(v.ok);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(v.counts[i], 1);
    for (size_t i = n; i < sizeof v.counts / sizeof *v.counts; i++)
        assert_int_equal(v.counts[i], 0);
}

static void ranges_cover_everything_once(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 7, 64, 999, 1000},
                        grains[] = {1, 3, 64, 1000, 5000};
    (void)state;
    for (int n = 0; n <= MAX_LANES; n++)
        for (int threads = 1; threads <= MAX_THREADS; threads++) {
            struct lanes *lanes = n > 0 ? create(n, threads) : NULL;
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                for (size_t j = 0; j < sizeof grains / sizeof *grains; j++)
                    check_ranges(lanes, sizes[i], grains[j]);
            lanes_destroy(lanes);
        }
}

static void note_thread(void *context, int worker, size_t begin, size_t end)
{
    (void)begin;
    (void)end;
    pthread_t *thread = context;
    assert_int_equal(worker, 0);
    *thread = pthread_self();
}

static void no_lanes_and_little_work_are_the_callers(void **state)
{
    (void)state;
    struct lanes *lanes = create(2, 1);
    struct lanes *of[] = {NULL, lanes};
    for (int i = 0; i < 2; i++) {
        pthread_t thread = (pthread_t){0};
        lanes_for(of[i], 8, 8, note_thread, &thread);
        assert_true(pthread_equal(thread, pthread_self()));
    }
    assert_int_equal(lanes_workers(NULL), 1);
    lanes_destroy(lanes);
    lanes_destroy(NULL);
}

/* Whether all threads of each lane may use its place, and no other processor. */
struct pinned {
    const cpu_set_t *places;
    bool ok[MAX_LANES];
};

static bool team_is_in(const cpu_set_t *place, int threads)
{
    bool all = true;
#pragma omp parallel num_threads(threads) reduction(&& : all)
    {
        cpu_set_t mask;
        CPU_ZERO(&mask);
        sched_getaffinity(0, sizeof mask, &mask);
        all = all && CPU_EQUAL(&mask, place);
    }
    return all;
}

/* Also after a part of the team was used, as oneDNN does. */
static convoy_status look_at_masks(void *context, int lane)
{
    struct pinned *pinned = context;
    const int whole = omp_get_max_threads();
    bool all = true;
    for (int part = whole; part > 0; part--)
        all = team_is_in(&pinned->places[lane], part) &&
              team_is_in(&pinned->places[lane], whole) && all;
    pinned->ok[lane] = all;
    return CONVOY_OK;
}

static bool places_are_kept(const cpu_set_t *given, const cpu_set_t *expected, int n,
                            int threads)
{
    struct pinned pinned = {.places = expected};
    struct lanes *lanes = NULL;
    const struct lanes_options options = {.n = n, .threads = threads, .places = given};
    bool ok = lanes_create(&options, &lanes) == CONVOY_OK &&
              lanes_run(lanes, look_at_masks, &pinned) == CONVOY_OK;
    for (int i = 0; i < n; i++)
        ok = ok && pinned.ok[i];
    lanes_destroy(lanes);
    return ok;
}

/* Place i is the i-th processor of the mask, over and over. */
static void one_processor_each(cpu_set_t *places, int n)
{
    cpu_set_t mask;
    size_t cpu = CPU_SETSIZE - 1;
    cpus_mask(&mask);
    for (int i = 0; i < n; i++) {
        do
            cpu = (cpu + 1) % CPU_SETSIZE;
        while (!CPU_ISSET(cpu, &mask));
        CPU_ZERO(&places[i]);
        CPU_SET(cpu, &places[i]);
    }
}

static bool all_places_are_kept(int max_threads)
{
    cpu_set_t single[MAX_LANES], whole[MAX_LANES], own;
    bool ok = true;
    sched_getaffinity(0, sizeof own, &own);
    one_processor_each(single, MAX_LANES);
    for (int i = 0; i < MAX_LANES; i++)
        cpus_mask(&whole[i]);
    for (int threads = 1; threads <= max_threads; threads++) {
        ok = places_are_kept(single, single, MAX_LANES, threads) && ok;
        ok = places_are_kept(whole, whole, MAX_LANES, threads) && ok;
        ok = places_are_kept(NULL, whole, MAX_LANES, threads) && ok;
    }
    cpu_set_t after;
    sched_getaffinity(0, sizeof after, &after);
    return ok && CPU_EQUAL(&own, &after);
}

static void lanes_stay_in_their_places(void **state)
{
    (void)state;
    if (cpus_allowed() < 2)
        skip();
    assert_true(all_places_are_kept(MAX_THREADS));
}

/* In a process of its own, whose OpenMP has read the environment: lanes of up to works
 * threads do, more are refused with this text; "": none are. */
static bool environment_is(int works, const char *refusal)
{
    const struct lanes_options options = {.n = 2, .threads = works + 1};
    struct lanes *lanes = NULL;
    bool ok = all_places_are_kept(works);
    for (int threads = 1; threads <= works; threads++)
        ok = teams_have(2, threads) && ok;
    if (!*refusal)
        return ok;
    return lanes_create(&options, &lanes) == CONVOY_ERROR_ARGUMENT && lanes == NULL &&
           strstr(convoy_status_text(), refusal) && ok;
}

static void the_environment_of_openmp_decides_nothing(void **state)
{
    static const struct {
        const char *name, *value, *works, *refusal;
    } cases[] = {
        {"OMP_NUM_THREADS", "7", "3", ""},
        {"OMP_DYNAMIC", "true", "3", ""},
        {"OMP_NESTED", "false", "3", ""},
        {"OMP_PROC_BIND", "true", "2", "OMP_PROC_BIND"},
        {"OMP_PROC_BIND", "spread", "2", "OMP_PROC_BIND"},
        {"OMP_PLACES", "cores", "2", "OMP_PLACES"},
        {"GOMP_CPU_AFFINITY", "0", "2", "GOMP_CPU_AFFINITY"},
        {"OMP_MAX_ACTIVE_LEVELS", "0", "1", "OMP_MAX_ACTIVE_LEVELS"},
        {"OMP_THREAD_LIMIT", "1", "1", "OMP_THREAD_LIMIT"},
        {"OMP_THREAD_LIMIT", "2", "2", "a team of 2 threads where threads asks for 3"},
    };
    if (!HAS_TEAMS)
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = 0;
        const pid_t child = fork();
        if (child == 0) {
            setenv(cases[i].name, cases[i].value, 1);
            execl("/proc/self/exe", *state, cases[i].works, cases[i].refusal, NULL);
            _exit(99);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s=%s: status %d", cases[i].name, cases[i].value, status);
    }
}

int main(int argc, char **argv)
{
    if (argc > 2)
        return environment_is(atoi(argv[1]), argv[2]) ? 0 : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_run_side_by_side_on_threads_of_their_own),
        cmocka_unit_test(the_first_lane_that_fails_is_heard),
        cmocka_unit_test(teams_have_their_threads_whatever_the_caller_set),
        cmocka_unit_test(ranges_cover_everything_once),
        cmocka_unit_test(no_lanes_and_little_work_are_the_callers),
        cmocka_unit_test(lanes_stay_in_their_places),
        cmocka_unit_test_prestate(the_environment_of_openmp_decides_nothing, argv[0]),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
