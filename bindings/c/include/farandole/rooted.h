/* rooted.h: operations whose result, or whose input, is that of one rank, in short. A part of
 * farandole.h, which includes it; all that is said there holds. */
#ifndef FARANDOLE_ROOTED_H
#define FARANDOLE_ROOTED_H

#include <farandole/farandole.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- To one rank, and from one -------------------------------------------------------------- */

/* fdl_allreduce for the root alone. out: not looked at on other ranks, may be NULL there, and `in`
 * on the root. */
FDL_API fdl_code fdl_reduce(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t count,
    fdl_dtype dtype,
    fdl_reduce_op op,
    int root);
FDL_API fdl_code fdl_reduce_async(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t count,
    fdl_dtype dtype,
    fdl_reduce_op op,
    int root,
    fdl_handle** handle);
/* fdl_allgather for the root alone; result and handle as there. */
FDL_API fdl_code fdl_gather(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    int root,
    fdl_handle** handle);
FDL_API fdl_code fdl_gather_async(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    int root,
    fdl_handle** handle);
/* Rows of the root's tensor; splits as in fdl_alltoall. What other ranks than the root give for in,
 * rows, row, dtype and splits does not matter. */
FDL_API fdl_code fdl_scatter(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    const int64_t* splits,
    int root,
    fdl_handle** handle);
FDL_API fdl_code fdl_scatter_async(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    const int64_t* splits,
    int root,
    fdl_handle** handle);

#ifdef __cplusplus
}
#endif

#endif
