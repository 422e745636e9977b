// SPDX-License-Identifier: MIT
//
// The records of a pax extended header, "LENGTH KEY=VALUE\n", read as a stream: a record may
// begin in one block and end in another, and a value that nobody asked for may be of any length.
//
// Source: POSIX.1-2017, pax, "pax Extended Header".

#include <string.h>

#include "tar_field.h"
#include "tar_pax.h"

void tar_pax_start(struct tar_reader *tar, struct tar_override *target)
{
    tar->pax = target;
    memset(&tar->record, 0, sizeof(tar->record));
}

static bool key_is(const struct tar_reader *tar, const char *name)
{
    return strcmp(tar->record.key, name) == 0;
}

// The first byte of a value is about to come: what it replaces is forgotten. An empty value
// takes an earlier record back, which leaves what the entry's own header says.
static void value_start(struct tar_reader *tar)
{
    struct tar_override *o = tar->pax;
    if (key_is(tar, "path")) {
        o->has_path = o->path_too_long = false;
        o->path[0] = '\0';
    } else if (key_is(tar, "linkpath")) {
        o->has_link = false;
        o->link[0] = '\0';
    } else if (key_is(tar, "size")) {
        o->has_size = false;
    } else if (key_is(tar, "mtime")) {
        o->has_mtime = false;
    } else if (strncmp(tar->record.key, "GNU.sparse.", 11) == 0) {
        o->sparse = true;
    }
}

static bool keep(char *target, size_t room, size_t at, char c)
{
    if (at + 1 >= room)
        return false;
    target[at] = c;
    target[at + 1] = '\0';
    return true;
}

static bool value_byte(struct tar_reader *tar, char c)
{
    struct tar_override *o = tar->pax;
    size_t at = tar->record.value_bytes++;
    if (key_is(tar, "path")) {
        o->has_path = true;
        o->path_too_long |= !keep(o->path, sizeof(o->path), at, c);
    } else if (key_is(tar, "linkpath")) {
        o->has_link = true;
        o->path_too_long |= !keep(o->link, sizeof(o->link), at, c);
    } else if (key_is(tar, "size") || key_is(tar, "mtime")) {
        // A time may have a fraction of any length; only its whole seconds matter.
        bool fits = keep(tar->record.number, sizeof(tar->record.number), at, c);
        return fits || key_is(tar, "mtime");
    }
    return true;
}

static bool value_end(struct tar_reader *tar)
{
    struct tar_override *o = tar->pax;
    const char *number = tar->record.number;
    if (tar->record.value_bytes == 0)
        return true;
    if (key_is(tar, "size")) {
        o->has_size = true;
        return tar_decimal(number, strlen(number), &o->size);
    }
    if (key_is(tar, "mtime")) {
        size_t digits = 0;
        while (number[digits] != '\0' && number[digits] != '.')
            digits++;
        o->has_mtime = true;
        if (number[0] == '-') {
            o->mtime_s = 0;
            return true;
        }
        return tar_decimal(number, digits, &o->mtime_s);
    }
    return true;
}

static bool pax_byte(struct tar_reader *tar, char c)
{
    auto r = &tar->record;
    r->used++;
    switch (r->state) {
    case PAX_LENGTH:
        if (c == ' ' && r->used > 1) {
            r->state = PAX_KEY;
            return r->length > r->used;
        }
        if (c < '0' || c > '9' || r->length > UINT32_MAX)
            return false;
        r->length = r->length * 10 + (uint64_t)(c - '0');
        return true;
    case PAX_KEY:
        if (r->used >= r->length)
            return false;
        if (c == '=') {
            r->state = PAX_VALUE;
            // A key that did not fit is none of ours, whatever it begins with.
            if (r->key_bytes >= sizeof(r->key) && strncmp(r->key, "GNU.sparse.", 11) != 0)
                r->key[0] = '\0';
            value_start(tar);
            return true;
        }
        if (r->key_bytes < sizeof(r->key) - 1)
            r->key[r->key_bytes] = c;
        if (r->key_bytes < sizeof(r->key))
            r->key_bytes++;
        return true;
    case PAX_VALUE:
        if (r->used < r->length)
            return value_byte(tar, c);
        if (c != '\n' || !value_end(tar))
            return false;
        memset(r, 0, sizeof(*r));
        return true;
    }
    return false;
}

bool tar_pax_bytes(struct tar_reader *tar, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!pax_byte(tar, bytes[i]))
            return false;
    return true;
}

bool tar_pax_complete(const struct tar_reader *tar)
{
    return tar->record.used == 0;
}
