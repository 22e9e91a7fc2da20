/* Faults of one process: between it and the C library, by LD_PRELOAD.
 *
 *   process ── read, write, sync ──► this ──► kernel     EIO, or late
 *           ◄── clocks ───────────── this ◄── kernel     moved, or at another rate
 *
 * What to do stands in a file of 64-bit words that is shared with who tests, FAULTS_CONTROL; so do
 * counters of what was done. The words are those of layer.rs. Only files below FAULTS_DIR are
 * harmed. Without FAULTS_CONTROL, and with all words zero, nothing is changed.
 *
 * A clock that is moved moves for all of the process: where the kernel is told until when to wait,
 * it is told in its own time.
 *
 * Not here: absolute sleeps and timers of file descriptors, which the product does not use; reads
 * through memory maps and buffered streams.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum word {
    MONOTONIC_NS, /* added to the clock of time passed */
    RATE_PPM,     /* by how much that clock is too fast, from RATE_FROM_NS on */
    RATE_FROM_NS,
    WALL_NS,      /* added to the clock of the day */
    FILES,        /* which files: 0 all, 1 logs of the engine, 2 its tables */
    READS_LEFT,   /* so many reads fail, and so on */
    WRITES_LEFT,
    SYNCS_LEFT,
    SYNC_US,      /* each sync takes so much longer */
    READS_FAILED,
    WRITES_FAILED,
    SYNCS_FAILED,
    SYNCS_LATE,
    CLOCKS_MOVED, /* readings of the clock of leases that were not the kernel's */
    MONOTONIC_SEEN, /* MONOTONIC_NS as it was at the last reading of the clock of leases */
    WALL_SEEN,      /* WALL_NS as it was at the last reading of the clock of the day */
    WORDS,
};

#define BILLION 1000000000L
#define MILLION 1000000L

static _Atomic int64_t *words;
static const char *below;

static int64_t word(enum word which) {
    return words ? atomic_load_explicit(&words[which], memory_order_relaxed) : 0;
}

static void count(enum word which) {
    atomic_fetch_add_explicit(&words[which], 1, memory_order_relaxed);
}

/* That this word has been read. */
static void see(enum word seen, enum word which) {
    if (words) {
        atomic_store_explicit(&words[seen], word(which), memory_order_relaxed);
    }
}

/* One of those that are left. */
static bool take(enum word which) {
    int64_t left = word(which);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&words[which], &left, left - 1)) {
            return true;
        }
    }
    return false;
}

/* A failure to begin ends the process: it would be taken for one without faults. */
__attribute__((constructor)) static void begin(void) {
    const char *control = getenv("FAULTS_CONTROL");
    if (!control) {
        return;
    }
    below = getenv("FAULTS_DIR");
    int file = open(control, O_RDWR | O_CLOEXEC);
    void *map = MAP_FAILED;
    if (file >= 0) {
        map = mmap(NULL, WORDS * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
    }
    if (map == MAP_FAILED) {
        fprintf(stderr, "faults: %s cannot be used: %s\n", control, strerror(errno));
        _exit(127);
    }
    words = map;
}

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) { \
        next = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
    }

/* Files. */

static bool is_meant(int file) {
    char link[64], path[4096];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (!below || length <= 0) {
        return false;
    }
    path[length] = 0;
    size_t depth = strlen(below);
    if (strncmp(path, below, depth) != 0 || path[depth] != '/') {
        return false;
    }
    const char *end = strrchr(path, '.');
    switch (word(FILES)) {
    case 1:
        return end && strcmp(end, ".log") == 0;
    case 2:
        return end && strcmp(end, ".sst") == 0;
    default:
        return true;
    }
}

static bool fails(int file, enum word left, enum word failed) {
    if (word(left) <= 0 || !is_meant(file) || !take(left)) {
        return false;
    }
    count(failed);
    errno = EIO;
    return true;
}

static bool sync_fails(int file) {
    int64_t late = word(SYNC_US);
    if (late > 0 && is_meant(file)) {
        count(SYNCS_LATE);
        struct timespec wait = {late / MILLION, late % MILLION * 1000};
        while (nanosleep(&wait, &wait) != 0 && errno == EINTR) {
        }
    }
    return fails(file, SYNCS_LEFT, SYNCS_FAILED);
}

ssize_t read(int file, void *bytes, size_t size) {
    NEXT(read)
    return fails(file, READS_LEFT, READS_FAILED) ? -1 : next(file, bytes, size);
}

