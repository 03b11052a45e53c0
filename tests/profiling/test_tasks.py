"""Programs with several stacks, and exceptions: who is charged, how deep each stack was, and what is put back."""

from foreign_firmware import FIRMWARE, calls_of

from workbench.profiling import profile
from workbench.trace.flows import Flow

TASKS = (FIRMWARE / "tasks.c").read_text()
FLOATS = (
    TASKS.replace("counted[0] += 1;", "counted[0] += summed(1.0f) == 3000.0f;")
    .replace("counted[1] += deep(5) != 0;", "counted[1] += (summed(2.0f) == 6000.0f) & (deep(5) != 0);")
    .replace(
        "static void first(void)",
        """__attribute__((noinline)) static float summed(float step)
{
    float sum = 0, other = step; /* in registers: an s-register that is not put back spoils it */
    for (int i = 0; i < 1000; ++i) {
        sum += step;
        other += 2 * step;
    }
    return sum + other - step;
}

static void first(void)""",
    )
)


def deepest(found):
    return found.stack.groupby("stack", sort=False).depth.max().to_dict()


def test_each_task_has_a_stack(tasks):
    """`first` moves its stack pointer never, but the interrupt does, by eight words."""
    found = profile(tasks)
    assert (found.meta["ended"], found.meta["exit_code"]) == ("exit", 0)
    depths = deepest(found)
    assert list(depths) == ["main", "first", "second"]
    assert depths["first"] == 32 and 6 * 40 <= depths["second"] < 6 * 40 + 32 + 32
    assert found.stack[found.stack["stack"] == "first"].depth.min() == 0
    assert found.meta["memory"]["stack_peak"] == sum(depths.values())


def test_handlers_are_entered_as_often_as_the_program_counts(tasks):
    found = profile(tasks)
    calls = calls_of(found)
    assert calls["SVC_Handler"] == calls["main"] == calls["first"] == calls["second"] == 1
    assert calls["SysTick_Handler"] == calls["PendSV_Handler"] == calls["next_of"] == 9
    entered = 1 + 9 + 9
    assert found.meta["exception_cycles"] == 12 * entered + 10 * entered
    assert set(found.tree[found.tree.parent < 0].name) == {
        "Reset_Handler", "SVC_Handler", "SysTick_Handler", "PendSV_Handler", "first", "second",
    }  # fmt: skip


def test_a_call_between_whose_blocks_an_interrupt_comes_is_a_call(tasks):
    """So every function is entered through a call, and runs in its own context."""
    found = profile(tasks)
    begun = found.lines[(found.lines.function == "deep") & (found.lines.line == 19)].executions.max()
    assert calls_of(found)["deep"] == begun
    assert found.functions.set_index("name")["stack"]["deep"] == 40


def test_float_registers_belong_to_their_task(firmware):
    found = profile(firmware(FLOATS, flags=("-O1", "-g", "-ffp-contract=off")))
    assert (found.meta["ended"], found.meta["exit_code"]) == ("exit", 0)
    assert calls_of(found)["PendSV_Handler"] == 9


HANDLERS = """
#include "host.h"
volatile int ticks, nested;
NOINLINE void counted(void) { for (volatile int i = 0; i < 60; ++i); ++ticks; }
void SysTick_Handler(void) { counted(); REGISTER(0xE000ED04) = 1u << 28; }
NOINLINE void more(void) { ++nested; }
void PendSV_Handler(void) { more(); }
volatile uint32_t worked;
NOINLINE static void work(void) { ++worked; }
int main(void)
{
    REGISTER(0xE000ED20) = 0xC0u << 16 | 0x40u << 24; /* PendSV is less urgent than SysTick, which preempts it */
    REGISTER(0xE000E014) = 1499;
    REGISTER(0xE000E018) = 0;
    REGISTER(0xE000E010) = 7;
    while (ticks < 20)
        work();
    number(worked);
    return ticks == 20 && nested >= 19 ? 0 : 1;
}
"""


def test_a_handler_that_ends_in_a_tail_call_gives_back_what_it_interrupted(firmware):
    printed = []
    found = profile(firmware(HANDLERS, flags=("-O2", "-g")), output=printed.append)
    assert (found.meta["ended"], found.meta["exit_code"]) == ("exit", 0)
    tree = found.tree
    parents = tree.set_index("id").name
    above = {row.name: parents.get(row.parent, "") for row in tree.itertuples(index=False)}
    assert above["counted"] == "SysTick_Handler" and above["more"] == "PendSV_Handler" and above["work"] == "main"
    assert sum(tree.name == "work") == sum(tree.name == "counted") == 1
    assert calls_of(found)["counted"] == calls_of(found)["SysTick_Handler"] == 20
    assert calls_of(found)["work"] == int(b"".join(printed)) > 1000  # also where it was interrupted on the way in
    assert set(found.tree[found.tree.parent < 0].name) == {"Reset_Handler", "SysTick_Handler", "PendSV_Handler"}


