// SPDX-License-Identifier: MIT
//
// The file service: a tar archive on a disk, read-only, for several clients (proto/file.toml).
//
// Node numbers are those of the index, with the generation of the disk in their upper half: what
// was opened on a disk that was away meanwhile is STALE. What cannot be answered yet, because the
// archive is not indexed or its content is on its way, is kept as a deferred call and tried again
// whenever something has come from the disk; so one slow read holds nobody up. A disk that never
// appears is said so after PATIENCE_NS.

#include <sdk/sdk.h>

#include <proto/file.h>
#include <sdk/service.h>
#include <sdk/states.h>

#include "cache.h"
#include "volume.h"

constexpr uint32_t CONNECTIONS = 12;
constexpr uint32_t DEFERRED_CALLS = 24;
constexpr uint64_t PATIENCE_NS = 5 * NS_PER_S;

// Read ahead, all readers together: with the block that is being copied, the whole cache but a
// few blocks that may still be needed.
constexpr uint32_t AHEAD_BLOCKS = 12;

struct deferred {
    bool used;
    struct connection *connection;
    struct wire_call call;
    enum file_ordinal ordinal;
    union {
        struct file_open_request open;
        struct file_read_request read;
        struct file_read_folder_request read_folder;
    };
};

static struct deferred deferred_calls[DEFERRED_CALLS];
static struct connection *recent_readers[8];
static uint32_t recent_at;
static bool patience_is_over;

constexpr unsigned GENERATION_SHIFT = 32;

// What clients know a node by.
static uint64_t name_of(uint64_t number)
{
    return (uint64_t)volume_status()->generation << GENERATION_SHIFT | number;
}

static const struct index_node *node_at(uint64_t name)
{
    const struct index *index = volume_index();
    uint32_t number = (uint32_t)name;
    return number < index->node_count ? &index->nodes[number] : nullptr;
}

static enum file_kind kind_of(const struct index_node *node)
{
    switch (node->type) {
    case TAR_FILE:
        return FILE_KIND_FILE;
    case TAR_DIRECTORY:
        return FILE_KIND_FOLDER;
    case TAR_HARD_LINK:
    case TAR_SYMLINK:
    case TAR_SPECIAL:
    case TAR_UNSUPPORTED:
        break;
    }
    return FILE_KIND_OTHER;
}

// OK when there is an archive to be asked, WIRE_DEFERRED while that is not known.
static status_t usable(void)
{
    switch (volume_status()->state) {
    case VOLUME_USABLE:
    case VOLUME_UNUSABLE:
        // Whether it is still this disk is being found out. Without an answer, what is in memory is
        // all there is.
        if (volume_status()->away && !volume_status()->unavailable)
            return WIRE_DEFERRED;
        return volume_status()->state == VOLUME_USABLE ? STATUS_OK : FILE_BAD_ARCHIVE;
    case VOLUME_WAITING:
        return patience_is_over || volume_status()->unavailable ? FILE_IO : WIRE_DEFERRED;
    case VOLUME_INDEXING:
        return volume_status()->unavailable ? FILE_IO : WIRE_DEFERRED;
    }
    return FILE_IO;
}

// The same for a node that somebody opened before.
static status_t usable_for(uint64_t name)
{
    status_t status = usable();
    const uint64_t generation = name >> GENERATION_SHIFT;
    return status == STATUS_OK && generation != volume_status()->generation ? FILE_STALE : status;
}

static status_t try_open(const struct file_open_request *request, struct file_open_reply *reply)
{
    uint32_t number;
    status_t status = usable();
    if (status != STATUS_OK)
        return status;
    enum index_status found =
        index_find(volume_index(), request->path, strlen(request->path), true, &number);
    if (found != INDEX_OK)
        return found == INDEX_NOT_DIRECTORY ? FILE_NOT_FOLDER : STATUS_NOT_FOUND;
    const struct index_node *node = node_at(number);
    *reply = (struct file_open_reply){.node = name_of(number),
                                      .size = node->size,
                                      .kind = kind_of(node),
                                      .mode = node->mode,
                                      .modified_s = node->mtime_s};
    return STATUS_OK;
}

