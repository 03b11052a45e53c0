/* runtime.h - training the conventional way: tensors with shapes that are data, on a heap, and a tape of what has run.
 *
 *     tables.c (of a network, in flash)        in RAM, while a step runs
 *     wb_tensors   type and shape              wb_places   where each tensor is
 *     wb_nodes     operator, record, tensors   wb_counts   reads of it that are still to come
 *                                              the tape    one record for each operator that gradients go through
 *
 * Forward runs node after node and pushes records; backward pops them and runs the gradient operators of each; the updates
 * run at the end. A tensor is allocated by the node that makes it, and freed behind the last node that reads it. */
#ifndef RUNTIME_H
#define RUNTIME_H

#include "kernel_call.h"
#include "network.h"

enum { WB_F32, WB_I32, WB_I16, WB_I8, WB_BITS };
enum { WB_NONE = 0xffff, WB_SCRATCH = 0xfffe }; /* arguments that are no tensor: nothing, scratch */

/* shape: images, channels, rows, columns, as kernels see it. storage: what it shares with views of it, and with what is
 * written in its place. fixed: where it is, if it is not on the heap. */
typedef struct {
    const void *fixed;
    int shape[4];
    uint16_t storage;
    uint8_t type;
} wb_tensor;

/* count numbers of wb_lists from `first` on. */
typedef struct {
    uint16_t first, count;
} wb_list;

/* kernel: a number of wb_kernels. arguments: tensors; reads, makes: those on the heap. gradients: nodes, in the order in which backward runs them. */
typedef struct {
    void (*op)(void);
    int kernel;
    const void *record;
    int scratch, update;
    wb_list arguments, reads, makes, gradients;
} wb_node;

extern wb_kernel *const wb_kernels[]; /* all that is linked in */
extern const wb_tensor wb_tensors[];
extern const wb_node wb_nodes[];
extern const uint16_t wb_lists[];
extern const wb_list wb_fed, wb_updates; /* tensors that the host writes; the nodes that run at the end */

void wb_execute(int index);

/* A first-fit heap in wb_arena; places are offsets there. */
void wb_heap_reset(void);
uint32_t wb_allocate(uint32_t bytes);
void wb_free(uint32_t place);

#endif
