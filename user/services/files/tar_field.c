// SPDX-License-Identifier: MIT
//
// See tar_field.h.

#include "tar_field.h"

static bool base256(const char *field, size_t bytes, uint64_t *value, bool *negative)
{
    *negative = ((uint8_t)field[0] & 0x40) != 0;
    uint64_t v = (uint8_t)field[0] & 0x3f;
    for (size_t i = 1; i < bytes; i++) {
        if (!*negative && v >> 55)
            return false;
        v = v << 8 | (uint8_t)field[i];
    }
    *value = *negative ? 0 : v;
    return true;
}

bool tar_number(const char *field, size_t bytes, uint64_t *value, bool *negative)
{
    *negative = false;
    if ((uint8_t)field[0] & 0x80)
        return base256(field, bytes, value, negative);
    size_t i = 0;
    uint64_t v = 0;
    while (i < bytes && field[i] == ' ')
        i++;
    for (; i < bytes && field[i] >= '0' && field[i] <= '7'; i++)
        v = v << 3 | (uint64_t)(field[i] - '0'); // at most 12 digits: 36 bits
    for (; i < bytes; i++)
        if (field[i] != ' ' && field[i] != '\0')
            return false;
    *value = v;
    return true;
}

bool tar_checksum_right(const struct tar_header *header)
{
    const uint8_t *bytes = (const uint8_t *)header;
    size_t first = offsetof(struct tar_header, checksum);
    uint64_t stored;
    bool negative;
    if (!tar_number(header->checksum, sizeof(header->checksum), &stored, &negative))
        return false;
    uint32_t sum = 0;
    int32_t signed_sum = 0;
    for (size_t i = 0; i < sizeof(*header); i++) {
        uint8_t byte = i - first < sizeof(header->checksum) ? ' ' : bytes[i];
        sum += byte;
        signed_sum += (int8_t)byte;
    }
    return stored == sum || (signed_sum >= 0 && stored == (uint64_t)signed_sum);
}

bool tar_block_is_zero(const uint8_t *block)
{
    uint8_t any = 0;
    for (size_t i = 0; i < sizeof(struct tar_header); i++)
        any |= block[i];
    return any == 0;
}

bool tar_is_posix(const struct tar_header *header)
{
    static const char magic[6] = "ustar"; // with its NUL: GNU has a blank there
    for (size_t i = 0; i < sizeof(magic); i++)
        if (header->magic[i] != magic[i])
            return false;
    return true;
}

bool tar_decimal(const char *text, size_t bytes, uint64_t *value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9' || v > (INT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(text[i] - '0');
    }
    *value = v;
    return bytes > 0;
}

bool tar_append(char *text, size_t room, const char *field, size_t bytes)
{
    size_t at = 0;
    while (at < room && text[at] != '\0')
        at++;
    for (size_t i = 0; i < bytes && field[i] != '\0'; i++) {
        if (at + 1 >= room)
            return false;
        text[at++] = field[i];
    }
    if (at >= room)
        return false;
    text[at] = '\0';
    return true;
}