// The share of a reader: all of the read-ahead if it is alone.
static uint32_t ahead_for(struct connection *connection)
{
    uint32_t readers = 0;
    recent_readers[recent_at++ % ARRAY_SIZE(recent_readers)] = connection;
    for (uint32_t i = 0; i < ARRAY_SIZE(recent_readers); i++) {
        bool first = recent_readers[i] != nullptr;
        for (uint32_t k = 0; k < i && first; k++)
            first = recent_readers[k] != recent_readers[i];
        readers += first;
    }
    return AHEAD_BLOCKS / readers;
}

static status_t try_read(struct connection *connection, const struct file_read_request *request,
                         struct file_read_reply *reply)
{
    status_t status = usable_for(request->node);
    if (status != STATUS_OK)
        return status;
    const struct index_node *node = node_at(request->node);
    if (node == nullptr)
        return STATUS_NOT_FOUND;
    if (node->type == TAR_DIRECTORY)
        return FILE_IS_FOLDER;
    if (node->type != TAR_FILE)
        return STATUS_NOT_SUPPORTED;
    uint64_t left = request->offset < node->size ? node->size - request->offset : 0;
    uint32_t bytes = request->bytes < sizeof(reply->data) ? request->bytes : sizeof(reply->data);
    if (bytes > left)
        bytes = (uint32_t)left;
    reply->data_bytes = bytes;
    switch (volume_read(node, request->offset, reply->data, bytes, ahead_for(connection))) {
    case VOLUME_OK:
        return STATUS_OK;
    case VOLUME_LATER:
        return WIRE_DEFERRED;
    case VOLUME_FAILED:
        break;
    }
    return FILE_IO;
}

static status_t try_read_folder(const struct file_read_folder_request *request,
                                struct file_read_folder_reply *reply)
{
    status_t status = usable_for(request->node);
    if (status != STATUS_OK)
        return status;
    const struct index_node *folder = node_at(request->node);
    if (folder == nullptr)
        return STATUS_NOT_FOUND;
    if (folder->type != TAR_DIRECTORY)
        return FILE_NOT_FOLDER;
    // The cursor is the child that comes, so that any number of them costs the same.
    uint64_t number = request->cursor == 0 ? folder->first_child : request->cursor;
    const struct index_node *child = node_at(number);
    if (child == nullptr || number == 0 || child->parent != (uint32_t)request->node)
        return STATUS_NOT_FOUND;
    *reply = (struct file_read_folder_reply){.next = child->next_sibling,
                                             .child = name_of(number),
                                             .size = child->size,
                                             .kind = kind_of(child)};
    (void)text_copy(reply->name, sizeof(reply->name), volume_index()->text + child->name);
    return STATUS_OK;
}

static status_t try_state(struct file_state_reply *reply)
{
    const struct volume_status *status = volume_status();
    if (usable() == WIRE_DEFERRED)
        return WIRE_DEFERRED;
    reply->usable = status->state == VOLUME_USABLE;
    reply->entries = volume_index()->node_count - 1;
    reply->bytes = status->bytes;
    const char *message = status->message;
    if (status->unavailable)
        message = status->taken_out
                      ? "the disk was taken out"
                      : "the disk's driver is not there and does not come back by itself";
    (void)text_copy(reply->message, sizeof(reply->message), message);
    return STATUS_OK;
}

// ---- deferred calls

static struct deferred *defer(struct connection *connection, struct wire_call call,
                              enum file_ordinal ordinal)
{
    for (uint32_t i = 0; i < DEFERRED_CALLS; i++) {
        struct deferred *d = &deferred_calls[i];
        if (d->used)
            continue;
        d->used = true;
        d->connection = connection;
        d->call = call;
        d->ordinal = ordinal;
        return d;
    }
    return nullptr;
}

// Answers a deferred call if it can be answered now.
static void retry(struct deferred *d)
{
    static union {
        struct file_open_reply open;
        struct file_read_reply read;
        struct file_read_folder_reply read_folder;
        struct file_state_reply state;
    } reply;
    status_t status;
    memset(&reply, 0, sizeof(reply));
    switch (d->ordinal) {
    case FILE_OPEN:
        if ((status = try_open(&d->open, &reply.open)) != WIRE_DEFERRED)
            file_open_answer(d->call, status, &reply.open);
        break;
    case FILE_READ:
        if ((status = try_read(d->connection, &d->read, &reply.read)) != WIRE_DEFERRED)
            file_read_answer(d->call, status, &reply.read);
        break;
    case FILE_READ_FOLDER:
        if ((status = try_read_folder(&d->read_folder, &reply.read_folder)) != WIRE_DEFERRED)
            file_read_folder_answer(d->call, status, &reply.read_folder);
        break;
    case FILE_STATE:
        if ((status = try_state(&reply.state)) != WIRE_DEFERRED)
            file_state_answer(d->call, status, &reply.state);
        break;
    }
    d->used = status == WIRE_DEFERRED;
}

