/* Engine, stream and memory descriptors for both generations of oneDNN's C API. What
 * differs between 2.x and 3.x is decided here and in primitive.c, nowhere else. */
#include "onednn/engine.h"

#include "base/cpus.h"
#include "base/owner.h"
#include "onednn/reorder.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* oneDNN takes non-const pointers where it only reads. */
union reading {
    const void *from;
    void *as;
};

const char *dnn_status_text(dnnl_status_t status)
{
    switch (status) {
    case dnnl_success:
        return "success";
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "not implemented";
    default:
        return "runtime error";
    }
}

void dnn_version(char text[32])
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, 32, "%d.%d.%d", version->major, version->minor, version->patch);
}

static const char *isa_name(dnnl_cpu_isa_t isa)
{
    switch (isa) {
    case dnnl_cpu_isa_sse41:
        return "sse41";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
        return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_core_amx";
#if DNNL_VERSION_MAJOR >= 3
    case dnnl_cpu_isa_avx2_vnni_2:
        return "avx2_vnni_2";
    case dnnl_cpu_isa_avx512_core_fp16:
        return "avx512_core_fp16";
    case dnnl_cpu_isa_avx512_core_amx_fp16:
        return "avx512_core_amx_fp16";
#endif
    default:
        return NULL;
    }
}

void dnn_isa(char text[DNN_ISA_SIZE])
{
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    const bool ymm = dnnl_get_cpu_isa_hints() == dnnl_cpu_isa_prefer_ymm;
    const char *name = isa_name(isa);
    dnnl_fpmath_mode_t mode = dnnl_fpmath_mode_strict;
    char number[16];
    dnnl_get_default_fpmath_mode(&mode);
    snprintf(number, sizeof number, "%#x", (unsigned)isa);
    const int n = snprintf(text, DNN_ISA_SIZE, "%s%s", name ? name : number,
                           ymm ? ", ymm preferred" : "");
    if (mode != dnnl_fpmath_mode_strict)
        snprintf(text + n, DNN_ISA_SIZE - (size_t)n, ", f32 computed as mode %d",
                 (int)mode);
}

/* A set's number has the bits of all sets that it contains. The host is named since a
 * job's other hosts may be able to. */
convoy_status dnn_check_type(dnnl_data_type_t type)
{
    const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(),
                   bf16 = (unsigned)dnnl_cpu_isa_avx512_core_bf16;
    char text[DNN_ISA_SIZE], host[OWNER_HOST_SIZE];
    if (type != dnnl_bf16 || (isa & bf16) == bf16)
        return CONVOY_OK;
    dnn_isa(text);
    owner_host(host);
    return FAIL(CONVOY_ERROR_UNSUPPORTED,
                "bf16 needs a processor that multiplies it (AVX512_BF16 or AMX: AMD "
                "from Zen 4, Genoa, on, Intel from Sapphire Rapids on); oneDNN has %s "
                "on %s; use f32",
                text, host);
}

convoy_status dnn_create(struct dnn *dnn)
{
    convoy_status status = CONVOY_OK;
    struct dnn made = {0};
    TRY(cpus_check_openmp());
    TRY_DNNL(dnnl_engine_create(&made.engine, dnnl_cpu, 0));
    TRY_DNNL(dnnl_stream_create(&made.stream, made.engine, dnnl_stream_in_order));
    TRY_DNNL(dnnl_primitive_attr_create(&made.attr));
    TRY_DNNL(
        dnnl_primitive_attr_set_scratchpad_mode(made.attr, dnnl_scratchpad_mode_user));
    *dnn = made;
    return CONVOY_OK;
cleanup:
    dnn_destroy(&made);
    return status;
}

void dnn_destroy(struct dnn *dnn)
{
    if (dnn->attr)
        dnnl_primitive_attr_destroy(dnn->attr);
    if (dnn->stream)
        dnnl_stream_destroy(dnn->stream);
    if (dnn->engine)
        dnnl_engine_destroy(dnn->engine);
    memset(dnn, 0, sizeof *dnn);
}

