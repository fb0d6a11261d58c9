// In every test program: oneTBB may start up to eight threads, however few processors there are. Else tests of several
// threads would be tests of one or two on small machines.
#include <oneapi/tbb/global_control.h>

namespace {

const oneapi::tbb::global_control many_threads(oneapi::tbb::global_control::max_allowed_parallelism, 8);

} // namespace
