/* The watch without MPI: each case is a job of a few processes that this one forks, on
 * nodes that it pretends. One process of a job is killed, stopped or stuck, or all end
 * well. All jobs run at the same time, since they mostly wait; what they come to is
 * looked at afterwards, one by one. */
#include "base/clock.h"
#include "base/pulse.h"
#include "comm/watch.h"
#include "comm/watch_link.h"

#include <convoy/world.h>

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 8, TEXT_SIZE = 1024 };
static const double timeout_s = 2.5, long_s = 60;

/* Of the processes of a job, in memory that they share. */
struct shared {
    atomic_int n_ready, n_listening, n_said, n_left;
    atomic_int n_waiting;
    atomic_bool is_awaited; /* rank 0 is to wait */
    atomic_bool ends;       /* well */
    struct watch_place places[2];
    char text[TEXT_SIZE];
};

enum action {
    END_WELL,
    KILL,
    KILL_AWAITED, /* rank 0, which will speak, comes to wait for it just before */
    KILL_IN_BENCH,
    STOP,
    STUCK,
    STUCK_AT_START,
    QUIET_OUTSIDE, /* as STUCK, but where that is nobody's affair */
    ALL_WAIT,
    FAIL_WITH_3,
    STOP_ALL,
    LEAVE
};

struct plan {
    const char *name;
    int size, a_node; /* ranks, and of a node */
    enum action action;
    int rank; /* to whom it is done */
    const char *says;
};

struct job {
    const struct plan *plan;
    struct watch_key key;
    struct shared *shared;
    pid_t pids[MOST];
};

static const struct plan plans[] = {
    {"a job that ends well", 5, 2, END_WELL, 0, NULL},
    {"rank 0 killed", 5, 2, KILL, 0,
     "rank 0 on node0 ended without a word (killed, out of memory or crashed) in step "
     "7"},
    {"the deputy killed", 5, 2, KILL, 2, "rank 2 on node1 ended without a word"},
    {"a node's first killed", 6, 2, KILL, 4, "rank 4 on node2 ended without a word"},
    {"another killed", 6, 2, KILL, 5, "rank 5 on node2 ended without a word"},
    {"one of two killed", 2, 2, KILL, 1, "rank 1 on node0 ended without a word"},
    {"rank 0 of two killed", 2, 2, KILL, 0, "rank 0 on node0 ended without a word"},
    {"rank 0 stopped", 4, 2, STOP, 0, "rank 0 on node0 is stopped (silent for 2.5 s)"},
    {"a node's first stopped", 6, 2, STOP, 4, "rank 4 on node2 is stopped"},
    {"another stopped", 3, 3, STOP, 2, "rank 2 on node0 is stopped"},
    {"one stuck", 4, 2, STUCK, 3,
     "rank 3 on node1 is stuck (nothing done in 2.5 s) in step 7; ranks 0-2 wait for "
     "it; "
     "the job ends"},
    {"one that others wait for", 4, 2, KILL_AWAITED, 3,
     "rank 3 on node1 ended without a word (killed, out of memory or crashed) in step "
     "7; rank 0 waits for it; the job ends"},
    {"one of a bench killed", 2, 2, KILL_IN_BENCH, 1,
     "rank 1 on node0 ended without a word (killed, out of memory or crashed) in bench "
     "exchange; the job ends"},
    {"one stuck at the start", 4, 2, STUCK_AT_START, 1,
     "rank 1 on node0 is stuck (nothing done in 5 s) at the start; ranks 0, 2-3 wait "
     "for it; the job ends"},
    {"one that is quiet elsewhere", 4, 2, QUIET_OUTSIDE, 1, NULL},
    {"all waiting", 3, 1, ALL_WAIT, 1,
     "all ranks wait for each other (2.5 s), rank 1 on node1 in step 6 (exchange); "
     "ranks "
     "0, 2 wait for it"},
    {"one that fails", 4, 2, FAIL_WITH_3, 3, NULL},
    {"all stopped for a while", 4, 2, STOP_ALL, 0, NULL},
    {"one that leaves", 4, 2, LEAVE, 3, NULL},
};

enum { N_JOBS = sizeof plans / sizeof *plans };

static struct job jobs[N_JOBS];

static void pause_s(double seconds)
{
    const double until_s = clock_now_s() + seconds;
    for (double left; (left = until_s - clock_now_s()) > 0;)
        nanosleep(&(struct timespec){.tv_sec = (time_t)left,
                                     .tv_nsec = (long)(1e9 * (left - floor(left)))},
                  NULL);
}

/* Whether *count comes to be n, in good time. */
static bool reaches(const atomic_int *count, int n)
{
    const double until_s = clock_now_s() + long_s;
    while (atomic_load(count) < n && clock_now_s() < until_s)
        pause_s(0.005);
    return atomic_load(count) >= n;
}

