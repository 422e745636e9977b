// SPDX-License-Identifier: MIT
//
// See manifest.h.
#include "manifest.h"

#include <lib/string.h>

static bool is_text(const char *field, size_t size)
{
    return strnlen(field, size) < size;
}

static bool service_is_sound(const struct manifest_service *s)
{
    bool sound = is_text(s->name, sizeof(s->name)) && is_text(s->program, sizeof(s->program)) &&
                 is_text(s->family, sizeof(s->family)) &&
                 is_text(s->argument, sizeof(s->argument)) && s->role_count <= MANIFEST_ROLES_MAX &&
                 s->match_count <= MANIFEST_MATCHES_MAX;
    for (uint32_t i = 0; sound && i < s->match_count; i++)
        sound = is_text(s->matches[i], sizeof(s->matches[i]));
    return sound;
}

const char *manifest_check(const void *image, uint64_t bytes)
{
    const struct manifest *m = image;
    if (bytes < sizeof(*m) || memcmp(m->magic, "SKSYSTEM", sizeof(m->magic)) != 0)
        return "not a manifest";
    if (m->version != MANIFEST_VERSION)
        return "another version";
    if (m->count > MANIFEST_SERVICES_MAX || bytes != sizeof(*m) + m->count * sizeof(m->services[0]))
        return "cut or too long";
    for (uint32_t i = 0; i < m->count; i++)
        if (!service_is_sound(&m->services[i]))
            return "an unsound service";
    return nullptr;
}
