/* SPDX-License-Identifier: Apache-2.0 */
/* The section "postgresql" of a configuration document: what may stand in it. Checked when a
 * document is written, so that an engine never meets one that it must refuse. Uses jansson; any
 * thread, nothing is kept. */
#ifndef QUORATE_ARBITER_SETTINGS_PG_H
#define QUORATE_ARBITER_SETTINGS_PG_H

#include "arbiter/settings.h"

#include <jansson.h>

/* 0, or BASE_E_INVALID with what is wrong: path, value found, what is allowed. */
MUST_CHECK int arb_settings_postgresql(json_t *section, struct arb_settings_why *why);

#endif
