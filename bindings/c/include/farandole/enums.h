/* farandole/enums.h: the enumerations of the C interface; farandole.h includes it.
 *
 * A value that is none of an enumeration's is refused with FDL_INVALID_ARGUMENT, whoever passes it.
 * In C++ such a value is undefined unless the enumeration says which integer it is: int, as in C.
 */
#ifndef FARANDOLE_ENUMS_H
#define FARANDOLE_ENUMS_H

#ifdef __cplusplus
#define FDL_AS_INT : int
#else
#define FDL_AS_INT
#endif

/* How a call or an operation ended. */
typedef enum fdl_code FDL_AS_INT {
  FDL_OK = 0,
  FDL_INVALID_ARGUMENT = 1, /* wrong on its own, found where it was said */
  FDL_MISMATCH = 2,         /* ranks disagree; the same error on all, the job stays usable */
  FDL_PEER_LOST = 3,        /* a rank died, froze, left or cannot be reached */
  FDL_TIMEOUT = 4,          /* a deadline of the job passed */
  FDL_ABORTED = 5,          /* ended by this rank's own shutdown, or called after it */
  FDL_UNSUPPORTED = 6,      /* meaningful, but nothing here can do it */
  FDL_SYSTEM = 7,           /* the operating system refused */
  FDL_INTERNAL = 8,         /* a defect of Farandole */
  FDL_PENDING = 100         /* not settled yet */
} fdl_code;

typedef enum fdl_dtype FDL_AS_INT {
  FDL_UINT8 = 0,
  FDL_INT8 = 1,
  FDL_UINT16 = 2,
  FDL_INT16 = 3,
  FDL_INT32 = 4,
  FDL_INT64 = 5,
  FDL_FLOAT16 = 6,
  FDL_BFLOAT16 = 7,
  FDL_FLOAT32 = 8,
  FDL_FLOAT64 = 9,
  FDL_BOOL = 10, /* one byte, 0 or 1 */
  FDL_COMPLEX64 = 11,
  FDL_COMPLEX128 = 12
} fdl_dtype;

typedef enum fdl_kind FDL_AS_INT {
  FDL_ALLREDUCE = 0,
  FDL_ALLGATHER = 1,
  FDL_BROADCAST = 2,
  FDL_REDUCESCATTER = 3,
  FDL_ALLTOALL = 4,
  FDL_BARRIER = 5,
  FDL_REDUCE = 6,
  FDL_GATHER = 7,
  FDL_SCATTER = 8,
  FDL_MESSAGE = 9 /* from one rank to another */
} fdl_kind;

typedef enum fdl_reduce_op FDL_AS_INT {
  FDL_SUM = 0,
  FDL_AVERAGE = 1,
  FDL_MIN = 2,
  FDL_MAX = 3,
  FDL_PRODUCT = 4,
  FDL_ADASUM = 5 /* of an allreduce */
} fdl_reduce_op;

typedef enum fdl_device_type FDL_AS_INT { FDL_CPU = 0, FDL_CUDA = 1 } fdl_device_type;

#undef FDL_AS_INT

#endif
