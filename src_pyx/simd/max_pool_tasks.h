/* The tasks of max pooling for REAL; max_pool.h includes this once for each type. */

/* Over the rows of windows of all planes. */
static void TYPED(max_pool)(const max_pooling *job, ptrdiff_t first, ptrdiff_t last, REAL *scratch)
{
    if (is_by_two(job) && job->ow >= LEAST) {
        BY_ROWS(TYPED(max_pool_by_two), job->ow, LEAST, job, first, last);
        return;
    }
    while (first < last) {
        const ptrdiff_t plane = first / job->oh, begin = first % job->oh;
        const ptrdiff_t end = smaller(job->oh, begin + last - first);
        TYPED(max_pool_some)(job, plane, begin, end);
        first += end - begin;
    }
}

/* Over planes. */
static void TYPED(max_unpool)(max_unpooling *job, ptrdiff_t first, ptrdiff_t last, REAL *scratch)
{
    if (job->ow >= LEAST && job->oh >= rows_at_a_time(job->ow, LEAST) && job->h / 2 == job->oh
        && job->w / 2 == job->ow)
        BY_ROWS(TYPED(max_unpool_by_two), job->ow, LEAST, job, first, last);
    else
        TYPED(max_unpool_some)(job, first, last);
}
