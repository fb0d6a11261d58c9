// data_source: a value that shares one implementation, chosen by what it is made of.
#include "elbo/data_source.hpp"

#include "host/io/sources.hpp"

namespace elbo {

data_source::data_source(any_matrix_view view) : impl_(io::open_views({view})) {}
data_source::data_source(std::shared_ptr<const implementation> impl) : impl_(std::move(impl)) {}

data_source data_source::chunks(std::vector<any_matrix_view> parts) {
    return data_source(io::open_views(std::move(parts)));
}

data_source data_source::generator(std::int64_t rows, std::int64_t cols,
                                   std::function<void(std::int64_t, std::int64_t, float*)> fill) {
    return data_source(io::open_generator(rows, cols, std::move(fill)));
}

data_source data_source::file(const std::string& path, const file_options& options) {
    return io::open_file(path, options)->take({{options.columns, options.scale}}).front();
}

std::int64_t data_source::kept_bytes() const {
    return impl_->kept;
}
std::int64_t data_source::rows() const {
    return impl_->rows;
}
std::int64_t data_source::cols() const {
    return impl_->cols;
}
element_type data_source::type() const {
    return impl_->type;
}
memory_space data_source::space() const {
    return impl_->space;
}
std::optional<any_matrix_view> data_source::contiguous() const {
    return impl_->contiguous();
}
const std::vector<std::string>& data_source::column_names() const {
    return impl_->column_names;
}
const std::string& data_source::description() const {
    return impl_->description;
}
const std::vector<left_out_column>& data_source::left_out() const {
    return impl_->left_out;
}
const std::vector<std::string>& data_source::remarks() const {
    return impl_->remarks;
}
std::unique_ptr<batch_reader> data_source::read(std::int64_t rows_per_batch) const {
    return impl_->read(rows_per_batch);
}

} // namespace elbo
