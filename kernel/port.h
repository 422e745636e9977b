// SPDX-License-Identifier: MIT
//
// Ports: a set of objects to wait on. An object's binding is a node in the object with one
// pending bit, so a port cannot overflow. A binding is pending while there is something to tell:
// signals raised since the last report, or messages. Receiving takes the binding off under the
// port's lock, lets go of it, and only then locks the object.
//
// Lock order: the bound object, then the port.
#pragma once

#include "process.h"

struct thread;

struct port {
    struct object object; // its lock guards all of this
    struct list bindings; // all, by port_node
    struct list pending;  // those with something to tell, by node
    uint32_t binding_count;
};
OBJECT_BODY(port);

// The object, which is locked and bound, has something to tell.
void port_notify_locked(struct object *object) REQUIRES(object->lock);

// The object is gone. true: its slot lives on as a ghost until the port has heard of it.
bool port_object_gone_locked(struct object *object) REQUIRES(object->lock);

enum step port_teardown(struct object *object);
void port_inspect(struct object *object, struct abi_inspect *out);
