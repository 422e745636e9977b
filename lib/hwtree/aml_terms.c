// SPDX-License-Identifier: MIT
//
// See aml_reader.h.

#include "aml_reader.h"

#include <lib/string.h>

static bool take(struct aml_reader *r, uint64_t count, const uint8_t **start)
{
    if (count > (uint64_t)(r->end - r->at))
        return false;
    *start = r->at;
    r->at += count;
    return true;
}

bool aml_take_number(struct aml_reader *r, unsigned bytes, uint64_t *value)
{
    const uint8_t *start;
    if (!take(r, bytes, &start))
        return false;
    *value = 0;
    memcpy(value, start, bytes); // little-endian
    return true;
}

// A package: its length and what is inside (20.2.4). The length counts itself.
bool aml_take_package(struct aml_reader *r, struct aml_reader *inside)
{
    const uint8_t *start = r->at;
    uint64_t lead, rest = 0;
    if (!aml_take_number(r, 1, &lead))
        return false;
    const unsigned more = (unsigned)(lead >> 6);
    if (!aml_take_number(r, more, &rest))
        return false;
    const uint64_t length = more == 0 ? lead & 0x3f : (lead & 0xf) | rest << 4;
    if (length < (uint64_t)(r->at - start) || length > (uint64_t)(r->end - start))
        return false;
    *inside = (struct aml_reader){r->at, start + length};
    r->at = inside->end;
    return true;
}

static bool is_lead_character(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || c == '_';
}

// A name (20.2.2); `last` is its last part, or empty.
bool aml_take_name(struct aml_reader *r, char last[static 5])
{
    const uint8_t *start;
    uint64_t segments = 1, op;
    memset(last, 0, 5);
    while (r->at < r->end && (*r->at == '\\' || *r->at == '^'))
        r->at++;
    if (r->at == r->end)
        return false;
    op = *r->at;
    if (op == OP_ZERO || op == OP_DUAL_NAME || op == OP_MULTI_NAME)
        r->at++;
    else if (!is_lead_character((uint8_t)op))
        return false;
    if (op == OP_ZERO)
        return true;
    if (op == OP_DUAL_NAME)
        segments = 2;
    if (op == OP_MULTI_NAME && !aml_take_number(r, 1, &segments))
        return false;
    if (segments == 0 || !take(r, 4 * segments, &start))
        return false;
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t c = start[4 * (segments - 1) + i];
        last[i] = c > ' ' && c <= '~' ? (char)c : '?';
    }
    return true;
}

static bool take_text(struct aml_reader *r, struct aml_value *value)
{
    value->kind = AML_TEXT;
    value->inside.at = r->at;
    while (r->at < r->end && *r->at != 0)
        r->at++;
    if (r->at == r->end)
        return false;
    value->inside.end = r->at++;
    return true;
}

// A number, a text, or a name. false: it is something else.
static bool take_plain(struct aml_reader *r, struct aml_value *value)
{
    uint64_t op;
    *value = (struct aml_value){};
    if (r->at < r->end && (is_lead_character(*r->at) || *r->at == '\\' || *r->at == '^')) {
        value->kind = AML_NAME;
        return aml_take_name(r, value->name);
    }
    if (!aml_take_number(r, 1, &op))
        return false;
    value->kind = AML_NUMBER;
    switch (op) {
    case OP_ZERO:
    case OP_ONE:
        value->number = op;
        return true;
    case OP_ONES:
        value->number = UINT64_MAX;
        return true;
    case OP_BYTE:
        return aml_take_number(r, 1, &value->number);
    case OP_WORD:
        return aml_take_number(r, 2, &value->number);
    case OP_DWORD:
        return aml_take_number(r, 4, &value->number);
    case OP_QWORD:
        return aml_take_number(r, 8, &value->number);
    case OP_STRING:
        return take_text(r, value);
    default:
        return false;
    }
}

// How many elements a package or a buffer is to have may be computed, or be more than stand there:
// neither concerns us.
static bool take_size(struct aml_reader *r, uint8_t op)
{
    struct aml_value size;
    uint64_t count;
    if (op == OP_PACKAGE)
        return aml_take_number(r, 1, &count);
    return take_plain(r, &size) && size.kind == AML_NUMBER;
}

bool aml_take_value(struct aml_reader *r, struct aml_value *value)
{
    struct aml_reader inside;
    const uint8_t op = r->at < r->end ? *r->at : OP_ZERO;
    if (op != OP_BUFFER && op != OP_PACKAGE && op != OP_VAR_PACKAGE)
        return take_plain(r, value);
    r->at++;
    *value = (struct aml_value){};
    if (!aml_take_package(r, &inside))
        return false;
    if (take_size(&inside, op))
        *value =
            (struct aml_value){.kind = op == OP_BUFFER ? AML_BYTES : AML_LIST, .inside = inside};
    return true;
}
