/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the status page is made of, as they were when this program was built. */
#ifndef QUORATE_ARBITER_WEB_ASSETS_H
#define QUORATE_ARBITER_WEB_ASSETS_H

#include "base/slice.h"

struct slice web_asset_style(void);
struct slice web_asset_script(void);

#endif
