/* Ops of one kind and phase are one row, but for those of oneDNN and of convoy itself,
 * which are two: a layer's loop beside a primitive that it needs. */
#include "bench/bench_rows.h"

#include "base/memory.h"

#include <string.h>

static bool is_same_work(const struct program *program, int a, int b)
{
    const struct program_cost x = program_cost(program, a),
                              y = program_cost(program, b);
    return x.phase == y.phase && x.primitive == y.primitive &&
           strcmp(x.kind, y.kind) == 0;
}

convoy_status bench_rows_make(const struct program *program, struct bench_rows *rows)
{
    convoy_status status = CONVOY_OK;
    struct bench_rows made = {.n_ops = program_n_ops(program)};
    const size_t n = (size_t)made.n_ops;
    TRY(mem_alloc_array(n, sizeof *made.row_of, (void **)&made.row_of));
    TRY(mem_alloc_array(n, sizeof *made.first_op, (void **)&made.first_op));
    for (int i = 0; i < made.n_ops; i++) {
        int row = 0;
        while (row < made.n_rows && !is_same_work(program, made.first_op[row], i))
            row++;
        if (row == made.n_rows)
            made.first_op[made.n_rows++] = i;
        made.row_of[i] = row;
    }
    *rows = made;
    return CONVOY_OK;
cleanup:
    bench_rows_free(&made);
    return status;
}

void bench_rows_free(struct bench_rows *rows)
{
    mem_free(rows->row_of);
    mem_free(rows->first_op);
}

struct bench_seconds bench_rows_time(const struct bench_rows *rows,
                                     const struct net_lanes *net_lanes, int row)
{
    struct bench_seconds sum = {0};
    for (int lane = 0; lane < net_lanes->n; lane++)
        for (int i = 0; i < rows->n_ops; i++) {
            if (rows->row_of[i] != row)
                continue;
            const struct program_cost op =
                program_cost(net_lanes->copies[lane]->program, i);
            sum.seconds += op.seconds / net_lanes->n;
            sum.cpu_seconds += op.cpu_seconds / net_lanes->n;
        }
    return sum;
}
