// SPDX-License-Identifier: MIT
//
// boot.conf: lines of "name = value", '#' begins a line that says nothing. See docs/boot.md.
#include <lib/string.h>

#include "loader.h"

struct text {
    const char *at;
    size_t length;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct text trim(struct text t)
{
    while (t.length > 0 && is_space(t.at[0])) {
        t.at++;
        t.length--;
    }
    while (t.length > 0 && is_space(t.at[t.length - 1]))
        t.length--;
    return t;
}

static bool is_named(struct text t, const char *name)
{
    return t.length == strlen(name) && memcmp(t.at, name, t.length) == 0;
}

// A file of the same folder: no path leads out of it.
static const char *read_name(struct text value, char name[static CONFIG_NAME])
{
    if (name[0] != '\0')
        return "the file is named twice";
    if (value.length == 0 || value.length >= CONFIG_NAME)
        return "a file name has 1 to 63 characters";
    for (size_t i = 0; i < value.length; i++)
        if (value.at[i] <= ' ' || value.at[i] > '~' || value.at[i] == '/' || value.at[i] == '\\')
            return "a file name is plain letters, without a folder";
    memcpy(name, value.at, value.length);
    name[value.length] = '\0';
    return nullptr;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *read_sum(struct text value, bool *has, uint8_t sum[static 32])
{
    if (*has)
        return "the sum is given twice";
    if (value.length != 64)
        return "a SHA-256 sum has 64 digits";
    for (size_t i = 0; i < 32; i++) {
        const int high = digit(value.at[2 * i]), low = digit(value.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return "a SHA-256 sum is of digits 0 to 9 and a to f";
        sum[i] = (uint8_t)(high << 4 | low);
    }
    *has = true;
    return nullptr;
}

static const char *read_command_line(struct text value, bool *has, char *line)
{
    if (*has)
        return "the command line is given twice";
    if (value.length >= ABI_COMMAND_LINE)
        return "the command line is longer than 1023 bytes";
    memcpy(line, value.at, value.length);
    line[value.length] = '\0';
    *has = true;
    return nullptr;
}

static const char *read_line(struct text t, struct config *config, bool *has_line)
{
    t = trim(t);
    if (t.length == 0 || t.at[0] == '#')
        return nullptr;
    if (memchr(t.at, '\0', t.length) != nullptr)
        return "it is not text";
    const char *equals = memchr(t.at, '=', t.length);
    if (equals == nullptr)
        return "there is no '=' in it";
    const struct text name = trim((struct text){t.at, (size_t)(equals - t.at)});
    const struct text value =
        trim((struct text){equals + 1, t.length - (size_t)(equals + 1 - t.at)});
    if (is_named(name, "kernel"))
        return read_name(value, config->kernel);
    if (is_named(name, "bundle"))
        return read_name(value, config->bundle);
    if (is_named(name, "kernel-sha256"))
        return read_sum(value, &config->has_kernel_sum, config->kernel_sum);
    if (is_named(name, "bundle-sha256"))
        return read_sum(value, &config->has_bundle_sum, config->bundle_sum);
    if (is_named(name, "command-line"))
        return read_command_line(value, has_line, config->command_line);
    return "it names nothing that this loader knows"; // a later one's promise must not be broken
}

const char *config_read(const char *text, uint64_t bytes, struct config *config, unsigned *line)
{
    bool has_line = false;
    *config = (struct config){};
    *line = 0;
    for (uint64_t at = 0; at < bytes;) {
        const char *end = memchr(text + at, '\n', bytes - at);
        const uint64_t length = end != nullptr ? (uint64_t)(end - (text + at)) : bytes - at;
        ++*line;
        const char *wrong = read_line((struct text){text + at, length}, config, &has_line);
        if (wrong != nullptr)
            return wrong;
        at += length + 1;
    }
    *line = 0;
    if (config->kernel[0] == '\0')
        return "it does not name a kernel";
    if (config->bundle[0] == '\0')
        return "it does not name a bundle";
    return nullptr;
}
