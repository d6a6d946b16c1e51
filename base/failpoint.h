/* SPDX-License-Identifier: Apache-2.0 */
/* Named points at which a test can make a program fail: FAILPOINT("name") is 0 in every build but
 * the `canary` variant, where it is what the hook says: 0, or the error with which the operation at
 * this point shall fail. The hook may also wait or end the process. Any thread. The shell that has
 * an environment sets the hook (arbiter/quorated/failpoints.h).
 */
#ifndef QUORATE_BASE_FAILPOINT_H
#define QUORATE_BASE_FAILPOINT_H

#ifdef QUORATE_CANARIES
typedef int base_failpoint_fn(const char *name);
/* NULL: none. Before any thread is started. */
void base_failpoint_set(base_failpoint_fn *hook);
int base_failpoint(const char *name);
#define FAILPOINT(name) base_failpoint(name)
#else
#define FAILPOINT(name) 0
#endif

#endif
