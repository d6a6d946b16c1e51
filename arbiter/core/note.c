/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences from the tables of note.h. */
#include "arbiter/core/note.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/name.h"
#include "proto/msg/agent.h"

static const char *const note_names[] = {
#define NOTE_NAME(id, name, text) name,
    ARB_NOTES(NOTE_NAME)
#undef NOTE_NAME
};
static const char *const note_texts[] = {
#define NOTE_TEXT(id, name, text) text,
    ARB_NOTES(NOTE_TEXT)
#undef NOTE_TEXT
};
static const char *const refusal_names[] = {
#define REFUSAL_NAME(id, name, text) name,
    ARB_REFUSALS(REFUSAL_NAME)
#undef REFUSAL_NAME
};
static const char *const refusal_texts[] = {
#define REFUSAL_TEXT(id, name, text) text,
    ARB_REFUSALS(REFUSAL_TEXT)
#undef REFUSAL_TEXT
};

static const char *const task_names[] = {[MSG_TASK_NONE] = "nothing",
                                         [MSG_TASK_RESTART] = "restart",
                                         [MSG_TASK_RELOAD] = "reload",
                                         [MSG_TASK_REINIT] = "reinit"};

#define WORD(id, text) text,
static const char *const order_words[] = {ARB_MONGODB_ORDERS(WORD)};
static const char *const cause_texts[] = {ARB_MONGODB_CAUSES(WORD)};
static const char *const phase_words[] = {ARB_MONGODB_PHASES(WORD)};
static const char *const set_words[] = {ARB_MONGODB_SETS(WORD)};
static const char *const state_words[] = {ARB_MONGODB_STATES(WORD)};
#undef WORD

/* What a later version may have words for is called as nothing is. */
static const char *word_at(const char *const *words, size_t count, size_t at)
{
    return words[at < count ? at : 0];
}

const char *arb_mongodb_order_word(enum msg_mongodb_order_kind kind)
{
    return word_at(order_words, BASE_COUNT_OF(order_words), kind);
}

const char *arb_mongodb_cause_text(enum arb_mongodb_cause cause)
{
    return word_at(cause_texts, BASE_COUNT_OF(cause_texts), cause);
}

const char *arb_mongodb_phase_word(uint8_t phase)
{
    return word_at(phase_words, BASE_COUNT_OF(phase_words), phase);
}

const char *arb_mongodb_set_word(enum msg_mongodb_set_state state)
{
    return word_at(set_words, BASE_COUNT_OF(set_words), state);
}

const char *arb_mongodb_state_word(enum msg_mongodb_state state)
{
    return word_at(state_words, BASE_COUNT_OF(state_words), state);
}

const char *arb_note_name(enum arb_note_kind kind)
{
    BASE_ASSERT(kind < ARB_NOTE_COUNT);
    return note_names[kind];
}

const char *arb_refusal_name(enum arb_refusal why)
{
    BASE_ASSERT(why < ARB_REFUSAL_COUNT);
    return refusal_names[why];
}

const char *arb_refusal_text(enum arb_refusal why)
{
    BASE_ASSERT(why < ARB_REFUSAL_COUNT);
    return refusal_texts[why];
}

void arb_lsn_put(uint64_t lsn, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    uint32_t halves[2] = {(uint32_t)(lsn >> 32), (uint32_t)lsn};
    for (size_t half = 0; half < 2; half++) {
        bool is_begun = false;
        for (int shift = 28; shift >= 0; shift -= 4) {
            uint32_t digit = halves[half] >> shift & 15;
            is_begun = is_begun || digit != 0 || shift == 0;
            if (is_begun) {
                buf_put_u8(out, (uint8_t)digits[digit]);
            }
        }
        if (half == 0) {
            buf_put_u8(out, '/');
        }
    }
}

static void put_field(const struct arb_note *note, char field, struct buf *out)
{
    switch (field) {
    case 'm':
        buf_put(out, base_name_slice(&note->member));
        return;
    case 'n':
        buf_put(out, base_name_slice(&note->other));
        return;
    case 'a':
        buf_put_dec(out, note->a);
        return;
    case 'b':
        buf_put_dec(out, note->b);
        return;
    case 'c':
        buf_put_dec(out, note->c);
        return;
    case 'A':
        arb_lsn_put(note->c, out);
        return;
    case 'B':
        arb_lsn_put(note->b, out);
        return;
    case 'k':
        buf_put_text(out, word_at(task_names, BASE_COUNT_OF(task_names), note->c));
        return;
    case 'e':
        buf_put_text(out, base_error_text(note->b <= INT32_MAX ? -(int)note->b : 0));
        return;
    case 'o':
        buf_put_text(out, arb_mongodb_order_word((enum msg_mongodb_order_kind)(note->c & 0xff)));
        return;
    case 'p':
        buf_put_text(out, arb_mongodb_phase_word((uint8_t)note->b));
        return;
    case 'w':
        buf_put_text(out, arb_refusal_text(note->why));
        return;
    default:
        BASE_UNREACHABLE();
    }
}

void arb_note_put(const struct arb_note *note, struct buf *out)
{
    BASE_ASSERT(note->kind < ARB_NOTE_COUNT);
    for (const char *at = note_texts[note->kind]; *at != '\0'; at++) {
        if (*at != '{') {
            buf_put_u8(out, (uint8_t)*at);
            continue;
        }
        put_field(note, at[1], out);
        BASE_ASSERT(at[2] == '}');
        at += 2;
    }
}
