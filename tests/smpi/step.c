/* A training step as SimGrid's SMPI sees it: buckets become ready at given times and
 * are summed with the messages of src/comm/direct.h (algorithm direct), or with those
 * of src/comm/exchange_two_level.c, which go between the owners of one slice on all
 * nodes. Arithmetic is sleep. What a step took, in simulated seconds, is printed.
 *
 *   step ALGORITHM NODES RANKS_A_NODE FLIGHTS STEPS OVERHEAD_S
 *        SUM_BYTES_PER_S FROM_S AFTER_S
 *        BYTES:READY_S...
 *
 * ALGORITHM: direct or two-level. STEPS: simulated of a stage. Where these are fewer
 * than a stage has, their partners are spread over all distances, and each carries the
 * bytes of several: the caller makes latency and overhead as much larger, and what is
 * simulated is the same exchange with fewer messages. OVERHEAD_S: of the thread, for
 * a message that it sends or receives. SUM_BYTES_PER_S: of values that
 * one thread adds up. FROM_S: before that nothing is sent. AFTER_S: of the step, once
 * all sums are there. A rank has one subtree, as where nodes and microbatches are
 * powers of two.
 *
 * There are twice as many MPI ranks as the job has. The second half are clocks, each on
 * the host of its rank: they send it an empty message when a bucket is ready, so that
 * the rank waits for messages and buckets in one MPI_Waitany. */
#include <mpi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef SMPI_SHARED_MALLOC /* another MPI, which only checks that this compiles */
#define SMPI_SHARED_MALLOC malloc
#endif

/* As in direct.c, bucket.h. */
enum { PARTNERS = 3, MAX_FLIGHTS = 8, LINE_BYTES = 64 };
enum {
    FIRST_BUCKET = 10,
    MAX_BUCKETS = 256,
    TAG_READY = 1000,
    A_STEP = 2 /* requests */
};
enum { N_REQUESTS = MAX_FLIGHTS * PARTNERS * A_STEP + 1, CLOCK = N_REQUESTS - 1 };

struct bucket {
    double bytes, ready_s;
};

struct flight {
    int bucket; /* -1: none */
    int next_step, n_under_way;
    int is_gathering;
};

struct job {
    int is_two_level, nodes, node_ranks, flights, steps, n_buckets;
    double overhead_s, sum_bytes_per_s, from_s, after_s;
    struct bucket buckets[MAX_BUCKETS];
};

struct rank {
    const struct job *job;
    int first, stride, size; /* members: ranks first, first + stride, … */
    int member, n_steps;     /* of a stage: at most size - 1 */
    struct flight flights[MAX_FLIGHTS];
    MPI_Request requests[N_REQUESTS];
    int n_ready, n_posted, n_done;
};

/* All ranks are threads of one process, and share what nobody looks at; it stays until
 * that ends. */
static char *memory;

static void sleep_s(double seconds)
{
    const struct timespec t = {(time_t)seconds,
                               (long)((seconds - (double)(time_t)seconds) * 1e9)};
    if (seconds > 0)
        nanosleep(&t, NULL);
}

/* Of what this member sums of a bucket, the q-th member's segment. */
static int segment_bytes(const struct rank *r, int bucket, int q)
{
    double slice = r->job->buckets[bucket].bytes;
    if (r->job->is_two_level)
        slice /= r->job->node_ranks;
    const long lines = (long)(slice + LINE_BYTES - 1) / LINE_BYTES;
    return (int)(lines * (q + 1) / r->size - lines * q / r->size) * LINE_BYTES;
}

/* How far away the partner of the s-th step is, 1 <= s <= n_steps. */
static int distance(const struct rank *r, int s)
{
    return 1 + (int)((2L * s - 1) * (r->size - 1) / (2L * r->n_steps));
}

static int message_bytes(const struct rank *r, int segment)
{
    return (int)((double)segment * (r->size - 1) / r->n_steps);
}

/* The next step of a flight takes the place of one that is done. */
static void post_step(struct rank *r, struct flight *f, int place)
{
    const int s = distance(r, f->next_step++), slot = (int)(f - r->flights);
    const int from = (r->member + r->size - s) % r->size;
    const int to = (r->member + s) % r->size;
    const int first = (slot * PARTNERS + place) * A_STEP;
    MPI_Request *requests = &r->requests[first];
    const int own = segment_bytes(r, f->bucket, r->member);
    const int sent = f->is_gathering ? own : segment_bytes(r, f->bucket, to);
    const int received = f->is_gathering ? segment_bytes(r, f->bucket, from) : own;
    const int tag = slot * 2 + f->is_gathering;
    sleep_s(r->job->overhead_s);
    MPI_Irecv(memory, message_bytes(r, received), MPI_BYTE, r->first + from * r->stride,
              tag, MPI_COMM_WORLD, &requests[0]);
    MPI_Isend(memory, message_bytes(r, sent), MPI_BYTE, r->first + to * r->stride, tag,
              MPI_COMM_WORLD, &requests[1]);
    f->n_under_way++;
}

static void begin_stage(struct rank *r, struct flight *f)
{
    f->next_step = 1;
    for (int place = 0; place < PARTNERS && f->next_step <= r->n_steps; place++)
        post_step(r, f, place);
}

static void post_bucket(struct rank *r)
{
    struct flight *f = &r->flights[r->n_posted % r->job->flights];
    const double bytes = r->job->buckets[r->n_posted].bytes;
    f->bucket = r->n_posted++;
    f->is_gathering = 0;
    if (r->job->is_two_level && r->job->node_ranks > 1) /* its slice of all of these */
        sleep_s(bytes / r->job->sum_bytes_per_s);
    begin_stage(r, f);
}

