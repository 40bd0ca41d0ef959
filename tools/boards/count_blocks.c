/*
 * A plugin for QEMU's user mode emulator that counts how often each block of AArch64 instructions is
 * run. At the end it writes one line for each block: the count, the address, and the instructions, the
 * last two in hexadecimal.
 *
 * The counters are plain, so the counts are exact for a program that computes on one thread.
 *
 * Built by emulator.py:  cc -O2 -shared -fPIC -DPLUGIN_VERSION=... -o count_blocks.so count_blocks.c
 * Used with:             qemu-aarch64 -plugin file=count_blocks.so,out=FILE PROGRAM
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What is needed of QEMU's plugin interface, which Debian has no header for. These functions are the
 * same in all versions; a plugin only has to name one that the emulator knows.
 */
typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
enum qemu_plugin_cb_flags { NO_REGISTERS };
typedef void (*on_translation)(plugin_id, struct qemu_plugin_tb *);
typedef void (*on_execution)(unsigned int cpu, void *data);
typedef void (*on_exit_)(plugin_id, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_translation);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, on_execution,
                                          enum qemu_plugin_cb_flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id, on_exit_, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = PLUGIN_VERSION;

struct block {
    struct block *next;
    uint64_t runs;
    uint64_t address;
    size_t length;
    uint32_t instructions[];
};

static struct block *blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *out;

static void run(unsigned int cpu, void *data)
{
    (void)cpu;
    ((struct block *)data)->runs++;
}

static void translate(plugin_id id, struct qemu_plugin_tb *tb)
{
    (void)id;
    size_t length = qemu_plugin_tb_n_insns(tb);
    struct block *block = calloc(1, sizeof *block + length * sizeof *block->instructions);
    if (!block)
        abort();
    block->address = qemu_plugin_tb_vaddr(tb);
    block->length = length;
    for (size_t i = 0; i < length; i++) {
        const void *code = qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, i));
        if (!code)
            abort();
        memcpy(&block->instructions[i], code, sizeof block->instructions[i]);
    }
    pthread_mutex_lock(&lock);
    block->next = blocks;
    blocks = block;
    pthread_mutex_unlock(&lock);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, run, NO_REGISTERS, block);
}

static void report(plugin_id id, void *data)
{
    (void)id;
    (void)data;
    FILE *file = fopen(out, "w");
    if (!file) {
        perror(out);
        return;
    }
    pthread_mutex_lock(&lock);
    for (struct block *block = blocks; block; block = block->next) {
        if (!block->runs)
            continue;
        fprintf(file, "%llu %llx", (unsigned long long)block->runs,
                (unsigned long long)block->address);
        for (size_t i = 0; i < block->length; i++)
            fprintf(file, " %08x", block->instructions[i]);
        fputc('\n', file);
    }
    pthread_mutex_unlock(&lock);
    fclose(file);
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4)) {
        fprintf(stderr, "count_blocks: the one argument needed is out=FILE\n");
        return -1;
    }
    out = strdup(argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, report, NULL);
    return 0;
}