static void say(void *context, const char *text)
{
    struct shared *shared = context;
    if (atomic_fetch_add(&shared->n_said, 1) == 0)
        snprintf(shared->text, sizeof shared->text, "%s", text);
}

static struct watch *join(const struct job *job, int rank)
{
    struct watch_member members[MOST] = {0};
    struct watch_place own;
    struct watch *watch = NULL;
    for (int r = 0; r < job->plan->size; r++) {
        members[r].node_first = r / job->plan->a_node * job->plan->a_node;
        snprintf(members[r].host, sizeof members[r].host, "node%d",
                 r / job->plan->a_node);
    }
    const struct watch_options options = {.rank = rank,
                                          .size = job->plan->size,
                                          .key = job->key,
                                          .members = members,
                                          .say = say,
                                          .context = job->shared};
    if (watch_create(&options, &own, &watch) != CONVOY_OK)
        _exit(20);
    if (rank == 0)
        job->shared->places[0] = own;
    if (rank == watch_deputy(members, job->plan->size))
        job->shared->places[1] = own;
    atomic_fetch_add(&job->shared->n_listening, 1);
    if (!reaches(&job->shared->n_listening, job->plan->size) ||
        watch_connect(watch, job->shared->places) != CONVOY_OK)
        _exit(21);
    watch_set_timeout(watch, timeout_s);
    return watch;
}

/* What a process of the job does: steps, until told to end, unless something else is to
 * be seen of it. */
static void work(const struct job *job, int rank)
{
    const bool lags = job->plan->action == ALL_WAIT && rank == job->plan->rank;
    const enum action action = job->plan->action;
    const bool is_still = action == STUCK || action == STUCK_AT_START ||
                          action == QUIET_OUTSIDE || action == ALL_WAIT;
    bool waits = action == ALL_WAIT || (is_still && rank != job->plan->rank);
    if (action == ALL_WAIT)
        pulse_enter(PULSE_EXCHANGE, lags ? 6 : 7);
    else if (action == STUCK_AT_START)
        pulse_enter(PULSE_START, 0);
    else if (action == KILL_IN_BENCH)
        pulse_enter(PULSE_EXCHANGE, 0);
    else if (action != QUIET_OUTSIDE)
        pulse_enter(PULSE_STEP, 7);
    if (waits)
        pulse_wait();
    while (!atomic_load(&job->shared->ends)) {
        if (!is_still)
            pulse();
        if (!waits && rank == 0 && atomic_load(&job->shared->is_awaited)) {
            waits = true;
            pulse_wait();
            atomic_fetch_add(&job->shared->n_waiting, 1);
        }
        pause_s(0.02);
    }
}

static void live(const struct job *job, int rank) __attribute__((noreturn));

static void live(const struct job *job, int rank)
{
    struct watch *watch = join(job, rank);
    watch_arm(watch);
    atomic_fetch_add(&job->shared->n_ready, 1);
    if (!reaches(&job->shared->n_ready, job->plan->size))
        _exit(22);
    if (rank == job->plan->rank && job->plan->action == FAIL_WITH_3)
        watch_fail(watch, 3);
    if (rank == job->plan->rank && job->plan->action == LEAVE)
        watch_leave(watch);
    work(job, rank);
    watch_leave(watch);
    atomic_fetch_add(&job->shared->n_left, 1);
    if (!reaches(&job->shared->n_left, job->plan->size))
        _exit(23);
    watch_destroy(watch);
    _exit(0);
}