// Something came from the disk. The calls are tried in order, and what the first ones need is
// kept for them, so that however many wait, one of them gets on.
static void on_changed(void)
{
    volume_forget_holds();
    for (uint32_t i = 0; i < DEFERRED_CALLS; i++)
        if (deferred_calls[i].used)
            retry(&deferred_calls[i]);
    volume_flush();
}

// ---- operations

static status_t on_open(void *context, struct wire_call call,
                        const struct file_open_request *request, struct file_open_reply *reply)
{
    volume_ask_again();
    status_t status = try_open(request, reply);
    if (status != WIRE_DEFERRED)
        return status;
    struct deferred *d = defer(context, call, FILE_OPEN);
    if (d == nullptr)
        return STATUS_FULL;
    d->open = *request;
    return WIRE_DEFERRED;
}

static status_t on_read(void *context, struct wire_call call,
                        const struct file_read_request *request, struct file_read_reply *reply)
{
    volume_ask_again();
    status_t status = try_read(context, request, reply);
    volume_flush();
    if (status != WIRE_DEFERRED)
        return status;
    struct deferred *d = defer(context, call, FILE_READ);
    if (d == nullptr)
        return STATUS_FULL;
    d->read = *request;
    return WIRE_DEFERRED;
}

static status_t on_read_folder(void *context, struct wire_call call,
                               const struct file_read_folder_request *request,
                               struct file_read_folder_reply *reply)
{
    status_t status = try_read_folder(request, reply);
    if (status != WIRE_DEFERRED)
        return status;
    struct deferred *d = defer(context, call, FILE_READ_FOLDER);
    if (d == nullptr)
        return STATUS_FULL;
    d->read_folder = *request;
    return WIRE_DEFERRED;
}

static status_t on_state(void *context, struct wire_call call, struct file_state_reply *reply)
{
    status_t status = try_state(reply);
    if (status != WIRE_DEFERRED)
        return status;
    return defer(context, call, FILE_STATE) != nullptr ? WIRE_DEFERRED : STATUS_FULL;
}

static const struct file_server operations = {
    .open = on_open, .read = on_read, .read_folder = on_read_folder, .state = on_state};

static void on_message(struct connection *connection, const struct wire_received *received)
{
    file_dispatch(&operations, connection, received);
}

static void on_closed(struct connection *connection)
{
    for (uint32_t i = 0; i < DEFERRED_CALLS; i++)
        if (deferred_calls[i].connection == connection)
            deferred_calls[i].used = false;
    for (uint32_t i = 0; i < ARRAY_SIZE(recent_readers); i++)
        if (recent_readers[i] == connection)
            recent_readers[i] = nullptr;
}

static void on_patience(struct source *source, const struct loop_event *event)
{
    (void)event;
    (void)timer_cancel((timer_t){source->object}); // lowers FIRED
    patience_is_over = true;
    on_changed();
}

int main(const char *argument)
{
    static struct connection connections[CONNECTIONS];
    static struct service service = {
        .connections = connections,
        .connection_max = CONNECTIONS,
        .message = on_message,
        .closed = on_closed,
    };
    static struct source patience_source = {.handle = on_patience};
    static struct loop loop;
    timer_t patience;
    status_t status = loop_create(&loop);
    if (status == STATUS_OK)
        status = timer_create(start.account, &patience);
    if (status == STATUS_OK)
        status = loop_bind(&loop, patience.value, &patience_source, SIGNAL_FIRED);
    if (status == STATUS_OK)
        status = timer_set(patience, now_ns() + PATIENCE_NS);
    if (status == STATUS_OK)
        status = argument[0] != '\0' ? volume_start(&loop, argument, nullptr, on_changed)
                                     : volume_start(&loop, "ram-disk", "virtio-blk", on_changed);
    if (status == STATUS_OK)
        status = service_start(&service, &loop);
    if (status != STATUS_OK)
        fail("cannot start: %s", status_name(status));
    loop_run(&loop);
}
