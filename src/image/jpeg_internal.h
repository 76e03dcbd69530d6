/* How libjpeg's errors come back to us: for the files that call libjpeg.
 *
 * libjpeg reports errors by a callback that must not return: ours jumps back into the
 * function that called setjmp. That function only uses objects that its caller holds
 * (a jump leaves its own changed locals undefined), so a jump leaks nothing. Of
 * libjpeg's warnings only the premature end of the file is made an error: others (stray
 * bytes before a marker) occur in files that every other reader takes. */
#ifndef IMAGE_JPEG_INTERNAL_H
#define IMAGE_JPEG_INTERNAL_H

#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

#include <jpeglib.h>

struct catcher {
    struct jpeg_error_mgr manager; /* first: libjpeg hands its address back */
    jmp_buf back;
    char text[JMSG_LENGTH_MAX];
};

/* For the member err of a libjpeg object. setjmp(catcher->back) before any other call.
 */
struct jpeg_error_mgr *jpeg_catcher_init(struct catcher *catcher);

#endif
