/* Puts the wall clock of a process OFFSET_S seconds ahead. The clock that only runs forward stays as it is, and so do waits:
 * those of C11 condition variables, which librdkafka has and Rust has not, end by the wall clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += OFFSET_S;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return clock_gettime(CLOCK_REALTIME, now) ? 0 : base;
}

static struct timespec there(const struct timespec *until) {
    struct timespec real = *until;
    real.tv_sec -= OFFSET_S;
    return real;
}

typedef int timed_wait(cnd_t *, mtx_t *, const struct timespec *);

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
    static timed_wait *real;
    if (!real) real = (timed_wait *)dlsym(RTLD_NEXT, "cnd_timedwait");
    struct timespec time = there(until);
    return real(condition, mutex, &time);
}
