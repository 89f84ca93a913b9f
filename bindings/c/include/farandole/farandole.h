/* farandole.h: the C interface of Farandole, collective communication between the ranks of a job.
 *
 * Conventions
 *
 * Errors      Every function that can fail returns an fdl_code: FDL_OK or why not. The text that
 *             belongs to it is fdl_last_error(), one line, kept per thread until the thread's next
 *             failing call. FDL_PENDING is not an error: a deadline passed or a question came while
 *             the operation is still in flight. No exception ever leaves this interface, and no
 *             call ends or signals the process.
 *             Besides the codes beside it, every function may return FDL_INVALID_ARGUMENT (a NULL,
 *             something given back, a value out of range), FDL_ABORTED (after fdl_shutdown, or in a
 *             forked child), FDL_SYSTEM (no memory) and FDL_INTERNAL.
 * Ownership   fdl_session and fdl_handle are opaque and owned by the caller, who gives them back
 *             with fdl_destroy and fdl_release. A pointer given back before, or to something else,
 *             is refused without its memory being looked at, until another object has that
 *             address. Strings and arrays that go in are copied; strings that come out live as is
 *             said beside them.
 * Memory      Tensor memory is borrowed: `in` and `out` of a request must stay valid, and `in`
 *             unchanged, until the operation has settled, whether or not its handle was released.
 *             A result that Farandole allocated (`out` was NULL) lives until fdl_release.
 * Structs     Each begins with struct_size, which the caller sets to sizeof (the FDL_..._INIT
 * macros do). A smaller one comes from an older caller: missing fields have their defaults. A
 *             larger one is accepted when what this library does not know is all zero.
 * Threads     Every function may be called from any thread at any time, several on one session or
 *             handle at once; only fdl_destroy and fdl_release must be the last call on theirs.
 *             Handles may outlive their session, and keep nothing of it: after fdl_shutdown they
 *             say how their operations ended, whatever sessions there are, and results stay.
 *             The callback of fdl_on_done runs on a thread of Farandole: it must neither block nor
 *             call fdl_wait, fdl_shutdown or fdl_destroy.
 * Order       Ranks may submit in any order: operations are matched by name, and a name can be in
 *             flight once. Unnamed operations are named by their kind and a count, so every rank
 *             must submit its unnamed ones in the same order. A call that fails counts, too.
 *             A tensor that another rank never submits is waited for as long as that rank lives.
 * fork        A child of fork() shares no session: every call on an inherited one fails with
 *             FDL_ABORTED and harms neither parent nor child.
 * Signals     No disposition of the process is changed. fdl_wait goes on waiting when a signal
 *             handler has run. A handler must call nothing of this: it is not async-signal-safe.
 */
#ifndef FARANDOLE_FARANDOLE_H
#define FARANDOLE_FARANDOLE_H

#include <stddef.h>
#include <stdint.h>

#include "farandole/enums.h"

#if defined(__GNUC__)
#define FDL_API __attribute__((visibility("default")))
#else
#define FDL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* One rank's membership in one job. */
typedef struct fdl_session fdl_session;
/* One submitted operation. */
typedef struct fdl_handle fdl_handle;

/* ---- The library ---------------------------------------------------------------------------- */

/* "0.1.0". Static. */
FDL_API const char* fdl_version(void);
/* One line: version, compiler, kind of build. Static. */
FDL_API const char* fdl_build_info(void);
/* "PeerLost", or "Unknown". Static. */
FDL_API const char* fdl_code_name(fdl_code code);
/* Bytes of one element; 0 for a value that is no dtype. */
FDL_API size_t fdl_dtype_size(fdl_dtype dtype);

#define FDL_MAX_ERROR_BYTES 4096
/* Text of this thread's last failing call, "" before the first. Valid until the next one. UTF-8,
 * with its end at most FDL_MAX_ERROR_BYTES long; of a longer one the rest is "...". */
FDL_API const char* fdl_last_error(void);
/* The rank that caused it, where FDL_PEER_LOST knows one; else -1. */
FDL_API int fdl_last_error_rank(void);

/* One setting, as documentation: static strings. */
typedef struct fdl_config_row {
  size_t struct_size;
  const char* key;      /* for fdl_setting: "fusion_bytes" */
  const char* variable; /* "FARANDOLE_FUSION_BYTES" */
  const char* fallback; /* default, as it would be written */
  const char* accepts;  /* "a whole number from 0 to 68719476736" */
  const char* text;
} fdl_config_row;

FDL_API size_t fdl_config_count(void);
FDL_API fdl_code fdl_config(size_t index, fdl_config_row* row);

/* ---- Sessions ------------------------------------------------------------------------------- */

typedef struct fdl_setting {
  const char* key; /* "start_timeout" */
  const char* value;
} fdl_setting;

