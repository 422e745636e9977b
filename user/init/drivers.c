// SPDX-License-Identifier: MIT
//
// Drivers. devd finds devices and mints their objects; init starts the driver that the manifest
// names, hands it these objects, and tells devd when it is gone. devd then resets the device,
// destroys what it had minted, mints anew and asks again: so no incarnation of a driver holds an
// object of the one before. When devd itself ends, its mints die with its account and so do the
// drivers.
#include "init.h"

static struct service *devd(void)
{
    for (uint32_t i = 0; i < init.count; i++)
        if (init.services[i].manifest->allows & ALLOW_DRIVERS)
            return &init.services[i];
    return nullptr;
}

status_t driver_match(const char *compatible, struct init_driver_match_reply *reply)
{
    for (uint32_t i = 0; i < init.count; i++) {
        const struct manifest_service *m = init.services[i].manifest;
        for (uint32_t j = 0; j < m->match_count; j++)
            if (strcmp(m->matches[j], compatible) == 0) {
                text_copy(reply->driver, sizeof(reply->driver), m->family);
                return STATUS_OK;
            }
    }
    return STATUS_NOT_FOUND;
}

void driver_drop_request(struct service *s)
{
    for (uint32_t i = 0; s->device_pending && i < s->device_request.handles_count; i++)
        handle_close(s->device_request.handles[i]);
    s->device_pending = false;
}

static bool is_free(const struct service *s)
{
    return !s->device_pending && (s->state == SERVICE_STOPPED || s->state == SERVICE_CLEARING);
}

// The instance that had this device before, else a free one.
static struct service *choose_instance(const char *driver, uint64_t device, status_t *status)
{
    struct service *chosen = nullptr;
    *status = STATUS_NOT_FOUND;
    for (uint32_t i = 0; i < init.count; i++) {
        struct service *s = &init.services[i];
        if (s->manifest->start != START_DEVICE || strcmp(s->manifest->family, driver) != 0)
            continue;
        if (s->state == SERVICE_HELD && s->device == device) {
            s->announced = false; // devd does not ask again before it is told
            *status = STATUS_BAD_STATE;
            return nullptr;
        }
        if (*status == STATUS_NOT_FOUND)
            *status = INIT_BUSY;
        if (is_free(s) && (chosen == nullptr || s->device == device))
            chosen = s;
    }
    return chosen;
}

status_t driver_start(const struct init_driver_start_request *request,
                      struct init_driver_start_reply *reply)
{
    status_t status;
    struct service *s = choose_instance(request->driver, request->device, &status);
    if (s == nullptr) {
        for (uint32_t i = 0; i < request->handles_count; i++)
            handle_close(request->handles[i]);
        return status;
    }
    s->device_request = *request;
    s->device_pending = true;
    s->announced = false;
    s->absent = false;
    s->device = request->device;
    s->epoch = request->epoch;
    text_copy(reply->service, sizeof(reply->service), s->manifest->name);
    if (s->state == SERVICE_STOPPED)
        service_schedule(s);
    return STATUS_OK;
}

// The instance that has the device, or had it last.
static struct service *instance_of(uint64_t device)
{
    for (uint32_t i = 0; i < init.count; i++) {
        struct service *s = &init.services[i];
        if (s->manifest->start == START_DEVICE && s->epoch != 0 && s->device == device)
            return s;
    }
    return nullptr;
}

status_t driver_remove(uint64_t device, struct init_driver_remove_reply *reply)
{
    struct service *s = instance_of(device);
    if (s == nullptr)
        return STATUS_NOT_FOUND;
    s->absent = true;
    driver_drop_request(s); // before anything ends, or it would be started with it
    if (s->state == SERVICE_BACKOFF || s->state == SERVICE_HELD) {
        // Plugging something in is a new beginning.
        s->state = SERVICE_STOPPED;
        s->crashes = 0;
    }
    service_kill(s, "is ended: its device is taken out");
    reply->ends = s->state == SERVICE_CLEARING;
    connect_service_held(s, INIT_NO_DEVICE);
    return STATUS_OK;
}

void driver_send_device(struct service *s)
{
    static struct init_device_start_notice notice;
    const struct init_driver_start_request *request = &s->device_request;
    notice = (struct init_device_start_notice){.device = request->device,
                                               .epoch = request->epoch,
                                               .handles_count = request->handles_count};
    text_copy(notice.compatible, sizeof(notice.compatible), request->compatible);
    text_copy(notice.properties, sizeof(notice.properties), request->properties);
    memcpy(notice.roles, request->roles, sizeof(notice.roles));
    memcpy(notice.offsets, request->offsets, sizeof(notice.offsets));
    memcpy(notice.sizes, request->sizes, sizeof(notice.sizes));
    memcpy(notice.handles, request->handles, sizeof(notice.handles));
    status_t status = init_device_start(s->bootstrap, &notice);
    if (status == STATUS_OK) {
        s->device_pending = false; // the handles are the driver's now
        return;
    }
    report_line("%s did not get its device: %s", s->manifest->name, status_name(status));
    driver_drop_request(s);
}

void driver_announce_end(struct service *s)
{
    struct service *d = devd();
    if (d == nullptr || !service_runs(d) || s->announced)
        return;
    struct init_driver_ended_notice notice = {.device = s->device};
    text_copy(notice.driver, sizeof(notice.driver), s->manifest->name);
    status_t status = init_driver_ended(d->bootstrap, &notice);
    s->announced = status == STATUS_OK;
    if (status != STATUS_OK) // it does not read its messages
        service_kill(d, "does not take notices");
}

void drivers_devd_ended(void)
{
    for (uint32_t i = 0; i < init.count; i++) {
        struct service *s = &init.services[i];
        if (s->manifest->start != START_DEVICE)
            continue;
        driver_drop_request(s);
        if (s->state == SERVICE_BACKOFF)
            s->state = SERVICE_STOPPED;
        s->announced = true; // the next devd finds all devices by itself
        service_kill(s, "ends with devd");
    }
}
