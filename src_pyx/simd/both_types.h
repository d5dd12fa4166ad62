/* Includes BODY twice: for float, with names that end in _f32, and for double, in _f64. No include guard:
   every header with such a body uses it. */

#pragma push_macro("TYPED") /* segments.h has one of its own */
#undef TYPED

#define REAL float
#define VECTOR vector_f32
#define UNALIGNED unaligned_f32
#define TYPED(name) name##_f32
#include BODY
#undef REAL
#undef VECTOR
#undef UNALIGNED
#undef TYPED

#define REAL double
#define VECTOR vector_f64
#define UNALIGNED unaligned_f64
#define TYPED(name) name##_f64
#include BODY
#undef REAL
#undef VECTOR
#undef UNALIGNED
#undef TYPED

#pragma pop_macro("TYPED")
#undef BODY
