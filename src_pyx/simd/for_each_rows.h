/* Includes BODY for each number of rows, 1 and what vectors of REAL have room for; see segments.h. */

#if LEAST == 4
#if VECTOR_BYTES == 64
#define ROWS 1
#define SEGMENT 16
#include BODY
#define ROWS 2
#define SEGMENT 8
#include BODY
#define ROWS 4
#define SEGMENT 4
#include BODY
#elif VECTOR_BYTES == 32
#define ROWS 1
#define SEGMENT 8
#include BODY
#define ROWS 2
#define SEGMENT 4
#include BODY
#else
#define ROWS 1
#define SEGMENT 4
#include BODY
#endif

#else
#if VECTOR_BYTES == 64
#define ROWS 1
#define SEGMENT 8
#include BODY
#define ROWS 2
#define SEGMENT 4
#include BODY
#define ROWS 4
#define SEGMENT 2
#include BODY
#elif VECTOR_BYTES == 32
#define ROWS 1
#define SEGMENT 4
#include BODY
#define ROWS 2
#define SEGMENT 2
#include BODY
#else
#define ROWS 1
#define SEGMENT 2
#include BODY
#endif
#endif
