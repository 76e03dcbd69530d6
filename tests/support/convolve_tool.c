/* convolve_tool SRC KERNEL MOST: each plane-wise convolution and correlation of SRC
 * with KERNEL at strides 1 to MOST, dilations 1 to MOST and paddings 0 to MOST that
 * fits, to standard output: int32 stride, pad, dilation, kind (1: correlation), rows
 * and columns, then as many float32. */
#include <convoy/convolve.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(void)
{
    fprintf(stderr, "convolve_tool: %s\n", convoy_status_text());
    return 1;
}

static convoy_status make(const convoy_planes *src, const convoy_planes *kernel,
                          const convoy_window *w)
{
    convoy_planes dst = {0};
    const convoy_status status = convoy_convolve(src, kernel, w, &dst);
    if (status == CONVOY_ERROR_ARGUMENT)
        return CONVOY_OK;
    if (status == CONVOY_OK) {
        const int32_t head[] = {w->stride[0], w->pad[0], w->dilation[0],
                                w->correlate, dst.rows,  dst.columns};
        fwrite(head, sizeof head, 1, stdout);
        fwrite(dst.values, sizeof *dst.values, (size_t)dst.rows * (size_t)dst.columns,
               stdout);
    }
    convoy_planes_free(&dst);
    return status;
}

int main(int argc, char **argv)
{
    convoy_planes src = {0}, kernel = {0};
    if (argc != 4)
        return 2;
    if (convoy_planes_read(argv[1], true, &src) != CONVOY_OK ||
        convoy_kernel_read(argv[2], &kernel) != CONVOY_OK)
        return fail();
    const int most = atoi(argv[3]);
    for (int i = 0; i < most * most * (most + 1) * 2; i++) {
        const int stride = i % most + 1, dilation = i / most % most + 1;
        const int pad = i / most / most % (most + 1);
        const convoy_window window = {.stride = {stride, stride},
                                      .pad = {pad, pad},
                                      .dilation = {dilation, dilation},
                                      .correlate = i / most / most / (most + 1) != 0};
        if (make(&src, &kernel, &window) != CONVOY_OK)
            return fail();
    }
    convoy_planes_free(&src);
    convoy_planes_free(&kernel);
    return 0;
}
