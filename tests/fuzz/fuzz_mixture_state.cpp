// Statistics of mixtures and states of streams. What is read must survive being saved and read again.
#include "elbo/gmm/online.hpp"
#include "elbo/gmm/statistics.hpp"
#include "fuzz_file.hpp"
#include "host/gmm/stream/statistics_state.hpp"

#include <optional>

namespace {

using namespace elbo::gmm;

template <class Load>
auto attempt(const std::string& path, Load load) -> std::optional<decltype(load(path))> {
    try {
        return load(path);
    } catch (const elbo::error&) { // what a reader may throw
        return std::nullopt;
    }
}

void require(bool same) {
    if (!same)
        std::abort();
}

void check_statistics(const std::string& path) {
    if (const auto first = attempt(path, load_statistics)) {
        save(*first, path);
        const auto again = attempt(path, load_statistics);
        require(again && again->under() == first->under() && again->samples() == first->samples() &&
                again->state().sums.limbs == first->state().sums.limbs &&
                again->state().scatter.limbs == first->state().scatter.limbs);
        statistics twice = *first;
        twice.merge(*again);
    }
}

void check_stream(const std::string& path) {
    if (const auto first = attempt(path, online::load)) {
        first->save(path);
        const auto again = attempt(path, online::load);
        require(again && again->model() == first->model() && again->state().covariances == first->state().covariances &&
                again->state().steps == first->state().steps && again->state().reseeds == first->state().reseeds &&
                again->options().t0 == first->options().t0 && again->options().rate == first->options().rate);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    check_statistics(elbo::fuzz::as_file(bytes, size, ".safetensors"));
    const std::string path = elbo::fuzz::as_file(bytes, size, ".safetensors");
    check_stream(path);
    ::unlink(path.c_str());
    return 0;
}
