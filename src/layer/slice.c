/* Channels can be cut at multiples of the layout's channel block only (8 or 16 where
 * oneDNN blocks); plain layouts can be cut anywhere. */
#include "layer/slice.h"

convoy_status slice_channels(struct layer_build *b, tensor t, int64_t offset,
                             const struct shape *part, tensor *out)
{
    struct dnn_md md = {0};
    const int64_t dims[4] = {b->n, part->c, part->h, part->w};
    const int64_t offsets[4] = {0, offset, 0, 0};
    convoy_status status =
        dnn_md_submemory(program_md(b->program, t), dims, offsets, &md);
    if (status != CONVOY_OK)
        return FAIL(CONVOY_ERROR_UNSUPPORTED,
                    "this layout cannot be cut at channel %lld", (long long)offset);
    status = program_view(b->program, t, dnn_md_ref(&md), out);
    dnn_md_free(&md);
    return status;
}
