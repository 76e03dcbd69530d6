/* Files that a report writes. Local. */
#ifndef REPORT_REPORT_TARGET_H
#define REPORT_REPORT_TARGET_H

#include "base/status.h"

/* OK where path is not there, is an empty file, or one that a report wrote: its head
 * has mark. Else IO, and the file is not to be replaced: it may be a run's own. */
convoy_status report_target_check(const char *path, const char *mark);

#endif
