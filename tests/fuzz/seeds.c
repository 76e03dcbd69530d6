/* seeds FOLDER: writes the seeds that only convoy itself can make: packs into
 * FOLDER/pack, checkpoints into FOLDER/checkpoint, a listing into FOLDER/listing. They
 * are as small as they can be: HDF5 keeps room for much that nobody wrote. */
#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "image/image.h"
#include "packing/listing.h"
#include "packing/pack_writer.h"

#include <stdio.h>

enum { SIDE = 8, N_RECORDS = 3, PATH = 1024 };

static convoy_status add_records(struct pack_writer *writer, convoy_encoding encoding,
                                 const struct image *image)
{
    convoy_status status = CONVOY_OK;
    uint8_t *bytes = NULL;
    struct new_record record = {.bytes = image->pixels,
                                .n_bytes = SIDE * SIDE,
                                .encoding = encoding,
                                .width = SIDE,
                                .height = SIDE};
    if (encoding == CONVOY_ENCODING_JPEG) {
        TRY(image_encode_jpeg(image, 80, &bytes, &record.n_bytes));
        record.bytes = bytes;
    }
    for (int i = 0; i < N_RECORDS; i++) {
        record.label = i % 2;
        TRY(pack_writer_add(writer, &record));
    }
    TRY(pack_writer_note(writer, "c/d.jpg: not an image"));
cleanup:
    mem_free(bytes);
    return status;
}

static convoy_status write_pack(const char *folder, convoy_encoding encoding)
{
    convoy_status status = CONVOY_OK;
    char path[PATH];
    uint8_t pixels[SIDE * SIDE] = {1, 2, 3};
    const struct image image = {
        .pixels = pixels, .width = SIDE, .height = SIDE, .channels = 1};
    const bool raw = encoding == CONVOY_ENCODING_RAW;
    struct texts classes = {.n = 0};
    struct pack_writer *writer = NULL;
    struct pack_facts facts = {.classes = &classes, .n_parts = 1, .plan = ""};
    snprintf(path, sizeof path, "%s/pack/%s.h5", folder, raw ? "raw" : "jpeg");
    TRY(texts_add(&classes, "cat"));
    TRY(texts_add(&classes, "dog"));
    if (raw) {
        facts.shape[0] = 1;
        facts.shape[1] = facts.shape[2] = SIDE;
    }
    TRY(pack_writer_create(path, &facts, &writer));
    TRY(add_records(writer, encoding, &image));
    TRY(pack_writer_commit(writer));
cleanup:
    pack_writer_destroy(writer);
    texts_free(&classes);
    return status;
}

static convoy_status write_checkpoint(const char *folder)
{
    static const char *const classes[] = {"cat", "dog"};
    char path[PATH];
    float weight[6] = {1, 2, 3}, bias[2] = {4, 5};
    const struct tensor_view params[] = {{"fc.weight", 2, {2, 3}, weight},
                                         {"fc.bias", 1, {2}, bias}};
    const struct tensor_view buffers[] = {{"bn.running_mean", 1, {2}, bias}};
    const struct checkpoint_slot slots[] = {{"momentum", params, 2}};
    const struct checkpoint_contents contents = {.facts = {.step = 1,
                                                           .steps_per_epoch = 1,
                                                           .recipe = "seed: 1\n",
                                                           .model = "mlp",
                                                           .classes = 2,
                                                           .input_shape = {3, 1, 1},
                                                           .class_names = classes,
                                                           .n_class_names = 2,
                                                           .microbatch = 1,
                                                           .n_microbatches = 1,
                                                           .threads = 1},
                                                 .params = params,
                                                 .n_params = 2,
                                                 .buffers = buffers,
                                                 .n_buffers = 1,
                                                 .slots = slots,
                                                 .n_slots = 1};
    snprintf(path, sizeof path, "%s/checkpoint/small.h5", folder);
    return checkpoint_write(path, &contents);
}

static convoy_status write_listing(const char *folder)
{
    convoy_status status = CONVOY_OK;
    char path[PATH];
    struct listing listing = {.is_container = true};
    snprintf(path, sizeof path, "%s/listing/small", folder);
    TRY(texts_add(&listing.classes, "cat"));
    TRY(texts_add(&listing.names, "cat/1.jpg"));
    TRY(texts_add(&listing.notes, "cat/2.txt: not an image"));
    TRY(listing_add(&listing, 0, 512, 100, 0));
    TRY(listing_save(&listing, "a line", path));
cleanup:
    listing_free(&listing);
    return status;
}

int main(int argc, char **argv)
{
    convoy_status status = CONVOY_OK;
    if (argc != 2)
        return 2;
    TRY(write_pack(argv[1], CONVOY_ENCODING_JPEG));
    TRY(write_pack(argv[1], CONVOY_ENCODING_RAW));
    TRY(write_checkpoint(argv[1]));
    TRY(write_listing(argv[1]));
cleanup:
    if (status != CONVOY_OK)
        fprintf(stderr, "seeds: %s\n", convoy_status_text());
    return status == CONVOY_OK ? 0 : 1;
}
