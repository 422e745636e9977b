// SPDX-License-Identifier: MIT
//
// The part of QEMU's plugin interface that is used here: version 1 (QEMU 7.2,
// include/qemu/qemu-plugin.h), whose header Debian does not package. And what our plugins share.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;

enum inline_operation { INLINE_ADD_U64 = 0 };
enum callback_flags { CALLBACK_NO_REGISTERS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t id,
                                                            struct qemu_plugin_tb *block));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction,
                                                enum inline_operation operation, void *counter,
                                                uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction,
                                            void (*callback)(unsigned cpu, void *data),
                                            enum callback_flags flags, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id,
                                    void (*callback)(qemu_plugin_id_t id, void *data), void *data);

// ---- accesses to memory, told to a callback with the address of what is accessed

typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_hwaddr;
enum access_kind { ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_BOTH = 3 };

void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *instruction,
                                      void (*callback)(unsigned cpu, qemu_plugin_meminfo_t info,
                                                       uint64_t address, void *data),
                                      enum callback_flags flags, enum access_kind kind, void *data);
_Bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t address);
_Bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *where);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *where);

// ---- provided by each plugin

[[gnu::visibility("default")]] extern int qemu_plugin_version;
[[gnu::visibility("default")]] int
qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count, char **arguments);

// Everything in the upper half of the address space is the kernel's; nothing there is ever
// executed in user mode.
constexpr uint64_t KERNEL_FIRST = 1ull << 63;
