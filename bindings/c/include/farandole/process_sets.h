/* process_sets.h: groups of ranks, and ranks that have nothing more to submit. A part of
 * farandole.h, which includes it; all that is said there holds. */
#ifndef FARANDOLE_PROCESS_SETS_H
#define FARANDOLE_PROCESS_SETS_H

#include <farandole/farandole.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Process sets --------------------------------------------------------------------------- */

/* A process set is a group of ranks among which operations run, by their field process_set. 0 is
 * that of all ranks and always exists; others are given by the setting process_sets, or come and go
 * by the functions below, which every rank of the job calls, in the same order: ranks that differ
 * get FDL_MISMATCH, on all alike, and the job goes on. Ranks of requests and results are those of
 * the job (the root of a broadcast), but parts and rows stand in the order of the set's ranks.
 * Operations of one set never wait for those of another; a set takes a thread and connections on
 * the ranks that use it, from its first operation on. When a rank leaves the job, the sets with it
 * end with FDL_PEER_LOST, the others go on, unless it was rank 0.
 * The forms with _async give a handle, for fdl_wait and fdl_get_result; the others wait. */

/* The set of these ranks, in any order; *id is where its number goes, the same on every rank.
 * Fails: FDL_INVALID_ARGUMENT for ranks that do not exist, stand there twice, or are a set already.
 */
FDL_API fdl_code
fdl_add_process_set(fdl_session* session, const int* ranks, size_t count, uint32_t* id);
FDL_API fdl_code fdl_add_process_set_async(
    fdl_session* session, const int* ranks, size_t count, fdl_handle** handle);
/* Ends behind the operations of the set that all its ranks had submitted; others that are in flight
 * end with FDL_INVALID_ARGUMENT on all of them, and so does what is submitted later. */
FDL_API fdl_code fdl_remove_process_set(fdl_session* session, uint32_t id);
FDL_API fdl_code
fdl_remove_process_set_async(fdl_session* session, uint32_t id, fdl_handle** handle);
/* The ids that there are, ascending: at most `capacity` of them; *count becomes how many there are.
 */
FDL_API fdl_code
fdl_process_sets(const fdl_session* session, uint32_t* ids, size_t capacity, size_t* count);
/* The ranks of a set, ascending, likewise. */
FDL_API fdl_code fdl_process_set_ranks(
    const fdl_session* session, uint32_t id, int* ranks, size_t capacity, size_t* count);

/* This rank has no more to submit in the process set, such as when its data has ended, until every
 * rank of the set has joined: then all go on, and *last_rank is the one that joined last, the same
 * on every rank. Meanwhile the operations of the others give what they would among themselves:
 * those that joined stand in with what changes nothing (0 for FDL_SUM, 1 for FDL_PRODUCT, the
 * largest value for FDL_MIN ...), FDL_AVERAGE divides by the ranks that submitted, and an allgather
 * has no rows of them. What has no meaning then ends with FDL_MISMATCH on all who submitted it: a
 * broadcast from a rank that has joined, an alltoall with rows for one, a FDL_PRODUCT with a
 * prescale, and adding or removing process sets. A reducescatter keeps its parts. What this rank
 * had submitted before counts; what it submits in the set meanwhile is FDL_INVALID_ARGUMENT.
 * Unnamed operations of the set match again after it, whoever has submitted how many. */
FDL_API fdl_code fdl_join(fdl_session* session, uint32_t process_set, int* last_rank);
FDL_API fdl_code fdl_join_async(fdl_session* session, uint32_t process_set, fdl_handle** handle);

#ifdef __cplusplus
}
#endif

#endif
