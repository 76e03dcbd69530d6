/* Reading every record of a pack: its checksum, and for images that they decode to the
 * size that the index gives.
 *
 * Blocks of records are checked by all threads; what is wrong with them is told in
 * order by the caller's. */
#include "pack/pack.h"

#include "base/cpus.h"
#include "base/memory.h"
#include "image/image.h"

#include <inttypes.h>
#include <stdio.h>

enum { BLOCK = 256 };

/* One thread's buffers. */
struct worker {
    void *buffer;
    size_t capacity;
    struct image image;
};

static convoy_status check_image(const convoy_pack *pack, uint64_t index,
                                 const struct pack_record *record, struct image *image)
{
    convoy_status status = CONVOY_OK;
    int width = 0, height = 0;
    TRY(image_decode(record->bytes, record->n_bytes, 3, image));
    pack_record_size(pack, index, &width, &height);
    if (image->width != width || image->height != height)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "is %d x %d pixels, the index says %d x %d",
                 image->width, image->height, width, height));
    if (convoy_pack_describe(pack)->encoding == CONVOY_ENCODING_PNG &&
        image_sniff(record->bytes, record->n_bytes) != IMAGE_PNG)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "is a JPEG in a pack of PNG images"));
cleanup:
    if (status != CONVOY_OK)
        status_prefix(status, "%s: record %" PRIu64 " (class '%s')", pack_path(pack),
                      index, convoy_pack_class_name(pack, record->label));
    return status;
}

static convoy_status check_record(const convoy_pack *pack, uint64_t index,
                                  struct worker *worker)
{
    convoy_status status = CONVOY_OK;
    struct pack_record record;
    TRY(pack_read(pack, index, &worker->buffer, &worker->capacity, &record));
    if (convoy_pack_describe(pack)->encoding != CONVOY_ENCODING_RAW)
        TRY(check_image(pack, index, &record, &worker->image));
cleanup:
    return status;
}

/* Checks n records from first; failures: [n] */
static void check_block(const convoy_pack *pack, uint64_t first, int n,
                        struct failure *failures)
{
#pragma omp parallel
    {
        struct worker worker = {0};
#pragma omp for schedule(dynamic)
        for (int i = 0; i < n; i++)
            status_save(check_record(pack, first + (uint64_t)i, &worker), &failures[i]);
        mem_free(worker.buffer);
        image_free(&worker.image);
    }
}

/* Tells of the bad records of a block; an error that is not a record's ends the check.
 */
static convoy_status tell(const struct failure *failures, uint64_t first, int n,
                          const convoy_pack_checker *checker, uint64_t *n_bad)
{
    for (int i = 0; i < n; i++) {
        if (failures[i].status == CONVOY_OK)
            continue;
        if (failures[i].status == CONVOY_ERROR_MEMORY)
            return status_restore(&failures[i]);
        ++*n_bad;
        if (checker->bad)
            checker->bad(checker->context, first + (uint64_t)i, failures[i].text);
    }
    return CONVOY_OK;
}

convoy_status convoy_pack_check(const convoy_pack *pack,
                                const convoy_pack_checker *checker, uint64_t *n_bad)
{
    convoy_status status = CONVOY_OK;
    struct failure *failures = NULL;
    uint64_t n = convoy_pack_describe(pack)->n_records, found = 0;
    TRY(cpus_check_openmp());
    TRY(mem_alloc_array(BLOCK, sizeof *failures, (void **)&failures));
    for (uint64_t first = 0; first < n; first += BLOCK) {
        int count = n - first < BLOCK ? (int)(n - first) : BLOCK;
        check_block(pack, first, count, failures);
        TRY(tell(failures, first, count, checker, &found));
        if (checker->progress)
            checker->progress(checker->context, first + (uint64_t)count, n);
    }
    *n_bad = found;
cleanup:
    mem_free(failures);
    return status;
}

convoy_status convoy_pack_verify(const char *path,
                                 void (*bad)(void *context, uint64_t record,
                                             const char *text),
                                 void *context, uint64_t *n_bad)
{
    convoy_status status = CONVOY_OK;
    convoy_pack *pack = NULL;
    const convoy_pack_checker checker = {.bad = bad, .context = context};
    TRY(convoy_pack_open(path, &pack));
    TRY(convoy_pack_check(pack, &checker, n_bad));
cleanup:
    convoy_pack_close(pack);
    return status;
}
