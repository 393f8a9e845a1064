/* File systems that lack something, for a program that this is preloaded into. ODD says what:
   nodirsync: no fsync of directories; nolocks: no locks; noinodes: all have the inode 0.
   A number: the error of every write to a file whose path holds ODD_PATH. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is(const char *what) {
  const char *odd = getenv("ODD");
  return odd && !strcmp(odd, what);
}
#define REAL(name) dlsym(RTLD_NEXT, name)

int fsync(int fd) {
  struct stat found;
  if (is("nodirsync") && !fstat(fd, &found) && S_ISDIR(found.st_mode)) return errno = EINVAL, -1;
  int (*real)(int) = REAL("fsync");
  return real(fd);
}

#define FCNTL(name)                                                              \
  int name(int fd, int command, ...) {                                           \
    va_list rest;                                                                \
    va_start(rest, command);                                                     \
    void *argument = va_arg(rest, void *);                                       \
    va_end(rest);                                                                \
    if (is("nolocks") && (command == F_SETLK || command == F_SETLKW))            \
      return errno = ENOLCK, -1;                                                 \
    int (*real)(int, int, ...) = REAL(#name);                                    \
    return real(fd, command, argument);                                          \
  }
FCNTL(fcntl)
FCNTL(fcntl64)

#define STAT(name, parameters, arguments)                                  \
  int name parameters {                                                          \
    int(*real) parameters = REAL(#name);                                         \
    int result = real arguments;                                                 \
    if (!result && is("noinodes")) found->st_ino = 0;                            \
    return result;                                                               \
  }
STAT(stat, (const char *path, struct stat *found), (path, found))
STAT(stat64, (const char *path, struct stat64 *found), (path, found))
STAT(lstat, (const char *path, struct stat *found), (path, found))
STAT(lstat64, (const char *path, struct stat64 *found), (path, found))
STAT(fstat, (int fd, struct stat *found), (fd, found))
STAT(fstat64, (int fd, struct stat64 *found), (fd, found))
STAT(fstatat, (int fd, const char *path, struct stat *found, int flags),
     (fd, path, found, flags))
STAT(fstatat64, (int fd, const char *path, struct stat64 *found, int flags),
     (fd, path, found, flags))

ssize_t write(int fd, const void *data, size_t size) {
  const char *wanted = getenv("ODD_PATH");
  int number = wanted ? atoi(getenv("ODD")) : 0;
  if (number) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
      path[length] = 0;
      if (strstr(path, wanted)) return errno = number, -1;
    }
  }
  ssize_t (*real)(int, const void *, size_t) = REAL("write");
  return real(fd, data, size);
}