ssize_t pread(int file, void *bytes, size_t size, off_t at) {
    NEXT(pread)
    return fails(file, READS_LEFT, READS_FAILED) ? -1 : next(file, bytes, size, at);
}

ssize_t pread64(int file, void *bytes, size_t size, off64_t at) {
    NEXT(pread64)
    return fails(file, READS_LEFT, READS_FAILED) ? -1 : next(file, bytes, size, at);
}

ssize_t write(int file, const void *bytes, size_t size) {
    NEXT(write)
    return fails(file, WRITES_LEFT, WRITES_FAILED) ? -1 : next(file, bytes, size);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
    NEXT(pwrite)
    return fails(file, WRITES_LEFT, WRITES_FAILED) ? -1 : next(file, bytes, size, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
    NEXT(pwrite64)
    return fails(file, WRITES_LEFT, WRITES_FAILED) ? -1 : next(file, bytes, size, at);
}

int fsync(int file) {
    NEXT(fsync)
    return sync_fails(file) ? -1 : next(file);
}

int fdatasync(int file) {
    NEXT(fdatasync)
    return sync_fails(file) ? -1 : next(file);
}

/* Clocks. */

static int64_t ns_of(struct timespec at) {
    return at.tv_sec * BILLION + at.tv_nsec;
}

static struct timespec timespec_of(int64_t ns) {
    ns = ns < 0 ? 0 : ns;
    return (struct timespec){ns / BILLION, ns % BILLION};
}

static bool is_wall(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

static bool is_monotonic(clockid_t clock) {
    return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ||
           clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_BOOTTIME;
}

static bool is_moved(clockid_t clock) {
    return is_wall(clock) ? word(WALL_NS) != 0
                          : is_monotonic(clock) && (word(MONOTONIC_NS) || word(RATE_PPM));
}

/* What the process is told when the kernel says this. */
static int64_t told(clockid_t clock, int64_t kernel) {
    if (is_wall(clock)) {
        return kernel + word(WALL_NS);
    }
    __int128 gained = (__int128)(kernel - word(RATE_FROM_NS)) * word(RATE_PPM) / MILLION;
    return kernel + word(MONOTONIC_NS) + (int64_t)gained;
}

/* What the kernel will say when the process would be told this. */
static struct timespec kernel_time(clockid_t clock, struct timespec at) {
    int64_t ns = ns_of(at);
    if (is_wall(clock)) {
        return timespec_of(ns - word(WALL_NS));
    }
    int64_t from = word(RATE_FROM_NS);
    __int128 passed = (__int128)(ns - word(MONOTONIC_NS) - from) * MILLION;
    return timespec_of(from + (int64_t)(passed / (MILLION + word(RATE_PPM))));
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    NEXT(clock_gettime)
    int result = next(clock, at);
    if (clock == CLOCK_BOOTTIME) {
        see(MONOTONIC_SEEN, MONOTONIC_NS);
    } else if (clock == CLOCK_REALTIME) {
        see(WALL_SEEN, WALL_NS);
    }
    if (result == 0 && is_moved(clock)) {
        *at = timespec_of(told(clock, ns_of(*at)));
        if (clock == CLOCK_BOOTTIME) {
            count(CLOCKS_MOVED);
        }
    }
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    if (result != 0) {
        return result;
    }
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) {
        *at = now.tv_sec;
    }
    return now.tv_sec;
}

/* An older version of it has the same name and another form. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict end) {
    static __typeof__(&pthread_cond_timedwait) next;
    if (!next) {
        next = (__typeof__(next))dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    }
    if (!next) {
        next = (__typeof__(next))dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    }
    struct timespec kernel = kernel_time(CLOCK_REALTIME, *end);
    return next(cond, mutex, &kernel);
}

int pthread_cond_clockwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           clockid_t clock, const struct timespec *restrict end) {
    NEXT(pthread_cond_clockwait)
    struct timespec kernel = is_moved(clock) ? kernel_time(clock, *end) : *end;
    return next(cond, mutex, clock, &kernel);
}

/* Rust waits on futexes until a time of a clock. */
long syscall(long number, ...) {
    NEXT(syscall)
    va_list list;
    long args[6];
    va_start(list, number);
    for (int at = 0; at < 6; at++) {
        args[at] = va_arg(list, long);
    }
    va_end(list);
    struct timespec kernel;
    if (number == SYS_futex && (args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && args[3]) {
        clockid_t clock = args[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
        if (is_moved(clock)) {
            kernel = kernel_time(clock, *(const struct timespec *)args[3]);
            args[3] = (long)&kernel;
        }
    }
    return next(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}
