/* TensorBoard's event files, of which a run that goes on reads its own: once as they
 * are, and once as the message of a record, since hardly any input has the right sums.
 */
#include "fuzz/fuzz.h"

#include "metrics/event.h"
#include "metrics/event_frame.h"

#include <stdlib.h>
#include <string.h>

/* What is kept of a file is kept of itself. */
static void copy_twice(const uint8_t *data, size_t size, uint64_t step)
{
    struct event_kept kept = {.n_summaries = 0}, again = {.n_summaries = 0};
    char *bytes = NULL, *same = NULL;
    size_t n = 0, n_same = 0;
    FILE *stream = open_memstream(&bytes, &n), *second = NULL;
    fuzz_expect(stream && event_copy_earlier(fuzz_file("input", data, size), step,
                                             stream, &kept) == CONVOY_OK,
                "a file that cannot be copied");
    fclose(stream);
    second = open_memstream(&same, &n_same);
    fuzz_expect(second &&
                    event_copy_earlier(fuzz_file("kept", (const uint8_t *)bytes, n),
                                       step, second, &again) == CONVOY_OK,
                "a copy that cannot be copied");
    fclose(second);
    fuzz_expect(again.is_all && again.n_summaries == kept.n_summaries && n == n_same &&
                    memcmp(bytes, same, n) == 0,
                "a copy that is not kept");
    free(bytes);
    free(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *record = malloc(EVENT_HEAD_SIZE + size + EVENT_TAIL_SIZE);
    fuzz_expect(record, "no memory");
    copy_twice(data, size, 1000);
    event_frame(data, size, record, record + EVENT_HEAD_SIZE + size);
    if (size > 0)
        memcpy(record + EVENT_HEAD_SIZE, data, size);
    copy_twice(record, EVENT_HEAD_SIZE + size + EVENT_TAIL_SIZE, 1000);
    free(record);
    return 0;
}