static dnnl_format_tag_t plain_tag(int n_dims)
{
    static const dnnl_format_tag_t tags[DNN_MAX_DIMS + 1] = {
        dnnl_format_tag_undef, dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde};
    return tags[n_dims];
}

dnn_cmd dnn_md_ref(const struct dnn_md *md)
{
    if (!md->set)
        return NULL;
#if DNNL_VERSION_MAJOR >= 3
    return md->md;
#else
    return &md->md;
#endif
}

convoy_status dnn_md_make(int n_dims, const int64_t *dims, dnnl_data_type_t type,
                          dnnl_format_tag_t tag, struct dnn_md *out)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md made = {.set = true};
#if DNNL_VERSION_MAJOR >= 3
    TRY_DNNL(dnnl_memory_desc_create_with_tag(&made.md, n_dims, dims, type, tag));
#else
    TRY_DNNL(dnnl_memory_desc_init_by_tag(&made.md, n_dims, dims, type, tag));
#endif
    *out = made;
cleanup:
    return status;
}

convoy_status dnn_md_make_plain(int n_dims, const int64_t *dims, dnnl_data_type_t type,
                                struct dnn_md *out)
{
    return dnn_md_make(n_dims, dims, type, plain_tag(n_dims), out);
}

convoy_status dnn_md_copy(dnn_cmd md, struct dnn_md *out)
{
    struct dnn_md made = {.set = true};
#if DNNL_VERSION_MAJOR >= 3
    if (dnnl_memory_desc_clone(&made.md, md) != dnnl_success)
        return FAIL(CONVOY_ERROR_LIBRARY, "oneDNN: cannot copy a memory descriptor");
#else
    made.md = *md;
#endif
    *out = made;
    return CONVOY_OK;
}

convoy_status dnn_md_reshape(dnn_cmd md, int n_dims, const int64_t *dims,
                             struct dnn_md *out)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md made = {.set = true};
    TRY_DNNL(dnnl_memory_desc_reshape(&made.md, md, n_dims, dims));
    *out = made;
cleanup:
    return status;
}

convoy_status dnn_md_submemory(dnn_cmd md, const int64_t *dims, const int64_t *offsets,
                               struct dnn_md *out)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md made = {.set = true};
#if DNNL_VERSION_MAJOR >= 3
    TRY_DNNL(dnnl_memory_desc_create_submemory(&made.md, md, dims, offsets));
#else
    TRY_DNNL(dnnl_memory_desc_init_submemory(&made.md, md, dims, offsets));
#endif
    *out = made;
cleanup:
    return status;
}

void dnn_md_free(struct dnn_md *md)
{
#if DNNL_VERSION_MAJOR >= 3
    if (md->set)
        dnnl_memory_desc_destroy(md->md);
#endif
    memset(md, 0, sizeof *md);
}

bool dnn_md_same(dnn_cmd a, dnn_cmd b)
{
    return dnnl_memory_desc_equal(a, b) != 0;
}

size_t dnn_md_bytes(dnn_cmd md)
{
    return md ? dnnl_memory_desc_get_size(md) : 0;
}

int dnn_md_dims(dnn_cmd md, int64_t *dims)
{
#if DNNL_VERSION_MAJOR >= 3
    int n_dims = 0;
    const dnnl_dims_t *queried = NULL;
    dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &n_dims);
    dnnl_memory_desc_query(md, dnnl_query_dims, &queried);
    for (int i = 0; dims && i < n_dims; i++)
        dims[i] = (*queried)[i];
    return n_dims;
#else
    for (int i = 0; dims && i < md->ndims; i++)
        dims[i] = md->dims[i];
    return md->ndims;
#endif
}

