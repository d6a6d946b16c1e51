/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions that stay on in release builds.
 *
 * A failed assertion is a bug of ours, never bad input. It calls base_panic, which the program
 * provides (it prints the expression and the trace ring and aborts); the simulator provides its
 * own.
 */
#ifndef QUORATE_BASE_ASSERT_H
#define QUORATE_BASE_ASSERT_H

/* Provided by each program (layer L6). Never returns. */
_Noreturn void base_panic(const char *file, int line, const char *expression);

#define BASE_ASSERT(x) ((x) ? (void)0 : base_panic(__FILE__, __LINE__, #x))
#define BASE_IMPLIES(a, b) (!(a) || (b))
#define BASE_UNREACHABLE() base_panic(__FILE__, __LINE__, "unreachable")

/* Costly checks: debug, canary, asan and fuzz builds only. */
#ifdef QUORATE_SLOW_CHECKS
#define BASE_ASSERT_SLOW(x) BASE_ASSERT(x)
#else
#define BASE_ASSERT_SLOW(x) ((void)sizeof(!(x)))
#endif

#endif
