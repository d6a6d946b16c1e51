/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files, without libFuzzer and without sanitizers: for builds with planted
 * bugs. Behind each input lie pages that nobody may touch, so that a decoder which reads further
 * than its input is caught in the act.
 *
 *   replay-NAME FILE...      exits with 1 after FAILED reads-beyond-its-input or
 * check-of-the-target */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/canary.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX ((size_t)1 << 20)

static uint8_t *page_behind;
static size_t page_bytes;

static void say(const char *text)
{
    (void)!write(STDOUT_FILENO, text, strlen(text));
}

static void struck(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    say(number == SIGSEGV ? "FAILED reads-beyond-its-input\n" : "FAILED check-of-the-target\n");
    _exit(1);
}

static bool one(const char *path)
{
    struct stat is;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &is) != 0 || (size_t)is.st_size > INPUT_MAX) {
        return false;
    }
    size_t len = (size_t)is.st_size;
    uint8_t *data = page_behind - len;
    bool is_read = read(file, data, len) == (ssize_t)len;
    (void)close(file);
    return is_read && LLVMFuzzerTestOneInput(data, len) == 0;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_sigaction = struck, .sa_flags = SA_SIGINFO};
    page_bytes = (size_t)64 * (size_t)sysconf(_SC_PAGESIZE); /* a long copy may begin at its end */
    void *room = mmap(NULL, INPUT_MAX + page_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BASE_ASSERT(room != MAP_FAILED && base_canary_select(getenv("QUORATE_CANARY")));
    page_behind = (uint8_t *)room + INPUT_MAX;
    BASE_ASSERT(mprotect(page_behind, page_bytes, PROT_NONE) == 0);
    BASE_ASSERT(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGABRT, &action, NULL) == 0);
    for (int i = 1; i < argc; i++) {
        if (!one(argv[i])) {
            (void)fprintf(stderr, "replay: cannot read %s\n", argv[i]);
            return 2;
        }
    }
    printf("%d inputs\n", argc - 1);
    return argc > 1 ? 0 : 2;
}
