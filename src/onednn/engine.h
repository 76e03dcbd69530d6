/* oneDNN's engine and memory descriptors, the same for 2.6 and 3.x.
 *
 * A memory descriptor is a struct by value in 2.x and an owned handle in 3.x. Here an
 * owned one is a struct dnn_md (free with dnn_md_free, {0} is "none"), a borrowed one a
 * dnn_cmd.
 */
#ifndef ONEDNN_ENGINE_H
#define ONEDNN_ENGINE_H

#include "base/status.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t dnn_cmd;
#else
typedef const dnnl_memory_desc_t *dnn_cmd;
#endif

enum { DNN_MAX_DIMS = 5 };

struct dnn_md {
    dnnl_memory_desc_t md;
    bool set;
};

/* One CPU engine with its stream. */
struct dnn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr; /* scratchpad by the user: planned like all memory */
};

#define TRY_DNNL(call)                                                                 \
    do {                                                                               \
        dnnl_status_t dnnl_status_ = (call);                                           \
        if (dnnl_status_ != dnnl_success) {                                            \
            status = FAIL(CONVOY_ERROR_LIBRARY, "oneDNN: %s in %s",                    \
                          dnn_status_text(dnnl_status_), #call);                       \
            goto cleanup;                                                              \
        }                                                                              \
    } while (0)

const char *dnn_status_text(dnnl_status_t status);

/* "2.6.3": of the library that is loaded. */
void dnn_version(char text[32]);

/* The instruction set that oneDNN's kernels use, by machine and environment
 * (DNNL_MAX_CPU_ISA), and what else of the environment changes their bits: "avx2", or
 * "avx512_core, ymm preferred, f32 computed as mode 1". */
enum { DNN_ISA_SIZE = 96 };
void dnn_isa(char text[DNN_ISA_SIZE]);

/* Whether oneDNN computes with values of this type here by instructions made for it:
 * bf16 it would else emulate, slower than f32. UNSUPPORTED: it does not; the text names
 * what a processor needs. */
convoy_status dnn_check_type(dnnl_data_type_t type);

/* New; free with dnn_destroy. */
convoy_status dnn_create(struct dnn *dnn);
void dnn_destroy(struct dnn *dnn);

/* Descriptors of dims[n_dims] with a format tag (dnnl_format_tag_any: oneDNN's choice).
 */
convoy_status dnn_md_make(int n_dims, const int64_t *dims, dnnl_data_type_t type,
                          dnnl_format_tag_t tag, struct dnn_md *out);
/* Row-major ("abcd"). */
convoy_status dnn_md_make_plain(int n_dims, const int64_t *dims, dnnl_data_type_t type,
                                struct dnn_md *out);
convoy_status dnn_md_copy(dnn_cmd md, struct dnn_md *out);
convoy_status dnn_md_reshape(dnn_cmd md, int n_dims, const int64_t *dims,
                             struct dnn_md *out);
/* The part of md with dims at offsets. */
convoy_status dnn_md_submemory(dnn_cmd md, const int64_t *dims, const int64_t *offsets,
                               struct dnn_md *out);
void dnn_md_free(struct dnn_md *md);

/* Borrowed; NULL if md is {0}. */
dnn_cmd dnn_md_ref(const struct dnn_md *md);
bool dnn_md_same(dnn_cmd a, dnn_cmd b);
size_t dnn_md_bytes(dnn_cmd md);
/* Number of dimensions; dims (may be NULL): [DNN_MAX_DIMS]. */
int dnn_md_dims(dnn_cmd md, int64_t *dims);
dnnl_data_type_t dnn_md_type(dnn_cmd md);
/* Whether md is dense and row-major. */
bool dnn_md_is_plain(dnn_cmd md);
/* Whether the outermost dimension is outermost in memory too, so that a sample's
 * elements are one contiguous range. */
bool dnn_md_is_sample_major(dnn_cmd md);

/* Copies values between layouts now, at the cost of creating primitives: for loading
 * and saving, not for steps. Any number of threads at once. */
convoy_status dnn_reorder_now(const struct dnn *dnn, dnn_cmd from, const void *src,
                              dnn_cmd to, void *dst);

#endif