def test_masked_interrupts_wait(firmware):
    source = """
    #include "host.h"
    volatile int ticks;
    void SysTick_Handler(void) { ++ticks; }
    int main(void)
    {
        REGISTER(0xE000E014) = 99;
        REGISTER(0xE000E018) = 0;
        REGISTER(0xE000E010) = 7;
        __asm volatile("cpsid i" ::: "memory");
        for (volatile int i = 0; i < 1000; ++i);
        const int masked = ticks;
        __asm volatile("cpsie i" ::: "memory");
        for (volatile int i = 0; i < 4; ++i);
        return masked == 0 && ticks >= 1 ? 0 : 1;
    }
    """
    assert profile(firmware(source)).meta["exit_code"] == 0


def test_a_thread_that_takes_a_stack_of_its_own_leaves_the_main_one_to_handlers(firmware):
    """As some start-up code does, without an exception."""
    source = """
    #include "host.h"
    static uint64_t room[64];
    volatile int ticks;
    NOINLINE void slow(void) { volatile char here[100]; here[9] = 1; ++ticks; }
    void SysTick_Handler(void) { slow(); }
    NOINLINE int deep(int n) { volatile int here[8]; here[n & 7] = n; return n ? deep(n - 1) + here[n & 7] : 0; }
    NOINLINE int body(void)
    {
        int sum = 0;
        while (ticks < 5)
            sum += deep(3);
        return sum ? 0 : 1;
    }
    int main(void)
    {
        REGISTER(0xE000E014) = 999;
        REGISTER(0xE000E018) = 0;
        REGISTER(0xE000E010) = 7;
        __asm volatile("msr psp, %0; msr control, %1; isb" :: "r"(room + 64), "r"(2) : "memory");
        const int result = body();
        __asm volatile("msr control, %0; isb" :: "r"(0) : "memory");
        return result;
    }
    """
    found = profile(firmware(source))
    assert (found.meta["ended"], found.meta["exit_code"]) == ("exit", 0)
    depths = deepest(found)
    assert list(depths) == ["main", "main 2"]
    assert 100 <= depths["main"] < 250 and 4 * 40 <= depths["main 2"] < 4 * 40 + 100
    assert found.functions.set_index("name")["stack"]["deep"] == 40
    assert calls_of(found)["slow"] == 5 and len(found.tree[found.tree.name == "deep"]) == 1


def test_what_waits_while_it_is_masked_costs_nothing(firmware, monkeypatch):
    """A handler of a million cycles in which another one waits: the machine is not stopped at each block."""
    source = """
    #include "host.h"
    volatile int late, soon;
    void PendSV_Handler(void) { late = soon; }
    void SVC_Handler(void)
    {
        REGISTER(0xE000ED04) = 1u << 28;
        for (volatile int i = 0; i < 100000; ++i);
        soon = 1;
    }
    int main(void)
    {
        __asm volatile("svc 0");
        if (late != 1)
            return 1;
        __asm volatile("cpsid i" ::: "memory");
        REGISTER(0xE000ED04) = 1u << 28;
        for (volatile int i = 0; i < 100000; ++i);
        soon = 2;
        __asm volatile("cpsie i" ::: "memory");
        if (late != 2)
            return 2;
        REGISTER(0xE000ED20) = 0x80u << 16;
        __asm volatile("msr basepri, %0" :: "r"(0x40) : "memory");
        REGISTER(0xE000ED04) = 1u << 28;
        soon = 3;
        if (late != 2)
            return 3;
        REGISTER(0xE000ED20) = 0x20u << 16; /* more urgent than what is masked */
        __asm volatile("b 1f\\n1:");
        return late == 3 ? 0 : 4;
    }
    """
    stops, resume = [], Flow.resume
    monkeypatch.setattr(Flow, "resume", lambda self, *args, **kinds: (stops.append(1), resume(self, *args, **kinds))[1])
    found = profile(firmware(source))
    assert (found.meta["ended"], found.meta["exit_code"]) == ("exit", 0)
    assert len(stops) < 100
