#include "elbo/vae/train.hpp"

#include "host/vae/train/training.hpp"

namespace elbo::vae {

train_result train(const context& ctx, const architecture& a, const data_source& data, const train_options& options,
                   const std::optional<data_source>& validation) {
    check_options(a, options);
    check_precision(ctx, options);
    check_start(a, options);
    check_against_data(options, data, validation);
    train_options now = options;
    now.batch = batch_of(options, data.rows());
    architecture named = a;
    if (named.column_names.empty())
        named.column_names = data.column_names();
    return training_run(ctx, named, data, now, validation).run();
}

} // namespace elbo::vae
