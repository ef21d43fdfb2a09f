/* Counts the calls by which a process changes files under one folder, and fails, tears or kills at the N-th.

   Loaded with LD_PRELOAD into a Python that the tests start; armed from there through ctypes. It reaches what Python and
   SQLite call by name in libc, which is everything they do: neither makes system calls of its own. Syncs are counted,
   recorded and answered, never done: only a power cut would tell, and that is replayed from the record (power.py). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { OFF, COUNT, KILL, TORN, EIO_ONCE, FULL };
enum kind { CREATE, WRITE, TRUNCATE, RENAME, UNLINK, LINK, MKDIR, SYNC };

/* One recorded call (result: 1 if it failed by itself), followed by both paths and the bytes written; the same as RECORD in power.py. */
struct record {
    uint32_t kind, path, other, result;
    uint64_t inode, offset, length, mtime;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static enum mode mode = OFF;
static long at, count;
static int full, trace = -1;

void fault_arm(const char *under, int how, long when, int record_to) {
    snprintf(folder, sizeof folder, "%s/", under);
    at = when, count = 0, full = 0, trace = record_to;
    mode = how;
}

long fault_disarm(void) {
    mode = OFF;
    return count;
}

static int watched(const char *path) { return mode != OFF && strncmp(path, folder, strlen(folder)) == 0; }

static int path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    path[size < 0 ? 0 : size] = 0;
    return watched(path);
}

static int path_at(int base, const char *name, char *path) {
    char start[PATH_MAX] = "";
    if (name[0] == '/')
        snprintf(path, PATH_MAX, "%s", name);
    else {
        if (base == AT_FDCWD) {
            if (!getcwd(start, sizeof start)) start[0] = 0;
        } else
            path_of(base, start);
        if (snprintf(path, PATH_MAX, "%s/%s", start, name) >= PATH_MAX) path[0] = 0;
    }
    return watched(path);
}

static void record(enum kind kind, const char *path, const char *other, const struct stat *found, uint64_t offset,
                   const void *data, uint64_t length, int result) {
    if (trace < 0) return;
    size_t held = data ? length : 0;
    struct record head = {kind, strlen(path), strlen(other), result, found->st_ino, offset, length,
                          found->st_mtim.tv_sec * 1000000000ull + found->st_mtim.tv_nsec};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)other, head.other}, {(void *)data, held}};
    pthread_mutex_lock(&lock);
    syscall(SYS_writev, trace, parts, 4);
    pthread_mutex_unlock(&lock);
}

/* What the armed fault does to this call: 0 let it through, 1 fail it with errno set, 2 tear it and then die. */
static int strike(enum kind kind, int grows) {
    if (full && grows) return errno = ENOSPC, 1;
    long number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    if (mode == TORN) return kind == WRITE && number >= at ? 2 : 0; /* two runs differ by a call or two: the next write */
    if (number != at) return 0;
    switch (mode) {
    case KILL: kill(getpid(), SIGKILL); pause(); break;
    case EIO_ONCE: return errno = EIO, 1;
    case FULL: return full = 1, errno = ENOSPC, 1; /* and nothing more can grow until disarmed */
    default: break;
    }
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t put(int descriptor, const void *data, size_t length, off_t offset, int moves) {
    static ssize_t (*real_write)(int, const void *, size_t), (*real_pwrite)(int, const void *, size_t, off_t);
    if (!real_write) real_pwrite = REAL(pwrite), real_write = REAL(write);
    char path[PATH_MAX];
    if (mode == OFF || !path_of(descriptor, path))
        return moves ? real_write(descriptor, data, length) : real_pwrite(descriptor, data, length, offset);
    struct stat found;
    fstat(descriptor, &found);
    if (moves) offset = fcntl(descriptor, F_GETFL) & O_APPEND ? found.st_size : lseek(descriptor, 0, SEEK_CUR);
    int struck = strike(WRITE, offset + (off_t)length > found.st_size);
    if (struck == 1) return -1;
    if (struck == 2) {
        size_t part = length * 2 / 3;
        if (part % 512 == 0 && part) part--; /* within a sector */
        real_pwrite(descriptor, data, part, offset);
        kill(getpid(), SIGKILL), pause();
    }
    ssize_t done = moves ? real_write(descriptor, data, length) : real_pwrite(descriptor, data, length, offset);
    if (done >= 0) fstat(descriptor, &found), record(WRITE, path, "", &found, offset, data, done, 0);
    return done;
}

ssize_t write(int descriptor, const void *data, size_t length) { return put(descriptor, data, length, 0, 1); }
ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) { return put(descriptor, data, length, offset, 0); }
ssize_t pwrite64(int descriptor, const void *data, size_t length, off_t offset) { return put(descriptor, data, length, offset, 0); }

static ssize_t put_all(int descriptor, const struct iovec *parts, int number, off_t offset, int moves) {
    ssize_t total = 0; /* in pieces: as a short write may be */
    for (int n = 0; n < number; n++) {
        ssize_t done = put(descriptor, parts[n].iov_base, parts[n].iov_len, offset + total, moves);
        if (done < 0) return total ? total : -1;
        total += done;
        if ((size_t)done < parts[n].iov_len) break;
    }
    return total;
}