/* Buckets arrive in their order, as exchange.c counts them. */
static void count_done(struct rank *r)
{
    while (r->n_done < r->n_posted &&
           r->flights[r->n_done % r->job->flights].bucket != r->n_done)
        r->n_done++;
    while (r->n_posted < r->n_ready && r->n_posted - r->n_done < r->job->flights)
        post_bucket(r);
}

static void end_stage(struct rank *r, struct flight *f)
{
    if (f->is_gathering) {
        f->bucket = -1;
        count_done(r);
        return;
    }
    sleep_s((double)segment_bytes(r, f->bucket, r->member) * r->size /
            r->job->sum_bytes_per_s);
    f->is_gathering = 1;
    begin_stage(r, f);
}

static void end_request(struct rank *r, int i)
{
    const int step = i / A_STEP, first = step * A_STEP;
    struct flight *f = &r->flights[step / PARTNERS];
    if (r->requests[first] != MPI_REQUEST_NULL ||
        r->requests[first + 1] != MPI_REQUEST_NULL)
        return;
    sleep_s(r->job->overhead_s);
    f->n_under_way--;
    if (f->next_step <= r->n_steps)
        post_step(r, f, step % PARTNERS);
    else if (f->n_under_way == 0)
        end_stage(r, f);
}

static void listen(struct rank *r, int clock)
{
    if (r->n_ready < r->job->n_buckets)
        MPI_Irecv(memory, 0, MPI_BYTE, clock, TAG_READY, MPI_COMM_WORLD,
                  &r->requests[CLOCK]);
}

static void exchange(struct rank *r, int clock)
{
    listen(r, clock);
    while (r->n_done < r->job->n_buckets) {
        int i;
        MPI_Waitany(N_REQUESTS, r->requests, &i, MPI_STATUS_IGNORE);
        if (i == CLOCK) {
            r->n_ready++;
            listen(r, clock);
            count_done(r);
        } else {
            end_request(r, i);
        }
    }
}

static struct rank make_rank(const struct job *job, int rank)
{
    struct rank r = {.job = job, .stride = 1};
    r.size = job->is_two_level ? job->nodes : job->nodes * job->node_ranks;
    r.member = rank;
    if (job->is_two_level) {
        r.first = rank % job->node_ranks;
        r.stride = job->node_ranks;
        r.member = rank / job->node_ranks;
    }
    r.n_steps = r.size - 1;
    if (job->steps < r.n_steps)
        r.n_steps = job->steps;
    for (int i = 0; i < MAX_FLIGHTS; i++)
        r.flights[i].bucket = -1;
    for (int i = 0; i < N_REQUESTS; i++)
        r.requests[i] = MPI_REQUEST_NULL;
    return r;
}

static void tick(const struct job *job, int rank, double start)
{
    for (int b = 0; b < job->n_buckets; b++) {
        const double ready_s = job->buckets[b].ready_s;
        sleep_s(start + (ready_s > job->from_s ? ready_s : job->from_s) - MPI_Wtime());
        MPI_Send(NULL, 0, MPI_BYTE, rank, TAG_READY, MPI_COMM_WORLD);
    }
}

static int read_job(struct job *job, int argc, char **argv)
{
    if (argc <= FIRST_BUCKET || argc - FIRST_BUCKET > MAX_BUCKETS)
        return 0;
    job->is_two_level = strcmp(argv[1], "two-level") == 0;
    job->nodes = atoi(argv[2]);
    job->node_ranks = atoi(argv[3]);
    job->flights = atoi(argv[4]);
    job->steps = atoi(argv[5]);
    job->overhead_s = atof(argv[6]);
    job->sum_bytes_per_s = atof(argv[7]);
    job->from_s = atof(argv[8]);
    job->after_s = atof(argv[9]);
    job->n_buckets = argc - FIRST_BUCKET;
    for (int b = 0; b < job->n_buckets; b++)
        if (sscanf(argv[FIRST_BUCKET + b], "%lf:%lf", &job->buckets[b].bytes,
                   &job->buckets[b].ready_s) != 2)
            return 0;
    return job->flights >= 1 && job->flights <= MAX_FLIGHTS && job->steps >= 1;
}

static double run(const struct job *job, int rank)
{
    const int n = job->nodes * job->node_ranks;
    const double start = MPI_Wtime();
    if (rank >= n) {
        tick(job, rank - n, start);
        return 0;
    }
    struct rank r = make_rank(job, rank);
    exchange(&r, rank + n);
    sleep_s(job->after_s);
    return MPI_Wtime() - start;
}

int main(int argc, char **argv)
{
    struct job job = {0};
    int rank, size, largest = 0;
    double own, most;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (!read_job(&job, argc, argv) || size != 2 * job.nodes * job.node_ranks) {
        if (rank == 0)
            fprintf(stderr, "step: wrong arguments, or not two ranks for one\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    for (int b = 0; b < job.n_buckets; b++)
        if (job.buckets[b].bytes > largest)
            largest = (int)job.buckets[b].bytes;
    if (!memory)
        memory = SMPI_SHARED_MALLOC((size_t)largest + LINE_BYTES);
    own = run(&job, rank);
    MPI_Reduce(&own, &most, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    if (rank == 0)
        printf("step_s %.9f\n", most);
    MPI_Finalize();
    return 0;
}
