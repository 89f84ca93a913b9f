/* messages.h: from one rank to another, in short. A part of farandole.h, which includes it; all
 * that is said there holds. */
#ifndef FARANDOLE_MESSAGES_H
#define FARANDOLE_MESSAGES_H

#include <farandole/farandole.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- From one rank to another --------------------------------------------------------------- */

/* A tensor to rank `dest`, which receives it by the same name, or as unnamed; other ranks have no
 * part in it. Settles once it has arrived. Each way between two ranks counts its unnamed messages
 * for itself, and names of one way are none of another. */
FDL_API fdl_code fdl_send(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t count,
    fdl_dtype dtype,
    int dest);
FDL_API fdl_code fdl_send_async(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t count,
    fdl_dtype dtype,
    int dest,
    fdl_handle** handle);
/* What rank `source` sends, which must be `count` elements of dtype: else FDL_MISMATCH on both. */
FDL_API fdl_code fdl_recv(
    fdl_session* session, const char* name, void* out, int64_t count, fdl_dtype dtype, int source);
/* out: NULL: whatever the source sends, into memory of Farandole's; count and dtype are not looked
 * at then. */
FDL_API fdl_code fdl_recv_async(
    fdl_session* session,
    const char* name,
    void* out,
    int64_t count,
    fdl_dtype dtype,
    int source,
    fdl_handle** handle);
/* fdl_next_name() for messages from rank `from` to rank `to`. What cannot be counts nowhere. */
FDL_API fdl_code fdl_next_message_name(
    fdl_session* session, uint32_t process_set, int from, int to, char* name, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
