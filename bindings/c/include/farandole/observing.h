/* observing.h: what a job does, seen from outside. A part of farandole.h, which includes it; all
 * that is said there holds. */
#ifndef FARANDOLE_OBSERVING_H
#define FARANDOLE_OBSERVING_H

#include <farandole/farandole.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Records from now on what becomes of each operation of this rank, to a file in Chrome's trace
 * format, which chrome://tracing and ui.perfetto.dev open. In `path` "{rank}" stands for the
 * rank's number: then each rank that calls this writes a file of its own; a path without it is that
 * of rank 0, and on other ranks nothing is recorded. mark_cycles: nonzero shows each round of
 * agreement, too. What is there already is replaced. Never delays an operation: where the file is
 * too slow records are left out, which the file says; where it is full, it ends with a warning in
 * the log. The settings timeline and timeline_mark_cycles do this from fdl_init on.
 * Fails: FDL_INVALID_ARGUMENT (one is recorded already; no ordinary file; other words in braces),
 * FDL_SYSTEM (it cannot be written), FDL_ABORTED after fdl_shutdown. */
FDL_API fdl_code fdl_start_timeline(fdl_session* session, const char* path, int mark_cycles);
/* Ends it, with all that was recorded; so does fdl_shutdown. FDL_OK where none is recorded, too. */
FDL_API fdl_code fdl_stop_timeline(fdl_session* session);

#ifdef __cplusplus
}
#endif

#endif
