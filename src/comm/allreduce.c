/* Thin, but for the setting: which of its algorithms Open MPI's MPI_Allreduce takes can
 * only be told before MPI starts, so that the bench cannot try them one by one; it
 * reads what was told from the library's control variables (MPI_T). */
#include "comm/allreduce.h"

#include "comm/world.h"

#include <stdbool.h>
#include <stdio.h>

enum { CALL_N = 1 << 26 }; /* floats a call: counts are int */

static int call_n(size_t left)
{
    return (int)(left < CALL_N ? left : CALL_N);
}

convoy_status allreduce_sum(convoy_world *world, const float *values, float *sum,
                            size_t n)
{
    convoy_status status = CONVOY_OK;
    for (size_t i = 0; i < n; i += CALL_N)
        TRY_MPI(MPI_Allreduce(values + i, sum + i, call_n(n - i), MPI_FLOAT, MPI_SUM,
                              world->exchange_comm));
cleanup:
    return status;
}

convoy_status allreduce_sum_in_place(convoy_world *world, float *values, size_t n)
{
    convoy_status status = CONVOY_OK;
    for (size_t i = 0; i < n; i += CALL_N) {
        MPI_Request request;
        TRY_MPI(MPI_Iallreduce(MPI_IN_PLACE, values + i, call_n(n - i), MPI_FLOAT,
                               MPI_SUM, world->exchange_comm, &request));
        TRY_MPI(MPI_Wait(&request, MPI_STATUS_IGNORE));
    }
cleanup:
    // NOLINTNEXTLINE(clang-analyzer-optin.mpi.MPI-Checker): what failed has no wait
    return status;
}

convoy_status allreduce_most(convoy_world *world, double *values, int n)
{
    convoy_status status = CONVOY_OK;
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, values, n, MPI_DOUBLE, MPI_MAX,
                          world->exchange_comm));
cleanup:
    return status;
}

convoy_status allreduce_meet(convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    TRY_MPI(MPI_Barrier(world->exchange_comm));
cleanup:
    return status;
}

/* The value of one of MPI's control variables that is a whole number; 0 where it is
 * none or unknown. MPI_T has been started. */
static int variable(const char *name)
{
    MPI_T_cvar_handle handle;
    int index, count, value = 0;
    if (MPI_T_cvar_get_index(name, &index) != MPI_SUCCESS ||
        MPI_T_cvar_handle_alloc(index, NULL, &handle, &count) != MPI_SUCCESS)
        return 0;
    if (count != 1 || MPI_T_cvar_read(handle, &value) != MPI_SUCCESS)
        value = 0;
    MPI_T_cvar_handle_free(&handle);
    return value;
}

void allreduce_setting(char *text, size_t size)
{
    int level, algorithm = 0;
    if (MPI_T_init_thread(MPI_THREAD_SERIALIZED, &level) == MPI_SUCCESS) {
        if (variable("coll_tuned_use_dynamic_rules"))
            algorithm = variable("coll_tuned_allreduce_algorithm");
        MPI_T_finalize();
    }
    if (algorithm > 0)
        snprintf(text, size, "coll_tuned_allreduce_algorithm %d", algorithm);
    else
        snprintf(text, size, "the library's choice");
}
