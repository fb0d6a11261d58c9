// The check of dependent launches. A kernel launched with programmatic stream serialisation may begin when every block
// of its predecessor has executed griddepcontrol.launch_dependents or has ended; griddepcontrol.wait waits for the end of
// the predecessor. Here kernels run one after the other, so the check asks what might have overlapped: for every four
// bytes it keeps the last launch that wrote and that read them, and an access of a warp that has not waited is reported if
// that launch may still have been running.
//
// Which may be running: the predecessor, if it executes griddepcontrol.launch_dependents; and unless some block of it lets
// its dependents start only after it has itself waited, also those that might have run beside it. A launch that no warp
// waits in may end before its predecessor does, which then still counts for those that come after it.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>

#include "checks.h"
#include "dependent.h"
#include "memory.h"

namespace emu {

namespace {

// Launch (upper 28 bits) and which of the four bytes (lower 4).
struct Word {
    u32 writer, reader;
};
Word* gWords;
std::atomic<bool> gExpected{false};
thread_local std::shared_ptr<LaunchOrder> tLibrary;

bool reserveWords() {
    static const bool good = [] {
        void* p = mmap(nullptr, gArena.size / 4 * sizeof(Word), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) {
            std::fprintf(stderr, "[cuda-emulator] no address space for the check of dependent launches; it is off\n");
            return false;
        }
        gWords = static_cast<Word*>(p);
        return true;
    }();
    return good;
}

void record(u32& at, u32 epoch, u32 bytes) {
    u32 old = __atomic_load_n(&at, __ATOMIC_RELAXED);
    for (;;) {
        u32 now = old >> 4 == epoch ? old | bytes : epoch << 4 | bytes;
        if (now == old || __atomic_compare_exchange_n(&at, &old, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return;
    }
}

const EarlierLaunch* running(const std::vector<EarlierLaunch>& pending, u32 word, u32 bytes) {
    if (!(word & bytes)) return nullptr;
    for (const EarlierLaunch& l : pending)
        if (l.epoch == word >> 4) return &l;
    return nullptr;
}

void conflict(Warp& w, const Inst& in, int lane, u64 address, u32 size, bool write, bool written, const EarlierLaunch& other) {
    if (isSuppressed(ReportKind::Race, w.launch->program->demangled, false) || isRepeat(in, ReportKind::Race)) return;
    report(ReportKind::Race, w.launch->program->name + ":dependent" + std::to_string(&in - w.frame->function->code.data()),
           std::string(write ? "write" : "read") + (w.waited ? "" : " before griddepcontrol.wait") + " of " + std::to_string(size) + " bytes that kernel " + other.name +
               ", which may still run, " + (written ? "writes" : "reads") + ": " + describeInstruction(w, in) + ", " + describeThread(w, lane) + "; " + describeAddress(address));
}

void add(std::vector<EarlierLaunch>& to, const std::vector<EarlierLaunch>& more) {
    for (const EarlierLaunch& l : more)
        if (std::none_of(to.begin(), to.end(), [&](const EarlierLaunch& x) { return x.epoch == l.epoch; })) to.push_back(l);
}

void wait(Warp& w, const Inst&, u32) {
    w.waited = true;
    w.block->waited = true;
    w.launch->order->waited = true;
}
void trigger(Warp& w, const Inst&, u32) {
    w.block->triggered = true;
    w.block->triggeredEarly |= !w.waited;
}

}  // namespace

void expectDependentLaunches() { gExpected = true; }

void dependentStart(Launch& l, const LaunchOrders& predecessors) {
    l.order = std::make_shared<LaunchOrder>();
    LaunchOrder& o = *l.order;
    o.epoch = l.epoch;
    o.name = l.program->demangled;
    l.tracked = settings().racecheck && (gExpected || l.program->usesDependents) && reserveWords();
    if (!l.config.dependent || !settings().racecheck) return;
    for (const auto& p : predecessors) {
        const auto& atEnd = p->waited || p->ahead.empty() ? p->after : p->ahead;
        add(o.after, atEnd);
        if (p->triggered) {
            add(o.ahead, {{p->epoch, p->name}});
            add(o.ahead, p->startsAfterWait ? p->after : p->ahead);
        } else {
            add(o.ahead, atEnd);
        }
    }
}

void dependentEnd(Launch& l) {
    const LaunchOrder& o = *l.order;
    if (o.ahead.empty() || o.waited || l.error != 0) return;
    report(ReportKind::Synchronisation, l.program->name + ":no-wait",
           "kernel " + o.name + " was launched to begin before the end of " + o.ahead[0].name +
               ", and no thread of it has executed griddepcontrol.wait: what comes after it cannot rely on that end");
}

void dependentStartBlock(Block& b) {
    b.waited = b.waitedAtBarrier = b.triggered = b.triggeredEarly = false;
    for (u32 k = 0; k < b.warpCount; ++k) b.warps[k]->waited = b.launch->order->ahead.empty();
}
void dependentEndBlock(Block& b) {
    LaunchOrder& o = *b.launch->order;
    if (b.triggered) o.triggered = true;
    if (b.triggered ? !b.triggeredEarly : b.waited) o.startsAfterWait = true;
}

void dependentAccesses(Warp& w, const Inst& in, u32 mask, const u64* addresses, u32 size, bool write) {
    const LaunchOrder& o = *w.launch->order;
    const std::vector<EarlierLaunch>& pending = w.waited ? o.after : o.ahead;
    u64 previous = ~0ull;
    for (u32 m = mask; m; m &= m - 1) {
        int lane = std::countr_zero(m);
        u64 address = addresses[lane];
        if (address == previous || !gArena.contains(address)) continue;
        previous = address;
        u64 first = address - gArena.base;
        for (u64 at = first & ~3ull; at < first + size; at += 4) {
            Word& x = gWords[at >> 2];
            u32 lo = u32(std::max(at, first) - at), hi = u32(std::min(at + 4, first + size) - at);
            u32 bytes = ((1u << hi) - 1) & ~((1u << lo) - 1);
            if (!pending.empty()) {
                if (const EarlierLaunch* l = running(pending, __atomic_load_n(&x.writer, __ATOMIC_RELAXED), bytes)) conflict(w, in, lane, address, size, write, true, *l);
                else if (const EarlierLaunch* r = write ? running(pending, __atomic_load_n(&x.reader, __ATOMIC_RELAXED), bytes) : nullptr)
                    conflict(w, in, lane, address, size, write, false, *r);
            }
            record(write ? x.writer : x.reader, o.epoch, bytes);
        }
    }
}

Handler dependentWaitHandler() { return &wait; }
Handler dependentTriggerHandler() { return &trigger; }

std::shared_ptr<LaunchOrder> beginLibraryWork() {
    if (!gExpected || !settings().racecheck || !reserveWords()) return nullptr;
    auto order = std::make_shared<LaunchOrder>();
    order->epoch = nextEpoch();
    order->name = "of an emulated library";
    order->triggered = order->startsAfterWait = true;  // as the kernels of a library may do
    return tLibrary = order;
}
void endLibraryWork() { tLibrary = nullptr; }

void dependentLibraryAccess(u64 address, u64 bytes, bool write) {
    if (!tLibrary || !gArena.contains(address) || !gArena.contains(address + bytes - 1)) return;
    u64 first = address - gArena.base;
    for (u64 at = first & ~3ull; at < first + bytes; at += 4) {
        u32 lo = u32(std::max(at, first) - at), hi = u32(std::min(at + 4, first + bytes) - at);
        Word& x = gWords[at >> 2];
        record(write ? x.writer : x.reader, tLibrary->epoch, ((1u << hi) - 1) & ~((1u << lo) - 1));
    }
}

}  // namespace emu