typedef struct fdl_options {
  size_t struct_size;
  const fdl_setting* settings; /* override the environment */
  size_t setting_count;
  int ignore_environment; /* nonzero: settings and defaults alone */
  /* Asked every 100 ms on the thread that is in fdl_init, with `user`: nonzero gives up, and
   * fdl_init fails with FDL_ABORTED. NULL: it waits until its deadline. */
  int (*give_up)(void* user);
  void* user;
  /* Called on a thread of its own, from within fdl_init to the end of fdl_shutdown, with `user`,
   * when other ranks have waited for this one for stall_check_time: writes where the threads of the
   * program are to `text`, as lines of UTF-8, at most `capacity` bytes, and returns how many. They
   * go to the log of rank 0. A call that lasts for 5 s longer than the session is left behind, and
   * needs `user` until it returns. NULL: that this program does not say. */
  size_t (*stacks)(void* user, char* text, size_t capacity);
} fdl_options;
#define FDL_OPTIONS_INIT \
  { sizeof(fdl_options), NULL, 0, 0, NULL, NULL, NULL }

typedef struct fdl_topology {
  size_t struct_size;
  int rank;
  int size;
  int local_rank; /* among the ranks of this host */
  int local_size;
  int cross_rank; /* among the hosts that have this local rank */
  int cross_size;
  int homogeneous; /* nonzero: every host has as many ranks */
} fdl_topology;

/* What a session has done so far, on this rank. Each value begins with 0 at fdl_init and only
 * grows. */
typedef struct fdl_counters {
  size_t struct_size;
  uint64_t submitted;        /* operations taken by fdl_submit or a short form */
  uint64_t agreed;           /* operations that every rank had submitted, and alike */
  uint64_t rejected;         /* operations that ranks had submitted unlike: FDL_MISMATCH mostly */
  uint64_t settled_ok;       /* operations that ended with FDL_OK */
  uint64_t settled_failed;   /* operations that ended otherwise, the rejected ones included */
  uint64_t buckets;          /* collectives run, each for one operation or for several fused */
  uint64_t bytes;            /* size of this rank's input to those that succeeded */
  uint64_t busy_nanoseconds; /* time within collectives, waiting for other ranks included */
} fdl_counters;
#define FDL_COUNTERS_INIT \
  { sizeof(fdl_counters), 0, 0, 0, 0, 0, 0, 0, 0 }

/* Joins the job that settings and environment describe; alone (size 1) where they describe none.
 * Blocks until all ranks are there, at most start_timeout. `options` may be NULL. A process may
 * hold several sessions. Fails: FDL_INVALID_ARGUMENT, FDL_MISMATCH (settings or sizes of ranks),
 * FDL_TIMEOUT (who is missing), FDL_PEER_LOST, FDL_ABORTED (give_up), FDL_SYSTEM. */
FDL_API fdl_code fdl_init(const fdl_options* options, fdl_session** session);
/* Leaves in order: what all ranks had agreed upon is finished, other operations in flight end with
 * FDL_ABORTED, other ranks learn that this one has left. Local: whatever they do, it takes at most
 * shutdown_timeout and what an abort takes. Then no thread, descriptor or shared memory of the
 * session is left, whatever handles are kept; calls that other threads have in it return first.
 * Of what waits behind a callback that blocks, which none may, threads and memory stay, and the log
 * says so. From then on fdl_get_topology, fdl_rank, fdl_size, fdl_host_of and fdl_get_counters
 * answer as before. Again, or after a failure: FDL_OK, too. */
FDL_API fdl_code fdl_shutdown(fdl_session* session);
/* The same where the work is not done: ranks that still need this one read "left the job: " and
 * `cause`, a short line such as "its input ended early", cut at 512 bytes, and not "shutdown".
 * Without effect after fdl_shutdown. Fails: FDL_INVALID_ARGUMENT where `cause` is NULL or empty. */
FDL_API fdl_code fdl_shutdown_because(fdl_session* session, const char* cause);
/* fdl_shutdown, then frees. NULL is accepted. Callbacks of fdl_on_done that run meanwhile may use
 * the session, as after fdl_shutdown. */
FDL_API fdl_code fdl_destroy(fdl_session* session);
/* FDL_OK while operations can succeed, else why they cannot: what ended the job. */
FDL_API fdl_code fdl_health(const fdl_session* session);
FDL_API fdl_code fdl_get_topology(const fdl_session* session, fdl_topology* topology);
/* -1 and fdl_last_error() where `session` is not usable. */
FDL_API int fdl_rank(const fdl_session* session);
FDL_API int fdl_size(const fdl_session* session);
/* Name of the host of any rank of the job, written like snprintf: at most `capacity` bytes, the
 * terminating 0 included. */