dnnl_data_type_t dnn_md_type(dnn_cmd md)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_data_type_t type = dnnl_data_type_undef;
    dnnl_memory_desc_query(md, dnnl_query_data_type, &type);
    return type;
#else
    return md->data_type;
#endif
}

bool dnn_md_is_plain(dnn_cmd md)
{
    int64_t dims[DNN_MAX_DIMS];
    struct dnn_md plain = {0};
    int n_dims = dnn_md_dims(md, dims);
    if (dnn_md_make_plain(n_dims, dims, dnn_md_type(md), &plain) != CONVOY_OK)
        return false;
    bool same = dnn_md_same(md, dnn_md_ref(&plain));
    dnn_md_free(&plain);
    return same;
}

bool dnn_md_is_sample_major(dnn_cmd md)
{
    const dnnl_dims_t *strides = NULL;
    int64_t dims[DNN_MAX_DIMS] = {0};
    int n_dims = dnn_md_dims(md, dims);
    if (n_dims == 0)
        return false;
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_query(md, dnnl_query_strides, &strides);
#else
    strides = &md->format_desc.blocking.strides;
#endif
    /* Without padding or blocks of samples, all bytes are dims[0] equal sample ranges.
     */
    size_t sample = (size_t)(*strides)[0] * dnnl_data_type_size(dnn_md_type(md));
    return dnn_md_bytes(md) == (size_t)dims[0] * sample;
}

/* A copy by oneDNN, with a stream of its own. */
struct reordering {
    dnnl_memory_t from, to;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
};

/* Made and freed by one thread at a time: what oneDNN makes for one it hands to
 * another, too. Between that, threads copy side by side. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static convoy_status make_reorder(const struct dnn *dnn, dnn_cmd from, void *src,
                                  dnn_cmd to, void *dst, struct reordering *made)
{
    convoy_status status = CONVOY_OK;
    pthread_mutex_lock(&making);
    TRY_DNNL(dnnl_memory_create(&made->from, from, dnn->engine, src));
    TRY_DNNL(dnnl_memory_create(&made->to, to, dnn->engine, dst));
    TRY_DNNL(dnnl_reorder_primitive_desc_create(&made->pd, from, dnn->engine, to,
                                                dnn->engine, NULL));
    TRY_DNNL(dnnl_primitive_create(&made->primitive, made->pd));
    TRY_DNNL(dnnl_stream_create(&made->stream, dnn->engine, dnnl_stream_default_flags));
cleanup:
    pthread_mutex_unlock(&making);
    return status;
}

static void free_reorder(struct reordering *made)
{
    pthread_mutex_lock(&making);
    if (made->stream)
        dnnl_stream_destroy(made->stream);
    if (made->primitive)
        dnnl_primitive_destroy(made->primitive);
    if (made->pd)
        dnnl_primitive_desc_destroy(made->pd);
    if (made->to)
        dnnl_memory_destroy(made->to);
    if (made->from)
        dnnl_memory_destroy(made->from);
    pthread_mutex_unlock(&making);
}

convoy_status dnn_reorder_now(const struct dnn *dnn, dnn_cmd from, const void *src,
                              dnn_cmd to, void *dst)
{
    convoy_status status = CONVOY_OK;
    struct reordering made = {0};
    union reading reading = {.from = src};
    if (dnn_md_same(from, to)) {
        memcpy(dst, src, dnn_md_bytes(from));
        return CONVOY_OK;
    }
    if (reorder_is_ours(from, to)) {
        reorder_copy(from, src, to, dst);
        return CONVOY_OK;
    }
    TRY(make_reorder(dnn, from, reading.as, to, dst, &made));
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, made.from}, {DNNL_ARG_TO, made.to}};
    TRY_DNNL(dnnl_primitive_execute(made.primitive, made.stream, 2, args));
    TRY_DNNL(dnnl_stream_wait(made.stream));
cleanup:
    free_reorder(&made);
    return status;
}
