/* SPDX-License-Identifier: Apache-2.0 */
/* status.css and status.js, put into the program by the assembler. module.mk names them as what
 * this object is made from. */
#include "arbiter/web/assets.h"

#define EMBED(name, file) \
    __asm__(".section .rodata\n" \
            ".balign 16\n" #name "_begin:\n" \
            ".incbin \"" file "\"\n" #name "_end:\n" \
            ".byte 0\n" \
            ".previous\n"); \
    extern const uint8_t name##_begin[] __attribute__((visibility("hidden"))); \
    extern const uint8_t name##_end[] __attribute__((visibility("hidden")))

EMBED(web_style, "arbiter/web/status.css");
EMBED(web_script, "arbiter/web/status.js");

struct slice web_asset_style(void)
{
    return slice_from(web_style_begin, (size_t)(web_style_end - web_style_begin));
}

struct slice web_asset_script(void)
{
    return slice_from(web_script_begin, (size_t)(web_script_end - web_script_begin));
}