FDL_API fdl_code fdl_host_of(const fdl_session* session, int rank, char* host, size_t capacity);
/* Never blocks, and works until fdl_destroy: after fdl_shutdown and after a failure, too. Who knows
 * that an operation has settled finds it counted; what submitted has more than settled_ok and
 * settled_failed is in flight. While operations run, the values need not be of one instant, but
 * settled_ok + settled_failed <= submitted and settled_ok <= agreed always hold. */
FDL_API fdl_code fdl_get_counters(const fdl_session* session, fdl_counters* counters);

/* ---- Operations ----------------------------------------------------------------------------- */

/* What one rank contributes to a collective. Results, with n ranks:
 *   allreduce      op over all ranks, elementwise; shape of the input
 *   broadcast      the root's tensor; shape of the input, alike on all ranks
 *   allgather      inputs concatenated along dimension 0, which may differ between ranks
 *   reducescatter  allreduce cut along dimension 0 into n parts; the first (rows mod n) ranks get
 *                  one row more than the others
 *   alltoall       rows of this rank from every rank, in rank order; splits[i] rows go to rank i,
 *                  equal parts where splits is NULL
 *   barrier        none; uses kind and process_set only
 *   reduce         allreduce, for the root alone: on other ranks `out` is not looked at, and the
 *                  result has no data, no bytes and the shape [0]
 *   gather         allgather, likewise
 *   scatter        rows of the root's tensor: splits[i] for rank i, equal parts where splits is
 *                  NULL. The root alone says dtype, shape, in, splits and note; of the other ranks'
 *                  requests these are not looked at, and out is NULL: the result tells what came
 *   message        the tensor of rank `root`, for rank `peer`; these two alone submit it. The
 *                  sender's result is none, as of reduce elsewhere. The receiver says in `out`,
 *                  dtype and shape what it has memory for, which must be what is sent; where `out`
 *                  is NULL these are not looked at, and the result tells what came
 * Tensors are contiguous, last dimension fastest. `out` may equal `in` for allreduce, broadcast and
 * reduce; otherwise they must not overlap. Reductions compute postscale * op(prescale * x),
 * elementwise and with the same bits on all ranks; inside a host with the same on every run.
 * FDL_ADASUM, of allreduce alone, combines whole tensors (docs/guide.md), in the order of the
 * ranks, which gives the same bits everywhere. They take:
 *   integers   every op but FDL_ADASUM. FDL_SUM and FDL_PRODUCT wrap, as in NumPy and torch;
 *              FDL_AVERAGE is that of the exact sum. Averages and scaled values are cut towards
 *              zero.
 *   floats     every op. Half types are computed in float32 and rounded once, to the nearest, ties
 *              to even. FDL_MIN and FDL_MAX give NaN where any rank has one.
 *   complex    FDL_SUM, FDL_AVERAGE, FDL_PRODUCT; scales are real
 *   bool       FDL_SUM and FDL_MAX are "or", FDL_PRODUCT and FDL_MIN "and"; no scales */
typedef struct fdl_request {
  size_t struct_size;
  fdl_kind kind;
  fdl_dtype dtype;
  const char* name;     /* NULL or "": named by Farandole */
  const int64_t* shape; /* NULL where ndim is 0 (a single element) */
  size_t ndim;
  const void* in; /* may be NULL where there is no element */
  void* out;      /* NULL: Farandole allocates, see fdl_result */
  fdl_reduce_op reduce_op;
  int root; /* broadcast, reduce, gather, scatter, message: a rank of the job */
  double prescale;
  double postscale;
  const int64_t* splits; /* alltoall, scatter: as many values as ranks, or NULL */
  size_t split_count;
  fdl_device_type device_type;
  int device_index;
  uint64_t stream;      /* of the device's framework; 0 on the CPU */
  uint32_t process_set; /* process_sets.h; 0: all ranks */
  /* scatter, message: the root's number for the others, fdl_result.value; means what you like */
  uint32_t note;
  int peer; /* message: the rank that it goes to */
} fdl_request;
#define FDL_REQUEST_INIT                                                                         \
  {                                                                                              \
    sizeof(fdl_request), FDL_ALLREDUCE, FDL_FLOAT32, NULL, NULL, 0, NULL, NULL, FDL_SUM, 0, 1.0, \
        1.0, NULL, 0, FDL_CPU, 0, 0, 0, 0, 0                                                     \
  }

/* Submits `count` operations, all or none, and stores a handle for each. Never blocks. All requests
 * of one call have the same struct_size. Fails: FDL_INVALID_ARGUMENT (a request, a name in flight,
 * more than max_pending), FDL_UNSUPPORTED (memory of a device), what fdl_health returns.
 * Requests named "g [1/3]", "g [2/3]" and "g [3/3]" are a group "g": a name that is in flight with
 * them. Where a rank has a group of another size or one tensor "g", all of it ends with
 * FDL_MISMATCH on all ranks. */
