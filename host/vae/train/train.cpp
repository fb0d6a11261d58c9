#include "elbo/vae/train.hpp"

#include "host/check.hpp"
#include "host/vae/train/training.hpp"

#include <fmt/format.h>

namespace elbo::vae {

namespace {

void check_against_data(const train_options& o, const data_source& data, const std::optional<data_source>& validation) {
    expects(!o.batch || *o.batch <= data.rows(), [&] {
        return fmt::format("batch = {}: expected at most {}, the rows of {}", *o.batch, data.rows(),
                           data.description());
    });
    expects(o.patience == 0 || validation.has_value(), [&] {
        return fmt::format("patience = {}: expected 0 without validation data, which early stopping looks at",
                           o.patience);
    });
    if (validation)
        expects(validation->rows() >= 1,
                [&] { return fmt::format("{} has no rows: expected at least one", validation->description()); });
}

void check_start(const architecture& a, const train_options& o) {
    expects(!o.start || o.start->architecture() == a, [&] {
        return fmt::format("start has another architecture: expected the one to train, got\n{}",
                           o.start->architecture().summary());
    });
}

} // namespace

train_result train(const context& ctx, const architecture& a, const data_source& data, const train_options& options,
                   const std::optional<data_source>& validation) {
    check_options(ctx, a, options);
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