static void start_job(struct job *job)
{
    job->shared = mmap(NULL, sizeof *job->shared, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (job->shared == MAP_FAILED)
        abort();
    watch_new_key(&job->key);
    for (int rank = 0; rank < job->plan->size; rank++) {
        job->pids[rank] = fork();
        if (job->pids[rank] == 0)
            live(job, rank);
        if (job->pids[rank] < 0)
            abort();
    }
}

static int expected(const struct job *job, int rank)
{
    const bool is_hit = rank == job->plan->rank;
    switch (job->plan->action) {
    case KILL:
    case KILL_AWAITED:
    case KILL_IN_BENCH:
        return is_hit ? -SIGKILL : CONVOY_WORLD_LOST;
    case STOP: /* its neighbours kill it */
        return is_hit ? -SIGKILL : 1;
    case STUCK:
    case STUCK_AT_START:
    case ALL_WAIT:
        return 1;
    case FAIL_WITH_3:
        return 3;
    default:
        return 0;
    }
}

static void act(struct job *job)
{
    if (job->plan->action == KILL_AWAITED) {
        atomic_store(&job->shared->is_awaited, true);
        reaches(&job->shared->n_waiting, 1);
    }
    if (expected(job, job->plan->rank) == -SIGKILL && job->plan->action != STOP)
        kill(job->pids[job->plan->rank], SIGKILL);
    if (job->plan->action == STOP)
        kill(job->pids[job->plan->rank], SIGSTOP);
    for (int r = 0; r < job->plan->size && job->plan->action == STOP_ALL; r++)
        kill(job->pids[r], SIGSTOP);
}

static int run_jobs(void **state)
{
    (void)state;
    for (int j = 0; j < N_JOBS; j++) {
        jobs[j].plan = &plans[j];
        start_job(&jobs[j]);
    }
    for (int j = 0; j < N_JOBS; j++)
        if (!reaches(&jobs[j].shared->n_ready, plans[j].size))
            return -1;
    for (int j = 0; j < N_JOBS; j++)
        act(&jobs[j]);
    pause_s(timeout_s + 2);
    for (int j = 0; j < N_JOBS; j++)
        for (int r = 0; r < plans[j].size && plans[j].action == STOP_ALL; r++)
            kill(jobs[j].pids[r], SIGCONT);
    pause_s(1.5);
    for (int j = 0; j < N_JOBS; j++)
        if (!plans[j].says && plans[j].action != FAIL_WITH_3)
            atomic_store(&jobs[j].shared->ends, true);
    return 0;
}

/* The exit status, or minus the signal; -1000: it never ended, until now. */
static int outcome(pid_t pid)
{
    const double until_s = clock_now_s() + long_s;
    int status = 0;
    while (clock_now_s() < until_s) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        pause_s(0.01);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1000;
}

/* Every process of the job ends as it should, and one of them says what happened. */
static void ends_as_expected(void **state)
{
    struct job *job = *state;
    int found[MOST];
    for (int r = 0; r < job->plan->size; r++)
        found[r] = outcome(job->pids[r]);
    for (int r = 0; r < job->plan->size; r++)
        if (found[r] != expected(job, r))
            fail_msg("rank %d: %d, not %d; said: %s", r, found[r], expected(job, r),
                     job->shared->text);
    assert_int_equal(atomic_load(&job->shared->n_said), job->plan->says != NULL);
    if (job->plan->says && !strstr(job->shared->text, job->plan->says))
        fail_msg("said: %s", job->shared->text);
}

static struct watch_options lonely_options(const struct watch_member members[2])
{
    return (struct watch_options){.size = 2, .members = members, .say = say};
}

static void sockets_that_cannot_be_are_told(void **state)
{
    (void)state;
    const struct watch_member members[2] = {{"a", 0}, {"b", 1}};
    const struct watch_options options = lonely_options(members);
    struct watch_place place;
    struct watch *watch = NULL;
    struct rlimit limit, none = {0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    const convoy_status status = watch_create(&options, &place, &watch);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(status, CONVOY_ERROR_UNSUPPORTED);
    assert_non_null(strstr(convoy_status_text(), "rank 0 (a) cannot open a socket"));
}

static void a_rank_that_nobody_answers_says_so(void **state)
{
    (void)state;
    const struct watch_member members[2] = {{"a", 0}, {"b", 1}};
    struct watch_options options = lonely_options(members);
    struct watch_place places[2] = {0};
    struct watch *watch = NULL;
    options.rank = 1;
    watch_new_key(&options.key);
    assert_int_equal(watch_create(&options, &places[1], &watch), CONVOY_OK);
    assert_int_equal(watch_connect(watch, places), CONVOY_ERROR_UNSUPPORTED);
    assert_non_null(
        strstr(convoy_status_text(), "rank 1 (b) does not reach rank 0 (a)"));
    watch_destroy(watch);
}

/* Also a rank of another job, which has another key. */
static void strangers_are_turned_away(void **state)
{
    (void)state;
    const struct watch_member members[2] = {{"a", 0}, {"b", 1}};
    struct watch_options options = lonely_options(members);
    struct watch_place places[2] = {0};
    struct watch *watch = NULL;
    pid_t pid = 0;
    watch_new_key(&options.key);
    assert_int_equal(watch_create(&options, &places[0], &watch), CONVOY_OK);
    assert_int_equal(watch_connect(watch, places), CONVOY_OK);
    const struct watch_key wrong = {{1, 2}};
    assert_int_equal(link_call(&wrong, 1, 0, &places[0], &pid), -1);
    const int fd = link_call(&options.key, 1, 0, &places[0], &pid);
    assert_true(fd >= 0);
    close(fd);
    watch_destroy(watch);
}

int main(void)
{
    struct CMUnitTest tests[N_JOBS + 3] = {
        cmocka_unit_test(sockets_that_cannot_be_are_told),
        cmocka_unit_test(a_rank_that_nobody_answers_says_so),
        cmocka_unit_test(strangers_are_turned_away),
    };
    for (int j = 0; j < N_JOBS; j++)
        tests[j + 3] = (struct CMUnitTest){.name = plans[j].name,
                                           .test_func = ends_as_expected,
                                           .initial_state = &jobs[j]};
    return cmocka_run_group_tests(tests, run_jobs, NULL);
}