FDL_API fdl_code
fdl_submit(fdl_session* session, const fdl_request* requests, size_t count, fdl_handle** handles);
/* Takes the name of the next unnamed operation of this kind in the set, written as fdl_host_of
 * does: what a check of the caller's own refuses on one rank must count there as on the others. */
FDL_API fdl_code fdl_next_name(
    fdl_session* session, fdl_kind kind, uint32_t process_set, char* name, size_t capacity);

/* Waits until the operation has settled and returns how it ended; FDL_PENDING when `seconds` have
 * passed before. Negative: no deadline but those of the job. Blocks without using a core, but may
 * run collectives. Operations end with FDL_OK; FDL_MISMATCH (the job lives); FDL_PEER_LOST,
 * FDL_TIMEOUT, FDL_SYSTEM, FDL_INTERNAL (it has failed on all ranks); FDL_ABORTED (shut down; where
 * fdl_poll still says 0, the shutdown could not end it, and its memory is in use). */
FDL_API fdl_code fdl_wait(fdl_handle* handle, double seconds);
/* *settled becomes 0 or 1. */
FDL_API fdl_code fdl_poll(const fdl_handle* handle, int* settled);

typedef void (*fdl_callback)(fdl_code code, void* user);
/* Calls back once, when the operation settles; at once if it has. One callback per handle, which
 * may be released before it runs. In it fdl_last_error() tells why `code` is an error. */
FDL_API fdl_code fdl_on_done(fdl_handle* handle, fdl_callback callback, void* user);

typedef struct fdl_result {
  size_t struct_size;
  void* data; /* the request's `out`, or memory that lives until fdl_release */
  size_t bytes;
  fdl_dtype dtype;
  size_t ndim;
  const int64_t* shape;  /* until fdl_release, like splits */
  const int64_t* splits; /* alltoall, gather's root: rows received from each rank; else NULL */
  size_t split_count;
  /* join: last rank; add_process_set: new id; scatter, message: note; barrier: -1; else: ranks in
   * it */
  int64_t value;
} fdl_result;
#define FDL_RESULT_INIT \
  { sizeof(fdl_result), NULL, 0, FDL_FLOAT32, 0, NULL, NULL, 0, -1 }

/* Result of a settled operation. Returns what fdl_wait does; FDL_PENDING before it settled. */
FDL_API fdl_code fdl_get_result(fdl_handle* handle, fdl_result* result);
/* Gives the handle back. An operation in flight goes on and still borrows its memory. NULL is
 * accepted. */
FDL_API fdl_code fdl_release(fdl_handle* handle);

/* ---- The same, in short --------------------------------------------------------------------- */

/* One-dimensional tensors of `count` elements, or rows of `row` elements each. The forms without
 * _async wait, without a deadline of their own, and those of them that have an `out` need one. They
 * return what fdl_submit and fdl_wait do, the forms with _async what fdl_submit does. */
FDL_API fdl_code fdl_allreduce(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t count,
    fdl_dtype dtype,
    fdl_reduce_op op);
FDL_API fdl_code fdl_allreduce_async(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t count,
    fdl_dtype dtype,
    fdl_reduce_op op,
    fdl_handle** handle);
/* In place. */
FDL_API fdl_code fdl_broadcast(
    fdl_session* session, const char* name, void* data, int64_t count, fdl_dtype dtype, int root);
FDL_API fdl_code fdl_broadcast_async(
    fdl_session* session,
    const char* name,
    void* data,
    int64_t count,
    fdl_dtype dtype,
    int root,
    fdl_handle** handle);
/* How much arrives is known only afterwards: fdl_get_result tells, also after the waiting form,
 * whose handle is settled. It is not given where the call fails. */
FDL_API fdl_code fdl_allgather(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    fdl_handle** handle);
FDL_API fdl_code fdl_allgather_async(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    fdl_handle** handle);
/* splits: NULL for equal parts, or as many values as there are ranks. */
FDL_API fdl_code fdl_alltoall(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    const int64_t* splits,
    fdl_handle** handle);
FDL_API fdl_code fdl_alltoall_async(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    const int64_t* splits,
    fdl_handle** handle);
/* out: rows/size rows, and one more on the first (rows mod size) ranks. */
FDL_API fdl_code fdl_reducescatter(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    fdl_reduce_op op);
FDL_API fdl_code fdl_reducescatter_async(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    fdl_reduce_op op,
    fdl_handle** handle);
FDL_API fdl_code fdl_barrier(fdl_session* session);
FDL_API fdl_code fdl_barrier_async(fdl_session* session, fdl_handle** handle);
#ifdef __cplusplus
}
#endif
#include <farandole/messages.h>
#include <farandole/observing.h>
#include <farandole/process_sets.h>
#include <farandole/rooted.h>
#endif
