/* SPDX-License-Identifier: Apache-2.0 */
/* A page of the state's file that contradicts itself: LMDB aborts, and a line says in which file
 * and what to do. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store_rig.h"

#define PAGE 4096
/* Of LMDB's page header. */
#define AT_FLAGS 10
#define AT_LOWER 12
#define AT_UPPER 14
#define IS_LEAF 2

static int put_row(void *ctx, struct store_txn *txn)
{
    const struct slice *key = ctx;
    return store_put(txn, STORE_META, *key, SLICE_LIT("value"));
}

static int put_one(const char *directory, struct slice key)
{
    struct test_store store;
    int rc = test_store_open_at(&store, directory, 0);
    rc = rc != 0 ? rc : test_store_run(&store, put_row, &key, false);
    test_store_close(&store);
    return rc;
}

/* The free room of a leaf ends before it begins; its rows can still be found. */
static bool spoil_page(uint8_t *page)
{
    bool is_leaf = page[AT_FLAGS] == IS_LEAF && memmem(page, PAGE, "a-row", 5) != NULL;
    if (is_leaf) {
        page[AT_UPPER] = (uint8_t)(page[AT_LOWER] - 2);
        page[AT_UPPER + 1] = page[AT_LOWER + 1];
    }
    return is_leaf;
}

static void spoil(const char *directory)
{
    char path[256];
    uint8_t page[PAGE];
    size_t spoilt = 0;
    (void)snprintf(path, sizeof(path), "%s/store.mdb", directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = 0; pread(fd, page, PAGE, at) == PAGE; at += PAGE) {
        if (spoil_page(page)) {
            assert_int_equal(pwrite(fd, page, PAGE, at), PAGE);
            spoilt++;
        }
    }
    assert_true(spoilt > 0);
    (void)close(fd);
}

_Noreturn static void child(const char *directory, int words)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGABRT, SIG_DFL);
    (void)dup2(words, STDERR_FILENO);
    _exit(put_one(directory, SLICE_LIT("b-row")) == 0 ? 0 : 1);
}

/* How it ends that writes into the page, and its words. */
static int status_of_writer(const char *directory, char *ret_words, size_t cap)
{
    int ends[2];
    int status = 0;
    size_t used = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child(directory, ends[1]);
    }
    (void)close(ends[1]);
    for (ssize_t got = 1; got > 0 && used + 1 < cap; used += got > 0 ? (size_t)got : 0) {
        got = read(ends[0], ret_words + used, cap - 1 - used);
    }
    ret_words[used] = 0;
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_page_that_contradicts_itself_is_told(void **state)
{
    (void)state;
    char directory[64];
    char words[4096];
    test_make_directory(directory, sizeof(directory));
    assert_int_equal(put_one(directory, SLICE_LIT("a-row")), 0);
    spoil(directory);
    int status = status_of_writer(directory, words, sizeof(words));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(words, "lvl=error mod=store ev=state_damaged file="));
    assert_non_null(strstr(words, "store.mdb"));
    assert_non_null(strstr(words, "kv member remove"));
    test_remove_directory(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_that_contradicts_itself_is_told),
    };
    return cmocka_run_group_tests_name("store_damage", tests, NULL, NULL);
}
