/* How functions fail: FAIL records and returns a code, TRY passes one on.
 *
 *     convoy_status status = CONVOY_OK;
 *     float *values = NULL;
 *     TRY(mem_alloc(n * sizeof *values, (void **)&values));
 *     if (n > limit)
 *         TRY(FAIL(CONVOY_ERROR_ARGUMENT, "%zu values, at most %zu fit", n, limit));
 *     *out = values;
 *     values = NULL;
 * cleanup:
 *     mem_free(values);
 *     return status;
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <convoy/status.h>

/* Room for a message; longer ones are cut. */
enum { STATUS_TEXT_SIZE = 4096 };

/* A failure, to carry from the thread where it happened to the one that reports it. */
struct failure {
    convoy_status status;
    char text[STATUS_TEXT_SIZE];
    char where[96];
    bool is_agreed; /* by convoy_world_agree: every rank knows of it */
};

/* Its value is the code itself, so that the compiler and analyzers see a failure. */
#define FAIL(code, ...) (status_fail((code), __FILE__, __LINE__, __VA_ARGS__), (code))

#define TRY(call)                                                                      \
    do {                                                                               \
        status = (call);                                                               \
        if (status != CONVOY_OK)                                                       \
            goto cleanup;                                                              \
    } while (0)

/* Records text and place for the calling thread; returns code. */
convoy_status status_fail(convoy_status code, const char *file, int line,
                          const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "prefix: " before the recorded text (which file, which layer); returns code. */
convoy_status status_prefix(convoy_status code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Copies the calling thread's last failure, with its code, into *failure. */
void status_save(convoy_status code, struct failure *failure);

/* The calling thread's last failure is one that all ranks know of. */
void status_set_agreed(void);

/* Makes *failure the calling thread's last failure; returns its code. */
convoy_status status_restore(const struct failure *failure);

#endif
