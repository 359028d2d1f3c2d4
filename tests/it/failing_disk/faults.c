/* Loaded in front of the gateway by tests/it/failing_disk.rs: while the file that FAULTS names is
   there, its first word says what of the journal fails with EIO, or with ENOSPC: "sync-eio",
   "write-eio", "write-enospc". Everything else goes on to the system. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fault(int file, const char *of) {
    const char *order = getenv("FAULTS");
    char link[64], path[4096], word[32] = "";
    if (order == NULL) return 0;
    int at = open(order, O_RDONLY);
    if (at < 0) return 0;
    ssize_t len = read(at, word, sizeof word - 1);
    close(at);
    if (len <= 0 || strncmp(word, of, strlen(of)) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    len = readlink(link, path, sizeof path - 1);
    if (len <= 0) return 0;
    path[len] = 0;
    if (strstr(path, ".journal") == NULL) return 0;
    return strstr(word, "enospc") != NULL ? ENOSPC : EIO;
}

int fdatasync(int file) {
    static int (*real)(int);
    if (real == NULL) real = dlsym(RTLD_NEXT, "fdatasync");
    int error = fault(file, "sync");
    if (error != 0) {
        errno = error;
        return -1;
    }
    return real(file);
}

ssize_t write(int file, const void *bytes, size_t len) {
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL) real = dlsym(RTLD_NEXT, "write");
    int error = fault(file, "write");
    if (error != 0) {
        errno = error;
        return -1;
    }
    return real(file, bytes, len);
}
