/* Takes back what segments_body.h defined. */
#undef VECTOR
#undef INTEGERS
#undef SELECT
#undef GATHER_SEGMENTS
#undef SCATTER_SEGMENTS
#undef PAIRS
#undef HALF
#undef ROWS
#undef SEGMENT
