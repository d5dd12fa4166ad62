/* exp, tanh, log and log1p that the compiler can vectorise, and that give the same bits on every system.

   Branch-free, within 2 ulp; inf and NaN go through.  exp returns 0 where the exact result is
   below the smallest normal number, as kernels run with denormals flushed.

   exp and tanh reduce x = n ln 2 + r with |r| <= ln(2) / 2 (Cody and Waite, in two parts so that
   x - n ln 2 is exact) and sum Taylor's series of exp at r, up to a remainder below half an ulp.
   Adding 1.5 * 2^(mantissa bits) rounds to an integer and leaves n in the lowest bits, from where a
   shift takes it into the exponent. */

#ifndef CNN_CORE_VECTOR_MATH_H
#define CNN_CORE_VECTOR_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t bits_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float from_bits_f32(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t bits_f64(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double from_bits_f64(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* exp(r) - 1 for x = n ln 2 + r; *n_bits has n in its lowest bits. */
static inline float reduced_expm1_f32(float x, uint32_t *n_bits)
{
    const float shift = 0x1.8p23f;
    float shifted = x * 1.44269504f + shift;
    float n = shifted - shift;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 1.0f / 2;
    *n_bits = bits_f32(shifted);
    return r + r * r * p;
}

static inline double reduced_expm1_f64(double x, uint64_t *n_bits)
{
    const double shift = 0x1.8p52;
    double shifted = x * 1.4426950408889634 + shift;
    double n = shifted - shift;
    double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    double p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 1.0 / 2;
    *n_bits = bits_f64(shifted);
    return r + r * r * p;
}

static inline float exp_f32(float x)
{
    uint32_t n;
    float p = 1 + reduced_expm1_f32(x, &n);
    float y = from_bits_f32(bits_f32(p) + (n << 23));
    y = x > 88.72283f ? INFINITY : y;  /* log(FLT_MAX) */
    y = x < -87.33654f ? 0 : y;        /* log(FLT_MIN) */
    return x == x ? y : x;
}

static inline double exp_f64(double x)
{
    uint64_t n;
    double p = 1 + reduced_expm1_f64(x, &n);
    double y = from_bits_f64(bits_f64(p) + (n << 52));
    y = x > 709.782712893384 ? INFINITY : y; /* log(DBL_MAX) */
    y = x < -708.396418532264 ? 0 : y;       /* log(DBL_MIN) */
    return x == x ? y : x;
}

/* tanh x = e / (e + 2) with e = exp(2x) - 1, which loses nothing near 0; 1 to the last bit from |x| = 10 (20) on. */
static inline float tanh_f32(float x)
{
    uint32_t n;
    float a = fabsf(x);
    float q = reduced_expm1_f32(a > 10 ? 20 : 2 * a, &n);
    float power = from_bits_f32((n << 23) + 0x3f800000u); /* 2^n */
    float e = q * power + (power - 1);
    return copysignf(e / (e + 2), x);
}

static inline double tanh_f64(double x)
{
    uint64_t n;
    double a = fabs(x);
    double q = reduced_expm1_f64(a > 20 ? 40 : 2 * a, &n);
    double power = from_bits_f64((n << 52) + 0x3ff0000000000000u); /* 2^n */
    double e = q * power + (power - 1);
    return copysign(e / (e + 2), x);
}

/* log(1 + x) for 0 <= x <= 1: 2 artanh(s) with s = x / (2 + x) <= 1/3, by the series s + s^3 / 3 + s^5 / 5 ... */
static inline float log1p_unit_f32(float x)
{
    float s = x / (2 + x), square = s * s, p = 0;
    for (int k = 15; k > 1; k -= 2)
        p = (p + 1.0f / k) * square;
    return 2 * (s + s * p);
}

static inline double log1p_unit_f64(double x)
{
    double s = x / (2 + x), square = s * s, p = 0;
    for (int k = 33; k > 1; k -= 2)
        p = (p + 1.0 / k) * square;
    return 2 * (s + s * p);
}

/* log x for x >= 1: n ln 2 + log(1 + f) with x = 2^n (1 + f). */
static inline float log_from_one_f32(float x)
{
    uint32_t bits = bits_f32(x);
    float n = (float)((int32_t)(bits >> 23) - 127);
    float f = from_bits_f32((bits & 0x007fffffu) | 0x3f800000u) - 1;
    float y = n * 0.693359375f + (log1p_unit_f32(f) - n * 2.12194440e-4f);
    return x < INFINITY ? y : x;
}

static inline double log_from_one_f64(double x)
{
    uint64_t bits = bits_f64(x);
    double n = (double)((int32_t)(bits >> 52) - 1023);
    double f = from_bits_f64((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u) - 1;
    double y = n * 6.93147180369123816490e-01 + (log1p_unit_f64(f) + n * 1.90821492927058770002e-10);
    return x < INFINITY ? y : x;
}

#endif
