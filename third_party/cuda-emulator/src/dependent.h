// Dependent launches: kernels that may begin before the one ahead of them has ended, and the check that they touch
// nothing of it before griddepcontrol.wait.
#pragma once
#include "machine.h"

namespace emu {

// A launch that may still be running, as others see it.
struct EarlierLaunch {
    u32 epoch;
    std::string name;
};

// What a launch leaves to those that depend on it.
struct LaunchOrder {
    u32 epoch = 0;
    std::string name;
    std::vector<EarlierLaunch> ahead;  // may still run when a block begins
    std::vector<EarlierLaunch> after;  // ... and when it has waited
    std::atomic<bool> waited{false};   // some warp has
    std::atomic<bool> triggered{false};  // some block has let dependents start before its end
    std::atomic<bool> startsAfterWait{false};  // there is a block that lets dependents start only after it has waited
};
using LaunchOrders = std::vector<std::shared_ptr<LaunchOrder>>;

// The program has asked for a dependent launch: from here on all launches are followed.
void expectDependentLaunches();
// Sets launch.order, and launch.tracked if its accesses are recorded; `predecessors` of a dependent launch.
void dependentStart(Launch& l, const LaunchOrders& predecessors);
void dependentEnd(Launch& l);
void dependentStartBlock(Block& b);
void dependentEndBlock(Block& b);
// An access of each lane of the mask to global memory, in a launch that is tracked.
void dependentAccesses(Warp& w, const Inst& in, u32 mask, const u64* address, u32 size, bool write);
// What a warp that has waited hands to others at a barrier of the block (or to the barrier of the cluster), and what they take.
inline void dependentArrive(const Warp& w, Block& b) { b.waitedAtBarrier |= w.waited; }
inline void dependentTake(Warp& w, const Block& b) { w.waited |= b.waitedAtBarrier; }
Handler dependentWaitHandler();
Handler dependentTriggerHandler();

// Work of an emulated library, which stands for kernels that wait for all before them.
std::shared_ptr<LaunchOrder> beginLibraryWork();
void endLibraryWork();
void dependentLibraryAccess(u64 address, u64 bytes, bool write);

u32 nextEpoch();  // of launches

}  // namespace emu