ssize_t writev(int descriptor, const struct iovec *parts, int number) { return put_all(descriptor, parts, number, 0, 1); }
ssize_t pwritev(int descriptor, const struct iovec *parts, int number, off_t offset) { return put_all(descriptor, parts, number, offset, 0); }
ssize_t pwritev64(int descriptor, const struct iovec *parts, int number, off_t offset) { return put_all(descriptor, parts, number, offset, 0); }
ssize_t pwritev2(int descriptor, const struct iovec *parts, int number, off_t offset, int flags) { return put_all(descriptor, parts, number, offset, offset == -1); }

static int sync_one(int descriptor) {
    char path[PATH_MAX];
    if (mode == OFF || !path_of(descriptor, path)) return 0;
    if (strike(SYNC, 0) == 1) return -1;
    struct stat found;
    fstat(descriptor, &found);
    record(SYNC, path, "", &found, 0, NULL, S_ISDIR(found.st_mode), 0);
    return 0;
}

int fsync(int descriptor) { return sync_one(descriptor); }
int fdatasync(int descriptor) { return sync_one(descriptor); }

static int cut(int descriptor, off_t length) {
    static int (*real)(int, off_t);
    if (!real) real = REAL(ftruncate);
    char path[PATH_MAX];
    if (mode == OFF || !path_of(descriptor, path)) return real(descriptor, length);
    struct stat found;
    fstat(descriptor, &found);
    if (strike(TRUNCATE, length > found.st_size) == 1) return -1;
    int done = real(descriptor, length);
    if (!done) fstat(descriptor, &found), record(TRUNCATE, path, "", &found, length, NULL, 0, 0);
    return done;
}

int ftruncate(int descriptor, off_t length) { return cut(descriptor, length); }
int ftruncate64(int descriptor, off_t length) { return cut(descriptor, length); }

/* Changes of names: `from` is what the call works on, `to` its other name if it has one. */
#define NAMES(KIND, GROWS, FROM_BASE, FROM, TO_BASE, TO, DO)                                           \
    char from[PATH_MAX] = "", to[PATH_MAX] = "";                                                       \
    int here = mode != OFF && (path_at(FROM_BASE, FROM, from) | ((TO) && path_at(TO_BASE, TO, to)));   \
    if (!here) return DO;                                                                              \
    struct stat found = {0};                                                                           \
    if (strike(KIND, GROWS) == 1) return -1;                                                           \
    lstat(from, &found);                                                                               \
    int done = DO;                                                                                     \
    int reason = errno;                                                                                \
    if (KIND == MKDIR) lstat(from, &found);                                                            \
    record(KIND, from, to, &found, 0, NULL, 0, done != 0);                                             \
    errno = reason;                                                                                    \
    return done;

int renameat2(int base, const char *name, int into, const char *other, unsigned flags) {
    NAMES(RENAME, 0, base, name, into, other, (int)syscall(SYS_renameat2, base, name, into, other, flags))
}
int renameat(int base, const char *name, int into, const char *other) { return renameat2(base, name, into, other, 0); }
int rename(const char *name, const char *other) { return renameat2(AT_FDCWD, name, AT_FDCWD, other, 0); }
int unlinkat(int base, const char *name, int flags) {
    const char *none = NULL;
    NAMES(UNLINK, 0, base, name, AT_FDCWD, none, (int)syscall(SYS_unlinkat, base, name, flags))
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int linkat(int base, const char *name, int into, const char *other, int flags) {
    NAMES(LINK, 1, base, name, into, other, (int)syscall(SYS_linkat, base, name, into, other, flags))
}
int link(const char *name, const char *other) { return linkat(AT_FDCWD, name, AT_FDCWD, other, 0); }
int mkdirat(int base, const char *name, mode_t permissions) {
    const char *none = NULL;
    NAMES(MKDIR, 1, base, name, AT_FDCWD, none, (int)syscall(SYS_mkdirat, base, name, permissions))
}
int mkdir(const char *name, mode_t permissions) { return mkdirat(AT_FDCWD, name, permissions); }

/* Opening counts where it makes a file or cuts one to nothing. */
static int open_at(int base, const char *name, int flags, mode_t permissions) {
    char path[PATH_MAX];
    struct stat found = {0};
    if (mode == OFF || !(flags & (O_CREAT | O_TRUNC)) || !path_at(base, name, path))
        return syscall(SYS_openat, base, name, flags, permissions);
    int there = lstat(path, &found) == 0;
    int changes = there ? flags & O_TRUNC && !(flags & O_EXCL) : flags & O_CREAT;
    if (changes && strike(there ? TRUNCATE : CREATE, !there) == 1) return -1;
    int descriptor = syscall(SYS_openat, base, name, flags, permissions);
    if (changes) {
        int reason = errno;
        fstat(descriptor, &found);
        record(there ? TRUNCATE : CREATE, path, "", &found, 0, NULL, 0, descriptor < 0);
        errno = reason;
    }
    return descriptor;
}

#define PERMISSIONS                                                    \
    mode_t permissions = 0;                                            \
    if (flags & (O_CREAT | __O_TMPFILE)) {                             \
        va_list rest;                                                  \
        va_start(rest, flags), permissions = va_arg(rest, mode_t), va_end(rest); \
    }

int open(const char *name, int flags, ...) { PERMISSIONS return open_at(AT_FDCWD, name, flags, permissions); }
int open64(const char *name, int flags, ...) { PERMISSIONS return open_at(AT_FDCWD, name, flags, permissions); }
int openat(int base, const char *name, int flags, ...) { PERMISSIONS return open_at(base, name, flags, permissions); }
int openat64(int base, const char *name, int flags, ...) { PERMISSIONS return open_at(base, name, flags, permissions); }
