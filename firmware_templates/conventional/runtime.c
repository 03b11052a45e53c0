/* runtime.c - the executor, the tape, and the three entry points: see runtime.h. */
#include "model.h"
#include "runtime.h"

#if WB_HEAP
uint32_t wb_places[WB_STORAGES];
uint16_t wb_counts[WB_STORAGES];
uint32_t wb_tape; /* the place of its last record; 0: there is none */

typedef struct {
    uint32_t before, node;
} wb_taped;

static wb_taped *wb_record_at(uint32_t place) { return (wb_taped *)(void *)(wb_arena + place); }
#else
extern const uint32_t wb_places[];
uint16_t wb_taped[WB_TAPED], wb_tape; /* the nodes that were taped, and how many */
#endif

static const uint16_t *wb_listed(wb_list which) { return wb_lists + which.first; }

static void *wb_address(int tensor)
{
    const wb_tensor *of = &wb_tensors[tensor];
    return of->fixed ? (void *)(uintptr_t)of->fixed : wb_arena + wb_places[of->storage];
}

#if WB_HEAP
static uint32_t wb_bytes(const wb_tensor *tensor)
{
    static const uint8_t bits[] = { 32, 32, 16, 8, 1 };
    const uint32_t elements = (uint32_t)(tensor->shape[0] * tensor->shape[1] * tensor->shape[2] * tensor->shape[3]);
    return (elements * bits[tensor->type] + 31) / 32 * 4;
}

static void wb_make(int tensor)
{
    wb_places[wb_tensors[tensor].storage] = wb_allocate(wb_bytes(&wb_tensors[tensor]));
}

static void wb_release_if_unread(int tensor)
{
    const int storage = wb_tensors[tensor].storage;
    if (wb_counts[storage] == 0)
        wb_free(wb_places[storage]);
}

/* An empty heap but for what the host has written: that comes first, so it is where it was. Who reads what is counted anew,
 * since a step uses the counts up. */
static void wb_begin(void)
{
    for (int i = 0; i < WB_STORAGES; ++i)
        wb_counts[i] = 0;
    for (int i = 0; i < WB_NODES; ++i)
        for (int k = 0; k < wb_nodes[i].reads.count; ++k)
            ++wb_counts[wb_tensors[wb_listed(wb_nodes[i].reads)[k]].storage];
    wb_heap_reset();
    wb_tape = 0;
    for (int i = 0; i < wb_fed.count; ++i)
        wb_make(wb_listed(wb_fed)[i]);
}

static void wb_push(int node)
{
    const uint32_t place = wb_allocate(sizeof(wb_taped));
    *wb_record_at(place) = (wb_taped){ wb_tape, (uint32_t)node };
    wb_tape = place;
}

static int wb_last(void) { return (int)wb_record_at(wb_tape)->node; }

static void wb_pop(void)
{
    const uint32_t place = wb_tape;
    wb_tape = wb_record_at(place)->before;
    wb_free(place);
}
#else
static void wb_begin(void) { wb_tape = 0; }
static void wb_push(int node) { wb_taped[wb_tape++] = (uint16_t)node; }
static int wb_last(void) { return wb_taped[wb_tape - 1]; }
static void wb_pop(void) { --wb_tape; }
#endif

/* Run a node: make room for its results, call its kernel, let go of what nobody reads any more. */
void wb_execute(int index)
{
    const wb_node *node = &wb_nodes[index];
    const uint16_t *arguments = wb_listed(node->arguments);
    void *at[WB_ARGUMENTS];
#if WB_HEAP
    for (int i = 0; i < node->makes.count; ++i)
        wb_make(wb_listed(node->makes)[i]);
    if (node->gradients.count)
        wb_push(index);
    const uint32_t scratch = node->scratch ? wb_allocate((uint32_t)node->scratch) : 0;
#else
    if (node->gradients.count)
        wb_push(index);
    const uint32_t scratch = wb_places[WB_STORAGES + index];
#endif
    for (int i = 0; i < node->arguments.count; ++i) {
        const int tensor = arguments[i];
        at[i] = tensor == WB_NONE ? 0 : tensor == WB_SCRATCH ? wb_arena + scratch : wb_address(tensor);
    }
    wb_kernels[node->kernel](&(wb_call){ node->record, arguments, at, node->arguments.count });
#if WB_HEAP
    if (node->scratch)
        wb_free(scratch);
    for (int i = 0; i < node->reads.count; ++i) {
        const int tensor = wb_listed(node->reads)[i];
        --wb_counts[wb_tensors[tensor].storage];
        wb_release_if_unread(tensor);
    }
    for (int i = 0; i < node->makes.count; ++i)
        wb_release_if_unread(wb_listed(node->makes)[i]);
#endif
}

wb_tile wb_tile_of(const wb_call *call, int argument)
{
    const int *shape = wb_tensors[call->tensors[argument]].shape;
    return wb_everything(shape[0], shape[1], shape[2]);
}

wb_view_f32 wb_view_of_f32(const wb_call *call, int argument)
{
    if (call->tensors[argument] == WB_NONE)
        return (wb_view_f32){ 0 };
    const int *shape = wb_tensors[call->tensors[argument]].shape;
    return wb_image_f32(call->at[argument], shape[1], shape[2], shape[3]);
}

wb_view_s8 wb_view_of_s8(const wb_call *call, int argument)
{
    if (call->tensors[argument] == WB_NONE)
        return (wb_view_s8){ 0 };
    const int *shape = wb_tensors[call->tensors[argument]].shape;
    return wb_image_s8(call->at[argument], shape[1], shape[2], shape[3]);
}

void wb_forward(void)
{
    wb_begin();
    for (int i = 0; i < WB_FORWARD; ++i)
        wb_nodes[i].op();
}

/* Forward, loss and all gradients; updates among them only where this batch is the last of a step. By its name the stack's
 * reserve knows what it calls. */
__attribute__((noinline, noclone)) static void wb_differentiate(int update)
{
    wb_forward();
    for (int i = WB_FORWARD; i < WB_BACKWARD; ++i)
        wb_nodes[i].op();
    while (wb_tape) {
        const wb_list gradients = wb_nodes[wb_last()].gradients;
        for (int i = 0; i < gradients.count; ++i) {
            const wb_node *node = &wb_nodes[wb_listed(gradients)[i]];
            if (update || !node->update)
                node->op();
        }
        wb_pop();
    }
}

#if WB_ACCUMULATES
void wb_accumulate(void) { wb_differentiate(0); }
#endif

void wb_train_step(void)
{
    wb_differentiate(1);
    for (int i = 0; i < wb_updates.count; ++i)
        wb_nodes[wb_listed(wb_updates)[i]].op();
    ++wb_step;
}
