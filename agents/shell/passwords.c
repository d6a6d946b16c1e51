/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords; see passwords.h. */
#include "agents/shell/passwords.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/shell/files.h"
#include "base/name.h"

#define FILE_MAX 4096

static int fail(const struct agent_passwords *file, int status, const char *what, const char *more,
                struct base_text *ret_why)
{
    char line[BASE_TEXT_MAX + 1];
    (void)snprintf(line, sizeof(line), "password file %.100s %s%s", file->path, what, more);
    *ret_why = base_text_from(slice_from_text(line));
    return status;
}

static const struct agent_password *role_of(const struct agent_passwords *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++) {
        if (strcmp(file->roles[i].role, name) == 0) {
            return &file->roles[i];
        }
    }
    return NULL;
}

static bool is_fine(const struct agent_passwords *file, const char *password)
{
    size_t len = strlen(password);
    bool has_letters = file->letters == NULL || strspn(password, file->letters) == len;
    return len >= AGENT_PASSWORD_MIN && len < AGENT_PASSWORD_MAX && has_letters;
}

static int take_line(const struct agent_passwords *file, char *line)
{
    if (line[0] == '\0' || line[0] == '#') {
        return 0;
    }
    char *password = strchr(line, ':');
    if (password == NULL) {
        return BASE_E_INVALID;
    }
    *password++ = '\0';
    const struct agent_password *role = role_of(file, line);
    bool is_known = role != NULL || (file->is_other != NULL && file->is_other(line));
    if (!is_known || !is_fine(file, password)) {
        return BASE_E_INVALID;
    }
    if (role != NULL && role->memory != NULL) {
        (void)snprintf(role->memory, AGENT_PASSWORD_MAX, "%s", password);
    }
    return 0;
}

static int take_lines(const struct agent_passwords *file, char *text)
{
    int rc = 0;
    for (char *line = strsep(&text, "\n"); line != NULL && rc == 0; line = strsep(&text, "\n")) {
        rc = take_line(file, line);
    }
    for (size_t i = 0; i < file->count && rc == 0; i++) {
        bool is_missing = file->roles[i].is_needed && file->roles[i].memory[0] == '\0';
        rc = is_missing ? BASE_E_INVALID : 0;
    }
    return rc;
}

int agent_passwords_read(const struct agent_passwords *file, struct base_text *ret_why)
{
    struct stat st;
    char text[FILE_MAX];
    size_t len = 0;
    if (stat(file->path, &st) != 0) {
        return fail(file, BASE_E_NOTFOUND, "cannot be read: ", strerror(errno), ret_why);
    }
    if ((st.st_mode & 077) != 0 || st.st_uid != geteuid()) {
        return fail(file, BASE_E_DENIED, "must belong to the database's user and have mode 0600",
                    "", ret_why);
    }
    int rc = pg_file_read(file->path, text, sizeof(text), &len);
    rc = rc != 0 ? rc : take_lines(file, text);
    explicit_bzero(text, sizeof(text));
    return rc == 0 ? 0 : fail(file, rc, "needs ", file->needs, ret_why);
}
