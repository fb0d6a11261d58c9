#include "elbo/vae/train.hpp"

#include "host/vae/training.hpp"

namespace elbo::vae {

train_result train(const context& ctx, const architecture& a, const data_source& data, const train_options& options,
                   const std::optional<data_source>& validation) {
    check_options(a, options);
    check_precision(ctx, options);
    check_start(a, options);
    check_against_data(options, data, validation);
    train_options now = options;
    now.batch = batch_of(options, data.rows());
    return training_run(ctx, a, data, now, validation).run();
}

} // namespace elbo::vae
