// SPDX-License-Identifier: MIT
//
// See format.h. One pass over the format, no recursion, no static state: usable in a panic.
#include <lib/format.h>

#include <stdint.h>

#include <lib/string.h>

struct output {
    char *buffer;
    size_t size, length;
};

struct conversion {
    bool left, zero;
    int width, precision; // precision < 0: none given
    int size;             // bytes of the integer
};

static void put(struct output *out, char c)
{
    if (out->length + 1 < out->size)
        out->buffer[out->length] = c;
    out->length++;
}

static void pad(struct output *out, char c, int count)
{
    for (; count > 0; count--)
        put(out, c);
}

static void put_text(struct output *out, const struct conversion *how, const char *text)
{
    if (text == nullptr)
        text = "(null)";
    size_t limit = how->precision < 0 ? SIZE_MAX : (size_t)how->precision;
    size_t length = strnlen(text, limit);
    int fill = length < INT32_MAX ? how->width - (int)length : 0;
    if (!how->left)
        pad(out, ' ', fill);
    for (size_t i = 0; i < length; i++)
        put(out, text[i]);
    if (how->left)
        pad(out, ' ', fill);
}

static void put_number(struct output *out, const struct conversion *how, uint64_t value,
                       unsigned base, const char *digits, const char *prefix)
{
    char reversed[24];
    int count = 0;
    for (; value != 0; value /= base)
        reversed[count++] = digits[value % base];
    int zeros = (how->precision < 0 ? 1 : how->precision) - count;
    zeros = zeros < 0 ? 0 : zeros;
    int fill = how->width - zeros - count - (int)strlen(prefix);
    if (how->zero && !how->left && how->precision < 0 && fill > 0) {
        zeros += fill;
        fill = 0;
    }
    if (!how->left)
        pad(out, ' ', fill);
    while (*prefix != 0)
        put(out, *prefix++);
    pad(out, '0', zeros);
    while (count > 0)
        put(out, reversed[--count]);
    if (how->left)
        pad(out, ' ', fill);
}

static int parse_decimal(const char **format)
{
    int value = 0;
    while (**format >= '0' && **format <= '9') {
        if (value < 100'000)
            value = value * 10 + (**format - '0');
        (*format)++;
    }
    return value;
}

static int parse_size(const char **format)
{
    int size = sizeof(int);
    for (;; (*format)++) {
        switch (**format) {
        case 'h':
            size = size == sizeof(short) ? 1 : (int)sizeof(short);
            break;
        case 'l':
        case 'z':
            size = sizeof(long);
            break;
        default:
            return size;
        }
    }
}

// A pointer to va_list is portable only inside a structure.
struct arguments {
    va_list list;
};

static uint64_t take_unsigned(struct arguments *from, int size)
{
    if (size == sizeof(long))
        return va_arg(from->list, unsigned long);
    unsigned value = va_arg(from->list, unsigned);
    return size == 1 ? (uint8_t)value : size == 2 ? (uint16_t)value : value;
}

static int64_t take_signed(struct arguments *from, int size)
{
    if (size == sizeof(long))
        return va_arg(from->list, long);
    int value = va_arg(from->list, int);
    return size == 1 ? (int8_t)value : size == 2 ? (int16_t)value : value;
}

static struct conversion parse_conversion(const char **format, struct arguments *from)
{
    struct conversion how = {.precision = -1};
    for (;; (*format)++) {
        if (**format == '-')
            how.left = true;
        else if (**format == '0')
            how.zero = true;
        else
            break;
    }
    if (**format == '*') {
        (*format)++;
        how.width = va_arg(from->list, int);
        if (how.width < 0) {
            how.left = true;
            how.width = how.width == INT32_MIN ? 0 : -how.width;
        }
    } else {
        how.width = parse_decimal(format);
    }
    if (**format == '.') {
        (*format)++;
        if (**format == '*') {
            (*format)++;
            how.precision = va_arg(from->list, int);
        } else {
            how.precision = parse_decimal(format);
        }
    }
    how.size = parse_size(format);
    return how;
}

static void convert(struct output *out, const struct conversion *how, char kind,
                    struct arguments *from)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    switch (kind) {
    case 's':
        put_text(out, how, va_arg(from->list, const char *));
        break;
    case 'c': {
        struct conversion one = *how;
        char text[2] = {(char)va_arg(from->list, int), 0};
        one.precision = 1;
        if (text[0] == 0)
            put(out, 0);
        else
            put_text(out, &one, text);
        break;
    }
    case 'd':
    case 'i': {
        int64_t value = take_signed(from, how->size);
        uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
        put_number(out, how, magnitude, 10, lower, value < 0 ? "-" : "");
        break;
    }
    case 'u':
        put_number(out, how, take_unsigned(from, how->size), 10, lower, "");
        break;
    case 'x':
        put_number(out, how, take_unsigned(from, how->size), 16, lower, "");
        break;
    case 'X':
        put_number(out, how, take_unsigned(from, how->size), 16, upper, "");
        break;
    case 'p':
        put_number(out, how, (uintptr_t)va_arg(from->list, void *), 16, lower, "0x");
        break;
    case '%':
        put(out, '%');
        break;
    default: // not ours: show it, so that the mistake is seen
        put(out, '%');
        put(out, kind);
        break;
    }
}

size_t format_text_v(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct output out = {buffer, size, 0};
    struct arguments from;
    va_copy(from.list, arguments);
    for (; *format != 0; format++) {
        if (*format != '%') {
            put(&out, *format);
            continue;
        }
        format++;
        struct conversion how = parse_conversion(&format, &from);
        if (*format == 0) {
            put(&out, '%');
            break;
        }
        convert(&out, &how, *format, &from);
    }
    va_end(from.list);
    if (size > 0)
        buffer[out.length < size ? out.length : size - 1] = 0;
    return out.length;
}

size_t format_text(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text_v(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
